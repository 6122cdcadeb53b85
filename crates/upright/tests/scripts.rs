//! The commands of the README that are scripts, run as a newcomer runs them: `make demo`, `make
//! install`, `make uninstall`.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

/// The most that is waited for a fact.
const PATIENCE: Duration = Duration::from_secs(60);

/// Returns the repository.
fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Returns where the binaries under test are.
fn binaries() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_upright")).parent().unwrap()
}

/// A directory that goes with the test.
struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str) -> Scratch {
        let path = std::env::temp_dir().join(format!("upright-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).unwrap();
        Scratch(path)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// A session that is ended with the test.
struct Session(Child);

impl Drop for Session {
    fn drop(&mut self) {
        let _ = Command::new("kill").arg(self.0.id().to_string()).status();
        let _ = self.0.wait();
    }
}

fn words(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn demo(path: Option<&Path>) -> Output {
    let mut command = Command::new(repository().join("scripts/demo.sh"));
    command.arg(binaries()).stdin(Stdio::null());
    if let Some(path) = path {
        command.env("PATH", path);
    }
    command.output().unwrap()
}

/// Checks that the lines stand in the output, in their order; `*` stands for anything.
fn check(ran: &Output, lines: &[&str]) {
    let (out, err) = (words(&ran.stdout), words(&ran.stderr));
    assert!(ran.status.success(), "{}\n{out}\n{err}", ran.status);
    let mut rest = out.lines();
    for line in lines {
        let mut parts = line.split('*');
        let first = parts.next().unwrap_or_default();
        let found = rest.any(|candidate| {
            let mut left = candidate.trim_start().strip_prefix(first);
            for part in parts.clone() {
                left = left.and_then(|left| left.split_once(part)).map(|(_, after)| after);
            }
            left.is_some()
        });
        assert!(found, "no line (any more) like {line:?} in:\n{out}\n{err}");
    }
}

#[test]
fn the_demonstration_shows_a_start_an_answer_a_respawn_a_log_a_reason_and_a_clean_stop() {
    let expected = [
        "demo/jobs/web.conf: ok",
        "flaky*stop/waiting*terminated with status 7",
        "site*stop/waiting*exited normally",
        "web*start/running",
        "Hello from Upright. The task 'site' built this page.",
        "Process * is there * ms after the kill of process",
        "web*start/running*1*killed by KILL signal",
        "web was killed: process *, after * s",
        "$ kill -9 *# upright-daemon",
        "web start/running, process ",
        "* listens on port ",
        "* listens on port ",
        "flaky does not run.",
        "*main process (*) terminated with status 7",
        "*respawning too fast",
        "$ upright down",
        "Upright has ended, nothing is left behind.",
    ];
    check(&demo(None), &expected);
}

#[test]
fn the_demonstration_needs_neither_node_nor_curl() {
    let scratch = Scratch::new("little");
    let tools = [
        "bash", "cat", "dirname", "env", "grep", "id", "ln", "mkdir", "mktemp", "rm", "sed", "sh",
        "sleep", "tr",
    ];
    let path = std::env::var_os("PATH").unwrap();
    for tool in tools {
        let found = std::env::split_paths(&path).map(|directory| directory.join(tool));
        let found = found.into_iter().find(|program| program.is_file());
        symlink(found.expect(tool), scratch.0.join(tool)).unwrap();
    }
    let expected = [
        "node is not there: web will be the repository's own examples/demo-web",
        "Hello from Upright. The task 'site' built this page.",
        "demo-web listens on port ",
        "Upright has ended, nothing is left behind.",
    ];
    check(&demo(Some(&scratch.0)), &expected);
}

#[test]
fn the_demonstration_names_what_is_missing() {
    let scratch = Scratch::new("nothing");
    let script = repository().join("scripts/demo.sh");
    let ran = Command::new(script).arg(&scratch.0).output().unwrap();
    assert_eq!(ran.status.code(), Some(1));
    let expected = format!("demo: {}/upright is not there: build it first", scratch.0.display());
    assert!(words(&ran.stderr).contains(&expected), "{}", words(&ran.stderr));
}

fn make(target: &str, destination: &Path) -> Output {
    let mut command = Command::new("make");
    command.current_dir(repository()).args(["--no-print-directory", target, "PREFIX=/usr"]);
    command.arg(format!("BIN={}", binaries().display()));
    command.arg(format!("DESTDIR={}", destination.display()));
    let ran = command.output().unwrap();
    assert!(ran.status.success(), "{}{}", words(&ran.stdout), words(&ran.stderr));
    ran
}

#[test]
fn what_is_installed_runs_under_the_originals_names_and_can_be_removed() {
    let scratch = Scratch::new("install");
    make("install", &scratch.0);
    let usr = scratch.0.join("usr");
    let mut expected =
        vec!["bin/upright", "lib/upright/upright-core", "share/doc/upright/LICENSE-MIT"];
    expected.extend(["share/man/man1/upright.1", "share/man/man7/upright-events.7"]);
    expected.extend(["share/man/man5/upright-job.5", "lib/upright/share/man/man8/initctl.8"]);
    expected.extend(["share/bash-completion/completions/upright", "share/nano/upright-job.nanorc"]);
    expected.extend([
        "share/bash-completion/completions/start",
        "share/vim/vimfiles/syntax/upright-job.vim",
    ]);
    expected.extend([
        "share/fish/vendor_completions.d/initctl.fish",
        "lib/upright/vscode/package.json",
    ]);
    expected.push("share/zsh/site-functions/_upright");
    for file in expected {
        assert!(usr.join(file).is_file(), "{file}");
    }
    let policy = usr.join("share/dbus-1/system.d/com.ubuntu.Upstart.conf");
    let gateway = binaries().join("upright-dbus").exists();
    for file in [&policy, &usr.join("lib/upright/upright-dbus")] {
        assert_eq!(file.is_file(), gateway, "{}", file.display());
    }
    let names = usr.join("lib/upright/bin");
    let jobs = scratch.0.join("jobs");
    fs::create_dir(&jobs).unwrap();
    fs::write(jobs.join("web.conf"), "reload signal CONT\nexec sleep 1000\n").unwrap();
    let socket = scratch.0.join("control");
    let call = |name: &str, arguments: &[&str]| {
        let mut command = Command::new(names.join(name));
        command.args(arguments).env("UPRIGHT_SOCKET", &socket).env_remove("UPSTART_SESSION");
        let ran = command.output().unwrap();
        format!("{}{}", words(&ran.stdout), words(&ran.stderr))
    };
    let mut init = Command::new(names.join("init"));
    init.arg("--user").arg("--confdir").arg(&jobs).arg("--logdir").arg(scratch.0.join("log"));
    init.arg("--socket").arg(&socket).stdin(Stdio::null()).stderr(Stdio::null());
    let session = Session(init.env_remove("XDG_RUNTIME_DIR").spawn().unwrap());
    let asked = Instant::now();
    while !socket.exists() {
        assert!(asked.elapsed() < PATIENCE, "init made no control socket");
        std::thread::yield_now();
    }
    assert_eq!(call("initctl", &["version"]), "init (upstart 1.13.2)\n");
    assert_eq!(call("status", &["web"]), "web stop/waiting\n");
    assert!(call("start", &["web"]).starts_with("web start/running, process "));
    assert!(call("restart", &["web"]).starts_with("web start/running, process "));
    assert_eq!(call("reload", &["web"]), "");
    assert_eq!(call("emit", &["nothing-waits-for-it"]), "");
    assert_eq!(call("stop", &["web"]), "web stop/waiting\n");
    assert_eq!(call("list", &[]), "web stop/waiting\n");
    drop(session);
    for entry in fs::read_dir(&names).unwrap() {
        let link = entry.unwrap().path();
        assert!(link.metadata().is_ok(), "{} leads nowhere", link.display());
        assert!(fs::read_link(&link).unwrap().is_relative(), "a stage must be movable");
    }
    // Another package's file of the same name stays.
    let others = usr.join("share/bash-completion/completions/halt");
    fs::remove_file(&others).unwrap();
    fs::write(&others, "").unwrap();
    make("install", &scratch.0);
    make("uninstall", &scratch.0);
    let mut left = Vec::new();
    files(&usr, &mut left);
    assert_eq!(left, [others]);
}

/// Finds everything that is no directory.
fn files(directory: &Path, to: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        match fs::symlink_metadata(&path).unwrap().is_dir() {
            true => files(&path, to),
            false => to.push(path),
        }
    }
}
