//! The picture as nodes and lines between them, before anybody thinks of where they stand.

use crate::statusline::status_line;
use crate::words::printable;
use engine::dialect::upstart::show::argument;
use engine::glob;
use engine::machine::state::{Goal, State};
use engine::process::Exit as End;
use engine::spec::{Arg, Condition, Node as Term, Operand};
use engine::view::{InstanceView, JobView, LastExit};
use std::collections::{BTreeMap, BTreeSet};

/// A longer name is cut in the picture.
const LABEL_MAX: usize = 40;

/// What a job emits of itself.
const OF_JOBS: [&[u8]; 4] = [b"starting", b"started", b"stopping", b"stopped"];

/// The whole picture.
#[derive(Default)]
pub struct Graph {
    /// What is drawn as a shape.
    pub nodes: Vec<Node>,
    /// What is drawn as an arrow.
    pub lines: Vec<Line>,
}

/// A shape.
pub struct Node {
    /// The whole name of what it is.
    pub name: String,
    /// What stands in it.
    pub label: String,
    /// What stands below that, smaller.
    pub note: String,
    /// What it is.
    pub kind: Kind,
}

/// What a shape is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A job, with how it is.
    Job(Health),
    /// A job that others mention and that is not there.
    Missing,
    /// An event.
    Event,
    /// Both or all of what leads here.
    All,
    /// One of what leads here.
    Any,
}

/// How a job is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Health {
    /// It does not run.
    AtRest,
    /// It runs.
    Running,
    /// It is on its way.
    Changing,
    /// It does not run and its last run went wrong.
    Failed,
}

/// An arrow.
pub struct Line {
    /// From this node.
    pub from: usize,
    /// To that one.
    pub to: usize,
    /// What it says.
    pub effect: Effect,
    /// What stands at it.
    pub label: String,
}

/// What an arrow says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// It starts the job.
    Starts,
    /// It stops the job.
    Stops,
    /// The job emits the event.
    Emits,
}

