//! `upright why`, `why-not` and `history`: what a job waits for, what happened to it, who asked.

use super::log::{self, Last};
use super::{is_unknown_job, ondisk, origin, target, why_event, About, Exit, Form, Session};
use clap::ArgMatches;
use engine::control::answer::Answer;
use engine::control::call::{Call, Listed};
use engine::intent::Intent;
use engine::machine::request::{Target, Which};
use engine::machine::state::{Goal, State};
use engine::process::Stream;
use engine::text::Text;
use engine::time::Span;
use engine::view::{InstanceView, LastExit, Need, Remembered, RunView, WhyView};
use shown::statusline::status_line;
use shown::words::{end, printable, time};

/// How many lines of output are shown.
const LINES: usize = 8;

/// How many instances are named where none was.
const INSTANCES_MAX: usize = 10;

/// How much a file's clock may differ from that of the history.
const SLACK: Span = Span::secs(2);

pub(super) fn why(session: &mut Session<'_, '_>, matches: &ArgMatches) -> Result<(), Exit> {
    let target = target(session, matches)?;
    let call = Call::Why(target.clone());
    let about = About::of(&call);
    // The connection is over before another one is made.
    let asked = session.client()?.ask(call);
    let view = match asked {
        Ok(Answer::Why(view)) => *view,
        Ok(_) => return Ok(()),
        Err(trouble) => {
            if is_unknown_job(&trouble) && why_event::tell(session, &target.job)? {
                return Ok(());
            }
            return Err(session.trouble(trouble, &about));
        }
    };
    let (target, view) = match only(session, &target, &view)? {
        Instances::None => (target, view),
        Instances::One(target, view) => (target, *view),
        Instances::Several(names) if session.form == Form::Words => {
            session.world.print(&(several(&view, &names) + &origin::tell(&view)));
            return Ok(());
        }
        Instances::Several(_) => (target, view),
    };
    let written = written(session, &target);
    let disk = ondisk::tell(&view);
    if session.form == Form::Json {
        let json = Answer::Why(Box::new(view)).to_json();
        session.world.print(&with_facts(&json, &written, disk.as_deref()));
        return Ok(());
    }
    let told = tell(&view, disk.as_deref()) + &quoted(&written, &view) + &origin::tell(&view);
    session.world.print(&told);
    Ok(())
}

/// The instances that a job without variables in the question has.
enum Instances {
    /// None with a name.
    None,
    One(Target, Box<WhyView>),
    Several(Vec<InstanceView>),
}

/// Where a job runs as instances and none was named: returns the only one, or all of them.
fn only(session: &mut Session<'_, '_>, target: &Target, view: &WhyView) -> Result<Instances, Exit> {
    let unnamed = matches!(&target.which, Which::Env(env) if env.is_empty());
    if !unnamed || !view.status.instance.text().is_empty() || !view.history.is_empty() {
        return Ok(Instances::None);
    }
    let list = Call::List(Some(target.job.clone()), Listed::Own);
    let asked = session.client_aside().map(|mut client| client.ask(list));
    let Some(Ok(Answer::Instances(views))) = asked else { return Ok(Instances::None) };
    let views: Vec<InstanceView> =
        views.into_iter().filter(|view| !view.instance.text().is_empty()).collect();
    let [one] = views.as_slice() else {
        return Ok(if views.is_empty() { Instances::None } else { Instances::Several(views) });
    };
    let target = Target { which: Which::Named(one.instance.clone()), ..target.clone() };
    match ask(session, &target)? {
        Some(view) => Ok(Instances::One(target, Box::new(view))),
        None => Ok(Instances::None),
    }
}

/// Names the instances of a job, each with what asks for it.
fn several(view: &WhyView, instances: &[InstanceView]) -> String {
    let job = printable(&view.status.job.text().lossy());
    let mut out = format!("{job} has {} instances, each with its own answer:\n", instances.len());
    for one in instances.iter().take(INSTANCES_MAX) {
        let (line, name) = (status_line(one), printable(&one.instance.text().lossy()));
        let state = printable(line.lines().next().unwrap_or_default());
        out += &format!("  {state}: `upright why {job} --instance {name}`\n");
    }
    match instances.len().checked_sub(INSTANCES_MAX) {
        None | Some(0) => {}
        Some(more) => out += &format!("  and {more} more: `upright status {job}`\n"),
    }
    needs(&mut out, "One more starts by itself on", &view.start_on);
    out
}

/// What a job wrote last.
struct Written {
    output: Option<Last>,
    /// To standard error, where that has a log of its own.
    errors: Option<Last>,
}

fn written(session: &Session<'_, '_>, target: &Target) -> Written {
    let last = |of| log::last(session.client_aside()?, target.clone(), of, LINES);
    Written { output: last(Stream::Stdout), errors: last(Stream::Stderr) }
}

