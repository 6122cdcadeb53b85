//! The two small programs that the client is called as too.

use crate::world::{until, Folder, PROGRAM};
use engine::signal::Signal;
use std::collections::BTreeSet;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

#[test]
fn pidproxy_passes_signals_to_the_process_of_the_pid_file_and_ends_with_its_command() {
    let folder = Folder::new();
    let script = "trap 'echo usr1 >> said; exit' USR1; echo $$ > pid.new; mv pid.new pid\n\
                  while :; do sleep 0.01; done";
    let mut child = Command::new(PROGRAM)
        .arg0("/x/pidproxy")
        .args(["pid", "/bin/sh", "-c", script])
        .current_dir(&folder.0)
        .spawn()
        .unwrap();
    until("the command runs", || folder.0.join("pid").exists());
    let proxy = i32::try_from(child.id()).unwrap();
    sys::signals::send(proxy, Signal::USR1).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0));
    assert_eq!(std::fs::read_to_string(folder.0.join("said")).unwrap(), "usr1\n");
}

#[test]
fn pidproxy_without_a_command_shows_its_usage() {
    let ran = Command::new(PROGRAM).arg0("pidproxy").arg("x").output().unwrap();
    assert_eq!(ran.status.code(), Some(1));
    assert!(String::from_utf8(ran.stdout).unwrap().contains("Usage: pidproxy <pidfile name>"));
    let lost = Command::new(PROGRAM).arg0("pidproxy").args(["x", "/no/such"]).output().unwrap();
    assert_eq!(lost.status.code(), Some(127));
    let said = String::from_utf8(lost.stderr).unwrap();
    assert_eq!(said, "pidproxy: cannot run /no/such: No such file or directory\n");
}

#[test]
fn the_sample_has_every_section_and_key_of_the_originals() {
    let keys = |program: &mut Command| {
        let ran = program.stdin(Stdio::null()).output().unwrap();
        assert!(ran.status.success());
        let mut section = String::new();
        let mut found = BTreeSet::new();
        for line in String::from_utf8(ran.stdout).unwrap().lines() {
            let line = line.strip_prefix(';').unwrap_or(line);
            if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.split(']').next()) {
                section = name.to_owned();
            } else if let Some((key, _)) = line.split_once('=') {
                let key = key.trim();
                if key.bytes().all(|byte| byte.is_ascii_lowercase() || b"._".contains(&byte)) {
                    found.insert(format!("[{section}] {key}"));
                }
            }
        }
        found
    };
    let ours = keys(Command::new(PROGRAM).arg0("echo_supervisord_conf").arg("ignored"));
    assert!(ours.contains("[unix_http_server] chown") && ours.len() > 90, "{}", ours.len());
    let needs = concat!(env!("CARGO_MANIFEST_DIR"), "/../../target/test-needs/supervisor/bin");
    let original = format!("{needs}/echo_supervisord_conf");
    if !std::path::Path::new(&original).exists() {
        println!("passed over: {original} is not there (scripts/install-test-needs.sh)");
        return;
    }
    let theirs = keys(&mut Command::new(original));
    let missing: Vec<_> = theirs.difference(&ours).collect();
    assert!(missing.is_empty(), "not in ours: {missing:?}");
}
