//! The jobs that run while Upright is killed.

/// How many of each kind there are; the writers are 50 together, the crashing ones 10.
pub const PLAIN: usize = 28;
/// With every other process that a job may have.
pub const HOOKED: usize = 5;
/// Whose log is rotated.
pub const ROTATED: usize = 2;
/// Instances of one job.
pub const INSTANCES: usize = 5;
/// `expect fork`.
pub const FORKING: usize = 5;
/// `expect daemon`.
pub const DAEMONS: usize = 5;
/// Crashing and respawned; the last two by `expect fork` and `expect daemon`.
pub const CRASHING: usize = 10;
/// Of those, whose ends are also written down by a job that `exited` starts.
pub const NOTED: usize = 2;

/// Returns the job files: name and text.
pub fn files() -> Vec<(String, String)> {
    let mut files = Vec::new();
    let mut add =
        |name: String, text: &str| files.push((name.clone(), text.replace("NAME", &name)));
    for number in 0..PLAIN {
        add(format!("plain-{number}"), "start on startup\nrespawn\nexec PROGRAM steady DIR NAME\n");
    }
    for number in 0..HOOKED {
        add(format!("hooked-{number}"), HOOKS);
    }
    for number in 0..ROTATED {
        let text = "start on startup\nlog rotate 16K 1000\nexec PROGRAM steady DIR NAME\n";
        add(format!("rotated-{number}"), text);
    }
    add(String::from("inst"), "instance $N\nexec PROGRAM steady DIR inst-$N\n");
    for number in 0..FORKING {
        let text = "start on startup\nexpect fork\nexec PROGRAM fork steady DIR NAME\n";
        add(format!("forking-{number}"), text);
    }
    for number in 0..DAEMONS {
        let text = "start on startup\nexpect daemon\nexec PROGRAM daemon steady DIR NAME\n";
        add(format!("daemon-{number}"), text);
    }
    for number in 0..CRASHING {
        let (expect, how, every) = match CRASHING - number {
            1 => ("expect daemon\n", "daemon ", 60),
            2 => ("expect fork\n", "fork ", 40),
            _ => ("", "", 5 + 2 * number),
        };
        let text = format!(
            "start on startup\nrespawn\nrespawn limit unlimited\nlimit core 0 0\n{expect}exec PROGRAM {how}crashing DIR NAME {every}\n"
        );
        add(format!("crashing-{number}"), &text);
    }
    for number in 0..NOTED {
        let text = format!(
            "start on exited JOB=crashing-{number} PROCESS=main\ninstance $PID\ntask\nconsole none\nexec PROGRAM note DIR noted-{number} $PID status $EXIT_STATUS signal $EXIT_SIGNAL\n"
        );
        add(format!("noting-{number}"), &text);
    }
    for (name, text) in OTHERS {
        add((*name).to_owned(), text);
    }
    files
}

const HOOKS: &str = "start on startup
respawn
pre-start exec PROGRAM note DIR hooks NAME pre-start
post-start exec PROGRAM note DIR hooks NAME post-start
pre-stop exec PROGRAM note DIR hooks NAME pre-stop
post-stop exec PROGRAM note DIR hooks NAME post-stop
exec PROGRAM steady DIR NAME
";

const OTHERS: &[(&str, &str)] = &[
    ("half", "start on half-a and half-b\nexec PROGRAM steady DIR NAME\n"),
    ("gate", "start on gate\ntask\nexec PROGRAM await DIR open\n"),
    ("work", "start on work\ntask\ninstance $ID\nexec PROGRAM task DIR $ID $MS\n"),
    ("toggled", "pre-start exec PROGRAM note DIR begun NAME\nexec PROGRAM steady DIR NAME\n"),
    (
        "again",
        "start on startup\npre-start exec PROGRAM note DIR begun NAME\nexec PROGRAM steady DIR NAME\n",
    ),
];

/// Returns the names of the writers that are started once and never again.
pub fn steady() -> Vec<String> {
    let kinds = [
        ("plain", PLAIN),
        ("hooked", HOOKED),
        ("rotated", ROTATED),
        ("inst", INSTANCES),
        ("forking", FORKING),
        ("daemon", DAEMONS),
    ];
    let names = kinds
        .into_iter()
        .flat_map(|(kind, count)| (0..count).map(move |number| format!("{kind}-{number}")));
    names.collect()
}

/// Returns the names of those that crash.
pub fn crashing() -> Vec<String> {
    (0..CRASHING).map(|number| format!("crashing-{number}")).collect()
}
