//! What the machine wants, in words.

use engine::errno::Errno;
use engine::machine::request::{Ended, Refusal, Reply};
use engine::machine::{Effect, JobChange, Level, Notice, ProgramNews, SignalScope};
use engine::names::{InstanceName, JobName};
use engine::process::{Exit, Role};
use engine::view::{InstanceView, LastExit, Mark, Need, RunView, TimelineView, WhyView};

/// A kind of line below an input, as the header `show` names it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Answers to clients.
    Replies,
    /// Processes wanted, adopted, looked for.
    Spawns,
    /// With each spawn, the environment.
    Env,
    /// Signals and sweeps.
    Signals,
    /// Slots given back.
    Releases,
    /// Events that have finished.
    Events,
    /// Every state an instance enters.
    States,
    /// Every state of Supervisor's that a program comes to.
    Programs,
    /// What else subscribers are told: goals, failures, jobs.
    News,
    /// Messages.
    Says,
    /// When time will be news.
    Wakes,
    /// With each event and each goal, what caused it.
    Causes,
}

impl Kind {
    const TABLE: [(Kind, &'static str); 12] = [
        (Kind::Replies, "replies"),
        (Kind::Spawns, "spawns"),
        (Kind::Env, "env"),
        (Kind::Signals, "signals"),
        (Kind::Releases, "releases"),
        (Kind::Events, "events"),
        (Kind::States, "states"),
        (Kind::Programs, "programs"),
        (Kind::News, "news"),
        (Kind::Says, "says"),
        (Kind::Wakes, "wakes"),
        (Kind::Causes, "causes"),
    ];

    /// Returns what is shown where nothing is said.
    pub fn usual() -> Vec<Kind> {
        vec![Kind::Replies, Kind::Spawns, Kind::Signals, Kind::Says]
    }

    /// Reads a list of kinds.
    pub fn list(words: &str) -> Result<Vec<Kind>, String> {
        let kind = |word| Kind::TABLE.iter().find(|row| row.1 == word).map(|row| row.0);
        let kinds = words.split(' ').map(|word| kind(word).ok_or(format!("no kind {word}")));
        kinds.collect()
    }

    /// Returns the kind of an effect.
    pub fn of(effect: &Effect) -> Kind {
        match effect {
            Effect::Spawn(_) | Effect::Adopt(..) | Effect::Survey(..) => Kind::Spawns,
            Effect::Signal(..) | Effect::Sweep(..) | Effect::SweepAll(_) => Kind::Signals,
            Effect::Release(_) => Kind::Releases,
            Effect::Reply(..) | Effect::Quit(_) | Effect::Keep(_) => Kind::Replies,
            Effect::Notice(_, Notice::Event { .. }) => Kind::Events,
            Effect::Notice(_, Notice::State { .. }) => Kind::States,
            Effect::Notice(_, Notice::Program(_)) => Kind::Programs,
            Effect::Notice(
                _,
                Notice::Goal { .. }
                | Notice::Failed { .. }
                | Notice::Job { .. }
                | Notice::Restarted,
            ) => Kind::News,
            Effect::Say(..) => Kind::Says,
        }
    }
}

/// Returns how a transcript names an instance: `job`, or `job(instance)`.
pub fn place(job: &JobName, instance: &InstanceName) -> String {
    if instance.text().is_empty() {
        return job.to_string();
    }
    format!("{job}({instance})")
}

/// Returns whom a signal is for.
pub fn scope(scope: SignalScope) -> &'static str {
    match scope {
        SignalScope::Process => "alone",
        SignalScope::Group => "group",
    }
}

/// Returns the word of a level.
pub fn level(level: Level) -> &'static str {
    Level::TABLE.iter().find(|row| row.0 == level).map_or("", |row| row.1)
}

/// Returns what subscribers are told.
pub fn notice(notice: &Notice) -> String {
    match notice {
        Notice::Event { name, env, failed, cause: _ } => {
            let mut words = format!("event {name}");
            env.iter().for_each(|row| words += &format!(" {row}"));
            words + if *failed { ", failed" } else { "" }
        }
        Notice::State { job, instance, goal, from: _, to } => {
            format!("state {} {goal}/{to}", place(job, instance))
        }
        Notice::Goal { job, instance, goal, state, cause: _ } => {
            format!("goal {} {goal} in {state}", place(job, instance))
        }
        Notice::Failed { job, instance, failure } => {
            format!("failed {}: {failure}", place(job, instance))
        }
        Notice::Job { job, change: JobChange::Added } => format!("added {job}"),
        Notice::Job { job, change: JobChange::Removed } => format!("removed {job}"),
        Notice::Program(news) => {
            let ProgramNews { job, from, to, pid, tries, exit, expected } = news;
            let mut words = format!("program {job} {} from {}", to.name(), from.name());
            words += &pid.map_or(String::new(), |pid| format!(", process {pid}"));
            words += &exit.map_or(String::new(), |exit| format!(", {}", Ended(exit)));
            words += if *expected { ", expected" } else { "" };
            words + &if *tries > 0 { format!(", {tries} failed") } else { String::new() }
        }
        Notice::Restarted => String::from("restarted"),
    }
}

