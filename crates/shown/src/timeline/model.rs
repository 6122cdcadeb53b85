//! The start-up as bars with times from its beginning, and what each of them waited for.

use engine::glob;
use engine::spec::{Arg, Condition, Node, Operand};
use engine::view::{JobView, Mark, MarkKind, TimelineView};
use std::collections::BTreeMap;

/// What happens within this time of something may be its effect: microseconds.
const SLACK: u64 = 1_000;

/// One start of one instance. Times are microseconds from the beginning of the start-up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bar {
    /// The job, as it is in conditions.
    pub job: String,
    /// The job with its instance.
    pub name: String,
    /// When it was wanted.
    pub wanted: u64,
    /// By what.
    pub by: String,
    /// When its first process ran.
    pub begun: Option<u64>,
    /// When it ran as it should.
    pub ran: Option<u64>,
    /// When it came to its aim: a service that it runs, a task that it is done; else when it ended.
    pub done: u64,
    /// When its run was over; none: it goes on.
    pub over: Option<u64>,
    /// When it was started again meanwhile.
    pub again: Vec<u64>,
    /// Whether it failed.
    pub failed: bool,
}

impl Bar {
    /// Returns how long it took from being wanted to its aim.
    pub fn took(&self) -> u64 {
        self.done.saturating_sub(self.wanted)
    }

    /// Returns how long it waited for others before its first process ran.
    pub fn waited(&self) -> u64 {
        self.begun.unwrap_or(self.done).saturating_sub(self.wanted)
    }
}

/// A step of the way back from a job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Link {
    /// The bar of this number.
    Job(usize),
    /// What began it all, and when.
    Cause(String, u64),
}

/// A start-up.
#[derive(Clone, Debug, Default)]
pub struct Startup {
    /// The first start of each instance that is remembered, in the order of being wanted.
    pub bars: Vec<Bar>,
    /// When the last of them came to its aim.
    pub end: u64,
    starts: BTreeMap<String, Condition>,
}

impl Startup {
    /// Makes the start-up of what is remembered. Of each instance the first start that an event caused
    /// counts; `all`: also one that somebody asked for.
    pub fn of(times: &[TimelineView], jobs: &[JobView], all: bool) -> Startup {
        let ages = times.iter().flat_map(|row| row.marks.iter().map(|mark| mark.ago.0));
        let first = ages.max().unwrap_or(0);
        let mut bars: Vec<Bar> = times.iter().filter_map(|row| bar(row, first, all)).collect();
        bars.sort_by(|a, b| (a.wanted, &a.name).cmp(&(b.wanted, &b.name)));
        let begin = bars.first().map_or(0, |bar| bar.wanted);
        bars.iter_mut().for_each(|bar| bar.shift(begin));
        let end = bars.iter().map(|bar| bar.done).max().unwrap_or(0);
        let condition =
            |job: &JobView| Some((job.name.text().lossy().into_owned(), job.start_on.clone()?));
        Startup { bars, end, starts: jobs.iter().filter_map(condition).collect() }
    }

    /// Returns the bar of a job, the last to be done where it has several.
    pub fn find(&self, job: &str) -> Option<usize> {
        let of_job = self.bars.iter().enumerate().filter(|(_, b)| b.job == job || b.name == job);
        of_job.max_by_key(|(_, bar)| bar.done).map(|(number, _)| number)
    }

    /// Returns the bar that was done last.
    pub fn last(&self) -> Option<usize> {
        let bars = self.bars.iter().enumerate();
        bars.max_by_key(|(_, bar)| bar.done).map(|(number, _)| number)
    }

    /// Returns the way from a bar back to what began it: what each waited for last.
    pub fn chain(&self, from: usize) -> Vec<Link> {
        let (mut chain, mut at) = (vec![Link::Job(from)], from);
        // What held a job was itself wanted by that job: from there its own cause is gone after.
        let mut causes_alone = false;
        for _ in 0..self.bars.len() * 2 {
            let Some(bar) = self.bars.get(at) else { return chain };
            let held = self.held_by(at).filter(|_| !causes_alone);
            let before = held.or_else(|| self.caused_by(at));
            let seen = |number: usize| chain.contains(&Link::Job(number));
            match before {
                Some(number) if !seen(number) => {
                    chain.push(Link::Job(number));
                    (at, causes_alone) = (number, false);
                }
                Some(number) if !causes_alone => (at, causes_alone) = (number, true),
                Some(_) | None => {
                    let by = match bar.by.as_str() {
                        "" => String::from("somebody asked"),
                        by => String::from(by),
                    };
                    chain.push(Link::Cause(by, bar.wanted));
                    return chain;
                }
            }
        }
        chain
    }