/// Shows the last lines, and whether the last run has written any of them.
fn quoted(written: &Written, view: &WhyView) -> String {
    let mut out = String::new();
    let heads = [
        ("The last that it wrote", &written.output),
        ("The last that it wrote to standard error", &written.errors),
    ];
    for (head, last) in heads {
        let Some(last) = last.as_ref().filter(|last| !last.lines.is_empty()) else { continue };
        match (last.ago, begun(view)) {
            (Some(ago), Some(begun)) if ago.0 > begun.0.saturating_add(SLACK.0) => {
                out += &format!("{head}, {} ago, which is before its last run:\n", time(ago));
            }
            (Some(ago), None) => {
                out += &format!("{head}, {} ago, before all that is remembered:\n", time(ago));
            }
            (_, _) => out += &format!("{head}:\n"),
        }
        for line in last.lines.lossy().lines() {
            out += &format!("  | {}\n", printable(line));
        }
    }
    out
}

/// Returns how long ago the last run began, as far as that is remembered.
fn begun(view: &WhyView) -> Option<Span> {
    let of_run = |run: &RunView| Span(run.ago.0.saturating_add(run.lasted.unwrap_or_default().0));
    let first = view.history.first().map(|row| row.ago);
    match (view.status.processes.is_empty(), view.runs.last()) {
        // What runs now may have begun at any time since what is remembered first.
        (false, _) | (true, None) => first,
        (true, Some(run)) => Some(of_run(run)),
    }
}

/// Tells what must still happen for a job to start.
pub(super) fn why_not(session: &mut Session<'_, '_>, matches: &ArgMatches) -> Result<(), Exit> {
    let target = target(session, matches)?;
    let Some(view) = ask(session, &target)? else { return Ok(()) };
    let shown = match session.form {
        Form::Json => format!("{}\n", Answer::Why(Box::new(view)).to_json()),
        Form::Words => missing(&view) + &origin::tell(&view),
    };
    session.world.print(&shown);
    Ok(())
}

/// Shows the decisions about a job that are remembered.
pub(super) fn history(session: &mut Session<'_, '_>, matches: &ArgMatches) -> Result<(), Exit> {
    let target = target(session, matches)?;
    let Some(view) = ask(session, &target)? else { return Ok(()) };
    let shown = match (only(session, &target, &view)?, session.form) {
        (Instances::One(_, view), Form::Json) => format!("{}\n", Answer::Why(view).to_json()),
        (_, Form::Json) => format!("{}\n", Answer::Why(Box::new(view)).to_json()),
        (Instances::None, Form::Words) => decisions("", &view.history),
        (Instances::One(_, view), Form::Words) => decisions("", &view.history),
        (Instances::Several(names), Form::Words) => several(&view, &names),
    };
    session.world.print(&shown);
    Ok(())
}

fn ask(session: &mut Session<'_, '_>, target: &Target) -> Result<Option<WhyView>, Exit> {
    match session.ask(Call::Why(target.clone()))? {
        Answer::Why(view) => Ok(Some(*view)),
        _ => Ok(None),
    }
}

/// Returns the last lines that a job wrote, where the caller may read them: those of its standard error,
/// where that has a log of its own and something in it.
pub(super) fn output(session: &mut Session<'_, '_>, target: &Target) -> Option<Text> {
    let Written { output, errors } = written(session, target);
    let errors = errors.filter(|last| !last.lines.is_empty());
    errors.or(output).map(|last| last.lines)
}

/// Puts what the daemon does not know into the answer's JSON.
fn with_facts(json: &str, written: &Written, disk: Option<&str>) -> String {
    let lines = |last: &Option<Last>| {
        last.as_ref().and_then(|last| serde_json::to_string(&last.lines).ok())
    };
    let facts = [
        ("output", lines(&written.output)),
        ("errors", lines(&written.errors)),
        ("on_disk", disk.and_then(|words| serde_json::to_string(words).ok())),
    ];
    let Some(open) = json.strip_suffix('}') else { return format!("{json}\n") };
    let mut out = String::from(open);
    for (name, value) in facts {
        out += &value.map_or_else(String::new, |value| format!(",\"{name}\":{value}"));
    }
    out + "}\n"
}

