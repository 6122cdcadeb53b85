//! Every stanza, one row each: the word, the shape of its arguments, help, source, and how it is
//! read. Parsing, "did you mean", help listings and documentation all come from this table.

use super::complaint::Complaint;
use super::condition::{self, Expressed};
use super::lex::{Fault, Word};
use super::parse::{one_of, Draft};
use super::value::{self, natural, permissions, seconds, INT_MAX};
use crate::cgroup;
use crate::dialect::meant::did_you_mean;
use crate::process::Role;
use crate::rights;
use crate::spec::{
    Backoff, Cgroup, Command, Console, EnvRow, Expect, KillMode, Limits, LogPlace, LogPolicy,
    NormalExit, OnFull, Resource, Respawn, RespawnLimit, Socket, SocketPlace, StandardInput,
};
use crate::text::Text;
use crate::time::Span;
use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

/// What a stanza does to the draft of a job; the reader stands behind the stanza's words.
pub type Read = fn(&mut Draft<'_>) -> Result<(), Fault>;

/// One stanza.
pub struct Stanza {
    /// Its one or two words.
    pub words: &'static str,
    /// The shape of its arguments: capitals are yours to fill in, `[]` may be left out.
    pub arguments: &'static str,
    /// What it is for.
    pub help: &'static str,
    /// Where its behaviour comes from.
    pub source: &'static str,
    pub(super) read: Read,
}

const INIT5: &str = "init(5) of Upstart 1.13.2";
const OURS: &str = "Upright; Upstart does not have it";
const CHROMEOS: &str = "init(5) of ChromeOS";

/// How long the loading of a profile may take.
const APPARMOR_TIME: Span = Span::secs(30);

const fn row(
    words: &'static str,
    arguments: &'static str,
    help: &'static str,
    source: &'static str,
    read: Read,
) -> Stanza {
    Stanza { words, arguments, help, source, read }
}

/// The stanzas, by theme.
pub const STANZAS: &[Stanza] = &[
    row("description", "TEXT", "says what the job is", INIT5, |d| {
        text(d, |d, text| d.spec.about.description = Some(text))
    }),
    row("author", "TEXT", "says who wrote the job", INIT5, |d| {
        text(d, |d, text| d.spec.about.author = Some(text))
    }),
    row("version", "TEXT", "says which version of the job this is", INIT5, |d| {
        text(d, |d, text| d.spec.about.version = Some(text))
    }),
    row("usage", "TEXT", "says which parameters a start wants", INIT5, |d| {
        text(d, |d, text| d.spec.about.usage = Some(text))
    }),
    row("emits", "EVENT...", "names events that the job's programs emit; globs", INIT5, |d| {
        texts(d, |d, text| d.spec.about.emits.push(text))
    }),
    row("exec", "COMMAND", "runs a command as the job", INIT5, |d| exec(d, Role::Main)),
    row("script", "", "runs the lines up to `end script` as the job", INIT5, |d| {
        script(d, Role::Main)
    }),
    row("pre-start exec", "COMMAND", "prepares; the job starts if it succeeds", INIT5, |d| {
        exec(d, Role::PreStart)
    }),
    row("pre-start script", "", "prepares; the job starts if it succeeds", INIT5, |d| {
        script(d, Role::PreStart)
    }),
    row("pre-start timeout", "SECONDS", "limits pre-start; 0 does not", OURS, |d| {
        timeout(d, Role::PreStart)
    }),
    row("post-start exec", "COMMAND", "runs after main; completes the start", INIT5, |d| {
        exec(d, Role::PostStart)
    }),
    row("post-start script", "", "runs after main; completes the start", INIT5, |d| {
        script(d, Role::PostStart)
    }),
    row("post-start timeout", "SECONDS", "limits post-start; 0 does not", OURS, |d| {
        timeout(d, Role::PostStart)
    }),
    row("pre-stop exec", "COMMAND", "runs before main is told to stop", INIT5, |d| {
        exec(d, Role::PreStop)
    }),
    row("pre-stop script", "", "runs before main is told to stop", INIT5, |d| {
        script(d, Role::PreStop)
    }),
    row("pre-stop timeout", "SECONDS", "limits pre-stop; 0 does not", OURS, |d| {
        timeout(d, Role::PreStop)
    }),
    row("post-stop exec", "COMMAND", "cleans up when main is gone", INIT5, |d| {
        exec(d, Role::PostStop)
    }),
    row("post-stop script", "", "cleans up when main is gone", INIT5, |d| {
        script(d, Role::PostStop)
    }),
    row("post-stop timeout", "SECONDS", "limits post-stop; 0 does not", OURS, |d| {
        timeout(d, Role::PostStop)
    }),
    row("check exec", "COMMAND", "comes before restart and reload, stops both", OURS, |d| {
        exec(d, Role::Check)
    }),
    row("check script", "", "comes before restart and reload, stops both", OURS, |d| {
        script(d, Role::Check)
    }),
    row("check timeout", "SECONDS", "limits check, else to 60; 0 does not", OURS, |d| {
        timeout(d, Role::Check)
    }),
    row("start on", "EVENT [KEY=VALUE]... [and|or ...]", "starts the job by itself", INIT5, |d| {
        start_on(d)
    }),
    row("stop on", "EVENT [KEY=VALUE]... [and|or ...]", "stops the job by itself", INIT5, |d| {
        d.spec.stop_on = Some(condition::read(&mut d.reader)?.condition.into());
        Ok(())
    }),
    row("manual", "", "forgets the `start on` given before", INIT5, |d| {
        d.notes.manual = Some(d.notes.stanza.clone());
        d.spec.start_on = None;
        d.notes.variables.clear();
        Ok(())
    }),
    row("allow", "ROLE user NAME | group NAME | everybody", "grants a role over it", OURS, allow),
    row("instance", "NAME", "makes many instances; NAME has variables", INIT5, |d| {
        text(d, |d, text| d.spec.instance = text)
    }),
    row("env", "KEY[=VALUE]", "sets a variable; without value, copies init's own", INIT5, |d| {
        env(d)
    }),
    row("export", "KEY...", "adds variables to the job's own events", INIT5, |d| {
        texts(d, |d, text| d.spec.export.push(text))
    }),
    row("task", "", "means the start is done when the job ended", INIT5, |d| {
        flag(d, |d| d.spec.policy.task = true)
    }),
    row("essential", "", "ends Upright with its code when it has ended for good", OURS, |d| {
        flag(d, |d| d.spec.policy.essential = true)
    }),
    row("respawn", "", "starts main again when it ends unasked", INIT5, respawn),
    row("respawn always", "", "starts main again also after a normal exit", OURS, |d| {
        flag(d, |d| d.spec.policy.respawn = Respawn::Always)
    }),
    row("respawn pace", "SECONDS", "keeps two starts of main so far apart; 0", OURS, |d| {
        let word = d.reader.argument("a number of seconds")?;
        d.spec.policy.backoff.pace = decimal_seconds(&word)?;
        d.reader.end_of_line()
    }),
    row("start retries", "COUNT", "tries so often when main ends too early", OURS, start_retries),
    row("respawn limit", "COUNT SECONDS | unlimited", "bounds respawning; 10 5", INIT5, |d| {
        respawn_limit(d)
    }),
    row(
        "respawn backoff",
        "DELAY [CAP [FACTOR|+STEP]]",
        "waits before a respawn, longer each time; seconds, 60, 2",
        OURS,
        respawn_backoff,
    ),
    row("respawn jitter", "PERCENT", "adds to a back-off at random, up to it; 20", OURS, |d| {
        let word = d.reader.argument("a number of hundredths")?;
        let percent = natural(&word, 100, Complaint::Count)?;
        d.spec.policy.backoff.jitter_percent = u32::try_from(percent).unwrap_or(100);
        d.notes.respawn_limit = Some(d.notes.stanza.clone());
        d.reader.end_of_line()
    }),
    row("respawn reset", "SECONDS", "forgets failures when main stayed up for it; 60", OURS, |d| {
        let word = d.reader.argument("a number of seconds")?;
        d.spec.policy.backoff.reset = decimal_seconds(&word)?;
        d.notes.reset = true;
        d.notes.respawn_limit = Some(d.notes.stanza.clone());
        d.reader.end_of_line()
    }),
    row("respawn retry", "SECONDS", "tries so often where it would be given up", OURS, |d| {
        let word = d.reader.argument("a number of seconds")?;
        d.spec.policy.backoff.retry = Some(decimal_seconds(&word)?);
        d.notes.respawn_limit = Some(d.notes.stanza.clone());
        d.reader.end_of_line()
    }),
    row("normal exit", "STATUS|SIGNAL...", "lists ends that are no failure", INIT5, |d| {
        normal_exit(d)
    }),
    row("kill timeout", "SECONDS", "waits so long before KILL; 5, 0 is at once", INIT5, |d| {
        let word = d.reader.argument("a number of seconds")?;
        d.spec.policy.kill_timeout = seconds(&word)?;
        d.reader.end_of_line()
    }),
    row("kill signal", "SIGNAL", "asks main to end with it; TERM", INIT5, kill_signal),
    row("kill mode", "process|group|mixed|tree", "chooses who is signalled; group", OURS, |d| {
        d.spec.policy.kill_mode = choice(d, KILL_MODES)?;
        d.reader.end_of_line()
    }),
    row("reload signal", "SIGNAL", "asks main to reload with it; HUP, 0 is none", INIT5, |d| {
        let word = d.reader.argument("a signal")?;
        d.spec.policy.reload_signal = value::signal(&word)?;
        d.reader.end_of_line()
    }),
    row("expect up", "SECONDS", "takes main for ready when it stayed up so long", OURS, |d| {
        let word = d.reader.argument("a number of seconds")?;
        d.spec.policy.expect = Expect::Up(decimal_seconds(&word)?);
        d.reader.end_of_line()
    }),
    row("expect", "none|stop|fork|daemon", "says how main tells that it is ready", INIT5, |d| {
        d.spec.policy.expect = choice(d, EXPECTS)?;
        d.notes.expect = Some(d.notes.stanza.clone());
        d.reader.end_of_line()
    }),
    row("expect timeout", "SECONDS", "takes the original for main after it; 5", OURS, |d| {
        let word = d.reader.argument("a number of seconds")?;
        d.spec.policy.expect_timeout = seconds(&word)?;
        d.reader.end_of_line()
    }),
    row(
        "console",
        "log [pty]|stdout|none|output|owner",
        "says where output goes; log",
        INIT5,
        console,
    ),
    row("input", "pipe|none", "says where main reads from; none", OURS, |d| {
        d.spec.attrs.input = choice(d, INPUTS)?;
        d.reader.end_of_line()
    }),
    row("log rotate", "SIZE COUNT", "rotates the log at SIZE, keeps COUNT old ones", OURS, |d| {
        log_rotate(d)
    }),
    row("log mode", "OCTAL", "sets the permission bits of a new log", OURS, |d| {
        let word = d.reader.argument("permission bits")?;
        d.spec.attrs.log.mode = Some(permissions(&word, Complaint::Mode)?);
        d.reader.end_of_line()
    }),
    row("log owner", "USER[:GROUP]", "sets the owner of a new log", OURS, log_owner),
    row("log stderr", "FILE", "keeps standard error in a file of its own", OURS, |d| {
        text(d, |d, text| {
            let place = LogPlace::File(text);
            d.spec.attrs.log.errors = Some(Box::new(LogPolicy { place, ..LogPolicy::default() }));
        })
    }),
    row("log on-full", "block|drop", "says what a full disk does to output; drop", OURS, |d| {
        d.spec.attrs.log.on_full = Some(choice(d, ON_FULLS)?);
        d.reader.end_of_line()
    }),
    row(
        "socket",
        "URL [mode OCTAL] [owner USER[:GROUP]] [backlog COUNT]",
        "opens a socket (tcp://, unix://) that main finds at 0",
        OURS,
        socket,
    ),
    row("umask", "OCTAL", "sets the file creation mask; 022", INIT5, |d| {
        let word = d.reader.argument("a file creation mask")?;
        d.spec.attrs.umask = Some(permissions(&word, Complaint::Umask)?);
        d.reader.end_of_line()
    }),
    row("nice", "NUMBER", "sets the priority, -20 (high) to 19 (low)", INIT5, nice),
    row("oom", "NUMBER|never", "adjusts the OOM killer, -17 (spare) to 15", INIT5, oom),
    row("oom score", "NUMBER|never", "adjusts the OOM killer, -1000 to 1000", INIT5, |d| {
        oom_score(d)
    }),
    row("limit", "RESOURCE SOFT HARD", "sets a resource limit", INIT5, limit),
    row("chroot", "DIRECTORY", "changes the root directory", INIT5, |d| {
        text(d, |d, text| d.spec.attrs.chroot = Some(text))
    }),
    row("chdir", "DIRECTORY", "changes the working directory", INIT5, |d| {
        text(d, |d, text| d.spec.attrs.chdir = Some(text))
    }),
    row("setuid", "USER", "changes the user", INIT5, |d| {
        text(d, |d, text| d.spec.attrs.setuid = Some(text))
    }),
    row("setgid", "GROUP", "changes the group", INIT5, |d| {
        text(d, |d, text| d.spec.attrs.setgid = Some(text))
    }),
    row("apparmor load", "FILE", "loads an AppArmor profile first", INIT5, |d| {
        text(d, |d, text| {
            let parser = Text::from(format!("/sbin/apparmor_parser -r -W {text}"));
            d.spec.commands.insert(Role::Security, Command::Exec(parser));
            d.spec.policy.timeouts.insert(Role::Security, APPARMOR_TIME);
            d.spec.attrs.apparmor_load = Some(text);
        })
    }),
    row("apparmor switch", "PROFILE", "runs main under an AppArmor profile", INIT5, |d| {
        text(d, |d, text| d.spec.attrs.apparmor_switch = Some(text))
    }),
    row("cgroup", "CONTROLLER [NAME] [KEY VALUE]", "joins a control group", INIT5, cgroup),
    row("debug", "", "stops the process before it runs, for a debugger", INIT5, |d| {
        flag(d, |d| d.spec.attrs.debug = true)
    }),
    row("import", "", "is a ChromeOS stanza that Upstart does not have", CHROMEOS, |d| {
        Err(chromeos(d, "take the variable as an argument of the event, or set it with `env`"))
    }),
    row("tmpfiles", "", "is a ChromeOS stanza that Upstart does not have", CHROMEOS, |d| {
        Err(chromeos(d, "make the files in `pre-start`"))
    }),
];

/// Returns the stanzas for a person: words, arguments and help, one to a line.
pub fn help() -> String {
    let mut out = String::new();
    for row in STANZAS {
        let line = format!("{} {}", row.words, row.arguments);
        out.push_str(&format!("{:<44} {}\n", line.trim_end(), row.help));
    }
    out
}

const KILL_MODES: &[(&str, KillMode)] = &[
    ("process", KillMode::Process),
    ("group", KillMode::Group),
    ("mixed", KillMode::Mixed),
    ("tree", KillMode::Tree),
];

const EXPECTS: &[(&str, Expect)] = &[
    ("none", Expect::None),
    ("stop", Expect::Stop),
    ("fork", Expect::Fork),
    ("daemon", Expect::Daemon),
];

const CONSOLES: &[(&str, Console)] = &[
    ("log", Console::Log),
    ("stdout", Console::Stdout),
    ("none", Console::None),
    ("output", Console::Output),
    ("owner", Console::Owner),
];

/// A word that says more of a socket.
#[derive(Clone, Copy)]
enum SocketWord {
    Mode,
    Owner,
    Backlog,
}

const SOCKET_WORDS: &[(&str, SocketWord)] =
    &[("mode", SocketWord::Mode), ("owner", SocketWord::Owner), ("backlog", SocketWord::Backlog)];

const INPUTS: &[(&str, StandardInput)] =
    &[("pipe", StandardInput::Pipe), ("none", StandardInput::Null)];

const ON_FULLS: &[(&str, OnFull)] = &[("block", OnFull::Block), ("drop", OnFull::Drop)];

fn text(draft: &mut Draft<'_>, keep: fn(&mut Draft<'_>, Text)) -> Result<(), Fault> {
    let word = draft.reader.argument("a text")?;
    draft.reader.end_of_line()?;
    keep(draft, word.into_text());
    Ok(())
}

