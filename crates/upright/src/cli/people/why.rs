//! `upright why`: what a job waits for, what happened to it, who asked.

use super::words::{end, printable, time};
use super::{target, Exit, Session};
use clap::ArgMatches;
use engine::control::answer::Answer;
use engine::control::call::Call;
use engine::machine::state::{Goal, State};
use engine::view::WhyView;

pub(super) fn why(session: &mut Session<'_, '_>, matches: &ArgMatches) -> Result<(), Exit> {
    let target = target(session, matches)?;
    if let Some(Answer::Why(view)) = session.ask_in_words(Call::Why(target))? {
        let told = tell(&view);
        session.world.print(&told);
    }
    Ok(())
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
    out.push('\n');
    if !status.waits_for.is_empty() {
        out += &format!("It waits for {}.\n", printable(&status.waits_for));
    }
    if let Some((exit, ago)) = &status.last_exit {
        out += &format!("Its last run ended {} ago: {}.\n", time(*ago), end(exit));
    }
    match status.respawns {
        0 => {}
        1 => out += "It was started again once.\n",
        times => out += &format!("It was started again {times} times.\n"),
    }
    for warning in &status.warnings {
        out += &format!("Warning: {}.\n", printable(warning.trim_end_matches('.')));
    }
    list(&mut out, "It starts by itself on", &view.start_on);
    list(&mut out, "It stops by itself on", &view.stop_on);
    list(&mut out, "Waiting for it", &view.waiters);
    if view.history.is_empty() {
        out += "Nothing has happened to it yet.\n";
    } else {
        out += "What happened:\n";
    }
    let ages: Vec<String> = view.history.iter().map(|row| time(row.ago)).collect();
    let width = ages.iter().map(String::len).max().unwrap_or(0);
    for (row, age) in view.history.iter().zip(ages) {
        let (cause, decision) = (printable(&row.cause), printable(&row.decision));
        match decision.is_empty() {
            true => out += &format!("  {age:>width$} ago  {cause}\n"),
            false => out += &format!("  {age:>width$} ago  {cause}: {decision}\n"),
        }
    }
    out
}

fn list(out: &mut String, head: &str, rows: &[String]) {
    if rows.is_empty() {
        return;
    }
    *out += &format!("{head}:\n");
    for row in rows {
        *out += &format!("  {}\n", printable(row));
    }
}
