//! The log of `supervisord` itself, sent to syslog: busybox's (`examples/syslog`).

use crate::machine::{Disk, Machine};

const CONFIGURATION: &str = "\
[supervisord]
logfile=syslog
pidfile=/run/supervisord.pid
[program:web]
command=sleep 1000
startsecs=0
";

pub fn to_syslog() {
    let disk = Disk::new()
        .example_job("syslog/syslog.conf")
        .file("/etc/supervisord.conf", CONFIGURATION)
        .prepare("ln -s /usr/local/sbin/init /usr/bin/supervisord");
    let machine = Machine::boot(&disk);
    // It ends with 0 also where nobody listens.
    machine.until("somebody listens at /dev/log", || {
        machine.ok("logger -t probe here");
        machine.read("/var/log/messages").contains("probe: here").then_some(())
    });
    assert_eq!(machine.ok("cd / && supervisord -c /etc/supervisord.conf"), "");
    let pid = machine.pid_file("/run/supervisord.pid");
    let line =
        machine.line("/var/log/messages", &format!("INFO supervisord started with pid {pid}"));
    let (_, told) = line.split_once(" supervisord: ").unwrap_or_else(|| panic!("{line}"));
    let is_stamp = |byte: u8| byte.is_ascii_digit() || b"-: ,".contains(&byte);
    assert!(told.len() > 24 && told.bytes().take(24).all(is_stamp), "{line}");
    machine.line("/var/log/messages", "INFO success: web entered RUNNING state");
    assert!(!machine.path("/syslog").exists());
    machine.ok(&format!("kill -TERM {pid}"));
    machine.line("/var/log/messages", "WARN stopped: web (terminated by SIGTERM)");
}
