//! `upright status`: one line for each instance.

use super::{several, text, tree, About, Exit, Form, Session};
use clap::ArgMatches;
use engine::control::answer::{Answer, Version};
use engine::control::call::{Call, Listed};
use engine::intent::Intent;
use engine::machine::state::{Goal, State};
use engine::process::{Exit as End, Role};
use engine::text::Text;
use engine::view::{InstanceView, LastExit};
use shown::words::{end, printable, push_printable, time};
use std::fmt::Write;

/// The heads of the columns.
const COLUMNS: [&str; 7] = ["JOB", "STATE", "PID", "FOR", "RESTARTS", "LAST RUN", "WAITS FOR"];

/// Which column shows the state, and so has a colour.
const STATE: usize = 1;

/// What `upright status` is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Asked {
    pub(super) job: Option<Text>,
    pub(super) listed: Listed,
    pub(super) form: Form,
    pub(super) socket: Option<Vec<u8>>,
}

/// Reads `upright status` in the forms that leave nothing open; nothing where the whole command line
/// has to be made for it. It is what scripts ask all day, and to make it takes as long as the answer.
pub(super) fn asked_plainly(args: &[Vec<u8>]) -> Option<Asked> {
    let (b"status", args) = args.split_first().map(|(name, args)| (name.as_slice(), args))? else {
        return None;
    };
    let mut asked = Asked { job: None, listed: Listed::Own, form: Form::Words, socket: None };
    let mut args = args.iter().map(Vec::as_slice);
    while let Some(arg) = args.next() {
        match arg {
            b"--json" if asked.form == Form::Words => asked.form = Form::Json,
            b"--all" | b"-a" if asked.listed == Listed::Own => asked.listed = Listed::All,
            b"--socket" if asked.socket.is_none() => {
                let value = args.next().filter(|value| !value.starts_with(b"-"))?;
                asked.socket = Some(value.to_vec());
            }
            [] | [b'-', ..] => return None,
            name if asked.job.is_none() => asked.job = Some(Text::from(name)),
            _ => return None,
        }
    }
    Some(asked)
}

pub(super) fn status(session: &mut Session<'_, '_>, matches: &ArgMatches) -> Result<(), Exit> {
    let listed = if matches.get_flag("all") { Listed::All } else { Listed::Own };
    let draw = if matches.get_flag("tree") { tree::draw } else { table };
    show(session, text(matches, "job"), listed, draw)
}

/// Shows the instances of a job, or of all, as `draw` does with colours or without.
pub(super) fn show(
    session: &mut Session<'_, '_>,
    job: Option<Text>,
    listed: Listed,
    draw: fn(&[InstanceView], bool) -> String,
) -> Result<(), Exit> {
    let views = views(session, job, listed)?;
    if session.form == Form::Json {
        session.world.print(&format!("{}\n", Answer::Instances(views).to_json()));
        return Ok(());
    }
    if views.is_empty() {
        session
            .world
            .say("There is no job. Job files go where `upright up DIR` or --confdir says.");
        return Ok(());
    }
    let shown = draw(&views, session.colours());
    session.world.print(&shown);
    for view in &views {
        for warning in &view.warnings {
            let name = printable(&view.job.with_instance(&view.instance));
            session.world.print(&format!("{name}: warning: {}\n", printable(warning)));
        }
    }
    // The process ends: it gives back everything at once, sooner than value by value.
    std::mem::forget(views);
    Ok(())
}

/// Returns what there is of the job that a word names, of those that it means, or of all.
fn views(
    session: &mut Session<'_, '_>,
    job: Option<Text>,
    listed: Listed,
) -> Result<Vec<InstanceView>, Exit> {
    let call = match &job {
        Some(word) if several::is_pattern(word) => return several::meant(session, word, listed),
        Some(_) | None => Call::List(job.clone(), listed),
    };
    let answer = session.client()?.ask(call.clone());
    match (answer, &job) {
        (Ok(Answer::Instances(views)), _) => Ok(views),
        (Ok(_), _) => Ok(Vec::new()),
        (Err(trouble), Some(word)) => several::of_group(session, word, trouble, &call),
        (Err(trouble), None) => Err(session.trouble(trouble, &About::of(&call))),
    }
}

pub(super) fn version(session: &mut Session<'_, '_>, _: &ArgMatches) -> Result<(), Exit> {
    if session.form == Form::Words {
        let own = env!("CARGO_PKG_VERSION");
        session.world.print(&format!("command line: upright {own}\n"));
    }
    if let Some(Answer::Version(version)) = session.ask_in_words(Call::Version)? {
        let Version { product, version, compatible, pid, given_up } = version;
        let line =
            format!("running: {product} {version}, in place of {compatible}, process {pid}\n");
        session.world.print(&line);
        if let Some(why) = given_up {
            session.world.print(&format!("last upgrade: {why}\n"));
        }
    }
    Ok(())
}