fn texts(draft: &mut Draft<'_>, keep: fn(&mut Draft<'_>, Text)) -> Result<(), Fault> {
    loop {
        let word = draft.reader.argument("a name")?;
        keep(draft, word.into_text());
        if !draft.reader.has_token() {
            return draft.reader.end_of_line();
        }
    }
}

fn flag(draft: &mut Draft<'_>, keep: fn(&mut Draft<'_>)) -> Result<(), Fault> {
    draft.reader.end_of_line()?;
    keep(draft);
    Ok(())
}

/// Reads one of a few words.
fn choice<T: Copy>(draft: &mut Draft<'_>, choices: &[(&str, T)]) -> Result<T, Fault> {
    let names = choices.iter().map(|choice| choice.0).collect::<Vec<_>>();
    let word = draft.reader.argument(&one_of(&names))?;
    let found = choices.iter().find(|choice| choice.0.as_bytes() == &word.text[..]);
    found.map(|choice| choice.1).ok_or_else(|| {
        Fault::at(Complaint::UnknownStanza, &word).help(did_you_mean(
            &word.text,
            &names,
            &format!("expected {}", one_of(&names)),
        ))
    })
}

fn exec(draft: &mut Draft<'_>, role: Role) -> Result<(), Fault> {
    let command = draft.reader.command()?;
    draft.command(role, Command::Exec(command));
    Ok(())
}

