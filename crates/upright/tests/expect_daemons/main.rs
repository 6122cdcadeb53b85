//! `expect fork` and `expect daemon` on daemons as Debian ships them: the process that Upright
//! follows is the one that the daemon itself calls its own, whichever of the two was written.

#[path = "../machine/mod.rs"]
mod machine;

use machine::bench::{self, Test};
use machine::{As, Disk, Machine};
use std::fmt::Write;
use std::process::ExitCode;

const SSHD: &str = "/usr/sbin/sshd";
const PYTHON: &str = "/usr/bin/python3";

/// Forks twice as daemons do, writes its number into the file that it is given, and sleeps. With the
/// word `wipes` it first overwrites its environment, as sshd and nginx do for their titles; with `waits`
/// it begins when there is a file `gate`; with `lingers` the process in the middle takes its time to end.
const DOUBLE_FORK: &str = r#"
import os, select, signal, sys
signal.alarm(60)
while "waits" in sys.argv and not os.path.exists("/run/t/gate"): select.select([], [], [], 0.001)
signal.alarm(0)
if os.fork(): os._exit(0)
os.setsid()
if os.fork():
    if "lingers" in sys.argv: select.select([], [], [], 0.4)
    os._exit(0)
if "wipes" in sys.argv:
    fields = open("/proc/self/stat").read().rsplit(")", 1)[1].split()
    begin, end = int(fields[47]), int(fields[48])
    with open("/proc/self/mem", "r+b", 0) as memory:
        memory.seek(begin)
        memory.write(bytes(end - begin))
with open(sys.argv[1] + ".new", "w") as file: file.write(str(os.getpid()))
os.rename(sys.argv[1] + ".new", sys.argv[1])
signal.pause()
"#;

/// A daemon: how it is started, and the file that it writes its number to.
struct Daemon {
    name: &'static str,
    program: &'static str,
    arguments: &'static str,
    pid_file: &'static str,
    config: Option<(&'static str, &'static str)>,
}

const DAEMONS: &[Daemon] = &[
    Daemon {
        name: "sshd",
        program: SSHD,
        arguments: "-f /etc/t/sshd",
        pid_file: "/run/t/sshd.pid",
        config: Some((
            "/etc/t/sshd",
            "ListenAddress 127.0.0.1\nHostKey /etc/t/key\nPidFile /run/t/sshd.pid\n",
        )),
    },
    Daemon {
        name: "nginx",
        program: "/usr/sbin/nginx",
        arguments: "-c /etc/t/nginx",
        pid_file: "/run/t/nginx.pid",
        config: Some((
            "/etc/t/nginx",
            "pid /run/t/nginx.pid; error_log stderr; events {}\n\
             http { access_log off; server { listen 127.0.0.1:8080; } }\n",
        )),
    },
    Daemon {
        name: "dbus",
        program: "/usr/bin/dbus-daemon",
        arguments: "--fork --config-file=/etc/t/dbus",
        pid_file: "/run/t/dbus.pid",
        config: Some((
            "/etc/t/dbus",
            "<busconfig><type>session</type><listen>unix:path=/run/t/bus</listen>\
             <pidfile>/run/t/dbus.pid</pidfile>\
             <policy context=\"default\"><allow user=\"*\"/></policy></busconfig>\n",
        )),
    },
    Daemon {
        name: "cron",
        program: "/usr/sbin/cron",
        arguments: "",
        pid_file: "/run/crond.pid",
        config: None,
    },
    Daemon {
        name: "haproxy",
        program: "/usr/sbin/haproxy",
        arguments: "-D -f /etc/t/haproxy -p /run/t/haproxy.pid",
        pid_file: "/run/t/haproxy.pid",
        config: Some((
            "/etc/t/haproxy",
            "defaults\n mode tcp\n timeout client 1s\n timeout server 1s\n timeout connect 1s\n\
             frontend f\n bind 127.0.0.1:8081\n default_backend b\n\
             backend b\n server s 127.0.0.1:8080\n",
        )),
    },
    Daemon {
        name: "python",
        program: PYTHON,
        arguments: "-I -S /etc/t/double /run/t/python.pid",
        pid_file: "/run/t/python.pid",
        config: None,
    },
];