impl Effect {
    /// Every effect with its word for the legend.
    pub const TABLE: [(Effect, &'static str); 3] =
        [(Effect::Starts, "starts"), (Effect::Stops, "stops"), (Effect::Emits, "emits")];
}

impl Health {
    /// Every health with its word for the legend.
    pub const TABLE: [(Health, &'static str); 4] = [
        (Health::Running, "running"),
        (Health::Changing, "starting or stopping"),
        (Health::Failed, "failed"),
        (Health::AtRest, "at rest"),
    ];
}

/// Where each name's node is, while the picture is made.
#[derive(Default)]
struct Names {
    jobs: BTreeMap<String, usize>,
    events: BTreeMap<String, usize>,
}

/// A node that a condition waits for, with what is to stand at the arrow.
type Source = (usize, String);

impl Graph {
    /// Makes the picture of these jobs in these states.
    pub fn of(jobs: &[JobView], views: &[InstanceView]) -> Graph {
        let (mut graph, mut names) = (Graph::default(), Names::default());
        let mut states: BTreeMap<&[u8], Vec<&InstanceView>> = BTreeMap::new();
        for view in views {
            states.entry(view.job.text().bytes()).or_default().push(view);
        }
        for job in jobs {
            let of_job = states.get(job.name.text().bytes()).map_or(&[][..], Vec::as_slice);
            let health = of_job.iter().map(|view| health(view)).max().unwrap_or(Health::AtRest);
            let label = job.name.text().lossy().into_owned();
            let number = graph.add(&label, note(of_job), Kind::Job(health));
            names.jobs.insert(label, number);
        }
        for job in jobs {
            let Some(to) = names.jobs.get(&*job.name.text().lossy()).copied() else { continue };
            for (condition, effect) in
                [(&job.start_on, Effect::Starts), (&job.stop_on, Effect::Stops)]
            {
                let Some(condition) = condition else { continue };
                for (from, label) in graph.sources(&mut names, condition, effect) {
                    graph.draw(from, to, effect, label);
                }
            }
        }
        for job in jobs {
            let Some(from) = names.jobs.get(&*job.name.text().lossy()).copied() else { continue };
            for pattern in &job.emits {
                graph.draw_emitted(&mut names, from, pattern.bytes());
            }
        }
        graph
    }

    /// Keeps these jobs and what stands directly before and behind them; returns one that is not
    /// there.
    pub fn keep_near(&mut self, wanted: &[String]) -> Option<String> {
        let mut kept: BTreeSet<usize> = BTreeSet::new();
        for name in wanted {
            let is_it = |node: &Node| matches!(node.kind, Kind::Job(_)) && node.label == cut(name);
            match self.nodes.iter().position(is_it) {
                Some(number) => drop(kept.insert(number)),
                None => return Some(name.clone()),
            }
        }
        let mut near = kept.clone();
        let joins = |node: Option<&Node>| {
            node.is_some_and(|node| matches!(node.kind, Kind::All | Kind::Any))
        };
        // What `and` and `or` join stands as near as they do.
        loop {
            let before = near.len();
            for line in &self.lines {
                let through = near.contains(&line.to) && joins(self.nodes.get(line.to));
                if kept.contains(&line.from) || kept.contains(&line.to) || through {
                    near.extend([line.from, line.to]);
                }
                if near.contains(&line.from) && joins(self.nodes.get(line.from)) {
                    near.insert(line.to);
                }
            }
            if near.len() == before {
                break;
            }
        }
        let places: BTreeMap<usize, usize> =
            near.iter().enumerate().map(|(place, number)| (*number, place)).collect();
        let nodes = std::mem::take(&mut self.nodes).into_iter().enumerate();
        self.nodes = nodes.filter(|(n, _)| near.contains(n)).map(|(_, node)| node).collect();
        let lines = std::mem::take(&mut self.lines).into_iter();
        let moved = lines.filter_map(|line| {
            let (from, to) = (*places.get(&line.from)?, *places.get(&line.to)?);
            Some(Line { from, to, ..line })
        });
        self.lines = moved.collect();
        None
    }

    fn add(&mut self, label: &str, note: String, kind: Kind) -> usize {
        self.nodes.push(Node { name: label.to_owned(), label: cut(label), note, kind });
        self.nodes.len() - 1
    }

    fn draw(&mut self, from: usize, to: usize, effect: Effect, label: String) {
        let same = |line: &Line| {
            (line.from, line.to, line.effect) == (from, to, effect) && line.label == label
        };
        if !self.lines.iter().any(same) {
            self.lines.push(Line { from, to, effect, label });
        }
    }

    /// Returns what makes a condition true. Each is enough by itself: what has to come together is
    /// joined by a node of its own.
    fn sources(&mut self, names: &mut Names, condition: &Condition, effect: Effect) -> Vec<Source> {
        let mut stack: Vec<Vec<Source>> = Vec::new();
        for term in &condition.nodes {
            let found = match term {
                Term::Event(operand) => vec![self.source(names, operand)],
                Term::Or => {
                    let (right, left) = (stack.pop(), stack.pop());
                    left.into_iter().chain(right).flatten().collect()
                }
                Term::And => {
                    let (right, left) = (stack.pop(), stack.pop());
                    let all = self.add("and", String::new(), Kind::All);
                    for side in left.into_iter().chain(right) {
                        self.join(side, all, effect);
                    }
                    vec![(all, String::new())]
                }
            };
            stack.push(found);
        }
        stack.pop().unwrap_or_default()
    }

    /// Leads one side of an `and` to it.
    fn join(&mut self, side: Vec<Source>, all: usize, effect: Effect) {
        if side.len() < 2 {
            side.into_iter().for_each(|(from, label)| self.draw(from, all, effect, label));
            return;
        }
        let any = self.add("or", String::new(), Kind::Any);
        side.into_iter().for_each(|(from, label)| self.draw(from, any, effect, label));
        self.draw(any, all, effect, String::new());
    }

    fn source(&mut self, names: &mut Names, operand: &Operand) -> Source {
        let event = operand.event.text().lossy().into_owned();
        let job = OF_JOBS.contains(&operand.event.text().bytes()).then(|| job_of(operand));
        let (job, place) = job.flatten().unzip();
        let args = operand.args.iter().enumerate().filter(|(number, _)| Some(*number) != place);
        let args: Vec<String> = args.map(|(_, arg)| printable(&argument(arg).lossy())).collect();
        let args = args.join(" ");
        match job {
            Some(job) => {
                let known = names.jobs.get(&job).copied();
                let from = known.unwrap_or_else(|| {
                    let number = self.add(&job, String::from("not there"), Kind::Missing);
                    names.jobs.insert(job, number);
                    number
                });
                (from, cut(format!("{event} {args}").trim_end()))
            }
            None => (self.event(names, event), cut(&args)),
        }
    }

    fn event(&mut self, names: &mut Names, event: String) -> usize {
        if let Some(number) = names.events.get(&event) {
            return *number;
        }
        let number = self.add(&event, String::new(), Kind::Event);
        names.events.insert(event, number);
        number
    }

    fn draw_emitted(&mut self, names: &mut Names, from: usize, pattern: &[u8]) {
        let matches = |event: &String| glob::matches(pattern, event.as_bytes());
        let matched = names.events.iter().filter(|(event, _)| matches(event));
        let matched: Vec<usize> = matched.map(|(_, number)| *number).collect();
        if matched.is_empty() {
            let event = self.event(names, String::from_utf8_lossy(pattern).into_owned());
            return self.draw(from, event, Effect::Emits, String::new());
        }
        matched.into_iter().for_each(|to| self.draw(from, to, Effect::Emits, String::new()));
    }
}

/// Returns the job that an operand for a job's event names, and as which argument.
fn job_of(operand: &Operand) -> Option<(String, usize)> {
    let named = |(number, arg): (usize, &Arg)| {
        let value = match arg {
            Arg::Positional(value) if number == 0 => value,
            Arg::Equal(key, value) if key.bytes() == b"JOB" => value,
            Arg::Positional(_) | Arg::Equal(..) | Arg::NotEqual(..) => return None,
        };
        let is_name = !value.bytes().iter().any(|byte| b"*?[$".contains(byte));
        is_name.then(|| (value.lossy().into_owned(), number))
    };
    operand.args.iter().enumerate().find_map(named)
}

fn health(view: &InstanceView) -> Health {
    match (view.goal, view.state) {
        (Goal::Start, State::Running) => Health::Running,
        (Goal::Stop, State::Waiting) => match &view.last_exit {
            None | Some((LastExit::Ended { exit: End::Status(0), .. }, _)) => Health::AtRest,
            Some((LastExit::Ended { .. } | LastExit::NotSpawned { .. }, _)) => Health::Failed,
        },
        (_, _) => Health::Changing,
    }
}

fn note(views: &[&InstanceView]) -> String {
    match views {
        [] => String::from("stop/waiting"),
        [view] => {
            let status = status_line(view);
            let name = view.job.with_instance(&view.instance);
            let state = status.strip_prefix(&name).unwrap_or(&status);
            cut(state.lines().next().unwrap_or_default().trim_start())
        }
        several => format!("{} instances", several.len()),
    }
}

fn cut(label: &str) -> String {
    let shown = printable(label);
    match shown.char_indices().nth(LABEL_MAX) {
        Some((at, _)) => format!("{}…", shown.get(..at).unwrap_or_default()),
        None => shown,
    }
}