fn script(draft: &mut Draft<'_>, role: Role) -> Result<(), Fault> {
    let Word { from, to, .. } = draft.notes.stanza;
    let script = draft.reader.script().map_err(|fault| {
        let is_open = fault.complaint == Complaint::UnterminatedBlock;
        if is_open {
            Fault { from, to, ..fault }
        } else {
            fault
        }
    })?;
    draft.command(role, Command::Script(script));
    Ok(())
}

fn timeout(draft: &mut Draft<'_>, role: Role) -> Result<(), Fault> {
    let word = draft.reader.argument("a number of seconds")?;
    let limit = seconds(&word)?;
    draft.reader.end_of_line()?;
    match limit {
        // What is not said is not unlimited.
        Span::ZERO if role != Role::Check => draft.spec.policy.timeouts.remove(&role),
        limit => draft.spec.policy.timeouts.insert(role, limit),
    };
    Ok(())
}

fn start_on(draft: &mut Draft<'_>) -> Result<(), Fault> {
    let Expressed { condition, variables } = condition::read(&mut draft.reader)?;
    if let Some(manual) = draft.notes.manual.take() {
        let fault = Fault::at(Complaint::ManualFirst, &manual);
        draft.reader.remark(fault.help("put `manual` behind the last `start on`"));
    }
    draft.notes.variables = variables;
    draft.spec.start_on = Some(condition.into());
    Ok(())
}

