//! `examples/README.md` against what is there.

use crate::machine::{Disk, Machine};
use std::fs;
use std::path::Path;
use std::process::Command;

fn examples() -> Vec<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples");
    let entries = fs::read_dir(folder).unwrap().map(Result::unwrap);
    let folders = entries.filter(|entry| entry.file_type().unwrap().is_dir());
    folders.map(|entry| entry.file_name().into_string().unwrap()).collect()
}

pub fn names_every_example() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let readme = fs::read_to_string(root.join("examples/README.md")).unwrap();
    for name in examples() {
        assert!(readme.contains(&format!("| [{name}]({name}/{name}.conf) |")), "{name}");
        let check = Command::new(env!("CARGO_BIN_EXE_upright"))
            .args(["check", &format!("examples/{name}")])
            .current_dir(&root)
            .output()
            .unwrap();
        assert_eq!(
            String::from_utf8_lossy(&check.stdout),
            format!("examples/{name}/{name}.conf: ok\n")
        );
    }
}

/// In the foreground, by the command of the README.
pub fn up() {
    let disk = ["syslog", "helloworld"].iter().fold(Disk::new(), |disk, name| {
        let file = format!("{name}/{name}.conf");
        disk.example(&file, &format!("/srv/examples/{file}"))
    });
    let machine = Machine::boot(&disk);
    machine.ok("cd /srv; export XDG_RUNTIME_DIR=/run/own HOME=/run/own
        ln -s /usr/local/sbin/init /usr/local/bin/upright-core
        upright up examples/syslog examples/helloworld >/run/up 2>&1 </dev/null &
        echo $! >/run/up.pid");
    machine.until("it answers", || {
        let at = "--socket /run/own/upright/control";
        machine.run(&format!("upright emit {at} helloworld foo=bar")).status.success().then_some(())
    });
    machine.line("/var/log/messages", "helloworld: foo=bar");
    let pid = machine.pid_file("/run/up.pid");
    machine.ok(&format!("kill -INT {pid}"));
    machine.until("it has ended", || (!machine.lives(pid)).then_some(()));
}
