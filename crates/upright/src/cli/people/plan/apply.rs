//! `upright apply`: what a plan says is done, as a whole or not at all, and taken back where it fails the test.

use super::super::events;
use super::super::why::output;
use super::writing::{self, Written};
use super::{ask, is_step, Planned};
use crate::cli::client::Client;
use crate::cli::people::{About, Exit, Form, Session};
use clap::ArgMatches;
use engine::control::answer::Answer;
use engine::control::call::{Call, Listed, Meant};
use engine::machine::request::{Target, Which};
use engine::machine::state::{Goal, State};
use engine::names::InstanceName;
use engine::plan::{Fate, PlanRow, RowKind};
use engine::process::{Pid, Role};
use engine::signal::Signal;
use engine::text::Text;
use engine::time::Span;
use engine::view::{InstanceView, LastExit};
use serde_json::{json, Value};
use shown::words::printable;
use std::io::{self, BufRead, IsTerminal};
use std::os::unix::ffi::OsStrExt;
use std::time::{Duration, Instant};
use sys::signals::{block, blocked, SignalFd, SignalSet};

/// How often it is looked whether jobs are up.
const LOOK: Duration = Duration::from_millis(50);

/// How long a job must have run to have passed the test: one that crashes at once runs for a moment, too.
const STEADY: Span = Span::secs(1);

/// How long what was taken back is waited for.
const BACK_MAX: Duration = Duration::from_secs(60);

/// An instance that is to be up.
struct Awaited {
    job: Text,
    instance: InstanceName,
    /// The process that it had, which is to be another.
    before: Option<Pid>,
}

/// How it went with one.
enum Met {
    Up,
    NotYet,
    Failed,
}

/// What is not up, why, and what it wrote last.
struct Missing {
    name: String,
    why: String,
    output: Option<Text>,
}

/// How waiting ended.
enum Waited {
    /// All are up.
    Up,
    /// These are not.
    Missing(Vec<Missing>),
    /// Somebody pressed Ctrl-C.
    Interrupted,
}

pub(in crate::cli::people) fn apply(
    session: &mut Session<'_, '_>,
    matches: &ArgMatches,
) -> Result<(), Exit> {
    let limit = limit(session, matches)?;
    let planned = ask(session, matches)?;
    if session.form == Form::Words {
        session.show_plan(&planned);
    }
    if planned.is_broken() || planned.is_empty() {
        session.result(&planned, Outcome { applied: false, rolled_back: false, missing: &[] });
        return if planned.is_broken() { Err(Exit::Failed) } else { Ok(()) };
    }
    if limit.is_some() && planned.files.is_empty() {
        let why = "--rollback-after: the files are as they are to be already, so nothing could be taken back; \
                   name the files that are to stand there";
        session.world.say(&format!("upright: {why}"));
        return Err(Exit::Usage);
    }
    if !matches.get_flag("yes") && !agreed(session) {
        session.world.say("Nothing was done.");
        return Err(Exit::Failed);
    }
    // From here on Ctrl-C is heard where it can be heeded.
    let signals = interrupts();
    let mut client = session.client()?;
    let (written, rows) = begin(session, &mut client, &planned, limit)?;
    let steady = limit.map_or(Span::ZERO, |_| STEADY);
    let missing = match wait(session, &rows, limit, steady, signals.as_ref())? {
        Waited::Up => Vec::new(),
        Waited::Missing(missing) => missing,
        Waited::Interrupted if limit.is_some() => {
            let (name, why) = (String::from("upright apply"), String::from("it was interrupted"));
            vec![Missing { name, why, output: None }]
        }
        Waited::Interrupted => {
            written.settle();
            session.world.say("Not waited for any longer; what was begun goes on.");
            return Err(Exit::Failed);
        }
    };
    if missing.is_empty() || limit.is_none() {
        written.settle();
        session.result(&planned, Outcome { applied: true, rolled_back: false, missing: &missing });
        return if missing.is_empty() { Ok(()) } else { Err(Exit::Failed) };
    }
    roll_back(session, &mut client, &planned, written, &missing)
}

/// Returns how long everything may take to be up before it is taken back.
fn limit(session: &mut Session<'_, '_>, matches: &ArgMatches) -> Result<Option<Duration>, Exit> {
    let Some(said) = super::text(matches, "rollback-after") else { return Ok(None) };
    let said = said.lossy().into_owned();
    match events::span(&said).filter(|span| *span > Span::ZERO) {
        Some(span) => Ok(Some(Duration::from_nanos(span.0))),
        None => {
            let said = printable(&said);
            let why = format!("--rollback-after: {said:?} is no time; say 30s, 5m or 1h");
            session.world.say(&format!("upright: {why}"));
            Err(Exit::Usage)
        }
    }
}