fn env(draft: &mut Draft<'_>) -> Result<(), Fault> {
    let word = draft.reader.argument("KEY=VALUE")?;
    draft
        .reader
        .end_of_line()
        .map_err(|fault| fault.help("one variable to a stanza; quote a value that has blanks"))?;
    let row = match word.text.iter().position(|byte| *byte == b'=') {
        Some(at) => {
            let (key, value) = word.text.split_at(at);
            EnvRow::Set(Text::from(key), Text::from(value.get(1..).unwrap_or_default()))
        }
        None => EnvRow::Inherit(word.into_text()),
    };
    draft.spec.env.push(row);
    Ok(())
}

fn respawn(draft: &mut Draft<'_>) -> Result<(), Fault> {
    if draft.reader.has_token() {
        let word = draft.reader.argument("the end of the line")?;
        let help = did_you_mean(
            &word.text,
            &["limit", "backoff", "always", "pace", "jitter", "reset", "retry"],
            "`respawn` stands alone; the command goes into `exec`",
        );
        return Err(Fault::at(Complaint::UnknownStanza, &word).help(help));
    }
    flag(draft, |draft| draft.spec.policy.respawn = Respawn::Failed)
}

fn respawn_limit(draft: &mut Draft<'_>) -> Result<(), Fault> {
    let count = draft.reader.argument("a count and seconds, or unlimited")?;
    let limit = if count.text == b"unlimited" {
        RespawnLimit::Unlimited
    } else {
        let number = natural(&count, INT_MAX, Complaint::Limit)
            .map_err(|fault| fault.help("a whole number of respawns, then a number of seconds"))?;
        let interval = seconds(&draft.reader.argument("a number of seconds")?)?;
        match u32::try_from(number).unwrap_or(u32::MAX) {
            // Source: Upstart 1.13.2: either number 0 is no limit.
            0 => RespawnLimit::Unlimited,
            _ if interval == Span::ZERO => RespawnLimit::Unlimited,
            count => RespawnLimit::Within { count, interval },
        }
    };
    draft.reader.end_of_line()?;
    draft.spec.policy.respawn_limit = limit;
    draft.notes.respawn_limit = Some(draft.notes.stanza.clone());
    Ok(())
}

