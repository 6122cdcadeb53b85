//! `shutdown`: at once, later, and not at all.

use super::{disk, told};
use crate::machine::Machine;

pub fn now() {
    let machine = Machine::boot(&disk());
    told(&machine, "telinit 2", "2 from N");
    let table = [
        ("shutdown now", "1 from 2 halt= word="),
        ("shutdown -r now", "6 from 1 halt= word="),
        ("shutdown -h +0", "0 from 6 halt= word="),
        ("shutdown -H now", "0 from 0 halt=HALT word="),
        ("shutdown -a -f -F -t 3 -i 5 -P now going home", "0 from 0 halt=POWEROFF word="),
    ];
    for (command, expected) in table {
        told(&machine, command, expected);
    }
    let lines = machine.read("/tmp/levels").lines().count();
    machine.ok("shutdown -k -r now only a word");
    told(&machine, "initctl emit --no-wait runlevel RUNLEVEL=9", "9 from");
    assert_eq!(machine.read("/tmp/levels").lines().count(), lines + 1, "-k warns and no more");
    let last = machine.ok("last -x -f /var/log/wtmp");
    assert!(last.contains("(to lvl 0)") && last.contains("(to lvl 6)"), "{last}");
}

pub fn waits() {
    let machine = Machine::boot(&disk());
    machine.ok("telinit 2; setsid script -qfc 'sleep 100' /tmp/seen > /dev/null 2>&1 &");
    machine.until("there is a terminal", || machine.path("/dev/pts/0").exists().then_some(()));
    let record = "import struct
record = struct.pack('hi32s4s32s256s', 7, 1, b'pts/0', b'ts/0', b'ann', b'')
open('/run/utmp', 'ab').write(record.ljust(384, b'\\0'))";
    machine.ok(&format!("python3 -c \"{record}\"; who | grep '^ann *pts/0'"));
    machine.ok("setsid shutdown -r +3 coffee first > /tmp/said 2>&1 &");
    machine.line("/tmp/seen", "The system is going down for reboot in 3 minutes!");
    machine.line("/tmp/seen", "coffee first");
    machine.line("/tmp/seen", "Broadcast message from root@");
    machine.line("/etc/nologin", "The system is going down for reboot in 3 minutes!");
    let pid = machine.pid_file("/run/shutdown.pid");
    assert_eq!(
        machine.refused("shutdown -h now"),
        "shutdown: Another shutdown is already running\n"
    );
    machine.ok(&format!("kill -HUP {pid}; kill -QUIT {pid}; shutdown -c stay"));
    machine.line("/tmp/said", "shutdown: Shutdown cancelled");
    machine.line("/tmp/seen", "stay");
    machine.until("it has ended", || (!machine.lives(pid)).then_some(()));
    machine.refused("test -e /etc/nologin || test -e /run/shutdown.pid");
    assert_eq!(machine.refused("shutdown -c"), "shutdown: Cannot find pid of running shutdown\n");
    assert_eq!(machine.read("/tmp/levels").lines().count(), 1, "nothing went down");
}

pub fn stale() {
    let machine = Machine::boot(&disk());
    // PID 1 lives, and is no shutdown; the other is nobody.
    for pid in ["1", "4194000", "nonsense"] {
        machine.ok(&format!("echo {pid} > /run/shutdown.pid"));
        assert_eq!(machine.refused("shutdown -c"), "shutdown: Shutdown is not running\n");
    }
    machine.ok("shutdown -r now");
    machine.line("/tmp/levels", "6 from N");
}
