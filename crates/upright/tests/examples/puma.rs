//! `examples/puma`.

use crate::machine::{Disk, Machine};

const SOCKET: &str = "/var/www/app/current/tmp/puma.sock";
const SYSTEM_LOG: &str = "/var/log/messages";

fn boot() -> Machine {
    let disk = Disk::new()
        .example_job("puma/puma.conf")
        .example_job("syslog/syslog.conf")
        .example("puma/app/bin/puma", "/var/www/app/current/bin/puma")
        .example("puma/app/config/puma.rb", "/var/www/app/current/config/puma.rb")
        .example("puma/app/config.ru", "/var/www/app/current/config.ru")
        .prepare("mkdir /var/www/app/current/tmp; chown deploy: /var/www/app/current/tmp");
    let machine = Machine::boot(&disk);
    machine.ok("start puma");
    machine
}

/// Returns the worker that answers.
fn worker(machine: &Machine) -> i32 {
    machine.until("puma answers", || {
        let output = machine.run(&format!("curl -s --unix-socket {SOCKET} http://localhost/"));
        let page = String::from_utf8_lossy(&output.stdout).into_owned();
        page.strip_prefix("worker ")?.trim().parse().ok()
    })
}

pub fn serves() {
    let machine = boot();
    let master = machine.main_of("puma");
    let first = worker(&machine);
    let deploy = machine.ok("id -u deploy").trim().to_owned();
    for pid in [master, first] {
        assert_eq!(machine.status_field(pid, "Uid"), [deploy.as_str(); 4].join(" "));
    }
    // Through the fifo to logger.
    machine.line(SYSTEM_LOG, "puma: ");
    machine.line(SYSTEM_LOG, "Worker 0 (PID: ");
    assert!(!machine.path("/tmp/puma-log-fifo").exists());

    machine.ok("reload puma");
    machine.line(SYSTEM_LOG, "Starting phased worker restart");
    machine.until("another worker answers", || (worker(&machine) != first).then_some(()));
    assert_eq!(machine.main_of("puma"), master);

    machine.ok(&format!("kill -KILL {master}"));
    let second = machine.another("puma", master);
    let worker = worker(&machine);
    assert_eq!(machine.ok("stop puma"), "puma stop/waiting\n");
    assert!(!machine.lives(second) && !machine.lives(worker));
    assert!(!machine.path(SOCKET).exists());
    let console = machine.console();
    let post_stop =
        |line: &str| line.contains("puma post-stop process") && line.contains("normally");
    assert!(console.lines().any(post_stop));
}

pub fn normal_exit() {
    let machine = boot();
    worker(&machine);
    let master = machine.main_of("puma");
    machine.ok(&format!("kill -TERM {master}"));
    machine.until("puma has ended", || {
        (machine.ok("status puma") == "puma stop/waiting\n").then_some(())
    });
    // No respawn, and no failure.
    let why = machine.ok("upright why puma");
    assert!(!machine.lives(master));
    assert!(!why.contains("fail") && !why.contains("respawn"), "{why}");
}
