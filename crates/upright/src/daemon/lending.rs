//! Ends of processes' pipes that the keeper has: asked for when they are needed, and written to.
//!
//! The keeper keeps them, so that neither this process's death nor an upgrade closes a program's
//! standard input; here is a copy of those that were written to.

use super::connections::ConnectionId;
use super::link::Sent;
use super::{Daemon, Standing};
use engine::control::answer::Answer;
use engine::control::fault::{Fault, InputRefusal};
use engine::keeper::{End, ToKeeper};
use engine::machine::request::{Refusal, Target};
use engine::names::{InstanceName, JobName};
use engine::process::{InstanceId, Slot};
use engine::spec::StandardInput;
use engine::text::Text;
use engine::time::{Mono, Span};
use std::collections::BTreeMap;
use std::os::fd::OwnedFd;
use sys::Errno;

/// How many clients may wait for ends that the keeper is asked for. Not more than it answers.
const WAITING_MAX: usize = 64;

/// How long the keeper may take.
const PATIENCE: Span = Span::secs(5);

/// What the keeper has lent, and who waits for more.
#[derive(Default)]
pub struct Lending {
    lent: BTreeMap<(Slot, End), OwnedFd>,
    waiting: Vec<Waiting>,
}

/// A client that waits for the standard input of a process.
struct Waiting {
    slot: Slot,
    client: ConnectionId,
    input: Text,
    until: Mono,
}

impl Lending {
    /// Closes what was lent of a process that is gone.
    pub fn forget(&mut self, slot: Slot) {
        for end in End::ALL {
            self.lent.remove(&(slot, end));
        }
    }

    /// Returns an end that was lent.
    pub fn end(&self, slot: Slot, end: End) -> Option<&OwnedFd> {
        self.lent.get(&(slot, end))
    }

    /// Returns when somebody has waited too long.
    pub fn due(&self) -> Option<Mono> {
        self.waiting.iter().map(|waiting| waiting.until).min()
    }

    /// Takes everything that was lent.
    pub fn take_all(&mut self) -> BTreeMap<(Slot, End), OwnedFd> {
        std::mem::take(&mut self.lent)
    }
}

impl Daemon {
    /// Writes to the standard input of an instance's main process.
    pub(super) fn send_input(&mut self, client: ConnectionId, target: &Target, input: Text) {
        if let Some(answer) = self.try_input(client, target, input) {
            self.connections.answer(client, answer);
        }
    }

    /// Returns nothing where the keeper has to lend it first: the client is answered then.
    fn try_input(
        &mut self,
        client: ConnectionId,
        target: &Target,
        input: Text,
    ) -> Option<Result<Answer, Fault>> {
        let slot = match self.input_of(target) {
            Ok(slot) => slot,
            Err(fault) => return Some(Err(fault)),
        };
        if self.lending.lent.contains_key(&(slot, End::Input)) {
            return Some(self.write_input(slot, &input));
        }
        if self.lending.waiting.len() >= WAITING_MAX {
            let why = "too many clients write to standard inputs; try again later";
            return Some(Err(Fault::Unavailable(String::from(why))));
        }
        if self.lending.waiting.iter().all(|waiting| waiting.slot != slot) {
            match self.link.send(&ToKeeper::Lend { slot, end: End::Input }, &[]) {
                Sent::Yes => {}
                Sent::Full => {
                    let why = "the keeper is busy; try again";
                    return Some(Err(Fault::Unavailable(String::from(why))));
                }
                Sent::Gone => self.standing = Standing::Lost,
            }
        }
        let until = sys::clock::monotonic() + PATIENCE;
        self.lending.waiting.push(Waiting { slot, client, input, until });
        self.connections.await_input(client);
        None
    }

    fn input_of(&self, target: &Target) -> Result<Slot, Fault> {
        let found = self.engine.find(target);
        let (job, id) = found.map_err(|refusal| Fault::refused(&refusal, None))?;
        let main = id.and_then(|id| self.engine.main_of(id));
        let instance = id.map(|id| self.named(id).1).unwrap_or_default();
        match main {
            None => Err(Fault::refused(&Refusal::NotRunning(job, instance), None)),
            Some((_, attrs)) if attrs.input == StandardInput::Null => {
                Err(Fault::no_input(InputRefusal::None, &job, &instance))
            }
            Some((slot, _)) => Ok(slot),
        }
    }

    fn named(&self, id: InstanceId) -> (Option<JobName>, InstanceName) {
        let name = self.engine.name_of(id);
        name.map(|(job, name)| (Some(job.clone()), name.clone())).unwrap_or_default()
    }

    fn write_input(&self, slot: Slot, input: &Text) -> Result<Answer, Fault> {
        let refuse = |refusal: InputRefusal| match self.named(slot.instance) {
            (Some(job), instance) => Fault::no_input(refusal, &job, &instance),
            (None, _) => Fault::Unavailable(String::from("the process is gone")),
        };
        let Some(end) = self.lending.lent.get(&(slot, End::Input)) else {
            return Err(refuse(InputRefusal::Closed));
        };
        match sys::pipe::write(end, input.bytes()) {
            Ok(taken) => Ok(Answer::Taken(taken as u64)),
            Err(Errno::AGAIN) => Err(refuse(InputRefusal::Full)),
            Err(_) => Err(refuse(InputRefusal::Closed)),
        }
    }

    /// The keeper has lent an end, or says that there is none.
    pub(super) fn lent(&mut self, slot: Slot, end: End, fd: Option<OwnedFd>) {
        // A process whose end is known already will not be heard of again.
        let lives = self.engine.main_of(slot.instance).is_some_and(|(main, _)| main == slot);
        if let Some(fd) = fd.filter(|_| lives) {
            self.lending.lent.insert((slot, end), fd);
        }
        if end != End::Input {
            self.pass_listener(slot);
            return;
        }
        let waiting = std::mem::take(&mut self.lending.waiting);
        let (served, rest) = waiting.into_iter().partition(|waiting| waiting.slot == slot);
        self.lending.waiting = rest;
        let served: Vec<Waiting> = served;
        for Waiting { slot, client, input, .. } in served {
            let answer = self.write_input(slot, &input);
            self.connections.answer(client, answer);
            self.touched.insert(client);
        }
    }

    /// Answers who has waited too long for the keeper.
    pub(super) fn give_up_lending(&mut self) {
        let now = sys::clock::monotonic();
        let waiting = std::mem::take(&mut self.lending.waiting);
        let (late, rest) = waiting.into_iter().partition(|waiting| waiting.until <= now);
        self.lending.waiting = rest;
        let late: Vec<Waiting> = late;
        for Waiting { client, .. } in late {
            let why = "the keeper did not answer in time; try again";
            self.connections.answer(client, Err(Fault::Unavailable(String::from(why))));
            self.touched.insert(client);
        }
    }
}
