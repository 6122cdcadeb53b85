//! `upright why`, `why-not` and `history`: what a job waits for, what happened to it, who asked.

use super::log;
use super::origin;
use super::{is_unknown_job, target, why_event, About, Exit, Form, Session};
use clap::ArgMatches;
use engine::control::answer::Answer;
use engine::control::call::Call;
use engine::control::call::Listed;
use engine::intent::Intent;
use engine::machine::request::{Target, Which};
use engine::machine::state::{Goal, State};
use engine::text::Text;
use engine::view::{LastExit, Need, Remembered, RunView, WhyView};
use shown::statusline::status_line;
use shown::words::{end, printable, time};

/// How many lines of output are shown.
const LINES: usize = 8;

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
    if let Some(named) = only_named(session, &target, &view) {
        session.world.print(&named);
        return Ok(());
    }
    let output = output(session, target);
    if session.form == Form::Json {
        let json = Answer::Why(Box::new(view)).to_json();
        session.world.print(&with_output(&json, output.as_ref()));
        return Ok(());
    }
    let mut told = tell(&view);
    if let Some(output) = output.filter(|output| !output.is_empty()) {
        told += "The last that it wrote:\n";
        for line in output.lossy().lines() {
            told += &format!("  | {}\n", printable(line));
        }
    }
    told += &origin::tell(&view);
    session.world.print(&told);
    Ok(())
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
    let shown = match session.form {
        Form::Json => format!("{}\n", Answer::Why(Box::new(view)).to_json()),
        Form::Words => {
            only_named(session, &target, &view).unwrap_or_else(|| decisions("", &view.history))
        }
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

/// Where a job was asked for by its name alone and has instances, all of which have names, shows them:
/// each has a story of its own. A program reads what it asked for.
fn only_named(session: &mut Session<'_, '_>, target: &Target, view: &WhyView) -> Option<String> {
    let unnamed = matches!(&target.which, Which::Env(given) if given.is_empty());
    if !unnamed || view.status.state != State::Waiting || session.form == Form::Json {
        return None;
    }
    let call = Call::List(Some(target.job.clone()), Listed::All);
    let Ok(Answer::Instances(all)) = session.client().ok()?.ask(call) else { return None };
    let named: Vec<_> = all.iter().filter(|one| !one.instance.text().is_empty()).collect();
    let first = named.first()?;
    let job = printable(&view.status.job.to_string());
    let mut out = format!("{job} has instances, and each has a story of its own:\n");
    for one in &named {
        out += &format!("  {}\n", printable(&status_line(one)));
    }
    let instance = printable(&first.instance.to_string());
    Some(out + &format!("`upright why {job} --instance '{instance}'` tells that of the first.\n"))
}

/// Returns the last lines that a job wrote, where the caller may read them.
pub(super) fn output(session: &mut Session<'_, '_>, target: Target) -> Option<Text> {
    log::last(session.client().ok()?, target, LINES)
}

/// Puts the output into the answer's JSON.
fn with_output(json: &str, output: Option<&Text>) -> String {
    let output = output.and_then(|output| serde_json::to_string(output).ok());
    match (output, json.strip_suffix('}')) {
        (Some(output), Some(open)) => format!("{open},\"output\":{output}}}\n"),
        (_, _) => format!("{json}\n"),
    }
}

/// Returns the whole story, in sentences.
fn tell(view: &WhyView) -> String {
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
