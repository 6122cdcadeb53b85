//! Configurations made at random, read by the real Supervisor and by ours: the same values, or the
//! same refusal to the letter. And our `supervisord` itself, run with real programs.

mod daemon;
#[path = "../golden/mod.rs"]
mod golden;
#[path = "../../examples/corpus/original.rs"]
mod original;
mod outputs;
mod runs;
#[path = "../../../sys/src/scratch.rs"]
mod scratch;

use engine::dialect::supervisord::{Facts, Key, EVENTS, OPTIONS};
use scratch::Scratch;
use serde_json::{json, Map, Value};
use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// How many configurations are made.
const CASES: u64 = 1200;

/// Where `scripts/install-test-needs.sh` puts the real one.
const PYTHON: &str =
    concat!(env!("CARGO_MANIFEST_DIR"), "/../../target/test-needs/supervisor/bin/python3");

/// A sequence of numbers that is the same every time. Source: xorshift64*.
struct Random(u64);

impl Random {
    fn number(&mut self, below: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as usize % below
    }

    fn one_in(&mut self, many: usize) -> bool {
        self.number(many) == 0
    }

    fn line_of<'a>(&mut self, text: &'a str) -> &'a str {
        let lines: Vec<&str> = text.split('\n').collect();
        self.of(&lines)
    }

    fn of<'a>(&mut self, words: &[&'a str]) -> &'a str {
        words[self.number(words.len())]
    }
}

/// Values, a line each; the last one is empty too.
const VALUES: &str = include_str!("values.txt");

/// Lines that are no key with a value, or a strange one.
const LINES: &str = include_str!("lines.txt");

const ENDINGS: &[&str] = &["\n", "\n", "\n", "\n", "\n", "\r\n", "\r", "\n\n"];

fn section(random: &mut Random) -> String {
    let strange = random.of(&["a b", "x:y", " z ", "", "a/b", "d]e", "\u{e9}"]);
    let name = if random.one_in(40) { strange } else { random.of(&["a", "b", "c"]) };
    match random.number(12) {
        0 | 1 => String::from("supervisord"),
        2 => format!("group:{name}"),
        3 => format!("eventlistener:{name}"),
        4 => format!("fcgi-program:{name}"),
        5 => String::from(random.of(&[
            "inet_http_server",
            "inet_http_server:b",
            "inet_http_serverx",
        ])),
        6 => String::from(random.of(&["unix_http_server", "unix_http_server:b"])),
        7 => String::from(random.of(&[
            "DEFAULT",
            "include",
            "rpcinterface:supervisor",
            "other",
            "Program:a",
        ])),
        _ => format!("program:{}", random.of(&["a", "b", "c", name])),
    }
}

/// Returns a section with keys that mostly belong there and values that mostly fit.
fn lines(random: &mut Random, out: &mut String) {
    let name = section(random);
    let ending = random.of(ENDINGS);
    let _ = write!(out, "{}[{name}]{ending}", if random.one_in(40) { " " } else { "" });
    if name.contains("program:") || name.starts_with("eventlistener:") {
        if !random.one_in(30) {
            let _ = write!(
                out,
                "command = {}{ending}",
                random.of(&["cat", "/bin/x %(program_name)s", "a\n b"])
            );
        }
        if random.one_in(3) {
            let names =
                ["%(program_name)s_%(process_num)02d", "p%(process_num)s", "%(process_num)d%%"];
            let count = random.of(&["2", "3", "1", "0", "-1"]);
            let _ =
                write!(out, "numprocs={count}{ending}process_name={}{ending}", random.of(&names));
        }
    }
    if name.starts_with("eventlistener:") && !random.one_in(30) {
        let event = EVENTS[random.number(EVENTS.len())];
        let _ = write!(out, "events={event}{ending}");
    }
    if name.starts_with("fcgi") && !random.one_in(30) {
        let _ = write!(
            out,
            "socket={}{ending}",
            random.of(&["tcp://h:1", "unix:///tmp/%(program_name)s"])
        );
    }
    if name.starts_with("inet") && !random.one_in(30) {
        let _ = write!(out, "port={}{ending}", random.of(&["*:9001", "127.0.0.1:1", "9001"]));
    }
    if name.starts_with("unix") && !random.one_in(30) {
        let _ = write!(out, "file=/tmp/s{ending}");
    }
    if name.starts_with("rpc") {
        let factory = "supervisor.rpcinterface:make_main_rpcinterface";
        let _ = write!(out, "supervisor.rpcinterface_factory={factory}{ending}");
    }
    for _ in 0..random.number(4) {
        if random.one_in(60) {
            let _ = write!(out, "{}{ending}", random.line_of(LINES));
            continue;
        }
        let of_kind: Vec<_> = keys().filter(|row| name.starts_with(row.section.head())).collect();
        let key = match of_kind.len() {
            0 => keys().nth(random.number(keys().count())).map_or("x", |row| row.key),
            many => of_kind[random.number(many)].key,
        };
        // Python code of others is no refusal here.
        if key.contains("factory") || key == "result_handler" {
            continue;
        }
        let (lead, sign) =
            (if random.one_in(40) { " " } else { "" }, random.of(&["=", " = ", ":", " : "]));
        let fit = if random.one_in(30) { None } else { fitting(key) };
        let value = match fit {
            Some(fit) => random.of(fit),
            None => random.line_of(VALUES),
        };
        let _ = write!(out, "{lead}{key}{sign}{value}{ending}");
        if random.one_in(40) {
            let _ = write!(out, "  {}{ending}", random.line_of(VALUES));
        }
    }
}

