//! The keeper is killed: the logger has every output and what the keeper held, and starts another.

use super::run::{Logger, Timer};
use super::say;
use crate::heir::{Estate, Output, Trouble};
use engine::logroute::{encode, FromLogger, LogRoute, OWN};
use engine::time::Span;
use std::os::fd::AsFd;

/// How long to wait after another keeper could not be started.
const AGAIN: Span = Span::secs(1);

impl Logger {
    /// The daemon says that the keeper is gone, which it may have seen first.
    pub(super) fn succeed_now(&mut self) {
        // What the keeper said before is heard before.
        self.hear_keeper();
        if self.keeper.is_none() {
            self.succeed();
        } else {
            self.schedule(Span::millis(1), Timer::Succeed);
        }
    }

    /// Starts another keeper in the place of the one that is gone, and ends. A logger that was not told
    /// what the keeper held goes on writing as long as there are outputs.
    pub(super) fn succeed(&mut self) {
        if self.succeeded || !self.estate.is_whole() {
            return;
        }
        if self.keeper.is_some() {
            return self.succeed_now();
        }
        let mut outputs = Vec::new();
        for id in self.sources.numbers() {
            // What the daemon writes it passes on itself.
            let Some(source) = self.sources.row(id).filter(|source| source.slot != OWN) else {
                continue;
            };
            let file = source.file.and_then(|number| self.files.row(number));
            let route = LogRoute {
                label: String::from(&*source.label),
                file: file.map(|file| file.file.clone()),
                forward: source.forward,
                treat: source.treat.as_ref().map(|treat| treat.how.clone()).unwrap_or_default(),
            };
            outputs.push(Output {
                slot: source.slot,
                stream: source.stream,
                read: source.fd.as_fd(),
                route: encode(&route),
            });
        }
        let daemon = &mut self.daemon;
        // It need not wait until the next one has heirs.
        let begun = || {
            if let Some(daemon) = daemon {
                daemon.tell(&FromLogger::Succeeded);
                daemon.flush();
            }
        };
        match self.estate.succeed(&outputs, begun) {
            Ok(()) => self.succeeded = true,
            Err(why @ Trouble::Now(_)) => {
                say(&format!("the keeper is gone and cannot be started again: {why}"));
                self.schedule(AGAIN, Timer::Succeed);
            }
            Err(why @ Trouble::GivenUp) => {
                say(&format!(
                    "the keeper is gone and is not started again: {why}; its processes go on, unsupervised; end them before Upright is started again"
                ));
                self.estate = Estate::default();
            }
        }
    }
}
