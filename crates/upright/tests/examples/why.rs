//! `upright why` on jobs that are stuck or dead, each in another way: what it answers stands in
//! `docs/why.md`, and whether whoever reads that can act without another command.

use crate::machine::{Disk, Machine};
use std::fmt::Write;
use std::path::Path;

/// A job that does not run as somebody wants.
struct Case {
    /// What is wrong with it.
    title: &'static str,
    job: &'static str,
    /// What is asked about, where that is not the job.
    asked: Option<&'static str>,
    file: &'static str,
    /// Another job that has to do with it.
    other: Option<(&'static str, &'static str)>,
    /// What is done to it.
    done: &'static str,
    /// What its answer says once it is as it is to be.
    says: &'static [&'static str],
    /// What whoever reads the answer does.
    act: &'static str,
}

impl Case {
    fn asked(&self) -> &'static str {
        self.asked.unwrap_or(self.job)
    }
}

const SLEEP: &str = "exec sleep 1000\n";

/// As many lines of output as are shown.
const EIGHT: &str = "  | no port\n  | no port\n  | no port\n  | no port\n  | no port\n  | no port\n  | no port\n  | no port\n";

const CASES: &[Case] = &[
    Case {
        title: "Nothing starts it",
        job: "idle",
        asked: None,
        file: SLEEP,
        other: None,
        done: "true",
        says: &["nothing starts it by itself"],
        act: "types the command that the answer names, or writes a `start on`",
    },
    Case {
        title: "Its event has not come",
        job: "late",
        asked: None,
        file: "start on net-up\nexec sleep 1000\n",
        other: None,
        done: "true",
        says: &["has not come true"],
        act: "looks for who should emit `net-up`: no job says that it does",
    },
    Case {
        title: "One of two events has come",
        job: "half",
        asked: None,
        file: "start on disk-up and net-there\nexec sleep 1000\n",
        other: None,
        done: "initctl emit --no-wait disk-up DISK=sda",
        says: &["[x] disk-up"],
        act: "looks at `net-there`, not at the disk",
    },
    Case {
        title: "It waits for a job that does not exist",
        job: "orphan",
        asked: None,
        file: "start on started databse\nexec sleep 1000\n",
        other: None,
        done: "true",
        says: &["there is no job databse"],
        act: "corrects the name",
    },
    Case {
        title: "It waits for a job that waits itself",
        job: "front",
        asked: None,
        file: "start on started back\nexec sleep 1000\n",
        other: Some(("back", "start on never\nexec sleep 1000\n")),
        done: "true",
        says: &["back does not run"],
        act: "starts `back`, or sees to its event",
    },
    Case {
        title: "Two jobs wait for each other",
        job: "hen",
        asked: None,
        file: "start on started egg\nexec sleep 1000\n",
        other: Some(("egg", "start on started hen\nexec sleep 1000\n")),
        done: "true",
        says: &["wait for each other"],
        act: "takes one of the two conditions away",
    },
    Case {
        title: "Its pre-start fails",
        job: "prepare",
        asked: None,
        file: "pre-start script\n  echo looking for /srv/db\n  exit 4\nend script\nexec sleep 1000\n",
        other: None,
        done: "start prepare",
        says: &["  | looking for /srv/db"],
        act: "makes what the script looked for",
    },
    Case {
        title: "Its pre-start does not end",
        job: "hanging",
        asked: None,
        file: "pre-start exec sleep 1000\nexec sleep 1000\n",
        other: None,
        done: "start --no-wait hanging",
        says: &["the pre-start process to end", "Its pre-start process is"],
        act: "looks at the process that is named, or writes `pre-start timeout`",
    },
    Case {
        title: "Its program is not there",
        job: "missing",
        asked: None,
        file: "exec /opt/app/bin/app --serve\n",
        other: None,
        done: "start missing",
        says: &["No such file"],
        act: "installs the program, or corrects the line that is quoted",
    },
    Case {
        title: "Its directory is not there",
        job: "nowhere",
        asked: None,
        file: "chdir /srv/nowhere\nexec sleep 1000\n",
        other: None,
        done: "start nowhere",
        says: &["working directory"],
        act: "makes the directory that the answer names",
    },
    Case {
        title: "Its user is not there",
        job: "stranger",
        asked: None,
        file: "setuid deploi\nexec sleep 1000\n",
        other: None,
        done: "start stranger",
        says: &["deploi"],
        act: "makes the user, or corrects the name",
    },
    Case {
        title: "It ends at once and is given up",
        job: "looping",
        asked: None,
        file: "respawn\nexec sh -c 'echo no port; exit 1'\n",
        other: None,
        done: "start looping",
        says: &["does not run", "respawning too fast", EIGHT],
        act: "frees the port: the last lines say which",
    },
    Case {
        title: "It waits for its back-off",
        job: "backing",
        asked: None,
        file: "respawn\nrespawn backoff 100000\nexec sh -c 'echo no database; exit 1'\n",
        other: None,
        done: "start backing",
        says: &["its back-off to end", "  | no database\n"],
        act: "sees to the database, then `restart`, which waits for nothing",
    },
    Case {
        title: "It is tried again slowly",
        job: "patient",
        asked: None,
        file: "respawn\nrespawn limit 1 60\nrespawn retry 900\nexec sh -c 'echo no database; exit 1'\n",
        other: None,
        done: "start patient",
        says: &["its next try, in", "  | no database\n  | no database\n"],
        act: "sees to the database, then `restart`, or waits",
    },
    Case {
        title: "It ends before it is ready, at every start",
        job: "early",
        asked: None,
        file: "respawn\nexpect up 1000\nstart retries 2\nexec sh -c 'echo bad option: --foo; exit 2'\n",
        other: None,
        done: "start early",
        says: &["does not run", "at every start", "  | bad option: --foo\n  | bad option: --foo\n  | bad option"],
        act: "corrects the option",
    },
    Case {
        title: "It crashes",
        job: "crashed",
        asked: None,
        file: "limit core 0 0\nexec sh -c 'kill -SEGV $$'\n",
        other: None,
        done: "start crashed",
        says: &["it crashed"],
        act: "looks for the bug in the program; writes `respawn` meanwhile",
    },
    Case {
        title: "Somebody killed it",
        job: "killed",
        asked: None,
        file: SLEEP,
        other: None,
        done: "start killed; kill -KILL $(pidof_of killed)",
        says: &["not sent by Upright"],
        act: "knows that it was not Upright; asks who has root, or for memory",
    },
    Case {
        title: "It does not tell that it is ready",
        job: "unready",
        asked: None,
        file: "expect stop\nexpect timeout 10000\nexec sleep 100000\n",
        other: None,
        done: "start --no-wait unready",
        says: &["to be ready (expect)"],
        act: "takes the `expect` away: the program never stops itself",
    },
    Case {
        title: "It does not end when it is told to",
        job: "stubborn",
        asked: None,
        file: "kill timeout 10000\nkill mode process\nscript\n  trap 'echo still saving' TERM\n  touch /run/stubborn\n  while :; do sleep 1 || :; done\nend script\n",
        other: None,
        done: "start stubborn; until [ -e /run/stubborn ]; do :; done; stop --no-wait stubborn",
        says: &["KILL in", "  | still saving"],
        act: "waits, or sends KILL to the process that is named",
    },
    Case {
        title: "Another job holds up its start",
        job: "guarded",
        asked: None,
        file: SLEEP,
        other: Some(("guard", "start on starting guarded\ntask\nexec sleep 1000\n")),
        done: "start --no-wait guarded",
        says: &["which waits for guard (start/running)"],
        act: "looks at `guard`, or stops it",
    },
    Case {
        title: "An event stopped it",
        job: "evicted",
        asked: None,
        file: "stop on power-low\nexec sleep 1000\n",
        other: None,
        done: "start evicted; initctl emit power-low",
        says: &["stop on came true"],
        act: "knows which event it was",
    },
    Case {
        title: "Somebody stopped it for good",
        job: "retired",
        asked: None,
        file: "start on filesystem\nexec sleep 1000\n",
        other: None,
        done: "start retired; upright stop --persist retired",
        says: &["asked for the stop"],
        act: "asks the user who is named, or starts it",
    },
    Case {
        title: "It is masked",
        job: "masked",
        asked: None,
        file: "start on filesystem\nexec sleep 1000\n",
        other: None,
        done: "upright mask masked",
        says: &["masked"],
        act: "types the command that the answer names",
    },
    Case {
        title: "It is a task that is done",
        job: "done",
        asked: None,
        file: "task\nexec sh -c 'echo 3 files saved'\n",
        other: None,
        done: "start done",
        says: &["it is a task", "  | 3 files saved"],
        act: "knows that all is as it should be",
    },
    Case {
        title: "Its file cannot be used",
        job: "bent",
        asked: None,
        file: "start on startup\nexce sleep 1000\n",
        other: None,
        done: "true",
        says: &["there is no such job"],
        act: "corrects the line that is named: the file is read as soon as it is right",
    },
    Case {
        title: "Its name is misspelt",
        job: "webserver",
        asked: Some("websever"),
        file: SLEEP,
        other: None,
        done: "true",
        says: &["did you mean"],
        act: "asks for that one",
    },
    Case {
        title: "Nobody emits its event, and another name is near",
        job: "customer",
        asked: None,
        file: "start on databse-up\nexec sleep 1000\n",
        other: Some(("database", "emits database-up\nexec sleep 1000\n")),
        done: "true",
        says: &["did you mean `database-up`?"],
        act: "corrects the name of the event",
    },
    Case {
        title: "The interpreter of its script is not there",
        job: "snake",
        asked: None,
        file: "exec /srv/snake\n",
        other: None,
        done: "start snake",
        says: &["/usr/bin/pyhton3"],
        act: "corrects the first line of the script: the script itself is there, whatever the kernel says",
    },
    Case {
        title: "Its program may not be executed",
        job: "closed",
        asked: None,
        file: "exec /srv/closed\n",
        other: None,
        done: "start closed",
        says: &["Permission denied"],
        act: "types the `chmod` of the answer",
    },
    Case {
        title: "Its program is not in its chroot",
        job: "jailed",
        asked: None,
        file: "chroot /srv\nexec /bin/app\n",
        other: None,
        done: "start jailed",
        says: &["within its chroot /srv"],
        act: "puts the program, and the libraries that it needs, below `/srv`",
    },
    Case {
        title: "It is to become a daemon, and does not",
        job: "undaemon",
        asked: None,
        file: "expect daemon\nexec sh -c 'echo cannot fork; exit 0'\n",
        other: None,
        done: "start undaemon",
        says: &["before it was ready", "  | cannot fork"],
        act: "looks at what it wrote, or takes the `expect` away where the program stays in the foreground",
    },
    Case {
        title: "What held up its start does not end",
        job: "heir",
        asked: None,
        file: SLEEP,
        other: Some((
            "elder",
            "stop on starting heir\nkill timeout 10000\nkill mode process\nscript\n  trap '' TERM\n  touch /run/elder\n  while :; do sleep 1 || :; done\nend script\n",
        )),
        done: "start elder; until [ -e /run/elder ]; do :; done; start --no-wait heir",
        says: &["elder (stop/killed, waiting for", "KILL in"],
        act: "knows until when at most, or kills `elder`",
    },
    Case {
        title: "Somebody waits for an event that does not end",
        job: "nightly",
        asked: Some("backup-due"),
        file: "start on backup-due\ntask\nexec sleep 1000\n",
        other: None,
        done: "initctl emit backup-due > /dev/null 2>&1 & until status nightly | grep -q running; do :; done",
        says: &["it waits for nightly to end (start/running)"],
        act: "looks at `nightly`, or emits with `--no-wait`",
    },
    Case {
        title: "It has several instances, and none was named",
        job: "shop",
        asked: None,
        file: "instance $TOWN\nexec sleep 1000\n",
        other: None,
        done: "start shop TOWN=ulm; start shop TOWN=bonn",
        says: &["shop has 2 instances"],
        act: "asks for the one that is meant, as the answer says",
    },
];

