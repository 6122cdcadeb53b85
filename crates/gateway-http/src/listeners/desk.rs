//! Everything that is known of listeners: pure, and small enough to be written down after each change,
//! so that another gateway goes on where this one was.

use super::event::{divided, Change, Event, Period};
use super::pool::{Lines, Pool, Terms};
use engine::control::What;
use engine::machine::JobChange;
use engine::view::ProgramState;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// All pools, and what is needed to tell them each thing once.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Desk {
    pools: Vec<Pool>,
    /// The number of the next event that some pool takes.
    serial: u64,
    /// The number of the last notice.
    heard: u64,
    /// The groups that there are, each with how many jobs it has.
    groups: BTreeMap<String, usize>,
    /// The slices of time of the last ticks, as the table of periods has them.
    slices: Vec<u64>,
    /// Whether it was said that Upright runs.
    running: bool,
}

impl Desk {
    /// Sets which pools there are. Those of the same name go on.
    pub fn set_pools(&mut self, all: Vec<Terms>) {
        let mut old = std::mem::take(&mut self.pools);
        let mut pool =
            |terms: Terms| match old.iter().position(|pool| pool.terms().name == terms.name) {
                Some(place) => {
                    let mut pool = old.swap_remove(place);
                    pool.go_on(terms);
                    pool
                }
                None => Pool::new(terms),
            };
        self.pools = all.into_iter().map(&mut pool).collect();
    }

    /// Returns the number of the last notice that was taken.
    pub fn heard(&self) -> u64 {
        self.heard
    }

    /// Reports whether it was said that Upright runs.
    pub fn is_running(&self) -> bool {
        self.running
    }

    /// Takes what the daemon tells, and says what it means to listeners.
    pub fn notice(&mut self, sequence: u64, what: &What, lines: &mut Lines) {
        self.heard = self.heard.max(sequence);
        match what {
            What::Program(news) => {
                let job = news.job.text().lossy().into_owned();
                // What waits is sent once the event of it waits too.
                self.happened(&Event::Program(news.clone()), lines);
                let running = news.to == ProgramState::Running;
                self.runs_now(&job, running, lines);
            }
            What::Job { job, change } => {
                let job = job.text().lossy().into_owned();
                self.job(divided(&job).0, *change, lines);
            }
            What::Event { name, .. } if name.text().bytes() == b"session-end" => {
                self.happened(&Event::Supervisor(Change::Stopping), lines);
            }
            What::Event { .. }
            | What::Goal { .. }
            | What::Failed { .. }
            | What::Restarted
            | What::State { .. } => {}
        }
    }

    /// A listener runs, or does not, as somebody has asked.
    pub fn runs_now(&mut self, job: &str, running: bool, lines: &mut Lines) {
        self.pools.iter_mut().for_each(|pool| pool.runs(job, running, lines));
    }

    /// Upright runs, with the jobs that have been told so far: said once in its life.
    pub fn runs(&mut self, lines: &mut Lines) {
        if !std::mem::replace(&mut self.running, true) {
            self.happened(&Event::Supervisor(Change::Running), lines);
        }
    }

    /// Takes an event: it has a number where some pool wants it.
    pub fn happened(&mut self, event: &Event, lines: &mut Lines) {
        if !self.pools.iter().any(|pool| pool.takes(event.name())) {
            return;
        }
        let serial = self.serial;
        self.serial += 1;
        for pool in &mut self.pools {
            pool.take(serial, event, lines);
        }
    }

    /// Reports whether some pool wants to be told what programs write.
    pub fn wants_outputs(&self) -> bool {
        let outputs = [
            "PROCESS_LOG_STDOUT",
            "PROCESS_LOG_STDERR",
            "PROCESS_COMMUNICATION_STDOUT",
            "PROCESS_COMMUNICATION_STDERR",
        ];
        outputs.into_iter().any(|name| self.pools.iter().any(|pool| pool.takes(name)))
    }

    /// Says the ticks of which the time has come, at this second since 1970. None is made up for.
    pub fn tick(&mut self, second: u64, lines: &mut Lines) {
        let slices: Vec<u64> =
            Period::TABLE.iter().map(|(_, _, seconds)| second / seconds * seconds).collect();
        let old = std::mem::replace(&mut self.slices, slices.clone());
        for ((period, _, _), (now, last)) in Period::TABLE.iter().zip(slices.iter().zip(old)) {
            if *now != last {
                self.happened(&Event::Tick(*period, *now), lines);
            }
        }
    }

    /// Returns after how many seconds time will be news; nothing where nobody wants to know.
    pub fn next_tick(&self, second: u64) -> Option<u64> {
        let wanted = |name: &str| self.pools.iter().any(|pool| pool.takes(name));
        let periods = Period::TABLE.iter().filter(|(_, name, _)| wanted(name));
        periods.map(|(_, _, seconds)| seconds - second % seconds).min()
    }

    /// A listener has a process, of this number.
    pub fn begun(&mut self, job: &str, start: u64, lines: &mut Lines) {
        self.pools.iter_mut().for_each(|pool| pool.begun(job, start, lines));
    }

    /// A listener's process cannot be talked to any more.
    pub fn ended(&mut self, job: &str, lines: &mut Lines) {
        self.pools.iter_mut().for_each(|pool| pool.ended(job, lines));
    }

    /// A listener has said something.
    pub fn said(&mut self, job: &str, bytes: &[u8], lines: &mut Lines) {
        self.pools.iter_mut().for_each(|pool| pool.said(job, bytes, lines));
    }

    /// Returns what a listener is to be sent next.
    pub fn unsent(&self, job: &str) -> &[u8] {
        let unsent = self.pools.iter().map(|pool| pool.unsent(job));
        unsent.into_iter().find(|bytes| !bytes.is_empty()).unwrap_or_default()
    }

    /// A listener has taken so many bytes of that.
    pub fn sent(&mut self, job: &str, count: usize) {
        self.pools.iter_mut().for_each(|pool| pool.sent(job, count));
    }

    /// A group is there with its first job, and gone with its last.
    fn job(&mut self, group: &str, change: JobChange, lines: &mut Lines) {
        let count = self.groups.entry(group.to_owned()).or_default();
        let told = match change {
            JobChange::Added => {
                *count += 1;
                *count == 1
            }
            JobChange::Removed => {
                *count = count.saturating_sub(1);
                *count == 0
            }
        };
        if *count == 0 {
            self.groups.remove(group);
        }
        if told {
            self.happened(&Event::Group(group.to_owned(), change), lines);
        }
    }
}