/// Returns what caused what subscribers are told; empty where nothing is said.
pub fn cause(notice: &Notice) -> String {
    match notice {
        Notice::Event { cause, .. } | Notice::Goal { cause, .. } => {
            format!("  <- {}", if cause.is_empty() { "?" } else { cause })
        }
        Notice::State { .. }
        | Notice::Failed { .. }
        | Notice::Job { .. }
        | Notice::Program(_)
        | Notice::Restarted => String::new(),
    }
}

/// Returns the answer to a request.
pub fn reply(asked: &str, reply: &Reply) -> String {
    match reply {
        Reply::Done(None) => format!("reply {asked}"),
        Reply::Done(Some(view)) => {
            let warnings = view.warnings.iter().map(|warning| format!(" ({warning})"));
            format!("reply {asked}: {}{}", status(view), warnings.collect::<String>())
        }
        Reply::Refused(refusal) => {
            let why = match refusal {
                Refusal::Failed(_, _, _, failure) => format!(" ({failure})"),
                _ => String::new(),
            };
            format!("refuse {asked}: {}{why}", self::refusal(refusal))
        }
    }
}

/// Returns why a request was refused, in one line.
pub fn refusal(refusal: &Refusal) -> String {
    refusal.to_string().replace('\n', " | ")
}

/// Returns the status line of the original; its further lines follow after semicolons.
/// Source: initctl status of Upstart 1.13.2.
pub fn status(view: &InstanceView) -> String {
    let mut words = view.job.with_instance(&view.instance);
    words += &format!(" {}/{}", view.goal, view.state);
    for (index, (role, pid)) in view.processes.iter().enumerate() {
        words += &match (index, role) {
            (0, Role::Main | Role::PreStart | Role::PostStop) => format!(", process {pid}"),
            (0, _) => format!(", ({role}) process {pid}"),
            (_, _) => format!("; {role} process {pid}"),
        };
    }
    words
}

/// Returns what `why` answers, a line each.
pub fn why(why: &WhyView) -> Vec<String> {
    let view = &why.status;
    let mut lines = vec![format!("{}, since {}", status(view), view.since)];
    if !view.started_by.is_empty() {
        lines.push(format!("started by {}", view.started_by.join(", ")));
    }
    if !view.waits_for.is_empty() {
        lines.push(format!("waits for {}", view.waits_for));
    }
    if let Some((exit, ago)) = &view.last_exit {
        lines.push(format!("last exit {ago} ago: {}", last_exit(exit)));
    }
    if view.respawns > 0 {
        lines.push(format!("respawned {} times", view.respawns));
    }
    let named = |title: &str, all: &[String]| {
        all.iter().map(|words| format!("{title} {words}")).collect::<Vec<String>>()
    };
    lines.extend(named("warning:", &view.warnings));
    lines.push(format!("because {}", why.verdict));
    lines.extend(why.due.map(|due| format!("due in {due}")));
    lines.extend(named("ring:", &why.ring));
    lines.extend(why.start_on.iter().map(|line| need("start on", line)));
    lines.extend(why.stop_on.iter().map(|line| need("stop on", line)));
    lines.extend(named("waiting for it:", &why.waiters));
    lines.extend(why.runs.iter().map(run));
    for entry in &why.history {
        let mut words = format!("{} ago: {}", entry.ago, entry.cause);
        if !entry.decision.is_empty() {
            words += &format!(" -> {}", entry.decision);
        }
        lines.push(words);
    }
    lines
}

/// Returns the times of an instance, in one line.
pub fn times(times: &TimelineView) -> String {
    let mark = |mark: &Mark| {
        let by = if mark.by.is_empty() { String::new() } else { format!(" by {}", mark.by) };
        format!("; {:?} {} ago{by}", mark.what, mark.ago).to_lowercase()
    };
    let marks: String = times.marks.iter().map(mark).collect();
    format!("{}{marks}", place(&times.job, &times.instance))
}

fn need(title: &str, need: &Need) -> String {
    let Need { depth, words, met, by, note } = need;
    let met = match (by, met) {
        (Some(by), _) => format!("met by {by}"),
        (None, true) => String::from("met"),
        (None, false) => String::from("not met"),
    };
    let note = if note.is_empty() { String::new() } else { format!(" ({note})") };
    format!("{title} {:width$}{words}: {met}{note}", "", width = *depth as usize * 2)
}

fn run(run: &RunView) -> String {
    let lasted = run.lasted.map_or_else(String::new, |span| format!(", after {span}"));
    let note = if run.note.is_empty() { String::new() } else { format!(" ({})", run.note) };
    format!("run ended {} ago: {}{lasted}{note}", run.ago, last_exit(&run.exit))
}

fn last_exit(exit: &LastExit) -> String {
    match exit {
        LastExit::Ended { process, exit: Exit::Status(status) } => {
            format!("{process} with status {status}")
        }
        LastExit::Ended { process, exit: Exit::Signal { signal, core } } => {
            format!("{process} by signal {signal}{}", if *core { ", core written" } else { "" })
        }
        LastExit::Ended { process, exit: Exit::OutOfMemory } => format!("{process}, out of memory"),
        LastExit::Ended { process, exit: Exit::Unknown } => format!("{process}, nobody knows how"),
        LastExit::NotSpawned { process, step, errno } => {
            format!("{process}: {}: {}", step.words(), Errno(*errno))
        }
    }
}
