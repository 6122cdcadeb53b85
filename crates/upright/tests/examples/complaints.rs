//! What people missed in Upstart and in Supervisor, on a real machine: output of what fails, rights that
//! can be granted, events to watch, back-off, logs that can be read, nothing that leaks. What else they
//! missed is in `events` (a death tells), `intents` (what is stopped stays stopped) and `why`.

use crate::machine::{Disk, Machine};

const SLEEP: &str = "exec sleep 1000\n";

fn boot() -> Machine {
    let broken = "pre-start script\n  echo checking the disk\n  echo no disk >&2\n  exit 4\n\
                  end script\nexec sleep 1000\n";
    let disk = Disk::new().job("broken", broken).job("web", "start on go\nexec sleep 1000\n");
    Machine::boot(&disk.example_job("ssh/ssh.conf"))
}

pub fn stranger() {
    let machine = boot();
    let stranger = "setpriv --reuid 12345 --regid 12345 --clear-groups";
    let said = machine.refused(&format!("{stranger} start ssh"));
    assert!(said.contains("You do not have permission to start jobs"), "{said}");
    assert!(said.contains("nothing grants you `operate' over ssh"), "{said}");
    assert!(said.contains("Do it as root"), "{said}");
    assert_eq!(machine.ok(&format!("{stranger} status ssh")), "ssh stop/waiting\n");
}

pub fn events() {
    let machine = boot();
    machine.ok("upright events -f > /run/events 2>&1 &");
    machine.until("the watcher watches", || {
        machine.ok("initctl emit probe");
        machine.read("/run/events").contains("probe").then_some(())
    });
    machine.ok("initctl emit go WHERE=here");
    for words in ["starting JOB=web", "started JOB=web", "go WHERE=here"] {
        machine.line("/run/events", words);
    }
    let pid = machine.main_of("web");
    machine.ok(&format!("kill -KILL {pid}"));
    let line = machine.line("/run/events", "exited JOB=web");
    for words in ["PROCESS=main", &format!("PID={pid}"), "EXIT_SIGNAL=KILL"] {
        assert!(line.contains(words), "{line}");
    }
    machine.line("/run/events", "stopped JOB=web");
}

pub fn output() {
    let machine = boot();
    let said = machine.refused("upright start broken");
    assert!(said.contains("checking the disk") && said.contains("no disk"), "{said}");
    assert!(said.contains("pre-start process terminated with status 4"), "{said}");
    let log = machine.read("/var/log/upstart/broken.log");
    assert_eq!(log, "checking the disk\nno disk\n");
    let why = machine.ok("upright why broken");
    assert!(why.contains("pre-start process"), "{why}");
}

