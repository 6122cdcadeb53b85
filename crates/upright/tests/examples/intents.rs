//! What operators decide of jobs holds over boots, and over the deaths of Upright's processes.

use crate::machine::{Disk, Machine};

/// An Upright beside the machine's own, which may end and begin as a machine does.
struct Beside(Machine);

impl Beside {
    fn run(&self, command: &str) -> String {
        self.0.ok(&format!("export UPRIGHT_SOCKET=/run/beside; {command}"))
    }

    fn state(&self, job: &str) -> String {
        self.run(&format!("status {job}"))
    }

    /// Begins with the disk as it is and nothing else, and waits until it has started what it starts.
    fn boot(&self) {
        let up = "init --up --statedir /var/lib/beside --socket /run/beside /etc/beside";
        self.0.ok(&format!("{up} > /run/beside.out 2>&1 &"));
        let answers = "UPRIGHT_SOCKET=/run/beside initctl version";
        self.0.until("it answers", || self.0.run(answers).status.success().then_some(()));
        self.0.until("it has started up", || self.state("other").contains("running").then_some(()));
    }

    fn boot_again(&self) {
        self.run("upright down");
        self.boot();
    }

    fn text(&self) -> String {
        self.0.read("/var/lib/beside/intents")
    }
}

pub fn kept() {
    let disk = ["web", "db", "dog", "other"].into_iter().fold(Disk::new(), |disk, job| {
        let text = "start on startup\nexec sleep 1000\n";
        disk.file(&format!("etc/beside/{job}.conf"), text)
    });
    let beside = Beside(Machine::boot(&disk));
    let state = |job: &str| beside.state(job);
    beside.boot();
    beside.run("upright disable web && upright mask --now db && upright stop --persist dog");
    assert!(state("web").contains("start/running"), "what runs is left alone");
    assert!(state("db").contains("stop/waiting"));
    assert_eq!(beside.text(), "upright intents 1\nmasked db\nstopped dog\ndisabled web\n");

    beside.boot_again();
    for job in ["web", "db", "dog"] {
        assert!(state(job).contains("stop/waiting"), "{}", state(job));
    }
    let why = beside.run("upright why web");
    let words = "it is disabled: nothing starts it by itself until `upright enable web`";
    assert!(why.contains(words), "{why}");
    let table = beside.run("upright status");
    assert!(table.contains("unmask (it is masked)"), "{table}");
    let said = beside.0.refused("UPRIGHT_SOCKET=/run/beside start db");
    let words = "Job is masked: db: nothing starts it until `upright unmask db`";
    assert!(said.contains(words), "{said}");
    // Who asks may start what is disabled; once leaves it stopped for good, else that is over.
    beside.run("start web && upright start --once dog && upright stop dog");
    beside.boot_again();
    assert!(state("web").contains("stop/waiting"));
    assert!(state("dog").contains("stop/waiting"));
    beside.run("start dog");
    beside.run("upright enable --now web && upright unmask db");
    assert!(state("web").contains("start/running"));
    assert!(state("db").contains("stop/waiting"));
    assert_eq!(beside.text(), "upright intents 1\n");
    beside.boot_again();
    for job in ["web", "db", "dog"] {
        let running = || state(job).contains("running").then_some(());
        beside.0.until("it is started by the boot", running);
    }
}

/// The kernel takes a moment to close what the one before has held.
pub fn waited_for() {
    let text = "start on startup\nexec sleep 1000\n";
    let disk = Disk::new().file("etc/beside/web.conf", text).file("etc/beside/other.conf", text);
    let beside = Beside(Machine::boot(&disk));
    beside.boot();
    beside.run("upright disable web && upright down");
    let lock = "/var/lib/beside/.upright.lock";
    beside.0.ok(&format!("flock {lock} sleep 1 >/dev/null 2>&1 &"));
    let taken = || (!beside.0.run(&format!("flock -n {lock} true")).status.success()).then_some(());
    beside.0.until("the lock is taken", taken);
    beside.boot();
    assert!(beside.state("web").contains("stop/waiting"), "{}", beside.state("web"));
    beside.run("upright enable web");
    assert_eq!(beside.text(), "upright intents 1\n");
}

pub fn refused() {
    let job = "start on go\nexec sleep 1000\n";
    let disk = Disk::new().job("web", job);
    // Nothing can be written there, whoever one is.
    let machine = Machine::boot(&disk.prepare("mount -t tmpfs -o ro,size=4k none /var/lib"));
    let said = machine.refused("upright disable web");
    assert!(said.contains("only until the next boot, as it cannot be written down"), "{said}");
    assert!(said.contains("Read-only file system"), "{said}");
    machine.ok("initctl emit go");
    assert!(machine.ok("status web").contains("stop/waiting"), "it holds all the same");
    machine.ok("upright enable --runtime web || true; upright disable --runtime web");
    // The daemon and the logger may die: what was decided is in the journal.
    machine.ok("kill -KILL $(pidof upright-daemon) $(pidof upright-logger)");
    machine.until("it answers", || machine.run("initctl version").status.success().then_some(()));
    machine.ok("initctl emit go");
    assert!(machine.ok("status web").contains("stop/waiting"));
    // When the disk can be written it is.
    machine.ok("mount -o remount,rw,size=64k /var/lib && upright disable web");
    assert_eq!(machine.read("/var/lib/upright/intents"), "upright intents 1\ndisabled web\n");
}
