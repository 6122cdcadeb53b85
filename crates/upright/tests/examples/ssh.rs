//! `examples/ssh`.

use crate::machine::{Disk, Machine};

const PID_FILE: &str = "/run/sshd.pid";

/// The port and the place of everything are those of a real machine: this one has its own network and
/// disk.
const CONFIG: &str = "ListenAddress 127.0.0.1\nUsePAM no\nPermitRootLogin prohibit-password\n";

const LOGIN: &str = "ssh -i /root/key -o StrictHostKeyChecking=no -o BatchMode=yes \
     -o ConnectTimeout=10 root@127.0.0.1";

fn boot() -> Machine {
    let prepare = "rm -rf /etc/ssh/ssh_host_* /etc/ssh/sshd_config.d /root/.ssh
        ssh-keygen -q -t ed25519 -N '' -f /etc/ssh/ssh_host_ed25519_key
        ssh-keygen -q -t ed25519 -N '' -f /root/key
        chmod 700 /root
        mkdir -m 700 /root/.ssh
        cp /root/key.pub /root/.ssh/authorized_keys";
    let disk = Disk::new().file("/etc/ssh/sshd_config", CONFIG).prepare(prepare);
    Machine::boot(&disk.example_job("ssh/ssh.conf"))
}

pub fn serves() {
    let machine = boot();
    assert_eq!(machine.ok("initctl status ssh"), "ssh stop/waiting\n");
    machine.ok("initctl emit filesystem");
    let first = machine.main_of("ssh");
    assert_eq!(machine.pid_file(PID_FILE), first);
    let status = format!("ssh start/running, process {first}\n");
    assert_eq!(machine.ok("status ssh"), status);
    assert_eq!(machine.status_field(first, "Umask"), "0022");
    assert!(machine.refused("start ssh").contains("start: Job is already running: ssh\n"));

    // A login's shell has what sshd was given by `oom never`: sshd takes its own back for it.
    let answer = machine.ok(&format!("{LOGIN} 'cat /proc/self/oom_score_adj; echo over ssh'"));
    let never = machine.run("echo -1000 >/proc/self/oom_score_adj").status.success();
    assert_eq!(answer, if never { "-1000\nover ssh\n" } else { "0\nover ssh\n" });
    if !never {
        println!(
            "passed over: ssh: `oom never`: this root may not lower its oom score; it has to warn"
        );
        let warning = "ssh main process: unable to set oom adjustment: not permitted";
        assert!(machine.console().contains(warning));
        assert!(machine.ok("upright why ssh").contains("oom"));
    }

    machine.ok(&format!("kill -KILL {first}"));
    let second = machine.another("ssh", first);
    assert_eq!(machine.pid_file(PID_FILE), second);
    assert_eq!(machine.ok(&format!("{LOGIN} echo again")), "again\n");

    assert_eq!(machine.ok("initctl stop ssh"), "ssh stop/waiting\n");
    assert!(!machine.lives(second));
    machine.run(LOGIN).status.code().filter(|code| *code == 255).expect("nobody listens");
    let line = machine.ok("initctl start ssh");
    let third = machine.main_of("ssh");
    assert_eq!(line, format!("ssh start/running, process {third}\n"));
    assert_eq!(machine.pid_file(PID_FILE), third);
}

pub fn runlevel() {
    let machine = boot();
    machine.ok("initctl emit filesystem");
    let pid = machine.main_of("ssh");
    machine.ok("initctl emit runlevel RUNLEVEL=2 PREVLEVEL=N");
    assert_eq!(machine.main_of("ssh"), pid);
    machine.ok("initctl emit runlevel RUNLEVEL=S PREVLEVEL=2");
    assert_eq!(machine.ok("status ssh"), "ssh stop/waiting\n");
    assert!(!machine.lives(pid));
}
