//! `upright status`: one line for each instance.

use super::{text, tree, Exit, Form, Session};
use clap::ArgMatches;
use engine::control::answer::{Answer, Version};
use engine::control::call::{Call, Listed};
use engine::intent::Intent;
use engine::machine::state::{Goal, State};
use engine::process::{Exit as End, Role};
use engine::text::Text;
use engine::view::{InstanceView, LastExit};
use shown::words::{end, printable, time};

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
    let call = Call::List(job, listed);
    let Some(Answer::Instances(views)) = session.ask_in_words(call)? else { return Ok(()) };
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
    Ok(())
}

pub(super) fn version(session: &mut Session<'_, '_>, _: &ArgMatches) -> Result<(), Exit> {
    if session.form == Form::Words {
        let own = env!("CARGO_PKG_VERSION");
        session.world.print(&format!("command line: upright {own}\n"));
    }
    if let Some(Answer::Version(version)) = session.ask_in_words(Call::Version)? {
        let Version { product, version, compatible, pid } = version;
        let line =
            format!("running: {product} {version}, in place of {compatible}, process {pid}\n");
        session.world.print(&line);
    }
    Ok(())
}

/// Returns the instances in columns. The last column has no padding behind it.
pub(super) fn table(views: &[InstanceView], colours: bool) -> String {
    let rows: Vec<[String; 7]> = views.iter().map(row).collect();
    let mut widths = COLUMNS.map(str::len);
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let mut out = line(&COLUMNS.map(String::from), &widths, None);
    for (row, view) in rows.iter().zip(views) {
        out += &line(row, &widths, colours.then(|| colour(view)));
    }
    out
}

fn line(cells: &[String; 7], widths: &[usize; 7], colour: Option<&str>) -> String {
    let mut out = String::new();
    for (place, (cell, width)) in cells.iter().zip(widths).enumerate() {
        let pad = " ".repeat(width.saturating_sub(cell.chars().count()) + 2);
        match colour {
            Some(colour) if place == STATE => out += &format!("{colour}{cell}\x1b[0m{pad}"),
            Some(_) | None => out += &format!("{cell}{pad}"),
        }
    }
    out.truncate(out.trim_end().len());
    out.push('\n');
    out
}

fn row(view: &InstanceView) -> [String; 7] {
    let at_rest = view.goal == Goal::Stop && view.state == State::Waiting;
    let pid = view.processes.first().map_or(String::from("-"), |(role, pid)| match role {
        Role::Main => pid.to_string(),
        Role::PreStart
        | Role::PostStart
        | Role::PreStop
        | Role::PostStop
        | Role::Security
        | Role::Check => {
            format!("{pid} ({role})")
        }
    });
    [
        printable(&view.job.with_instance(&view.instance)),
        format!("{}/{}", view.goal, view.state),
        pid,
        if at_rest { String::from("-") } else { time(view.since) },
        view.respawns.to_string(),
        view.last_exit
            .as_ref()
            .map_or(String::from("-"), |(exit, ago)| format!("{}, {} ago", end(exit), time(*ago))),
        match (view.waits_for.is_empty(), &view.intended) {
            (false, _) => printable(&view.waits_for),
            (true, Some(intended)) if at_rest => match intended.intent {
                Intent::Disabled => String::from("enable, or start (it is disabled)"),
                Intent::Stopped => String::from("start (it is stopped for good)"),
                Intent::Masked => String::from("unmask (it is masked)"),
            },
            (true, Some(_) | None) => String::from("-"),
        },
    ]
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