fn start_retries(draft: &mut Draft<'_>) -> Result<(), Fault> {
    let word = draft.reader.argument("a count")?;
    let count = natural(&word, INT_MAX, Complaint::Count)?;
    let policy = &mut draft.spec.policy;
    policy.start_retries = Some(u32::try_from(count).unwrap_or(u32::MAX));
    // What was ready counts as well started, unless somebody says how long it must have run.
    if !draft.notes.reset && policy.backoff.reset == Backoff::default().reset {
        policy.backoff.reset = Span::ZERO;
    }
    draft.reader.end_of_line()
}

/// A number of `respawn backoff`: how much, where, and whether it has a `+`.
struct Number {
    millis: u64,
    place: Word,
    step: bool,
}

fn respawn_backoff(draft: &mut Draft<'_>) -> Result<(), Fault> {
    let mut numbers = [None, None, None];
    for number in &mut numbers {
        if draft.reader.has_token() {
            let mut place = draft.reader.argument("a number of seconds")?;
            let step = place.text.first() == Some(&b'+');
            place.text.drain(..usize::from(step));
            let millis = value::thousandths(&place).ok_or_else(|| {
                let fault = Fault::at(Complaint::Backoff, &place);
                fault.help("numbers such as 1 or 0.25, at most 1000000")
            })?;
            *number = Some(Number { millis, place, step });
        }
    }
    let [Some(delay), cap, growth] = numbers else {
        let fault = draft.reader.fault_here(Complaint::ExpectedToken);
        return Err(fault.help("expected a number of seconds"));
    };
    draft.reader.end_of_line()?;
    let refused = |help: &'static str| Fault::at(Complaint::Backoff, &delay.place).help(help);
    if delay.step || cap.as_ref().is_some_and(|cap| cap.step) {
        return Err(refused("only the last number may be a step such as +1"));
    }
    let preset = Backoff::default();
    let span = Span::millis(delay.millis);
    let cap = cap.map_or(preset.cap.max(span), |cap| Span::millis(cap.millis));
    let (factor, step) = match growth {
        None => (u64::from(preset.factor_percent), Span::ZERO),
        Some(growth) if growth.step => (100, Span::millis(growth.millis)),
        Some(growth) => (growth.millis / 10, Span::ZERO),
    };
    if cap < span || factor < 100 {
        return Err(refused("CAP must be at least DELAY, and FACTOR at least 1"));
    }
    let factor_percent = u32::try_from(factor).unwrap_or(u32::MAX);
    let said = draft.spec.policy.backoff;
    draft.spec.policy.backoff = Backoff { delay: span, factor_percent, step, cap, ..said };
    draft.notes.respawn_limit = Some(draft.notes.stanza.clone());
    Ok(())
}