/// What every answer is asked for in the machine: `kill` by job.
const HELP: &str = "pidof_of() { initctl status $1 | sed 's/.*process //'; }\n";

pub fn answers() {
    let disk = CASES.iter().fold(Disk::new(), |disk, case| {
        let disk = disk.job(case.job, case.file);
        case.other.into_iter().fold(disk, |disk, (name, file)| disk.job(name, file))
    });
    let disk = disk
        .file("/srv/snake", "#!/usr/bin/pyhton3\nprint('up')\n")
        .file("/srv/closed", "#!/bin/sh\nexec sleep 1000\n")
        .prepare("mkdir -p /var/lib/upright /opt; chmod 755 /srv/snake");
    let machine = Machine::boot(&disk);
    let mut page = String::from(HEAD);
    for (place, case) in CASES.iter().enumerate() {
        machine.run(&format!("{HELP}{}", case.done));
        let answer = machine.until(&format!("why {} says {:?}", case.asked(), case.says), || {
            // Of what there is not it says so, with code 1.
            let answer = machine.ok(&format!("upright why {} 2>&1 || [ $? = 1 ]", case.asked()));
            case.says.iter().all(|words| answer.contains(words)).then_some(answer)
        });
        section(&mut page, place + 1, case, &plain(&answer));
    }
    compare(&page);
}