    /// Returns what kept a bar from beginning though it was wanted: a job that starts on its `starting`.
    fn held_by(&self, number: usize) -> Option<usize> {
        let bar = self.bars.get(number)?;
        let begun = bar.begun.unwrap_or(bar.done);
        let holds = |(at, other): &(usize, &Bar)| {
            let during = other.wanted >= bar.wanted && other.done <= begun + SLACK;
            let waits = |on: &Operand| on.event.text() == "starting" && names(on, &bar.job);
            *at != number && during && other.done > bar.wanted && self.operands(other).any(waits)
        };
        let held = self.bars.iter().enumerate().filter(holds);
        held.max_by_key(|(_, other)| other.done).map(|(at, _)| at)
    }

    /// Returns the job whose event made a bar wanted.
    fn caused_by(&self, number: usize) -> Option<usize> {
        let bar = self.bars.get(number)?;
        let cause = |(at, other): (usize, &Bar)| {
            let mut best = None;
            for on in self.operands(bar).filter(|on| names(on, &other.job)) {
                let time = match on.event.text().bytes() {
                    b"starting" => Some(other.wanted),
                    b"started" => other.ran,
                    b"stopping" | b"stopped" => other.over,
                    _ => None,
                };
                best = best.max(time.filter(|time| *time <= bar.wanted + SLACK));
            }
            best.filter(|_| at != number).map(|time| (time, at))
        };
        self.bars.iter().enumerate().filter_map(cause).max().map(|(_, at)| at)
    }

    fn operands(&self, bar: &Bar) -> impl Iterator<Item = &Operand> {
        let nodes = self.starts.get(&bar.job).into_iter().flat_map(|on| &on.nodes);
        nodes.filter_map(|node| match node {
            Node::Event(operand) => Some(operand),
            Node::And | Node::Or => None,
        })
    }
}

/// Reports whether an operand for a job's event may mean this job.
fn names(operand: &Operand, job: &str) -> bool {
    operand.args.iter().enumerate().all(|(place, arg)| match arg {
        Arg::Positional(name) if place == 0 => glob::matches(name.bytes(), job.as_bytes()),
        Arg::Equal(key, name) if key.bytes() == b"JOB" => {
            glob::matches(name.bytes(), job.as_bytes())
        }
        Arg::NotEqual(key, name) if key.bytes() == b"JOB" => {
            !glob::matches(name.bytes(), job.as_bytes())
        }
        Arg::Positional(_) | Arg::Equal(..) | Arg::NotEqual(..) => true,
    })
}

fn bar(row: &TimelineView, first: u64, all: bool) -> Option<Bar> {
    let meant =
        |mark: &&Mark| mark.what == MarkKind::Wanted && (all || mark.by.starts_with("event "));
    let begin = row.marks.iter().position(|mark| meant(&mark))?;
    let marks = row.marks.get(begin..)?;
    let at = |mark: &Mark| first.saturating_sub(mark.ago.0) / 1000;
    let (wanted, rest) = marks.split_first()?;
    let run = rest.iter().position(|mark| mark.what == MarkKind::Wanted);
    let run = rest.get(..run.unwrap_or(rest.len()))?;
    let find = |what: MarkKind| run.iter().find(|mark| mark.what == what).map(at);
    let begun = run.iter().find(|m| matches!(m.what, MarkKind::Begun | MarkKind::Main)).map(at);
    let (ran, over) = (find(MarkKind::Runs), find(MarkKind::Gone));
    let failed = run.iter().any(|mark| mark.what == MarkKind::Failed);
    let again: Vec<u64> = run.iter().filter(|m| m.what == MarkKind::Again).map(at).collect();
    let aim = match (ran, over) {
        (_, Some(over)) if again.is_empty() => Some(over),
        (Some(ran), _) => Some(ran),
        (None, over) => over,
    };
    Some(Bar {
        job: row.job.text().lossy().into_owned(),
        name: row.job.with_instance(&row.instance),
        wanted: at(wanted),
        by: wanted.by.clone(),
        begun,
        ran,
        done: aim.unwrap_or(begun.unwrap_or(at(wanted))),
        over,
        again,
        failed,
    })
}

impl Bar {
    fn shift(&mut self, begin: u64) {
        let less = |time: u64| time.saturating_sub(begin);
        self.wanted = less(self.wanted);
        self.done = less(self.done);
        self.begun = self.begun.map(less);
        self.ran = self.ran.map(less);
        self.over = self.over.map(less);
        self.again.iter_mut().for_each(|time| *time = less(*time));
    }
}