/// Reads a number of seconds that may have decimals.
fn decimal_seconds(word: &Word) -> Result<Span, Fault> {
    let millis = value::thousandths(word).ok_or_else(|| {
        Fault::at(Complaint::Interval, word).help("a number such as 1 or 0.25, at most 1000000")
    })?;
    Ok(Span::millis(millis))
}

fn normal_exit(draft: &mut Draft<'_>) -> Result<(), Fault> {
    loop {
        let word = draft.reader.argument("an exit status or a signal")?;
        let normal = match value::signal_name(&word) {
            Some(signal) => NormalExit::Signal(signal),
            None => {
                let status = natural(&word, INT_MAX, Complaint::ExitStatus)
                    .map_err(|fault| fault.help("0 to 255, or a signal such as TERM"))?;
                if status > 255 {
                    let fault = Fault::at(Complaint::ImpossibleStatus, &word);
                    draft.reader.remark(fault.help("0 to 255"));
                }
                NormalExit::Status(u32::try_from(status).unwrap_or(u32::MAX))
            }
        };
        draft.spec.policy.normal_exit.push(normal);
        if !draft.reader.has_token() {
            return draft.reader.end_of_line();
        }
    }
}

fn kill_signal(draft: &mut Draft<'_>) -> Result<(), Fault> {
    let word = draft.reader.argument("a signal")?;
    let Some(signal) = value::signal(&word)? else {
        let fault = Fault::at(Complaint::SignalStatus, &word);
        return Err(fault.help("0 is no signal that ends anything; `kill timeout 0` kills at once"));
    };
    draft.reader.end_of_line()?;
    draft.spec.policy.kill_signal = signal;
    Ok(())
}

fn console(draft: &mut Draft<'_>) -> Result<(), Fault> {
    let mut console = choice(draft, CONSOLES)?;
    let from = draft.reader.cursor();
    if console == Console::Log && draft.reader.has_token() {
        match draft.reader.argument("pty")?.text.as_slice() {
            b"pty" => console = Console::LogPty,
            _ => draft.reader.rewind(from),
        }
    }
    draft.reader.end_of_line()?;
    draft.spec.attrs.console = console;
    Ok(())
}

fn log_rotate(draft: &mut Draft<'_>) -> Result<(), Fault> {
    let size = value::size(&draft.reader.argument("a size such as 10M")?)?;
    let count = draft.reader.argument("how many old logs are kept")?;
    let count = natural(&count, 1000, Complaint::Count)?;
    draft.reader.end_of_line()?;
    draft.spec.attrs.log.rotate_size = Some(size);
    draft.spec.attrs.log.rotate_count = u32::try_from(count).ok();
    Ok(())
}

fn log_owner(draft: &mut Draft<'_>) -> Result<(), Fault> {
    let owner = owner(draft)?;
    draft.reader.end_of_line()?;
    draft.spec.attrs.log.owner = Some(owner);
    Ok(())
}

