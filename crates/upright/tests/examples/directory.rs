//! Users and groups that only a name service knows.

use crate::machine::{Disk, Machine};

/// A user, his group, and a second one that he is in, in no file of `/etc`.
fn disk() -> Disk {
    let extra = "mkdir -p /var/lib/extrausers\n\
         sed -i 's/^\\(passwd\\|group\\):.*/& extrausers/' /etc/nsswitch.conf\n\
         echo 'ldap.user:*:70000:70001:A User:/:/bin/sh' > /var/lib/extrausers/passwd\n\
         printf 'ldap.own:*:70001:\\nldap.team:*:70002:ldap.user\\n' > /var/lib/extrausers/group";
    Disk::new().prepare(extra)
}

fn job(who: &str) -> String {
    format!("{who}\nexec sh -c 'id -u; id -g; id -G; exec sleep 1000'\n")
}

pub fn asked() {
    let disk = disk().job("user", &job("setuid ldap.user"));
    let disk = disk.job("both", &job("setuid ldap.user\nsetgid ldap.team"));
    let disk = disk.job("local", &job("setuid ldap.user\nsetgid daemon"));
    let machine = Machine::boot(&disk.job("group", &job("setgid ldap.team")));
    for job in ["user", "both", "local", "group"] {
        machine.ok(&format!("start {job}"));
    }
    let said = |job: &str| {
        let log = format!("/var/log/upstart/{job}.log");
        machine.until("it has said who it is", || {
            let text = machine.read(&log);
            (text.lines().count() == 3).then_some(text)
        })
    };
    assert_eq!(said("user"), "70000\n70001\n70001 70002\n");
    assert_eq!(said("both"), "70000\n70002\n70002\n");
    assert_eq!(said("local"), "70000\n1\n1 70002\n");
    assert_eq!(said("group"), "0\n70002\n70002\n");
    // Asked anew at every start: it may be another answer.
    machine.ok("echo 'ldap.user:*:70007:70001::/:/bin/sh' > /var/lib/extrausers/passwd");
    machine.ok("rm /var/log/upstart/user.log; restart user");
    assert_eq!(said("user"), "70007\n70001\n70001 70002\n");
}

pub fn unknown() {
    let disk = disk().job("nobody-knows", &job("setuid nosuch"));
    let machine = Machine::boot(&disk.job("number", &job("setuid 70000")));
    for job in ["nobody-knows", "number"] {
        let said = machine.refused(&format!("upright start {job}"));
        assert!(said.contains("unable to find setuid user"), "{said}");
    }
    machine.ok("mv /usr/bin/getent /usr/bin/getent.gone");
    let said = machine.refused("upright start nobody-knows");
    assert!(said.contains("unable to find setuid user"), "{said}");
}

/// A name service that hangs holds up the start that asks it, and nothing else.
pub fn hangs() {
    let disk = disk().job("late", &job("setuid nosuch")).job("other", "exec sleep 1000\n");
    let hung = "mv /usr/bin/getent /usr/bin/getent.real\n\
         printf '#!/bin/sh\\nexec sleep 1000\\n' > /usr/bin/getent\nchmod 755 /usr/bin/getent";
    let machine = Machine::boot(&disk.prepare(hung));
    machine.ok("start late > /run/late 2>&1 &");
    machine
        .until("it is asked", || machine.ok("initctl list").contains("late start").then_some(()));
    let daemon = machine.ok("pidof upright-daemon");
    machine.ok("start other");
    // A new daemon asks anew.
    machine.ok(&format!("kill -KILL {daemon}"));
    machine.line("/run/late", "Job failed to start");
    let why = machine.ok("upright why late");
    assert!(why.contains("unable to find setuid user: Connection timed out"), "{why}");
    machine.until("of those who sleep only the other job is left", || {
        (machine.ok("pidof sleep | wc -w") == "1\n").then_some(())
    });
    assert!(machine.ok("status late").contains("stop/waiting"));
}
