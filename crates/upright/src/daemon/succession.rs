//! The keeper is killed: another one takes its place, and starts the daemon that goes on.

use super::{outputs, startup, Daemon};
use crate::heir::{Estate, Output};
use engine::logroute::{self, FromLogger, ToLogger};
use engine::machine::Level;
use engine::process::{Slot, Stream};
use engine::time::Span;
use std::os::fd::{AsFd, OwnedFd};
use sys::epoll::{Epoll, Interest};
use sys::{seqpacket, Errno};

/// How long the logger may take to start another keeper before it is taken for one that cannot.
const LOGGER: Span = Span::secs(20);

impl Daemon {
    /// Sees to it that another keeper is started, and ends: everything that happened is in the journal,
    /// and what was not done yet is done by the daemon that the new keeper starts.
    pub(super) fn lose_keeper(&mut self) -> i32 {
        let mut estate = self.link.take_estate();
        if estate.is_waited_for() {
            return 0;
        }
        if self.logger_succeeds(&estate) {
            return 0;
        }
        estate.ends = self.lending.take_all();
        let outputs = self.orphaned_outputs();
        let outputs: Vec<Output<'_>> = outputs
            .iter()
            .map(|(slot, stream, read, route)| Output {
                slot: *slot,
                stream: *stream,
                read: read.as_fd(),
                route: route.clone(),
            })
            .collect();
        match estate.succeed(&outputs, || ()) {
            Ok(()) => 0,
            Err(why) => self.give_up(&why.to_string()),
        }
    }

    /// Gives the logger what the keeper held, and waits until it has started another one. It has all
    /// outputs, and had most of this from the keeper itself; but a journal may be new.
    fn logger_succeeds(&mut self, estate: &Estate) -> bool {
        let Some(logger) = self.logger.take() else { return false };
        let tell = |message: &ToLogger, fd: Option<&OwnedFd>| {
            let fd = fd.map(AsFd::as_fd);
            seqpacket::send(&logger, &[&logroute::encode(message)], fd.as_slice()).is_ok()
        };
        let told =
            estate.held.iter().all(|(key, fd)| tell(&ToLogger::Held { key: *key }, Some(fd)))
                && tell(&ToLogger::Succeed, None);
        let Ok(mut epoll) = Epoll::new(1) else { return false };
        if !told || epoll.add(&logger, 0, Interest::Read).is_err() {
            return false;
        }
        let until = sys::clock::monotonic() + LOGGER;
        let mut buffer = vec![0; 64 * 1024];
        loop {
            match seqpacket::receive(&logger, &mut buffer) {
                Ok(received) if received.length == 0 => return false,
                Ok(received) => {
                    let bytes = buffer.get(..received.length).unwrap_or(&[]);
                    if logroute::decode(bytes) == Some(FromLogger::Succeeded) {
                        return true;
                    }
                }
                Err(Errno::AGAIN) => {
                    let left = until.since(sys::clock::monotonic());
                    if left == Span::ZERO || epoll.wait(Some(left.0)).is_err() {
                        return false;
                    }
                }
                Err(Errno::MSGSIZE) => {}
                Err(_) => return false,
            }
        }
    }

    /// Where the logger was killed with the keeper nobody reads what processes write. Their pipes are
    /// found again at their own ends.
    fn orphaned_outputs(&self) -> Vec<(Slot, Stream, OwnedFd, Vec<u8>)> {
        let running = self.engine.processes().filter_map(|(slot, pid)| Some((slot, pid?)));
        let both = running.flat_map(|(slot, pid)| Stream::ALL.map(|stream| (slot, pid, stream)));
        let found = both.filter_map(|(slot, pid, stream)| {
            let order = self.engine.order(slot)?;
            let route = outputs::running_route(&self.settings, &order, stream)?;
            Some((slot, stream, sys::pipe::unread(pid, stream)?, route))
        });
        found.collect()
    }

    /// Without a keeper nothing can be started and no end is heard of. Services go on, and the logger
    /// as long as one of them may write; nobody claims any more to look after them.
    fn give_up(&mut self, why: &str) -> i32 {
        let running = self.engine.processes().filter(|(_, pid)| pid.is_some()).count();
        self.say(
            Level::Fatal,
            &format!(
                "the keeper (process {}) is gone and cannot be started again: {why}; {running} processes go on, unsupervised; end them before Upright is started again",
                self.settings.named
            ),
        );
        startup::remove_files(&self.settings);
        self.http.remove_files();
        1
    }
}