const TESTS: &[Test] = &[
    Test {
        name: "the_process_followed_is_the_one_in_the_daemons_own_pid_file",
        needs: &[],
        run: the_process_followed_is_the_one_in_the_daemons_own_pid_file,
    },
    Test {
        name: "an_sshd_that_does_not_fork_under_pid_1_is_followed_all_the_same",
        needs: &[SSHD],
        run: an_sshd_that_does_not_fork_under_pid_1_is_followed_all_the_same,
    },
    Test {
        name: "twenty_double_forks_at_once_each_get_their_own_daemon",
        needs: &[PYTHON],
        run: twenty_double_forks_at_once_each_get_their_own_daemon,
    },
    Test {
        name: "twenty_that_wipe_their_environment_at_once_each_get_their_own_daemon",
        needs: &[PYTHON],
        run: twenty_that_wipe_their_environment_at_once_each_get_their_own_daemon,
    },
    Test {
        name: "a_daemon_is_followed_past_a_middle_process_that_takes_its_time",
        needs: &[PYTHON],
        run: a_daemon_is_followed_past_a_middle_process_that_takes_its_time,
    },
    Test {
        name: "a_daemon_that_a_shell_became_and_that_wipes_its_environment_is_found",
        needs: &[PYTHON],
        run: a_daemon_that_a_shell_became_and_that_wipes_its_environment_is_found,
    },
    Test {
        name: "a_nameless_process_from_before_is_nobodys_daemon",
        needs: &[PYTHON],
        run: a_nameless_process_from_before_is_nobodys_daemon,
    },
    Test {
        name: "a_logger_that_was_killed_and_is_back_is_nobodys_daemon",
        needs: &[],
        run: a_logger_that_was_killed_and_is_back_is_nobodys_daemon,
    },
];

fn main() -> ExitCode {
    bench::run(TESTS)
}

