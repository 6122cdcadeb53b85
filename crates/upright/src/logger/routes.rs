//! Which pipe goes to which file: pipes come, change their route, and end.

use super::destination::Destination;
use super::faults::RETRY;
use super::forward::Partial;
use super::pace::Pace;
use super::run::{Logger, Timer};
use super::say;
use super::source::{Kind, Source, Watch, PIPE_DEFAULT};
use super::tail::Tail;
use super::treat::Treat;
use engine::logroute::{decode, Forward, LogFile, LogRoute};
use engine::process::{Slot, Stream};
use engine::text::Text;
use engine::treat::Treatment;
use std::os::fd::{AsRawFd, OwnedFd};
use sys::epoll::Interest;
use sys::{logfile, pipe};

/// How many processes whose output ended are remembered for their last bytes.
const GONE_MAX: usize = 256;

/// How many files are open at most; beyond, those that were not written lately are closed.
const OPEN_MAX: usize = 1024;

/// How many descriptors no pipe may have: without a file no pipe can be read to its end.
const SPARE: u64 = 8;

/// A process whose output ended.
pub struct Gone {
    /// Which.
    pub slot: Slot,
    /// Which of its outputs.
    pub stream: Stream,
    /// Its file.
    pub path: Option<Text>,
    /// Where its last bytes are.
    pub tail: Tail,
    /// The last bytes, where no file has them.
    pub last: Vec<u8>,
}

impl Logger {
    /// Takes a pipe from the keeper; the route of one that is known already may have changed.
    pub(super) fn add(&mut self, of: (Slot, Stream), route: &[u8], fd: Option<OwnedFd>) {
        let slot = of.0;
        let route = decode(route).unwrap_or_else(|| {
            say(&format!("slot {slot}: its log route cannot be read; its output is thrown away"));
            LogRoute {
                label: slot.to_string(),
                file: None,
                forward: Forward::No,
                treat: Treatment::default(),
            }
        });
        self.add_route(of, route, fd);
    }

    /// As [`Logger::add`], with the route understood.
    pub(super) fn add_route(&mut self, of: (Slot, Stream), route: LogRoute, fd: Option<OwnedFd>) {
        if let Some(id) = self.by_slot.get(&of).copied() {
            return self.reroute(id, route);
        }
        // The kernel gives the lowest number that is free.
        let highest = self.descriptors.saturating_sub(SPARE);
        let Some(fd) = fd.filter(|fd| u64::try_from(fd.as_raw_fd()).is_ok_and(|n| n < highest))
        else {
            return self.miss(of, &route.label);
        };
        self.untaken.remove(&of);
        let id = self.sources.insert(source(of, &route, fd));
        self.by_slot.insert(of, id);
        self.new_pipes += 1;
        self.attach(id, route.file);
        let watch = self.usual_watch(id);
        let Some(source) = self.sources.row_mut(id) else { return };
        source.watch = watch;
        let interest = interest(source.watch).unwrap_or(Interest::Read);
        if self.epoll.add(&source.fd, u64::from(id), interest).is_err() {
            say(&format!("{}: its output cannot be watched", source.label));
            return self.end(id);
        }
        if source.capacity > PIPE_DEFAULT {
            self.note_grown(id);
        }
        self.tell_trouble(id);
    }

    /// A pipe could not be taken: it waits at the keeper, and what is written in it, until one of the
    /// descriptors is free again. Files are closed for it, which are opened again when they are written.
    fn miss(&mut self, of: (Slot, Stream), label: &str) {
        self.close_all();
        if self.untaken.insert(of) {
            say(&format!(
                "{label}: its output cannot be taken yet: too many open files; it is kept in its pipe until one is closed, and the process waits when that is full; raise the limit (nofile)"
            ));
        }
        self.schedule(RETRY, Timer::Untaken);
    }

    /// Asks the keeper for the pipes that could not be taken.
    pub(super) fn ask_again(&mut self) {
        let Some(keeper) = &mut self.keeper else { return };
        self.untaken.iter().for_each(|(slot, stream)| keeper.again(*slot, *stream));
    }

    fn reroute(&mut self, id: u32, route: LogRoute) {
        self.detach(id);
        if let Some(source) = self.sources.row_mut(id) {
            source.label = route.label.into();
            source.forward = route.forward;
            Treat::change(&mut source.treat, route.treat);
            match (route.forward, &source.partial) {
                (Forward::Labelled | Forward::Bare(_), None) => {
                    source.partial = Some(Box::default());
                }
                (Forward::Labelled | Forward::Bare(_), Some(_)) => {}
                (Forward::No, _) => source.partial = None,
            }
        }
        self.attach(id, route.file);
        let watch = self.usual_watch(id);
        self.rearm(id, watch);
    }

    fn attach(&mut self, id: u32, file: Option<LogFile>) {
        let number = file.map(|file| match self.by_path.get(&file.path).copied() {
            Some(number) => {
                if let Some(destination) = self.files.row_mut(number) {
                    destination.file = file;
                }
                number
            }
            None => {
                let path = file.path.clone();
                let number = self.files.insert(Destination::new(file));
                self.by_path.insert(path, number);
                number
            }
        });
        if let Some(source) = self.sources.row_mut(id) {
            source.file = number;
        }
        if let Some(destination) = number.and_then(|number| self.files.row_mut(number)) {
            destination.sources.reserve_exact(1);
            destination.sources.push(id);
        }
    }

