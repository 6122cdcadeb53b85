//! Which lines of a job's file say what `why` tells: read from the files when somebody asks, as far as
//! the caller may, so that the daemon keeps no line numbers.

use engine::dialect::upstart;
use engine::text::Text;
use engine::view::WhyView;
use shown::words::printable;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

/// The longest file that is read for its lines.
const FILE_MAX: u64 = 1024 * 1024;

/// The longest line that is shown whole.
const LINE_MAX: usize = 100;

/// What is told in these words is decided by that stanza.
const ORIGINS: &[(&str, &str)] = &[
    ("respawning too fast", "respawn limit"),
    ("respawning too fast", "respawn"),
    ("at every start", "start retries"),
    ("at every start", "expect"),
    ("back-off", "respawn backoff"),
    ("(respawn retry)", "respawn retry"),
    ("respawn, number", "respawn"),
    ("start again", "respawn"),
    ("(expect)", "expect"),
    ("expect did not", "expect"),
    ("KILL in", "kill timeout"),
    ("KILL in", "kill signal"),
    ("kill mode", "kill mode"),
    ("it is a task", "task"),
    ("not to be started again", "normal exit"),
    ("working directory", "chdir"),
    ("setuid user", "setuid"),
    ("setgid group", "setgid"),
    ("pre-start process", "pre-start"),
    ("post-start process", "post-start"),
    ("pre-stop process", "pre-stop"),
    ("post-stop process", "post-stop"),
    ("main process", "exec"),
    ("main process", "script"),
];

/// Returns the lines that say so, with their files; where none is found, the files alone.
pub(super) fn tell(view: &WhyView) -> String {
    let about = [&view.verdict, &view.status.waits_for];
    let told = |words: &str| about.iter().any(|text| text.contains(words));
    let meant = |line: &Text| {
        let is = |stanza: &str| begins(line, stanza);
        let condition =
            (is("start on") && !view.start_on.is_empty()) || is("stop on") || is("manual");
        condition || ORIGINS.iter().any(|(words, stanza)| told(words) && is(stanza))
    };
    let mut out = String::new();
    for file in &view.files {
        let shown = printable(&file.lossy());
        let lines = read(file).map(|bytes| upstart::places(&bytes)).unwrap_or_default();
        let before = out.len();
        for (number, line) in lines.iter().filter(|(_, line)| meant(line)) {
            out += &format!("  {shown}:{number}: {}\n", cut(&printable(&line.lossy())));
        }
        if out.len() == before {
            out += &format!("  {shown}\n");
        }
    }
    if out.is_empty() {
        return out;
    }
    format!("Where that is said:\n{out}")
}

/// Reports whether a line begins with these words.
fn begins(line: &Text, words: &str) -> bool {
    let line = line.lossy();
    let mut line = line.split_ascii_whitespace();
    words.split(' ').all(|word| line.next() == Some(word))
}

fn read(file: &Text) -> Option<Vec<u8>> {
    let path = OsStr::from_bytes(file.bytes());
    let short = std::fs::metadata(path).is_ok_and(|file| file.is_file() && file.len() <= FILE_MAX);
    short.then(|| std::fs::read(path).ok()).flatten()
}

fn cut(line: &str) -> String {
    match line.char_indices().nth(LINE_MAX) {
        Some((at, _)) => format!("{}…", line.get(..at).unwrap_or_default()),
        None => String::from(line),
    }
}