const HEAD: &str = "# Why does it not run? Thirty-four answers

Jobs that are stuck or dead, each in another way, and what `upright why` says of them. Run as a test on a real Upright (`why_answers_of_jobs_that_are_stuck_or_dead`), which writes this page: times
stand as T, numbers of processes as N, and the list of decisions with their times (`What happened`), which follows in each answer, is left out. Each answer has, as far as there are such: who asked,
what it waits for, the deadline, how the last runs ended, the last lines of output, and the lines of the job's file that say so. Behind each stands what whoever reads it does next; none needs another
command to know that.

";

fn section(page: &mut String, number: usize, case: &Case, answer: &str) {
    let _ = write!(page, "## {number}. {}\n\n```\n{}```\n\n", case.title, case.file);
    if let Some((name, file)) = case.other {
        let _ = write!(page, "and `{name}`:\n\n```\n{file}```\n\n");
    }
    let _ = write!(page, "```console\n$ upright why {}\n{answer}```\n\n", case.asked());
    let _ = write!(page, "Whoever reads that {}.\n\n", case.act);
}

/// Returns an answer without what is different every time.
fn plain(answer: &str) -> String {
    let mut out = String::new();
    let mut history = false;
    for line in answer.lines() {
        history = line == "What happened:"
            || history && line.starts_with("  ") && line.contains(" ago  ");
        if !history {
            out += &numbers(line);
            out.push('\n');
        }
    }
    out
}