    fn detach(&mut self, id: u32) {
        let Some(number) = self.sources.row_mut(id).and_then(|source| source.file.take()) else {
            return;
        };
        let Some(destination) = self.files.row_mut(number) else { return };
        destination.sources.retain(|source| *source != id);
        if destination.sources.is_empty() {
            self.by_path.remove(&destination.file.path);
            self.faulty.remove(&number);
            self.files.remove(number);
        }
    }

    /// Returns how a source is watched while nothing is special about it now.
    pub(super) fn usual_watch(&self, id: u32) -> Watch {
        let Some(source) = self.sources.row(id) else { return Watch::Edge };
        match source.file.and_then(|number| self.files.row(number)) {
            Some(file) if file.fault.is_some() => Watch::Edge,
            Some(_) => Watch::Level,
            None if source.partial.is_some() => Watch::Edge,
            None => Watch::Level,
        }
    }

    /// Watches a source in another way.
    pub(super) fn watch(&mut self, id: u32, watch: Watch) {
        if self.sources.row(id).is_some_and(|source| source.watch != watch) {
            self.rearm(id, watch);
        }
    }

    /// Watches a source, and is told of what is in it already.
    pub(super) fn rearm(&mut self, id: u32, watch: Watch) {
        let Some(source) = self.sources.row_mut(id) else { return };
        let (was, token) = (source.watch, u64::from(id));
        source.watch = watch;
        let _ = match (was, interest(watch)) {
            (Watch::Paused, Some(interest)) => self.epoll.add(&source.fd, token, interest),
            (Watch::Level | Watch::Edge, Some(interest)) => {
                self.epoll.modify(&source.fd, token, interest)
            }
            (Watch::Paused, None) => Ok(()),
            // Taken out, not only silenced: a pipe that is watched at all costs its writer a call
            // back at every write.
            (Watch::Level | Watch::Edge, None) => self.epoll.delete(&source.fd),
        };
    }

    /// Forgets a source that is at its end and tells the keeper, who then drops its copy.
    pub(super) fn end(&mut self, id: u32) {
        let number = self.sources.row(id).and_then(|source| source.file);
        let path = number.and_then(|number| self.files.row(number)).map(|f| f.file.path.clone());
        self.detach(id);
        let Some(mut source) = self.sources.remove(id) else { return };
        if source.watch != Watch::Paused {
            let _ = self.epoll.delete(&source.fd);
        }
        let (slot, stream) = (source.slot, source.stream);
        self.past.count(&source);
        self.by_slot.remove(&(slot, stream));
        self.grown.retain(|grown| *grown != id);
        self.stalled.remove(&id);
        let mut last = Vec::new();
        if let Some(mut partial) = source.partial.take() {
            self.forwarders.of(source.forward).end(source.prefix(), &mut partial);
            last = std::mem::take(&mut partial.last);
        }
        if let Some(keeper) = &mut self.keeper {
            keeper.ended(slot, stream);
        }
        if self.gone.len() >= GONE_MAX {
            self.gone.pop_front();
        }
        self.gone.push_back(Gone { slot, stream, path, tail: source.tail, last });
    }

    /// Notes that a file was opened, and closes others where there are too many.
    pub(super) fn note_opened(&mut self, number: u32) {
        self.opened.push_back(number);
        if self.opened.len() > OPEN_MAX {
            self.close_some(1);
        }
    }

    /// Closes up to `count` files that were not written since this was last done; reports whether
    /// one was closed. Which are closed is found as a clock hand goes round (second chance).
    pub(super) fn close_some(&mut self, count: usize) -> bool {
        let mut closed = 0;
        for _ in 0..2 * self.opened.len() {
            let Some(number) = self.opened.pop_front() else { break };
            let Some(file) = self.files.row_mut(number).filter(|file| file.is_open()) else {
                continue;
            };
            if std::mem::take(&mut file.used) {
                self.opened.push_back(number);
                continue;
            }
            file.close();
            closed += 1;
            if closed == count {
                break;
            }
        }
        closed > 0
    }

    /// Closes every file, so that the next byte goes to what has its name then.
    pub(super) fn close_all(&mut self) {
        for number in std::mem::take(&mut self.opened) {
            if let Some(file) = self.files.row_mut(number) {
                file.close();
            }
        }
    }
}

fn source((slot, stream): (Slot, Stream), route: &LogRoute, fd: OwnedFd) -> Source {
    let kind = if logfile::is_pipe(&fd) { Kind::Pipe } else { Kind::Terminal };
    let capacity = match kind {
        Kind::Pipe => pipe::capacity(&fd).unwrap_or(PIPE_DEFAULT as usize),
        Kind::Terminal => {
            // Refused, a read waits at worst for a terminal that was ready a moment ago.
            let _ = pipe::set_nonblocking(&fd);
            2 * super::serve::TERMINAL_READ
        }
    };
    Source {
        slot,
        stream,
        label: route.label.as_str().into(),
        fd,
        kind,
        file: None,
        watch: Watch::Level,
        ended: false,
        pace: Pace::default(),
        capacity: u32::try_from(capacity).unwrap_or(u32::MAX),
        taken: 0,
        dropped: 0,
        told: 0,
        tail: Tail::default(),
        forward: route.forward,
        partial: (route.forward != Forward::No).then(|| Box::new(Partial::default())),
        treat: Treat::new(route.treat.clone()),
        pending: Vec::new(),
    }
}

fn interest(watch: Watch) -> Option<Interest> {
    match watch {
        Watch::Level => Some(Interest::Read),
        Watch::Paused => None,
        Watch::Edge => Some(Interest::ReadEdge),
    }
}