fn allow(draft: &mut Draft<'_>) -> Result<(), Fault> {
    let mut words = vec![draft.reader.argument("look, operate or administer")?];
    while draft.reader.has_token() {
        words.push(draft.reader.argument("a word")?);
    }
    let texts: Vec<&[u8]> = words.iter().map(|word| &word.text[..]).collect();
    let (allow, taken) = rights::read(&texts).map_err(|mistake| {
        // What is missing is missed behind the last word.
        let fault = match words.get(mistake.word) {
            Some(word) => Fault::at(Complaint::Allow, word),
            None => draft.reader.fault_here(Complaint::Allow),
        };
        fault.help(mistake.help)
    })?;
    if let Some(word) = words.get(taken) {
        return Err(Fault::at(Complaint::UnexpectedToken, word));
    }
    draft.reader.end_of_line()?;
    draft.spec.policy.allow.push(allow);
    Ok(())
}

fn socket(draft: &mut Draft<'_>) -> Result<(), Fault> {
    let url = draft.reader.argument("tcp://HOST:PORT or unix:///PATH")?;
    let wrong = || {
        Fault::at(Complaint::Socket, &url)
            .help("for example tcp://127.0.0.1:9000, or unix:///run/web.sock")
    };
    let mut place = place(&url.text).ok_or_else(wrong)?;
    let mut backlog = None;
    while draft.reader.has_token() {
        let from = draft.reader.cursor();
        let word = draft.reader.argument("mode, owner or backlog")?;
        draft.reader.rewind(from);
        match (choice(draft, SOCKET_WORDS)?, &mut place) {
            (SocketWord::Mode, SocketPlace::Unix { mode, .. }) => {
                let word = draft.reader.argument("permission bits")?;
                *mode = permissions(&word, Complaint::Mode)?;
            }
            (SocketWord::Owner, SocketPlace::Unix { owner, .. }) => {
                *owner = Some(self::owner(draft)?);
            }
            (SocketWord::Mode | SocketWord::Owner, SocketPlace::Tcp { .. }) => {
                let fault = Fault::at(Complaint::Socket, &word);
                return Err(fault.help("only a socket in the file system has a mode and an owner"));
            }
            (SocketWord::Backlog, _) => {
                let word = draft.reader.argument("how many connections may wait")?;
                let count = natural(&word, u64::from(u16::MAX), Complaint::Count)?;
                backlog = u16::try_from(count).ok();
            }
        }
    }
    draft.reader.end_of_line()?;
    draft.spec.attrs.socket = Some(Box::new(Socket { place, backlog }));
    Ok(())
}

/// Reads `tcp://HOST:PORT` or `unix:///PATH`.
fn place(url: &[u8]) -> Option<SocketPlace> {
    if let Some(path) = url.strip_prefix(b"unix://") {
        let absolute = path.starts_with(b"/") && !path.contains(&0);
        let path = Text::from(path);
        return absolute.then_some(SocketPlace::Unix { path, mode: 0o700, owner: None });
    }
    let rest = core::str::from_utf8(url.strip_prefix(b"tcp://")?).ok()?;
    let (host, port) = rest.rsplit_once(':')?;
    let port = port.parse().ok().filter(|port| *port != 0)?;
    Some(SocketPlace::Tcp { host: Text::from(host), port })
}

fn owner(draft: &mut Draft<'_>) -> Result<(Text, Option<Text>), Fault> {
    let word = draft.reader.argument("USER or USER:GROUP")?;
    let mut parts = word.text.split(|byte| *byte == b':');
    match (parts.next(), parts.next(), parts.next()) {
        (Some(user), None, None) if !user.is_empty() => Ok((Text::from(user), None)),
        (Some(user), Some(group), None) if !user.is_empty() && !group.is_empty() => {
            Ok((Text::from(user), Some(Text::from(group))))
        }
        _ => Err(Fault::at(Complaint::Owner, &word).help("for example syslog:adm")),
    }
}

fn nice(draft: &mut Draft<'_>) -> Result<(), Fault> {
    let word = draft.reader.argument("a priority from -20 to 19")?;
    let number = value::integer(&word, 10).and_then(|number| i8::try_from(number).ok());
    let number = number
        .filter(|number| (-20..=19).contains(number))
        .ok_or_else(|| Fault::at(Complaint::Nice, &word).help("priority must be -20 to 19"))?;
    draft.reader.end_of_line()?;
    draft.spec.attrs.nice = Some(number);
    Ok(())
}

fn oom(draft: &mut Draft<'_>) -> Result<(), Fault> {
    let word = draft.reader.argument("a number from -17 to 15, or never")?;
    let number = match &word.text[..] {
        b"never" => Some(-17),
        _ => value::integer(&word, 10).and_then(|number| i16::try_from(number).ok()),
    };
    let number = number.filter(|number| (-17..=15).contains(number)).ok_or_else(|| {
        Fault::at(Complaint::Oom, &word).help(did_you_mean(
            &word.text,
            &["never", "score"],
            "a number from -17 to 15, or `never`",
        ))
    })?;
    draft.reader.end_of_line()?;
    let scaled = number * 1000 / if number < 0 { 17 } else { 15 };
    draft.spec.attrs.oom_score_adj = Some(scaled);
    Ok(())
}

