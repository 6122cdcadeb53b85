//! Runlevels: the event, the records, other inits.

use super::{disk, told};
use crate::machine::Machine;

pub fn recorded() {
    let machine = Machine::boot(&disk());
    assert_eq!(machine.refused("runlevel"), "unknown\n", "nothing is recorded yet");
    told(&machine, "telinit 2", "2 from N halt= word=");
    assert_eq!(machine.ok("runlevel"), "N 2\n");
    let who = machine.ok("who -r");
    // It shows `N` as `S`.
    assert!(who.contains("run-level 2") && who.contains("last=S"), "{who}");
    told(&machine, "telinit -e WORD=given s", "S from 2 halt= word=given");
    assert_eq!(machine.ok("runlevel"), "2 S\n");
    let who = machine.ok("who -r");
    assert!(who.contains("run-level S") && who.contains("last=2"), "{who}");
    machine.ok("who -b | grep 'system boot'");
    // A job of a runlevel knows it from its environment, whatever the record says.
    assert_eq!(machine.ok("RUNLEVEL=4 PREVLEVEL=5 runlevel"), "5 4\n");
    told(&machine, "RUNLEVEL=4 telinit 3", "3 from 4");
    let last = machine.ok("last -x -f /var/log/wtmp");
    let mut events =
        last.lines().filter(|line| line.contains("system boot") || line.contains("lvl"));
    for expected in ["(to lvl 3)", "system boot", "(to lvl S)", "(to lvl 2)", "system boot"] {
        // The level before 3 was none that the records knew: they missed a boot.
        let line = events.next().unwrap_or_default();
        assert!(line.contains(expected), "`{expected}` is not in `{line}` of\n{last}");
    }
    let release = machine.ok("uname -r");
    assert!(last.contains(release.trim().get(..10).unwrap_or(release.trim())), "{last}");
    machine.ok("utmpdump /run/utmp 2>&1 | grep runlevel");
}

pub fn reload() {
    let machine = Machine::boot(&disk());
    let before = machine.console().matches("Reloading configuration").count();
    machine.ok("telinit q && telinit Q");
    machine.until("the files are read again, twice", || {
        (machine.console().matches("Reloading configuration").count() == before + 2).then_some(())
    });
    machine.ok("su -s /bin/sh nobody -c 'telinit q 2>&1' | grep 'telinit: Need to be root'");
}

pub fn another_init() {
    let machine = Machine::boot(&disk());
    let nobody = "export UPRIGHT_SOCKET=/run/nobody;";
    let said = machine.refused(&format!("{nobody} telinit 2"));
    assert!(said.starts_with("telinit: Unable to connect to Upright"), "{said}");
    assert_eq!(machine.refused("runlevel"), "unknown\n", "what was not done is not recorded");
    let read = "mkfifo /run/initctl; timeout 20 cat /run/initctl > /tmp/asked & \
                until timeout 1 shutdown -P now; do :; done; wait";
    machine.ok(&format!("{nobody} {read}"));
    let decode = "import struct
asked = open('/tmp/asked', 'rb').read()
first, second = asked[:384], asked[384:]
assert struct.unpack('IIII', first[:16]) == (0x03091969, 6, 0, 0)
assert first[16:].rstrip(b'\\0') == b'INIT_HALT=POWEROFF'
assert struct.unpack('IIII', second[:16]) == (0x03091969, 1, ord('0'), 0) and len(second) == 384";
    machine.ok(&format!("python3 -c \"{decode}\""));
}
