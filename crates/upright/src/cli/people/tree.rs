//! `upright status --tree`: which event started what. A job that another job's event started stands
//! below that job.

use super::status::colour;
use engine::machine::state::{Goal, State};
use engine::view::InstanceView;
use shown::statusline::status_line;
use shown::words::printable;
use std::collections::{BTreeMap, BTreeSet};

/// What stands at the root for those that no event started.
const ASKED: &str = "started by hand";

/// What stands at the root for those that do not run.
const AT_REST: &str = "at rest";

/// Where an instance stands.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Place {
    /// Below an event, or one of the two above.
    Root(String),
    /// Below the instance of this number.
    Below(usize),
}

/// Returns the tree, a line for each root and each instance.
pub(super) fn draw(views: &[InstanceView], colours: bool) -> String {
    let mut below: BTreeMap<Place, Vec<usize>> = BTreeMap::new();
    let parents: Vec<Option<usize>> = views.iter().map(|view| parent(views, view)).collect();
    for (number, view) in views.iter().enumerate() {
        let place = match parents.get(number).copied().flatten() {
            Some(parent) if !leads_back(&parents, number) => Place::Below(parent),
            Some(_) | None => Place::Root(root(view)),
        };
        below.entry(place).or_default().push(number);
    }
    let mut out = String::new();
    let is_last = |name: &str| name == ASKED || name == AT_REST;
    let mut roots: Vec<&String> = below
        .keys()
        .filter_map(|place| match place {
            Place::Root(name) => Some(name),
            Place::Below(_) => None,
        })
        .collect();
    roots.sort_by_key(|name| (is_last(name), name.as_str() != ASKED, name.as_str()));
    for name in roots {
        out += &format!("{}\n", printable(name));
        let first = below.get(&Place::Root(name.clone())).map_or(&[][..], Vec::as_slice);
        let mut open: Vec<(String, usize, bool)> = Vec::new();
        push(&mut open, "", first);
        while let Some((indent, number, last)) = open.pop() {
            let Some(view) = views.get(number) else { continue };
            let branch = if last { "└─ " } else { "├─ " };
            out += &line(&format!("{indent}{branch}"), view, colours);
            let further = format!("{indent}{}", if last { "   " } else { "│  " });
            let children = below.get(&Place::Below(number)).map_or(&[][..], Vec::as_slice);
            push(&mut open, &further, children);
        }
    }
    out
}

/// Puts instances onto the stack, so that the first comes off it first.
fn push(open: &mut Vec<(String, usize, bool)>, indent: &str, numbers: &[usize]) {
    for (place, number) in numbers.iter().enumerate().rev() {
        open.push((indent.to_owned(), *number, place + 1 == numbers.len()));
    }
}

fn is_at_rest(view: &InstanceView) -> bool {
    view.goal == Goal::Stop && view.state == State::Waiting
}

fn root(view: &InstanceView) -> String {
    match view.started_by.as_slice() {
        _ if is_at_rest(view) => String::from(AT_REST),
        [] => String::from(ASKED),
        events => events.join(" and "),
    }
}

/// Returns the instance whose event was the last that a start waited for.
fn parent(views: &[InstanceView], view: &InstanceView) -> Option<usize> {
    if is_at_rest(view) {
        return None;
    }
    let job = view.started_by.iter().rev().find_map(|by| by.split_once(' ').map(|(_, job)| job))?;
    let of_job = |other: &InstanceView| other.job.text().bytes() == job.as_bytes();
    views.iter().position(|other| of_job(other) && !is_at_rest(other))
}

/// Reports whether the way up from here comes to where it has been.
fn leads_back(parents: &[Option<usize>], from: usize) -> bool {
    let mut seen = BTreeSet::from([from]);
    let mut at = from;
    while let Some(up) = parents.get(at).copied().flatten() {
        if !seen.insert(up) {
            return true;
        }
        at = up;
    }
    false
}

fn line(indent: &str, view: &InstanceView, colours: bool) -> String {
    let status = printable(&status_line(view));
    let name = printable(&view.job.with_instance(&view.instance));
    let state = status.strip_prefix(&name).unwrap_or(&status).trim_start();
    // Its further processes follow in lines of their own, which a tree has no room for.
    let state = state.lines().next().unwrap_or_default();
    let by = match view.started_by.as_slice() {
        events if events.iter().any(|by| by.contains(' ')) && !is_at_rest(view) => {
            format!("  ({})", printable(&events.join(" and ")))
        }
        _ => String::new(),
    };
    match colours {
        true => format!("{indent}{name}  {}{state}\x1b[0m{by}\n", colour(view)),
        false => format!("{indent}{name}  {state}{by}\n"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use engine::names::{InstanceName, JobName};
    use engine::process::Role;

    fn view(job: &str, started_by: &[&str], state: State) -> InstanceView {
        InstanceView {
            goal: if state == State::Waiting { Goal::Stop } else { Goal::Start },
            state,
            processes: if state == State::Running { vec![(Role::Main, 7)] } else { Vec::new() },
            started_by: started_by.iter().map(|by| String::from(*by)).collect(),
            ..InstanceView::at_rest(JobName::try_from(job).unwrap(), InstanceName::default())
        }
    }

    #[test]
    fn what_an_event_started_stands_below_it_and_below_the_job_whose_event_it_was() {
        let views = [
            view("batch", &[], State::Running),
            view("db", &["startup"], State::Running),
            view("getty", &["filesystem", "runlevel"], State::PreStart),
            view("old", &["startup"], State::Waiting),
            view("web", &["started db"], State::Running),
            view("worker", &["runlevel", "started web"], State::Running),
            view("zap", &["startup"], State::Running),
        ];
        assert_eq!(
            draw(&views, false),
            "filesystem and runlevel
└─ getty  start/pre-start
startup
├─ db  start/running, process 7
│  └─ web  start/running, process 7  (started db)
│     └─ worker  start/running, process 7  (runlevel and started web)
└─ zap  start/running, process 7
started by hand
└─ batch  start/running, process 7
at rest
└─ old  stop/waiting
"
        );
    }

    #[test]
    fn jobs_that_started_each_other_and_jobs_that_are_gone_are_no_trouble() {
        let views = [
            view("a", &["started b"], State::Running),
            view("b", &["stopped a"], State::Running),
            view("c", &["started gone"], State::Running),
        ];
        let drawn = draw(&views, false);
        assert!(
            drawn.contains("started gone\n└─ c") && drawn.matches("start/running").count() == 3,
            "{drawn}"
        );
    }
}