fn disk() -> Disk {
    let prepare = "mkdir -p /run/t /run/sshd
        rm -rf /etc/crontab /etc/cron.d/* /etc/cron.*ly/* /var/spool/cron/crontabs/*
        if command -v ssh-keygen >/dev/null; then
            ssh-keygen -q -t ed25519 -N '' -f /etc/t/key
        fi";
    Disk::new().file("/etc/t/double", DOUBLE_FORK).prepare(prepare)
}

/// A slow machine is no reason to take the original for main.
fn job(expect: &str, command: &str) -> String {
    format!("start on go\nexpect {expect}\nexpect timeout 60\nkill timeout 5\nexec {command}\n")
}

fn the_process_followed_is_the_one_in_the_daemons_own_pid_file() {
    let mut disk = disk();
    for daemon in DAEMONS {
        if let Some((path, text)) = daemon.config {
            disk = disk.file(path, text);
        }
        for expect in ["fork", "daemon"] {
            let command = format!("{} {}", daemon.program, daemon.arguments);
            disk = disk.job(&format!("{}-{expect}", daemon.name), &job(expect, &command));
        }
    }
    let machine = Machine::boot(&disk);
    let mut table = String::from("daemon   expect   its own   followed\n");
    let (mut wrong, mut rows) = (0, 0);
    for daemon in DAEMONS {
        for expect in ["fork", "daemon"] {
            let name = daemon.name;
            if !std::path::Path::new(daemon.program).exists() {
                println!("skipped: row {name} {expect}: {} is not installed", daemon.program);
                continue;
            }
            let (own, followed) = start_and_stop(&machine, daemon, expect);
            rows += 1;
            wrong += usize::from(own != followed);
            writeln!(table, "{name:8} {expect:8} {own:7} {followed:10}").unwrap();
        }
    }
    println!("{table}{} of {rows} right", rows - wrong);
    assert!(wrong == 0, "the wrong process is followed:\n{table}");
}

/// Returns the daemon's own number and the one that Upright follows (0: none).
fn start_and_stop(machine: &Machine, daemon: &Daemon, expect: &str) -> (i32, i32) {
    let job = format!("{}-{expect}", daemon.name);
    let line = String::from_utf8_lossy(&machine.run(&format!("initctl start {job}")).stdout).into();
    let own = machine.pid_file(daemon.pid_file);
    let line: String = line;
    let followed = machine::pid_in(&line).unwrap_or(0);
    if followed != own {
        machine.run(&format!("kill -KILL {own}"));
    }
    machine.run(&format!("initctl stop {job}"));
    machine.until(&format!("{job} has ended"), || (!machine.lives(own)).then_some(()));
    machine.ok(&format!("rm -f {}", daemon.pid_file));
    (own, followed)
}

/// OpenSSH takes itself for a daemon already where its parent is PID 1 and it leads its session.
fn an_sshd_that_does_not_fork_under_pid_1_is_followed_all_the_same() {
    let Some(sshd) = DAEMONS.iter().find(|daemon| daemon.program == SSHD) else {
        panic!("a row of sshd");
    };
    let Some((path, text)) = sshd.config else { panic!("its configuration") };
    let command = format!("{SSHD} {}", sshd.arguments);
    let text_of_job = job("fork", &command).replace("expect timeout 60\n", "");
    let disk = disk().file(path, text).job("sshd-fork", &text_of_job);
    let machine = Machine::boot_as(As::First, &disk);
    let (own, followed) = start_and_stop(&machine, sshd, "fork");
    assert_eq!(followed, own);
    assert!(machine.console().contains("sshd-fork main process: expect did not come about"));
}

/// A machine with twenty jobs that double-fork, none of them started.
fn twenty(words: &str) -> Machine {
    let mut disk = disk();
    for number in 1..=20 {
        let expect = if number % 2 == 0 { "fork" } else { "daemon" };
        let command = format!("{PYTHON} -I -S /etc/t/double /run/t/{number}.pid {words}");
        disk = disk.job(&format!("twin{number}"), &job(expect, &command));
    }
    Machine::boot(&disk)
}

fn each_has_its_own(machine: &Machine) {
    for number in 1..=20 {
        let own = machine.pid_file(&format!("/run/t/{number}.pid"));
        assert_eq!(machine.main_of(&format!("twin{number}")), own, "twin{number}");
    }
}

fn twenty_double_forks_at_once_each_get_their_own_daemon() {
    let machine = twenty("");
    machine.ok("initctl emit go");
    each_has_its_own(&machine);
}

/// They begin once Upright has seen all of them, as daemons do that read a configuration first.
fn twenty_that_wipe_their_environment_at_once_each_get_their_own_daemon() {
    let machine = twenty("wipes waits");
    machine.ok("initctl emit --no-wait go");
    let all = |what: &str| {
        machine.until(&format!("all are {what}"), || {
            let list = machine.ok("initctl list");
            (list.matches(&format!("start/{what}, process ")).count() == 20).then_some(())
        });
    };
    all("spawned");
    machine.ok("touch /run/t/gate");
    all("running");
    each_has_its_own(&machine);
}

fn a_daemon_is_followed_past_a_middle_process_that_takes_its_time() {
    let mut disk = disk();
    for expect in ["fork", "daemon"] {
        let command = format!("{PYTHON} -I -S /etc/t/double /run/t/{expect}.pid wipes lingers");
        disk = disk.job(expect, &job(expect, &command));
    }
    let machine = Machine::boot(&disk);
    for expect in ["fork", "daemon"] {
        machine.ok(&format!("initctl start {expect}"));
        let own = machine.pid_file(&format!("/run/t/{expect}.pid"));
        machine.until(&format!("the daemon of expect {expect} is followed"), || {
            let line = machine.ok(&format!("initctl status {expect}"));
            (line == format!("{expect} start/running, process {own}\n")).then_some(())
        });
    }
}

fn a_daemon_that_a_shell_became_and_that_wipes_its_environment_is_found() {
    let command = format!("{PYTHON} -I -S /etc/t/double $FILE wipes");
    let shell = format!("env FILE=/run/t/shell.pid\n{}", job("daemon", &command));
    // Another that is awaited at the same time, with another program and for ever.
    let other = "start on go\nexpect daemon\nexec sleep 1000\n";
    let machine = Machine::boot(&disk().job("shell", &shell).job("other", other));
    machine.ok("initctl emit --no-wait go");
    let own = machine.pid_file("/run/t/shell.pid");
    machine.until("shell runs", || {
        let line = machine.ok("initctl status shell");
        line.contains("start/running").then_some(())
    });
    assert_eq!(machine.main_of("shell"), own);
}

fn a_nameless_process_from_before_is_nobodys_daemon() {
    let stray = "exec env -i setsid -f sleep 1000\n";
    let nothing = "expect fork\nexec true\n";
    let machine = Machine::boot(&disk().job("stray", stray).job("nothing", nothing));
    machine.ok("initctl start stray");
    let stray = machine.until("the stray sleeps", || {
        let found = machine.run("pgrep -x sleep").stdout;
        String::from_utf8_lossy(&found).trim().parse::<i32>().ok()
    });
    machine.run("initctl start nothing");
    assert_eq!(machine.ok("initctl status nothing"), "nothing stop/waiting\n");
    assert!(machine.lives(stray), "a process that is nobody's was ended");
}

fn a_logger_that_was_killed_and_is_back_is_nobodys_daemon() {
    let nothing = "expect fork\nscript\n  while [ ! -e /run/t/gate ]; do sleep 0.01; done\n\
                   end script\n";
    let machine = Machine::boot(&disk().job("nothing", nothing));
    let logger = || machine.ok("pgrep -x upright-logger || true").trim().parse::<i32>().ok();
    let first = machine.until("there is a logger", logger);
    machine.ok("initctl start --no-wait nothing");
    machine.ok(&format!("kill -KILL {first}"));
    let another = || logger().filter(|logger| *logger != first);
    let second = machine.until("there is another logger", another);
    machine.ok("touch /run/t/gate");
    machine.until("nothing has ended", || {
        (machine.ok("initctl status nothing") == "nothing stop/waiting\n").then_some(())
    });
    assert_eq!(logger(), Some(second));
    let console = machine.console();
    assert!(console.contains("ended and left no process to follow") && !console.contains("became"));
}