/// Asks whoever sits there.
fn agreed(session: &mut Session<'_, '_>) -> bool {
    let stdin = io::stdin();
    if session.form == Form::Json || !stdin.is_terminal() {
        return true;
    }
    let _ = session.world.out.flush();
    let _ = write!(session.world.err, "Do this? [y/N] ");
    let _ = session.world.err.flush();
    let mut answer = String::new();
    let read = stdin.lock().read_line(&mut answer);
    read.is_ok() && ["y", "yes"].contains(&answer.trim().to_lowercase().as_str())
}

fn interrupts() -> Option<SignalFd> {
    let numbers = [Signal::INT, Signal::TERM].map(Signal::number);
    let set = numbers.into_iter().fold(SignalSet::NONE, SignalSet::with);
    block(numbers.into_iter().fold(blocked(), SignalSet::with));
    SignalFd::new(set).ok()
}

/// Writes the files and has them put in force; where that is refused, they are as they were.
fn begin(
    session: &mut Session<'_, '_>,
    client: &mut Client,
    planned: &Planned,
    limit: Option<Duration>,
) -> Result<(Written, Vec<PlanRow>), Exit> {
    let about = About::of(&Call::Hold);
    client.ask(Call::Hold).map_err(|trouble| session.trouble(trouble, &about))?;
    let written = writing::write(&planned.files).map_err(|why| {
        session.cannot(&why);
        session.world.say("Nothing was done: the files are as they were.");
        Exit::Failed
    })?;
    let names = planned.files.keys().map(|path| Text::from(path.as_os_str().as_bytes())).collect();
    let meant = if limit.is_some() { Meant::ToTest } else { Meant::ToStay };
    match client.ask(Call::Apply(names, meant)) {
        Ok(Answer::Plan(rows)) => Ok((written, rows)),
        Ok(_) => Err(Exit::Failed),
        Err(trouble) => {
            let exit = session.trouble(trouble, &about);
            match written.undo() {
                Ok(()) => session.world.say("Nothing was done: the files are as they were."),
                Err(why) => drop(session.cannot(&why)),
            }
            Err(exit)
        }
    }
}

/// Has everything be as it was, and says why.
fn roll_back(
    session: &mut Session<'_, '_>,
    client: &mut Client,
    planned: &Planned,
    written: Written,
    missing: &[Missing],
) -> Result<(), Exit> {
    let about = About::of(&Call::Hold);
    if let Err(trouble) = client.ask(Call::Hold) {
        session.trouble(trouble, &about);
    }
    let names = planned.files.keys().map(|path| Text::from(path.as_os_str().as_bytes())).collect();
    if let Err(why) = written.undo() {
        session.cannot(&why);
    }
    let rows = match client.ask(Call::Apply(names, Meant::AsBefore)) {
        Ok(Answer::Plan(rows)) => rows,
        Ok(_) => Vec::new(),
        Err(trouble) => return Err(session.trouble(trouble, &about)),
    };
    let back = wait(session, &rows, Some(BACK_MAX), Span::ZERO, None)?;
    session.result(planned, Outcome { applied: false, rolled_back: true, missing });
    if let Waited::Missing(still) = back {
        for one in &still {
            let Missing { name, why, .. } = one;
            session.world.say(&format!("{name}: is not back: {}", printable(why)));
        }
    }
    Err(Exit::Failed)
}

/// Waits until all are up, one has failed, or the time is over. Without a time none of them is waited for that
/// has failed.
fn wait(
    session: &mut Session<'_, '_>,
    rows: &[PlanRow],
    limit: Option<Duration>,
    steady: Span,
    signals: Option<&SignalFd>,
) -> Result<Waited, Exit> {
    let awaited = awaited(rows);
    let until = limit.map(|limit| Instant::now() + limit);
    let mut client = session.client()?;
    let list = Call::List(None, Listed::Own);
    let about = About::of(&list);
    loop {
        let views = match client.ask(list.clone()) {
            Ok(Answer::Instances(views)) => views,
            Ok(_) => Vec::new(),
            Err(trouble) => return Err(session.trouble(trouble, &about)),
        };
        let met: Vec<(&Awaited, Met)> =
            awaited.iter().map(|one| (one, one.met(&views, steady))).collect();
        let waits = met.iter().any(|(_, met)| matches!(met, Met::NotYet));
        let failed = met.iter().any(|(_, met)| matches!(met, Met::Failed));
        let late = until.is_some_and(|until| Instant::now() >= until);
        if !waits || late || (failed && limit.is_some()) {
            let missing = met.into_iter().filter(|(_, met)| match met {
                Met::Up => false,
                Met::Failed => true,
                Met::NotYet => late,
            });
            let missing: Vec<Missing> =
                missing.map(|(one, met)| one.missing(session, &met)).collect();
            return Ok(if missing.is_empty() { Waited::Up } else { Waited::Missing(missing) });
        }
        if signals.is_some_and(|signals| !signals.take().is_empty()) {
            return Ok(Waited::Interrupted);
        }
        std::thread::sleep(LOOK);
    }
}

