//! `examples/nagios` and `examples/nagios-tested`, with the configuration that Debian ships.

use crate::machine::{Disk, Machine};

const CONFIG: &str = "/etc/nagios4/nagios.cfg";
const OWN_LOG: &str = "/var/log/nagios4/nagios.log";
const LOG: &str = "/var/log/upstart/nagios-tested.log";

pub fn is_back() {
    let machine = Machine::boot(&Disk::new().example_job("nagios/nagios.conf"));
    let line = machine.ok("initctl start nagios");
    let first = machine.main_of("nagios");
    assert_eq!(line, format!("nagios start/running, process {first}\n"));
    let said = machine.refused("initctl start nagios");
    assert!(said.contains("initctl: Job is already running: nagios\n"), "{said}");
    machine.line(OWN_LOG, "Successfully launched command file worker");

    machine.ok(&format!("kill {first}"));
    let second = machine.another("nagios", first);
    assert!(machine.console().contains(&format!("nagios main process ({first})")));
    machine.until("the new one works", || {
        let log = machine.read(OWN_LOG);
        (log.matches("Successfully launched command file worker").count() == 2).then_some(())
    });

    assert_eq!(machine.ok("initctl stop nagios"), "nagios stop/waiting\n");
    assert!(!machine.lives(second));
}

pub fn tested() {
    let machine = Machine::boot(&Disk::new().example_job("nagios-tested/nagios-tested.conf"));
    machine.ok("initctl emit filesystem");
    let first = machine.main_of("nagios-tested");
    let arguments = machine.read(&format!("/proc/{first}/cmdline"));
    assert_eq!(arguments, format!("/usr/sbin/nagios4\0{CONFIG}.test_ok\0"));
    machine.line(LOG, "Things look okay - No serious problems were detected during the pre-flight");

    machine.ok(&format!("echo nonsense=1 >> {CONFIG}"));
    machine.ok("initctl restart nagios-tested");
    let second = machine.another("nagios-tested", first);
    machine.line(LOG, "(UNKNOWN VARIABLE)");
    machine.line(LOG, "Config check failed, using old config.");
    assert!(!machine.read(&format!("{CONFIG}.test_ok")).contains("nonsense"));
    let log = machine.ok("upright log -n 1000 nagios-tested");
    assert!(log.contains("\nConfig check failed, using old config.\n"), "{log}");

    machine.ok("initctl stop nagios-tested");
    assert!(!machine.lives(second));
}