/// Returns the keys that the original has.
fn keys() -> impl Iterator<Item = &'static Key> {
    OPTIONS.iter().filter(|row| row.source.contains("of Supervisor"))
}

/// Returns values that a key takes.
fn fitting(key: &str) -> Option<&'static [&'static str]> {
    Some(match key {
        "environment" => {
            &["A=1", "A=\"x,y\",B='%(process_num)d'", "HOME=%(ENV_HOME)s", "A=x y,B=\"a\"b,C=d"]
        }
        "directory" | "childlogdir" => &["/tmp", "~", "/", "%(here)s"],
        "user" => &["root", "0", "nobody"],
        "programs" => &["a", "a,b", "b , c", "a,a"],
        "autorestart" => &["true", "false", "unexpected"],
        "stopsignal" => &["TERM", "hup", "9", "SIGRTMAX"],
        "username" | "password" => &["u", "%(ENV_HOME)s"],
        "chown" | "socket_owner" => &["root", "root:root", "0:0"],
        "files" => &["more.inc", "*.inc", "[a-m]*.inc none*", "%(here)s/more.inc\n  z.inc"],
        key if key.ends_with("logfile") => {
            &["/tmp/%(program_name)s.log", "auto", "NONE", "syslog", "a%%%%b"]
        }
        key if key.ends_with("bytes") => &["0", "1MB", "5kb", "12"],
        key if key.ends_with("backups") => &["0", "5"],
        key if key.ends_with("enabled") || key.ends_with("group") => &["true", "false"],
        key if key.contains("secs") || key.contains("retries") || key == "priority" => {
            &["0", "1", "10"]
        }
        key if OPTIONS.iter().any(|row| row.key == key && row.value == "BOOLEAN") => {
            &["true", "no", "ON", "0"]
        }
        "process_name" => &["%(program_name)s", "%(group_name)s-%(process_num)d", "x"],
        "umask" | "chmod" | "socket_mode" => &["022", "0o77", "7"],
        "exitcodes" => &["0", "0,2", " 1 , 255", ""],
        "events" => &["TICK", "tick_5,EVENT", "PROCESS_STATE"],
        "file" => &["/tmp/s", "%(here)s/s", "s", "~/s"],
        "port" => &["9001", "*:9001", "Host:1"],
        "socket" => &["tcp://h:1", "unix:///tmp/%(program_name)s.s"],
        "command" => &["cat", "a  %(process_num)02d %(ENV_HOME)s", "a\n  b\n\n c"],
        "numprocs" => &["1", "0"],
        "loglevel" => &["info", "DEBUG", "blather"],
        "serverurl" => &["AUTO", "unix:///x", "http://h:1"],
        "identifier" | "prompt" => &["x", "a b", "%(ENV_HOME)s"],
        key if key.ends_with("file") => &["/tmp/x", "x", "~/x"],
        _ => &["0", "1", "12"],
    })
}

