//! `upright why EVENT`: whom an event starts and stops, whom it waits for, when it last came.

use super::{Exit, Form, Session};
use crate::cli::client::Enough;
use engine::control::answer::Answer;
use engine::control::call::{Call, Follow, Listed};
use engine::dialect::upstart::show;
use engine::machine::request::{Target, Which};
use engine::machine::{self, EMITTED};
use engine::spec::{Condition, Node};
use engine::text::Text;
use engine::time::Span;
use engine::view::{InstanceView, JobView, Need, WhyView};
use serde_json::json;
use shown::words::{printable, time};

/// How many jobs are asked whether they keep an event.
const ASKED_MAX: usize = 64;

/// What is known of an event.
struct Known {
    starts: Vec<(String, String)>,
    stops: Vec<(String, String)>,
    /// Who waits for it, in words.
    held: Vec<String>,
    /// When it last finished, and its variables.
    last: Option<(Span, Vec<Text>)>,
    /// When Upright itself emits it.
    emitted: Option<&'static str>,
}

/// Tells of an event. Reports whether anybody knows it.
pub(super) fn tell(session: &mut Session<'_, '_>, event: &Text) -> Result<bool, Exit> {
    let Answer::Jobs(jobs) = session.ask(Call::ShowConfig(None))? else { return Ok(false) };
    let Answer::Instances(views) = session.ask(Call::List(None, Listed::Own))? else {
        return Ok(false);
    };
    let row = EMITTED.iter().find(|row| *event == *row.name);
    let named = |pick: fn(&JobView) -> Option<&Condition>| {
        let on = |job: &JobView| {
            let condition = pick(job).filter(|condition| mentions(condition, event))?;
            Some((state(job, &views), show::condition(condition).lossy().into_owned()))
        };
        jobs.iter().filter_map(on).collect()
    };
    let held = views.iter().filter(|view| waits(view, event)).map(|view| {
        format!("{} waits for {}", view.job.with_instance(&view.instance), view.waits_for)
    });
    let held = held.chain(kept(session, &jobs, event)?).collect();
    let mut known = Known {
        starts: named(|job| job.start_on.as_ref()),
        stops: named(|job| job.stop_on.as_ref()),
        held,
        last: None,
        emitted: row.map(|row| row.when),
    };
    known.last = last(session, event)?;
    let nobody = known.starts.is_empty() && known.stops.is_empty() && known.held.is_empty();
    if nobody && known.last.is_none() && known.emitted.is_none() {
        return Ok(false);
    }
    let told = match session.form {
        Form::Words => words(&event.lossy(), &known),
        Form::Json => as_json(&event.lossy(), &known),
    };
    session.world.print(&told);
    Ok(true)
}

fn mentions(condition: &Condition, event: &Text) -> bool {
    condition.nodes.iter().any(|node| match node {
        Node::Event(operand) => operand.event.text() == event,
        Node::And | Node::Or => false,
    })
}

/// Names a job with the state that it is in.
fn state(job: &JobView, views: &[InstanceView]) -> String {
    let of_job = views.iter().find(|view| view.job == job.name);
    match of_job {
        Some(view) => format!("{} ({}/{})", job.name, view.goal, view.state),
        None => job.name.to_string(),
    }
}

/// Reports whether an instance is held by an event of this name.
fn waits(view: &InstanceView, event: &Text) -> bool {
    let name =
        view.waits_for.strip_prefix("event ").and_then(|words| words.split([' ', ',']).next());
    name.is_some_and(|name| *event == *name)
}