/// Returns the whole story, in sentences.
fn tell(view: &WhyView, disk: Option<&str>) -> String {
    let status = &view.status;
    let name = printable(&status.job.with_instance(&status.instance));
    let since = time(status.since);
    let mut out = match (status.goal, status.state) {
        (Goal::Start, State::Running) => format!("{name} has been running for {since}."),
        (Goal::Stop, State::Waiting) => format!("{name} does not run."),
        (Goal::Start, state) => format!("{name} is starting: in state {state} for {since}."),
        (Goal::Stop, state) => format!("{name} is stopping: in state {state} for {since}."),
    };
    for (role, pid) in &status.processes {
        out += &format!(" Its {role} process is {pid}.");
    }
    out += &format!("\nWhy: {}.\n", printable(&view.verdict));
    if let Some(disk) = disk {
        out += &format!("On the disk: {disk}.\n");
    }
    if !status.waits_for.is_empty() {
        out += &format!("It waits for {}.\n", printable(&status.waits_for));
    }
    if !view.ring.is_empty() {
        out += "These wait for each other, and none of them goes on by itself:\n";
        view.ring.iter().for_each(|link| out += &format!("  {}\n", printable(link)));
    }
    match status.respawns {
        0 => {}
        1 => out += "It was started again once.\n",
        times => out += &format!("It was started again {times} times.\n"),
    }
    for warning in &status.warnings {
        out += &format!("Warning: {}.\n", printable(warning.trim_end_matches('.')));
    }
    runs(&mut out, view);
    needs(&mut out, "It starts by itself on", &view.start_on);
    needs(&mut out, "It stops by itself on", &view.stop_on);
    if !view.waiters.is_empty() {
        out += "Waiting for it:\n";
        view.waiters.iter().for_each(|row| out += &format!("  {}\n", printable(row)));
    }
    out + &decisions("What happened:\n", &view.history)
}

fn runs(out: &mut String, view: &WhyView) {
    let told = |run: &RunView| {
        let RunView { ago, lasted, exit, note } = run;
        let lasted = lasted.map_or_else(String::new, |lasted| format!(" after {}", time(lasted)));
        let note = if note.is_empty() { String::new() } else { format!(" ({})", printable(note)) };
        format!("{} ago: {}{lasted}{note}", time(*ago), end(exit))
    };
    match (view.runs.as_slice(), &view.status.last_exit) {
        ([], None) => {}
        ([], Some((exit, ago))) => *out += &last(exit, &time(*ago)),
        ([run], _) => *out += &format!("Its last run ended {}.\n", told(run)),
        (all, _) => {
            *out += "Its last runs ended:\n";
            all.iter().for_each(|run| *out += &format!("  {}\n", told(run)));
        }
    }
}

fn last(exit: &LastExit, ago: &str) -> String {
    format!("Its last run ended {ago} ago: {}.\n", end(exit))
}

/// Draws a condition: a box for each line, ticked where it has come true.
fn needs(out: &mut String, head: &str, needs: &[Need]) {
    if needs.is_empty() {
        return;
    }
    *out += &format!("{head}:\n");
    for need in needs {
        let Need { depth, words, met, by, note } = need;
        let tick = if *met { 'x' } else { ' ' };
        // Bounded: a file may nest deeper than a terminal is wide.
        let width = 2 + 2 * (*depth).min(20) as usize;
        *out += &format!("{:width$}[{tick}] {}", "", printable(words));
        match by {
            Some(by) if by != words => *out += &format!(" (by {})", printable(by)),
            Some(_) => {}
            None if !note.is_empty() => *out += &format!(" ({})", printable(note)),
            None => {}
        }
        out.push('\n');
    }
}

fn decisions(head: &str, history: &[Remembered]) -> String {
    if history.is_empty() {
        return String::from("Nothing has happened to it yet.\n");
    }
    let mut out = String::from(head);
    let ages: Vec<String> = history.iter().map(|row| time(row.ago)).collect();
    let width = ages.iter().map(String::len).max().unwrap_or(0);
    for (row, age) in history.iter().zip(ages) {
        let (cause, decision) = (printable(&row.cause), printable(&row.decision));
        match decision.is_empty() {
            true => out += &format!("  {age:>width$} ago  {cause}\n"),
            false => out += &format!("  {age:>width$} ago  {cause}: {decision}\n"),
        }
    }
    out
}

/// Tells what a job lacks to run, and what to do about it.
fn missing(view: &WhyView) -> String {
    let status = &view.status;
    let name = printable(&status.job.with_instance(&status.instance));
    match (status.goal, status.state) {
        (Goal::Start, State::Running) => return format!("{name} runs.\n"),
        (Goal::Start, _) => {
            let mut out = format!("{name} is being started.\n");
            out += &format!("It waits for {}.\n", printable(&status.waits_for));
            view.ring.iter().for_each(|link| out += &format!("  {}\n", printable(link)));
            return out;
        }
        (Goal::Stop, _) => {}
    }
    let mut out = format!("{name} does not run: {}.\n", printable(&view.verdict));
    if !status.waits_for.is_empty() {
        out += &format!("It is still stopping, and waits for {}.\n", printable(&status.waits_for));
    }
    if view.start_on.is_empty() {
        out += "Nothing starts it by itself.\n";
    }
    needs(&mut out, "It starts by itself when this has come true", &view.start_on);
    if !view.ring.is_empty() {
        out += "That cannot come by itself, for these wait for each other:\n";
        view.ring.iter().for_each(|link| out += &format!("  {}\n", printable(link)));
    }
    if status.intended.is_none_or(|intended| intended.intent != Intent::Masked) {
        out += &format!("`upright start {name}` starts it now.\n");
    }
    out
}