fn configuration(random: &mut Random) -> String {
    let mut out = String::new();
    if !random.one_in(20) {
        out.push_str("[supervisord]\n");
    }
    for _ in 0..=random.number(6) {
        lines(random, &mut out);
    }
    out
}

struct Case {
    directory: PathBuf,
    environment: Vec<(String, String)>,
}

impl Case {
    fn new(top: &Path, random: &mut Random) -> Case {
        let directory = top.join("here");
        let _ = std::fs::remove_dir_all(&directory);
        std::fs::create_dir_all(&directory).expect("a directory");
        std::fs::write(directory.join("web.conf"), configuration(random)).expect("a file");
        for name in ["more.inc", "z.inc"] {
            let mut text = String::new();
            lines(random, &mut text);
            std::fs::write(directory.join(name), text).expect("a file");
        }
        let row = |key: &str, value: &str| (key.to_owned(), value.to_owned());
        Case { directory, environment: vec![row("HOME", "/root"), row("LANG", "C.UTF-8")] }
    }

    fn path(&self) -> String {
        self.directory.join("web.conf").display().to_string()
    }

    fn question(&self) -> Value {
        let environment: Map<String, Value> =
            self.environment.iter().map(|(key, value)| (key.clone(), json!(value))).collect();
        json!({ "directory": self.directory.display().to_string(), "environment": environment, "file": self.path() })
    }

    fn ours(&self) -> Value {
        let directory = self.directory.display().to_string();
        let facts = Facts {
            path: self.path(),
            here: directory.clone(),
            directory,
            temporary: String::from("/tmp"),
            host: String::from("box"),
            environment: self.environment.clone(),
            ..Facts::default()
        };
        let file = std::fs::read(self.path()).expect("the file");
        let config = upright::supervisord::complete(&file, facts);
        if let Some(refusal) = config.refusal {
            return json!({ "refusal": refusal });
        }
        let mut object = original::as_original(&config);
        object.insert("warnings".into(), json!(config.warnings));
        object.insert("notices".into(), json!(config.notices));
        Value::Object(object)
    }
}

#[test]
fn configurations_made_at_random_are_read_as_the_original_reads_them() {
    let python = std::env::var("SUPERVISOR_PYTHON").unwrap_or_else(|_| PYTHON.to_owned());
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/supervisord/original.py");
    let spawned = Command::new(&python)
        .arg(&script)
        .env("LC_ALL", "C.UTF-8")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn();
    let Ok(mut child) = spawned else {
        println!("passed over: {python} is not there; scripts/install-test-needs.sh brings it");
        return;
    };
    let mut questions = child.stdin.take().expect("a pipe");
    let mut answers = BufReader::new(child.stdout.take().expect("a pipe")).lines();
    let top = Scratch::directory("supervisord");
    let (mut refused, mut differing) = (0, 0);
    for seed in 1..=CASES {
        let case = Case::new(&top, &mut Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15)));
        writeln!(questions, "{}", case.question()).expect("the original reads on");
        let answer = answers.next().expect("an answer").expect("text");
        let theirs: Value = serde_json::from_str(&answer).expect("JSON");
        refused += u64::from(theirs.get("refusal").is_some());
        let ours = case.ours();
        let refusal = theirs["refusal"].as_str().unwrap_or_default();
        // Which one of many unknown events a set begins with is chance; Python code is not run here.
        let chance = refusal.starts_with("Unknown event type ")
            && ours["refusal"].as_str().is_some_and(|said| said.starts_with("Unknown event type "));
        let code = refusal.contains(" cannot be resolved within ");
        if ours != theirs && !chance && !code {
            differing += 1;
            let text = std::fs::read_to_string(case.path()).expect("the file");
            println!("--- seed {seed}\n{text}\n{:?}\noriginal: {theirs}\nours:     {ours}", text);
            if differing == 10 {
                break;
            }
        }
    }
    drop(questions);
    let _ = child.wait();
    println!("{CASES} configurations, {refused} refused");
    assert_eq!(differing, 0, "see above");
    assert!(refused > CASES / 10 && refused < CASES * 9 / 10, "{refused} refused says little");
}
