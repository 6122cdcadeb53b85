//! The examples with a `check`: a mistake in the configuration of the real software, and what `restart` and
//! `reload` make of it.

use crate::machine::{Disk, Machine};

/// A service with a check.
struct Checked {
    job: &'static str,
    /// What says that it has read its configuration: only then may that be broken.
    has_read: &'static str,
    /// What breaks its configuration, and puts it right again.
    breaks: &'static str,
    mends: &'static str,
    /// What the software says of the mistake.
    complaint: &'static str,
}

pub fn nagios() {
    let disk = Disk::new().example_job("nagios-checked/nagios-checked.conf");
    check(
        &disk,
        &Checked {
            job: "nagios-checked",
            has_read:
                "grep -q 'Successfully launched command file worker' /var/log/nagios4/nagios.log",
            breaks: "cp /etc/nagios4/objects/localhost.cfg /root/good
                printf 'define host {\n use nonsense\n}\n' >> /etc/nagios4/objects/localhost.cfg",
            mends: "cp /root/good /etc/nagios4/objects/localhost.cfg",
            complaint: "Error: Could not complete object definition in file '/etc/nagios4/objects",
        },
    );
}

pub fn nginx() {
    const CONFIG: &str = "events {} http { access_log off; server { listen 127.0.0.1:8080; } }\n";
    let prepare = "rm -rf /etc/nginx/modules-enabled; mkdir -p /var/log/nginx";
    let disk = Disk::new().file("/etc/nginx/nginx.conf", CONFIG).prepare(prepare);
    check(
        &disk.example_job("nginx/nginx.conf"),
        &Checked {
            job: "nginx",
            has_read: "test -s /run/nginx.pid",
            breaks: "cp /etc/nginx/nginx.conf /root/good
                echo 'nonsense on;' >> /etc/nginx/nginx.conf",
            mends: "cp /root/good /etc/nginx/nginx.conf",
            complaint: "unknown directive \"nonsense\" in /etc/nginx/nginx.conf:2",
        },
    );
}

pub fn sshd() {
    let prepare = "rm -rf /etc/ssh/ssh_host_* /etc/ssh/sshd_config.d
        ssh-keygen -q -t ed25519 -N '' -f /etc/ssh/ssh_host_ed25519_key";
    let disk = Disk::new()
        .file("/etc/ssh/sshd_config", "ListenAddress 127.0.0.1\nUsePAM no\n")
        .prepare(prepare);
    check(
        &disk.example_job("sshd/sshd.conf"),
        &Checked {
            job: "sshd",
            has_read: "test -s /run/sshd.pid",
            breaks: "echo 'Nonsense yes' >> /etc/ssh/sshd_config",
            mends: "sed -i '/Nonsense/d' /etc/ssh/sshd_config",
            complaint: "/etc/ssh/sshd_config: line 3: Bad configuration option: Nonsense",
        },
    );
}

fn check(disk: &Disk, of: &Checked) {
    let machine = Machine::boot(disk);
    let job = of.job;
    machine.ok(&format!("initctl start {job}"));
    let first = machine.main_of(job);
    machine.until("it has read its configuration", || {
        machine.run(of.has_read).status.success().then_some(())
    });
    let as_before = format!("{job} start/running, process {first}\n");

    machine.ok(of.breaks);
    for verb in ["restart", "reload"] {
        let said = machine.refused(&format!("upright {verb} {job}"));
        println!("$ upright {verb} {job}\n{said}");
        let begins = format!("{job}: cannot {verb}: check process terminated with status ");
        assert!(said.starts_with(&begins) && said.contains(of.complaint), "{said}");
        assert!(said.contains("Nothing was touched"), "{said}");
        assert_eq!(machine.ok(&format!("initctl status {job}")), as_before);
        let said = machine.refused(&format!("initctl {verb} {job}"));
        assert!(said.contains(&format!("Check failed: {job}: ")), "{said}");
        assert!(said.contains(of.complaint), "{said}");
        assert_eq!(machine.ok(&format!("initctl status {job}")), as_before);
    }
    let why = machine.ok(&format!("upright why {job}"));
    assert!(why.contains("the check failed") && why.contains("nothing was touched"), "{why}");
    let said = machine.refused(&format!("upright check-service {job}"));
    assert!(said.contains(of.complaint), "{said}");

    machine.ok(of.mends);
    assert!(machine.ok(&format!("upright check-service {job}")).contains("its check succeeds"));
    machine.ok(&format!("initctl reload {job}"));
    assert_eq!(machine.ok(&format!("initctl status {job}")), as_before);
    machine.ok(&format!("initctl restart {job}"));
    let second = machine.main_of(job);
    assert_ne!(first, second);
    machine.ok(&format!("initctl stop {job}"));
    assert!(!machine.lives(first) && !machine.lives(second));
}

pub fn read_again() {
    let job = |value: &str| format!("env V={value}\nscript\n  exec sleep 1000\nend script\n");
    let machine = Machine::boot(&Disk::new().job("web", &job("old")));
    machine.ok("initctl start web");
    let first = machine.main_of("web");
    let value = |pid: i32| {
        let environment = machine.read(&format!("/proc/{pid}/environ"));
        environment.split('\0').find_map(|row| row.strip_prefix("V=")).map(str::to_owned)
    };

    let said = machine.refused(
        "printf 'respwan\\nnice 40\\nexec sleep 1\\n' > /etc/init/web.conf; upright restart web",
    );
    assert!(
        said.contains("upright: Job file cannot be used: web; it was not restarted\n"),
        "{said}"
    );
    for mistake in
        ["/etc/init/web.conf:1: Unknown stanza", "/etc/init/web.conf:2: Illegal nice value"]
    {
        assert!(said.contains(mistake), "{said}");
    }
    let as_before = format!("web start/running, process {first}\n");
    assert_eq!(machine.ok("initctl status web"), as_before);
    assert!(machine.refused("initctl restart web").contains("initctl: Job file cannot be used"));
    assert_eq!(machine.ok("initctl status web"), as_before);

    let script =
        "printf 'env V=new\\nexec sleep 1000\\n' > /etc/init/web.conf; initctl restart web";
    machine.ok(script);
    let second = machine.main_of("web");
    assert_eq!((value(second).as_deref(), first == second), (Some("new"), false));
    machine.ok("echo 'env V=over' > /etc/init/web.override; initctl restart web");
    assert_eq!(value(machine.main_of("web")).as_deref(), Some("over"));
    machine.ok("rm /etc/init/web.override; initctl restart web");
    assert_eq!(value(machine.main_of("web")).as_deref(), Some("new"));
}