/// Nobody may touch jobs, nobody knows how to get in: the refusal says the line that grants it.
pub fn rights() {
    let disk = Disk::new().job("web", SLEEP).job("db", SLEEP);
    let machine = Machine::boot(&disk);
    let deploy = "setpriv --reuid 12345 --regid 12345 --clear-groups";
    let said = machine.refused(&format!("{deploy} start web"));
    assert!(said.contains("operate") && said.contains("12345"), "{said}");
    machine
        .ok("mkdir -p /etc/upright && echo 'operate user 12345 web' > /etc/upright/upright.rights
         initctl reload-configuration");
    machine.until("the rights are in force", || {
        machine.run(&format!("{deploy} start web")).status.success().then_some(())
    });
    machine.refused(&format!("{deploy} start db"));
    machine.ok(&format!("{deploy} stop web"));
}

/// A service that cannot come up is not tried as fast as the machine can: it waits, longer each time,
/// and says until when.
pub fn slow_start() {
    let disk = Disk::new()
        .job("web", "respawn\nrespawn backoff 100000\nexec sh -c 'echo no database; exit 1'\n")
        .job("patient", "respawn\nrespawn limit 1 60\nrespawn retry 900\nexec false\n");
    let machine = Machine::boot(&disk);
    for (job, words) in [("web", "its back-off to end, in "), ("patient", "its next try, in ")] {
        machine.ok(&format!("start {job}"));
        let shown = machine.until(&format!("the status of {job} says `{words}`"), || {
            let shown = machine.ok(&format!("upright status {job}"));
            shown.contains(words).then_some(shown)
        });
        assert!(shown.contains("start/starting"), "{shown}");
    }
    // Who asks waits for nothing.
    let before = machine.ok("upright why web").matches("asked for").count();
    machine.ok("restart web");
    assert!(machine.ok("upright why web").matches("asked for").count() > before);
}

/// A failure is told where it is asked for: what happened, why, the last lines.
pub fn failures() {
    let early = "expect up 100\nexec sh -c 'echo bad option: --foo >&2; exit 2'\n";
    let disk = Disk::new().job("early", early).job("missing", "exec /opt/none --serve\n");
    let machine = Machine::boot(&disk);
    let said = machine.refused("upright start early");
    assert!(said.contains("status 2") && said.contains("| bad option: --foo"), "{said}");
    let said = machine.refused("upright start missing");
    assert!(said.contains("/opt/none") && said.contains("No such file"), "{said}");
    let why = machine.ok("upright why early");
    assert!(why.contains("uid 0 (upright, process ") && why.contains("| bad option"), "{why}");
}

/// Logs are for who has to read them.
pub fn logs() {
    let disk = Disk::new()
        .job("web", "exec sh -c 'echo serving; exec sleep 1000'\n")
        .job("own", "log owner nobody\nlog mode 0600\nexec sh -c 'echo mine; exec sleep 1000'\n");
    let machine = Machine::boot(&disk);
    machine.ok("start web && start own");
    machine.line("/var/log/upstart/web.log", "serving");
    machine.line("/var/log/upstart/own.log", "mine");
    let as_user = |who: &str, file: &str| machine.run(&format!("setpriv {who} cat {file}")).status;
    let adm = "--reuid 12345 --regid adm --clear-groups";
    let other = "--reuid 12345 --regid 12345 --clear-groups";
    let nobody = "--reuid nobody --regid nogroup --clear-groups";
    assert!(as_user(adm, "/var/log/upstart/web.log").success(), "group adm reads logs");
    assert!(!as_user(other, "/var/log/upstart/web.log").success(), "others do not");
    assert!(as_user(nobody, "/var/log/upstart/own.log").success(), "the job's own reader does");
    assert!(!as_user(adm, "/var/log/upstart/own.log").success(), "nobody else");
}

/// Hundreds of restarts later there is not a descriptor and not a process more, and no more memory.
pub fn leaks() {
    let text = "respawn\nrespawn limit unlimited\nexec true\n";
    let machine = Machine::boot(&Disk::new().job("loop", text));
    let first = after_restarts(&machine, 50);
    let second = after_restarts(&machine, 300);
    for (before, after) in first.iter().zip(&second) {
        assert_eq!(before.name, after.name);
        assert!(
            after.kib < before.kib + 1024,
            "{}: {} KiB, {} before",
            after.name,
            after.kib,
            before.kib
        );
    }
    machine.until("the same descriptors are open as before", || {
        let now = usage(&machine);
        let same = now.iter().zip(&first).all(|(now, first)| now.descriptors <= first.descriptors);
        same.then_some(())
    });
    machine.until("no process is left", || {
        let zombies = machine.run("grep -l 'State:.Z' /proc/[0-9]*/status");
        String::from_utf8_lossy(&zombies.stdout).trim().is_empty().then_some(())
    });
}

/// What a process of Upright's uses.
struct Usage {
    name: String,
    descriptors: usize,
    kib: usize,
}

/// Lets the job be started again so often, stops it, and returns what Upright's processes then use.
fn after_restarts(machine: &Machine, count: u64) -> Vec<Usage> {
    machine.ok("start loop");
    machine.until(&format!("it was started again {count} times"), || {
        let why = machine.ok("upright why loop");
        let times = why.lines().find_map(|line| line.strip_prefix("It was started again "))?;
        (times.strip_suffix(" times.")?.parse::<u64>().ok()? >= count).then_some(())
    });
    machine.ok("stop loop");
    usage(machine)
}

fn usage(machine: &Machine) -> Vec<Usage> {
    let of = |name: &str| {
        let found = machine.ok(&format!("grep -lx {name} /proc/[0-9]*/comm"));
        let pid = found.trim().trim_start_matches("/proc/").trim_end_matches("/comm").parse();
        let pid: i32 = pid.unwrap_or_else(|_| panic!("one {name}: {found}"));
        let descriptors = machine.ok(&format!("ls /proc/{pid}/fd | wc -l")).trim().parse().unwrap();
        let kib = machine.status_field(pid, "RssAnon").trim_end_matches(" kB").parse().unwrap();
        Usage { name: String::from(name), descriptors, kib }
    };
    ["upright-daemon", "upright-logger"].map(of).into()
}