/// Puts T for times and N for numbers of processes.
fn numbers(line: &str) -> String {
    let mut words: Vec<String> = Vec::new();
    let mut process = false;
    for word in line.split(' ') {
        let bare = word.trim_matches(|c: char| "(),.:;".contains(c));
        let number = bare.bytes().all(|byte| byte.is_ascii_digit()) && !bare.is_empty();
        let digits = bare.trim_end_matches(|c: char| c.is_ascii_lowercase());
        let time = !digits.is_empty()
            && digits.len() < bare.len()
            && digits.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.')
            && ["ms", "s", "m", "h", "d"].contains(&&bare[digits.len()..]);
        let shown = if time {
            word.replace(bare, "T")
        } else if number && (process || word.starts_with('(')) {
            word.replace(bare, "N")
        } else {
            String::from(word)
        };
        process = bare == "process" || bare == "is" || bare == "processes";
        // Of `1m 3s` one is enough.
        if time && words.last().is_some_and(|last| last == "T") {
            words.pop();
        }
        words.push(shown);
    }
    words.join(" ")
}

fn compare(page: &str) {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/why.md");
    let page = page.trim_end().to_owned() + "\n";
    if std::env::var_os("UPDATE_EXPECT").is_some() {
        std::fs::write(&file, &page).unwrap();
        return;
    }
    let expected = std::fs::read_to_string(&file).unwrap_or_default();
    let differs = expected.lines().zip(page.lines()).find(|(a, b)| a != b);
    assert_eq!(differs, None, "docs/why.md differs; look, then run again with UPDATE_EXPECT=1");
    assert_eq!(expected.len(), page.len(), "docs/why.md differs in length");
}