/// Returns what is to be up.
fn awaited(rows: &[PlanRow]) -> Vec<Awaited> {
    let rows = rows.iter().filter(|row| is_step(row) || row.kind == RowKind::Essential);
    let of_row = |row: &PlanRow| {
        let job = row.job.clone().unwrap_or_default();
        let wanted = row.instances.iter().filter(|one| match one.fate {
            Fate::Starts | Fate::Restarts => true,
            Fate::GoesOn => row.kind == RowKind::Essential,
            Fate::Stops | Fate::Waits | Fate::Rests => false,
        });
        let one = |one: &engine::plan::FateView| Awaited {
            job: job.clone(),
            instance: one.instance.clone().unwrap_or_default(),
            before: one.pid,
        };
        wanted.map(one).collect::<Vec<Awaited>>()
    };
    rows.flat_map(of_row).collect()
}

impl Awaited {
    fn met(&self, views: &[InstanceView], steady: Span) -> Met {
        let own =
            |view: &&InstanceView| *view.job.text() == self.job && view.instance == self.instance;
        let Some(view) = views.iter().find(own) else { return Met::Failed };
        let main = view.processes.iter().find(|(role, _)| *role == Role::Main).map(|(_, pid)| *pid);
        let another = main.is_none() || main != self.before;
        match (view.goal, view.state) {
            (Goal::Start, State::Running) if another && view.since >= steady => Met::Up,
            (Goal::Stop, State::Waiting) => match &view.last_exit {
                // A task that has done its work.
                Some((LastExit::Ended { exit: engine::process::Exit::Status(0), .. }, _)) => {
                    Met::Up
                }
                Some(_) | None => Met::Failed,
            },
            (_, _) => Met::NotYet,
        }
    }

    fn missing(&self, session: &mut Session<'_, '_>, met: &Met) -> Missing {
        let which = Which::Named(self.instance.clone());
        let target = Target { job: self.job.clone(), which };
        let which = Which::Env(Vec::new());
        let of_job = Target { job: self.job.clone(), which };
        let asked = if self.instance.text().is_empty() { of_job } else { target };
        let why = session.client().ok().and_then(|mut client| {
            match client.ask(Call::Why(asked.clone())).ok()? {
                Answer::Why(view) => Some(view),
                _ => None,
            }
        });
        let why = why.map_or_else(
            || String::from("it is not known any more"),
            |view| match met {
                Met::NotYet if !view.status.waits_for.is_empty() => {
                    format!("not ready in time: it waits for {}", view.status.waits_for)
                }
                Met::NotYet => format!("not ready in time: {}", view.verdict),
                Met::Up | Met::Failed => view.verdict.clone(),
            },
        );
        let name = match self.instance.text().is_empty() {
            true => self.job.lossy().into_owned(),
            false => format!("{} ({})", self.job, self.instance.text()),
        };
        Missing { name: printable(&name), why, output: output(session, &asked) }
    }
}

/// How an apply ended.
struct Outcome<'a> {
    applied: bool,
    rolled_back: bool,
    missing: &'a [Missing],
}

impl Session<'_, '_> {
    /// Says how it ended.
    fn result(&mut self, planned: &Planned, outcome: Outcome<'_>) {
        let Outcome { applied, rolled_back, missing } = outcome;
        if self.form == Form::Json {
            let mut value = planned.to_json();
            let missing: Vec<Value> = missing.iter().map(Missing::to_json).collect();
            let ends = [
                ("applied", json!(applied)),
                ("rolled_back", json!(rolled_back)),
                ("not_ready", json!(missing)),
            ];
            for (name, end) in ends {
                value.as_object_mut().into_iter().for_each(|all| {
                    all.insert(name.into(), end.clone());
                });
            }
            self.world.print(&format!("{value}\n"));
            return;
        }
        for one in missing {
            self.world.say(&format!("{}: is not ready: {}", one.name, printable(&one.why)));
            if let Some(output) = &one.output {
                self.world.say("The last that it wrote:");
                for line in output.lossy().lines() {
                    self.world.say(&format!("  | {}", printable(line)));
                }
            }
        }
        if rolled_back {
            self.world
                .say("Rolled back: the files are as they were, and what they say is in force.");
        } else if applied && missing.is_empty() {
            self.world.print("Done: it is in force, and what was started or restarted is up.\n");
        } else if applied {
            self.world
                .say("It is in force all the same; --rollback-after would have taken it back.");
        }
    }
}

impl Missing {
    fn to_json(&self) -> Value {
        let mut value = json!({ "job": self.name, "why": self.why });
        if let (Some(output), Some(all)) = (&self.output, value.as_object_mut()) {
            all.insert("output".into(), json!(output.lossy()));
        }
        value
    }
}