/// Returns the instances in columns. The last column has no padding behind it.
pub(super) fn table(views: &[InstanceView], colours: bool) -> String {
    let mut cells = Cells::default();
    COLUMNS.iter().for_each(|head| cells.add(|cell| cell.push_str(head)));
    views.iter().for_each(|view| row(view, &mut cells));
    cells.lines(|number| views.get(number.checked_sub(1)?).filter(|_| colours).map(colour))
}

/// Cells, row by row, in one text: what has thousands of rows is not to have thousands of strings.
#[derive(Default)]
struct Cells {
    text: String,
    ends: Vec<usize>,
    widths: [usize; COLUMNS.len()],
}

impl Cells {
    fn add(&mut self, write: impl FnOnce(&mut String)) {
        let begin = self.text.len();
        write(&mut self.text);
        let width = self.text.get(begin..).unwrap_or_default().chars().count();
        if let Some(widest) = self.widths.get_mut(self.ends.len() % COLUMNS.len()) {
            *widest = width.max(*widest);
        }
        self.ends.push(self.text.len());
    }

    /// Returns the rows as lines, the state of each in its colour.
    fn lines<'a>(&self, colour: impl Fn(usize) -> Option<&'a str>) -> String {
        let mut out = String::with_capacity(self.text.len() * 2);
        let mut begin = 0;
        for (number, ends) in self.ends.chunks(COLUMNS.len()).enumerate() {
            for (place, (end, width)) in ends.iter().zip(&self.widths).enumerate() {
                let cell = self.text.get(begin..*end).unwrap_or_default();
                begin = *end;
                match colour(number).filter(|_| place == STATE) {
                    Some(colour) => [colour, cell, "\x1b[0m"].map(|part| out.push_str(part)),
                    None => ["", cell, ""].map(|part| out.push_str(part)),
                };
                let pad = width.saturating_sub(cell.chars().count()) + 2;
                out.extend(std::iter::repeat_n(' ', pad));
            }
            out.truncate(out.trim_end_matches(' ').len());
            out.push('\n');
        }
        out
    }
}

fn row(view: &InstanceView, cells: &mut Cells) {
    let at_rest = view.goal == Goal::Stop && view.state == State::Waiting;
    cells.add(|cell| push_printable(cell, &view.job.with_instance(&view.instance)));
    cells.add(|cell| push(cell, format_args!("{}/{}", view.goal, view.state)));
    cells.add(|cell| match view.processes.first() {
        None => cell.push('-'),
        Some((Role::Main, pid)) => push(cell, format_args!("{pid}")),
        Some((
            role @ (Role::PreStart
            | Role::PostStart
            | Role::PreStop
            | Role::PostStop
            | Role::Security
            | Role::Check),
            pid,
        )) => push(cell, format_args!("{pid} ({role})")),
    });
    cells.add(|cell| match at_rest {
        true => cell.push('-'),
        false => cell.push_str(&time(view.since)),
    });
    cells.add(|cell| push(cell, format_args!("{}", view.respawns)));
    cells.add(|cell| match &view.last_exit {
        None => cell.push('-'),
        Some((exit, ago)) => push(cell, format_args!("{}, {} ago", end(exit), time(*ago))),
    });
    cells.add(|cell| match (view.waits_for.is_empty(), &view.intended) {
        (false, _) => push_printable(cell, &view.waits_for),
        (true, Some(intended)) if at_rest => cell.push_str(match intended.intent {
            Intent::Disabled => "enable, or start (it is disabled)",
            Intent::Stopped => "start (it is stopped for good)",
            Intent::Masked => "unmask (it is masked)",
        }),
        (true, Some(_) | None) => cell.push('-'),
    });
}

fn push(cell: &mut String, words: std::fmt::Arguments<'_>) {
    // Into a string everything can be written.
    let _ = cell.write_fmt(words);
}

/// Green: it runs. Red: it does not, and its last run went wrong. Yellow: on its way.
pub(super) fn colour(view: &InstanceView) -> &'static str {
    let went_well = match &view.last_exit {
        None | Some((LastExit::Ended { exit: End::Status(0), .. }, _)) => true,
        Some((LastExit::Ended { .. } | LastExit::NotSpawned { .. }, _)) => false,
    };
    match (view.goal, view.state) {
        (Goal::Start, State::Running) => "\x1b[32m",
        (Goal::Stop, State::Waiting) if went_well => "\x1b[2m",
        (Goal::Stop, State::Waiting) => "\x1b[31m",
        (_, _) => "\x1b[33m",
    }
}
