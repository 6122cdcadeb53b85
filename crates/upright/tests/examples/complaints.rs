//! What the seed of `examples/ssh` missed in Upstart: output of what fails, events to watch, a refusal
//! that says what refused.

use crate::machine::{Disk, Machine};

fn boot() -> Machine {
    let broken = "pre-start script\n  echo checking the disk\n  echo no disk >&2\n  exit 4\n\
                  end script\nexec sleep 1000\n";
    let disk = Disk::new().job("broken", broken).job("web", "start on go\nexec sleep 1000\n");
    Machine::boot(&disk.example_job("ssh/ssh.conf"))
}

pub fn stranger() {
    let machine = boot();
    let stranger = "setpriv --reuid 12345 --regid 12345 --clear-groups";
    let said = machine.refused(&format!("{stranger} start ssh"));
    assert!(said.contains("You do not have permission to start jobs"), "{said}");
    assert!(said.contains("nothing grants you `operate' over ssh"), "{said}");
    assert!(said.contains("Do it as root"), "{said}");
    assert_eq!(machine.ok(&format!("{stranger} status ssh")), "ssh stop/waiting\n");
}

pub fn events() {
    let machine = boot();
    machine.ok("upright events -f > /run/events 2>&1 &");
    machine.until("the watcher watches", || {
        machine.ok("initctl emit probe");
        machine.read("/run/events").contains("probe").then_some(())
    });
    machine.ok("initctl emit go WHERE=here");
    for words in ["starting JOB=web", "started JOB=web", "go WHERE=here"] {
        machine.line("/run/events", words);
    }
    let pid = machine.main_of("web");
    machine.ok(&format!("kill -KILL {pid}"));
    let line = machine.line("/run/events", "exited JOB=web");
    for words in ["PROCESS=main", &format!("PID={pid}"), "EXIT_SIGNAL=KILL"] {
        assert!(line.contains(words), "{line}");
    }
    machine.line("/run/events", "stopped JOB=web");
}

pub fn output() {
    let machine = boot();
    let said = machine.refused("upright start broken");
    assert!(said.contains("checking the disk") && said.contains("no disk"), "{said}");
    assert!(said.contains("pre-start process terminated with status 4"), "{said}");
    let log = machine.read("/var/log/upstart/broken.log");
    assert_eq!(log, "checking the disk\nno disk\n");
    let why = machine.ok("upright why broken");
    assert!(why.contains("pre-start process"), "{why}");
}
