//! `examples/helloworld`, `examples/on-failure` and `examples/alert`, these through `logger` into busybox's syslogd
//! (`examples/syslog`) on a `/dev/log` of the machine's own.

use crate::machine::{Disk, Machine};

const SYSTEM_LOG: &str = "/var/log/messages";

fn boot(disk: Disk) -> Machine {
    let machine = Machine::boot(&disk.example_job("syslog/syslog.conf"));
    // It ends with 0 also where nobody listens, and what it said then is lost.
    machine.until("somebody listens at /dev/log", || {
        machine.ok("logger -t probe here");
        machine.read(SYSTEM_LOG).contains("probe: here").then_some(())
    });
    machine
}

/// Returns the words that were logged under a name.
fn logged(machine: &Machine, tag: &str) -> Vec<String> {
    let log = machine.read(SYSTEM_LOG);
    let lines = log.lines().filter_map(|line| line.split_once(&format!(" {tag}: ")));
    lines.map(|(_, words)| String::from(words)).collect()
}

pub fn helloworld() {
    let machine = boot(Disk::new().example_job("helloworld/helloworld.conf"));
    machine.ok("initctl emit helloworld foo=bar baz=fizz");
    machine.line(SYSTEM_LOG, "helloworld: PWD=/");
    let mut lines = logged(&machine, "helloworld");
    // The shell adds these; PATH is that of Upstart's init.
    lines.retain(|line| !line.starts_with("OLDPWD=") && !line.starts_with("_="));
    lines.sort();
    let expected = [
        "PATH=/usr/local/sbin:/usr/local/bin:/usr/bin:/usr/sbin:/sbin:/bin",
        "PWD=/",
        "TERM=linux",
        "UPSTART_EVENTS=helloworld",
        "UPSTART_INSTANCE=",
        "UPSTART_JOB=helloworld",
        "baz=fizz",
        "foo=bar",
    ];
    assert_eq!(lines, expected);
    assert_eq!(machine.ok("status helloworld"), "helloworld stop/waiting\n");

    machine.ok("start helloworld key1=value1");
    machine.line(SYSTEM_LOG, "helloworld: key1=value1");
}

pub fn alert() {
    let web = "respawn\nrespawn limit 2 60\nexec sleep 1000\n";
    let broken = "exec sh -c 'exit 3'\n";
    let disk = Disk::new().example_job("alert/alert.conf").job("web", web);
    let machine = boot(disk.job("broken", broken));
    machine.ok("start web");
    let first = machine.main_of("web");
    machine.ok(&format!("kill -SEGV {first}"));
    machine.line(SYSTEM_LOG, &format!("alert: web: process {first} ended after "));
    let second = machine.another("web", first);
    machine.ok(&format!("kill -KILL {second}"));
    let third = machine.another("web", second);
    machine.ok(&format!("kill -KILL {third}"));
    machine.line(SYSTEM_LOG, "alert: web: given up (respawn)");
    machine.run("start broken");
    let line = machine.line(SYSTEM_LOG, "alert: broken: process");
    assert!(line.ends_with(": status 3"), "{line}");
    machine.line(SYSTEM_LOG, "alert: broken: given up (main)");

    // A stop that was asked for is no alert.
    let before = logged(&machine, "alert").len();
    machine.ok("start web");
    machine.ok("stop web");
    machine.ok("logger -t probe there");
    machine.line(SYSTEM_LOG, "probe: there");
    assert_eq!(logged(&machine, "alert").len(), before, "{:?}", logged(&machine, "alert"));
}

pub fn on_failure() {
    let tell = "#!/bin/sh\nmkdir -p /run/told\nenv >/run/told/$JOB.new && mv /run/told/$JOB.new /run/told/$JOB\n";
    let disk = Disk::new()
        .example_job("on-failure/on-failure.conf")
        .file("/etc/on-failure.d/tell", tell)
        .prepare("chmod 755 /etc/on-failure.d/tell")
        .job("broken", "exec sh -c 'exit 3'\n")
        .job("web", "respawn\nrespawn limit 2 60\nexec sh -c 'kill -SEGV $$'\n");
    let machine = Machine::boot(&disk);
    machine.run("start broken");
    for row in ["UPSTART_EVENTS=failed", "EXIT_STATUS=3", "REASON=main process terminated"] {
        machine.line("/run/told/broken", row);
    }
    machine.run("start web");
    for row in ["REASON=respawning too fast", "EXIT_SIGNAL=SEGV", "RESPAWNS=2"] {
        machine.line("/run/told/web", row);
    }
}

/// What is told by mail and by a webhook, the mail to a program in the place of sendmail, the other to
/// a listener on this machine.
pub fn told_elsewhere() {
    let sendmail = "#!/bin/sh\ncat >/run/mail.new && mv /run/mail.new /run/mail\n";
    let disk = Disk::new()
        .example_job("on-failure-mail/on-failure-mail.conf")
        .example_job("on-failure-webhook/on-failure-webhook.conf")
        .file("/usr/local/sbin/sendmail", sendmail)
        .file("/srv/hook/cgi-bin/hook", "#!/bin/sh\ncat >/run/hook.new && mv /run/hook.new /run/hook\necho 'Content-Type: text/plain'\necho\necho ok\n")
        .job("hooks", "expect daemon\nexec busybox httpd -p 127.0.0.1:9099 -h /srv/hook\n")
        .file("/etc/init/on-failure-webhook.override", "env URL=http://127.0.0.1:9099/cgi-bin/hook\n")
        .prepare("chmod 755 /usr/local/sbin/sendmail /srv/hook/cgi-bin/hook")
        .job("broken", "exec sh -c 'echo no disk; exit 3'\n");
    let machine = Machine::boot(&disk);
    machine.ok("start hooks");
    machine.run("start broken");
    machine.line("/run/mail", "broken: failed: main process terminated with status 3");
    machine.line("/run/mail", "| no disk");
    let told = machine.line("/run/hook", "event=failed");
    for words in ["job=broken", "status=3", "reason=main"] {
        assert!(told.contains(words), "{told}");
    }
}