/// Returns what keeps the event from its end, in words: jobs that it started or stopped and that are not at
/// rest yet, and those that have seen it while the rest of a condition has not come. Source: spec 5.2.
fn kept(
    session: &mut Session<'_, '_>,
    jobs: &[JobView],
    event: &Text,
) -> Result<Vec<String>, Exit> {
    let on = |on: &Option<Condition>| on.as_ref().is_some_and(|on| mentions(on, event));
    let asked = jobs.iter().filter(|job| on(&job.start_on) || on(&job.stop_on));
    let waited_for = format!("event {}", event.lossy());
    let is_event = |row: &String| {
        row.strip_prefix(&*waited_for).is_some_and(|rest| rest.is_empty() || rest.starts_with(' '))
    };
    let mut kept = Vec::new();
    for job in asked.take(ASKED_MAX) {
        let which = Which::Env(Vec::new());
        let target = Target { job: job.name.text().clone(), which };
        // Who may not look at a job is not told of it.
        let asked = session.client_aside().map(|mut client| client.ask(Call::Why(target)));
        let Some(Ok(Answer::Why(why))) = asked else { continue };
        if why.waiters.iter().any(is_event) {
            kept.push(waits_for_job(&why));
        }
        for (on, needs) in [("start on", &why.start_on), ("stop on", &why.stop_on)] {
            let by = |need: &Need| {
                need.by.as_deref().and_then(|by| by.split(' ').next()) == event.utf8()
            };
            if !needs.iter().any(|need| need.met && by(need)) {
                continue;
            }
            let missing: Vec<&str> =
                leaves(needs).filter(|need| !need.met).map(|need| &*need.words).collect();
            kept.push(format!("{} keeps it, as its `{on}` lacks {}", job.name, missing.join(", ")));
        }
    }
    Ok(kept)
}

/// Says of a job that an event waits until it is at rest, and what that is waiting for.
fn waits_for_job(why: &WhyView) -> String {
    let InstanceView { job, goal, state, waits_for, .. } = &why.status;
    match waits_for.is_empty() {
        // A task that runs: nothing of it is held.
        true => format!("it waits for {job} to end ({goal}/{state})"),
        false => format!("it waits for {job} ({goal}/{state}), which waits for {waits_for}"),
    }
}

/// Returns the events of a drawn condition: what nothing stands below.
fn leaves(needs: &[Need]) -> impl Iterator<Item = &Need> {
    let next = needs.iter().skip(1).map(Some).chain([None]);
    needs.iter().zip(next).filter_map(|(need, next)| match next {
        Some(next) if next.depth > need.depth => None,
        Some(_) | None => Some(need),
    })
}

/// Looks for the event among what has happened lately.
fn last(session: &mut Session<'_, '_>, event: &Text) -> Result<Option<(Span, Vec<Text>)>, Exit> {
    let mut last = None;
    let seen = session.client()?.events(Some(0), Follow::Off, |notice| {
        if let (machine::Notice::Event { name, env, .. }, Some(age)) = (notice.what, notice.age) {
            if name.text() == event {
                last = Some((age, env));
            }
        }
        Enough::No
    });
    let about = super::About::of(&Call::Events(Some(0), Follow::Off));
    seen.map_err(|trouble| session.trouble(trouble, &about))?;
    Ok(last)
}

fn words(event: &str, known: &Known) -> String {
    let mut out = format!("{} is an event, and no job.\n", printable(event));
    if let Some(when) = known.emitted {
        out += &format!("Upright emits it when {when}.\n");
    }
    match &known.last {
        Some((age, env)) => {
            let env: Vec<String> = env.iter().map(|row| printable(&row.lossy())).collect();
            let env = if env.is_empty() { String::new() } else { format!(": {}", env.join(" ")) };
            out += &format!("It last came to its end {} ago{env}.\n", time(*age));
        }
        None if known.held.is_empty() => out += "It has not come lately.\n",
        None => {}
    }
    if !known.held.is_empty() {
        out += "It is on its way:\n";
        known.held.iter().for_each(|row| out += &format!("  {}\n", printable(row)));
    }
    for (head, rows) in [("It starts", &known.starts), ("It stops", &known.stops)] {
        if rows.is_empty() {
            continue;
        }
        out += &format!("{head}, alone or with others:\n");
        for (job, condition) in rows {
            out += &format!("  {}: on {}\n", printable(job), printable(condition));
        }
    }
    if known.starts.is_empty() && known.stops.is_empty() {
        out += "No job starts or stops on it.\n";
    }
    out
}

fn as_json(event: &str, known: &Known) -> String {
    let rows = |rows: &[(String, String)]| -> Vec<serde_json::Value> {
        rows.iter().map(|(job, on)| json!({ "job": job, "on": on })).collect()
    };
    let last = known.last.as_ref().map(|(age, env)| {
        let env: Vec<String> = env.iter().map(|row| row.lossy().into_owned()).collect();
        json!({ "age": age.0 / 1_000_000, "env": env })
    });
    let all = json!({
        "event": event,
        "emitted_when": known.emitted,
        "last": last,
        "held": known.held,
        "starts": rows(&known.starts),
        "stops": rows(&known.stops),
    });
    format!("{all}\n")
}
