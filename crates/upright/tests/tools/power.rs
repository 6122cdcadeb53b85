//! `halt`, `poweroff`, `reboot`. In a namespace of processes the kernel ends that one's init by a
//! signal that says how: INT for off, HUP for again.

use super::{disk, told};
use crate::machine::{As, Machine};
use std::os::unix::process::ExitStatusExt;

const HUP: i32 = 1;
const INT: i32 = 2;

/// Makes sure that a command can only end the machine of the test.
fn guarded(command: &str) -> String {
    let outside = std::fs::read_link("/proc/self/ns/pid").unwrap();
    let outside = outside.display();
    format!("inside=$(readlink /proc/self/ns/pid) && [ -n \"$inside\" ] && [ \"$inside\" != '{outside}' ] && {command}")
}

pub fn by_shutdown() {
    let machine = Machine::boot(&disk());
    told(&machine, "telinit 2", "2 from N");
    let table = [
        ("reboot", "6 from 2 halt="),
        ("halt", "0 from 2 halt=HALT"),
        ("halt -p", "0 from 2 halt=POWEROFF"),
        ("poweroff", "0 from 2 halt=POWEROFF"),
    ];
    for (command, expected) in table {
        told(&machine, &guarded(command), expected);
        told(&machine, "rm /tmp/levels; telinit 2", "2 from");
    }
}

pub fn record() {
    let machine = Machine::boot(&disk());
    machine.ok("telinit 2");
    machine.ok(&guarded("poweroff -w"));
    let last = machine.ok("last -x -f /var/log/wtmp");
    assert!(last.starts_with("shutdown system down"), "{last}");
    assert_eq!(machine.ok("runlevel"), "N 2\n", "the level stays what it is");
}

pub fn off() {
    let mut machine = Machine::boot_as(As::First, &disk());
    machine.run(&guarded("poweroff -f"));
    let status = machine.end();
    assert_eq!(status.signal(), Some(INT), "{status:?}");
}

pub fn again() {
    let mut machine = Machine::boot_as(As::First, &disk());
    told(&machine, "telinit 6", "6 from N");
    machine.run(&guarded("reboot -n"));
    let status = machine.end();
    assert_eq!(status.signal(), Some(HUP), "{status:?}");
}
