//! Which lines of a job's file say what `why` tells: read from the files when somebody asks, as far as
//! the caller may, so that the daemon keeps no line numbers.

use super::plan::lines;
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

/// What is told in these words is decided by that stanza of a job, by that key of a program.
const ORIGINS: &[(&str, &str, &str)] = &[
    ("respawning too fast", "respawn limit", "respawn_limit"),
    ("respawning too fast", "respawn", "autorestart"),
    ("at every start", "start retries", "startretries"),
    ("at every start", "expect", "startsecs"),
    ("back-off", "respawn backoff", "backoff_delay"),
    ("(respawn retry)", "respawn retry", "backoff_retry"),
    ("respawn, number", "respawn", "autorestart"),
    ("start again", "respawn", "autorestart"),
    ("(expect)", "expect", "expect"),
    ("expect did not", "expect", "expect"),
    ("check the expect stanza", "expect", "expect"),
    ("KILL in", "kill timeout", "stopwaitsecs"),
    ("KILL in", "kill signal", "stopsignal"),
    ("kill mode", "kill mode", "kill_mode"),
    ("it is a task", "task", "task"),
    ("not to be started again", "normal exit", "exitcodes"),
    ("working directory", "chdir", "directory"),
    ("chroot", "chroot", "chroot"),
    ("root directory", "chroot", "chroot"),
    ("open console", "console", "console"),
    ("terminated with status", "limit", "limit"),
    ("killed by", "limit", "limit"),
    ("setuid user", "setuid", "user"),
    ("setgid group", "setgid", "group"),
    ("pre-start process", "pre-start", "pre_start"),
    ("post-start process", "post-start", "post_start"),
    ("pre-stop process", "pre-stop", "pre_stop"),
    ("post-stop process", "post-stop", "post_stop"),
    ("main process", "exec", "command"),
    ("main process", "script", "command"),
];

/// What starts and stops a program by itself, whatever is told.
const CONDITIONS: &[&str] = &["start_on", "stop_on", "autostart"];

/// Returns the lines that say so, with their files; where none is found, the files alone.
pub(super) fn tell(view: &WhyView) -> String {
    let about = [&view.verdict, &view.status.waits_for].into_iter().chain(&view.status.warnings);
    let told = |words: &str| about.clone().any(|text| text.contains(words));
    let manual = view.files.iter().any(|file| is_manual(&read(file).unwrap_or_default()));
    let meant = |line: &str| {
        let is = |stanza: &str| begins(line, stanza);
        // What `manual` takes away is shown with it.
        let starts = !view.start_on.is_empty() || manual;
        let condition = (is("start on") && starts) || is("stop on") || is("manual");
        condition || ORIGINS.iter().any(|(words, stanza, _)| told(words) && is(stanza))
    };
    let key_meant = |line: &str| {
        let key = lines::key_of(line);
        let told = ORIGINS.iter().any(|(words, _, of)| told(words) && key == *of);
        told || CONDITIONS.contains(&&*key)
    };
    let mut out = String::new();
    for file in &view.files {
        let shown = printable(&file.lossy());
        let bytes = read(file).unwrap_or_default();
        let before = out.len();
        let said: Vec<(u32, String)> = match &view.section {
            Some(section) => {
                let lines = lines::of_section(&bytes, section).into_iter().enumerate();
                let said = lines.filter(|(place, (_, line))| *place == 0 || key_meant(line));
                said.map(|(_, said)| said).collect()
            }
            None => {
                let lines = upstart::places(&bytes).into_iter();
                let lines = lines.map(|(number, line)| (number, line.lossy().into_owned()));
                lines.filter(|(_, line)| meant(line)).collect()
            }
        };
        for (number, line) in said {
            out += &format!("  {shown}:{number}: {}\n", cut(&printable(&line)));
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

/// Reports whether a job's file has the stanza `manual`.
fn is_manual(bytes: &[u8]) -> bool {
    let mut lines = upstart::places(bytes).into_iter();
    lines.any(|(_, line)| begins(&line.lossy(), "manual"))
}

/// Reports whether a line begins with these words.
fn begins(line: &str, words: &str) -> bool {
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