fn oom_score(draft: &mut Draft<'_>) -> Result<(), Fault> {
    let word = draft.reader.argument("a number from -1000 to 1000, or never")?;
    let number = match &word.text[..] {
        b"never" => Some(-1000),
        _ => value::integer(&word, 10).and_then(|number| i16::try_from(number).ok()),
    };
    let number = number.filter(|number| (-1000..=1000).contains(number)).ok_or_else(|| {
        Fault::at(Complaint::OomScore, &word).help("a number from -1000 to 1000, or `never`")
    })?;
    draft.reader.end_of_line()?;
    draft.spec.attrs.oom_score_adj = Some(number);
    Ok(())
}

fn limit(draft: &mut Draft<'_>) -> Result<(), Fault> {
    let names: Vec<&str> = Resource::TABLE.iter().map(|row| row.1).collect();
    let name = draft.reader.argument(&one_of(&names))?;
    let Some(row) = Resource::TABLE.iter().find(|row| row.1.as_bytes() == &name.text[..]) else {
        let expected = format!("expected {}", one_of(&names));
        let help = did_you_mean(&name.text, &names, &expected);
        return Err(Fault::at(Complaint::UnknownStanza, &name).help(help));
    };
    let (soft, _) = limit_value(draft, "the soft limit")?;
    let (hard, word) = limit_value(draft, "the hard limit")?;
    draft.reader.end_of_line()?;
    let above = match (soft, hard) {
        (_, None) => false,
        (None, Some(_)) => true,
        (Some(soft), Some(hard)) => soft > hard,
    };
    if above {
        let fault = Fault::at(Complaint::SoftAboveHard, &word);
        draft.reader.remark(fault.help("the soft limit stands first, the hard one second"));
    }
    draft.spec.attrs.limits.insert(row.0, Limits { soft, hard });
    Ok(())
}

/// Reads a limit. The greatest number is no limit, and so are its other spellings: -1 (the original
/// reads numbers with strtoul(3)).
fn limit_value(draft: &mut Draft<'_>, wanted: &str) -> Result<(Option<u64>, Word), Fault> {
    let word = draft.reader.argument(wanted)?;
    if word.text == b"unlimited" {
        return Ok((None, word));
    }
    let number = value::integer(&word, 10).filter(|number| number.unsigned_abs() < 1 << 64);
    match number.map(|number| u64::try_from(number.rem_euclid(1 << 64)).unwrap_or(u64::MAX)) {
        Some(u64::MAX) => Ok((None, word)),
        Some(number) => Ok((Some(number), word)),
        None => Err(Fault::at(Complaint::Limit, &word)
            .help("a whole number in the resource's own unit (bytes, seconds), or `unlimited`")),
    }
}

fn cgroup(draft: &mut Draft<'_>) -> Result<(), Fault> {
    let mut words = Vec::new();
    words.push(draft.reader.argument("a controller")?.into_text());
    while words.len() < 4 && draft.reader.has_token() {
        words.push(draft.reader.argument("a name, or a key and a value")?.into_text());
    }
    draft.reader.end_of_line()?;
    let mut words = words.into_iter();
    let (first, rest) = (words.next().unwrap_or_default(), words.collect::<Vec<_>>());
    let (name, setting) = match rest.as_slice() {
        [] => (None, None),
        [name] => (Some(name.clone()), None),
        [key, value] => (None, Some((key.clone(), value.clone()))),
        [name, key, value, ..] => (Some(name.clone()), Some((key.clone(), value.clone()))),
    };
    let row = Cgroup { controller: first, name, setting };
    if let Some(doubt) = cgroup::doubt(&row) {
        no_effect(draft, &doubt);
    }
    if draft.spec.attrs.cgroups.iter().any(|before| cgroup::apart(before, &row)) {
        no_effect(draft, "a process is in one group only, and it is the one named before");
    }
    draft.spec.attrs.cgroups.push(row);
    Ok(())
}

fn no_effect(draft: &mut Draft<'_>, help: &str) {
    let fault = Fault::at(Complaint::NoEffect, &draft.notes.stanza);
    draft.reader.remark(fault.help(help));
}

fn chromeos(draft: &Draft<'_>, help: &str) -> Fault {
    let fault = Fault::at(Complaint::ChromeOsStanza, &draft.notes.stanza);
    let word = draft.notes.stanza.lossy();
    fault.help(format!("`{word}` is known to ChromeOS's init only; {help}"))
}
