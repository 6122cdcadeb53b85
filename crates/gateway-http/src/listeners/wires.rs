//! Listeners as they are talked with: their pipes, the stream of what happens, and the clock.
//!
//! Everything that happens changes the desk, which is then written down, and what listeners are to be sent
//! is written as far as they take it. Nobody waits for a listener but its own task.

use super::desk::Desk;
use super::event::Event;
use super::memory::Memory;
use super::pool::{Lines, Terms};
use crate::control::{Control, Events};
use crate::link::Link;
use engine::control::call::{Call, Follow};
use engine::control::gateway::LISTENERS;
use engine::control::notice::Notice;
use engine::control::{answer::Answer, What};
use engine::pack::{pack, unpack};
use engine::view::ProgramState;
use std::cell::{Cell, OnceCell, RefCell};
use std::collections::BTreeMap;
use std::io;
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::io::AsyncWriteExt;
use tokio::net::unix::pipe;
use tokio::sync::Notify;
use tokio::task::spawn_local;
use tokio::time::sleep;

/// How many bytes are read of a listener at a time.
const CHUNK: usize = 16 * 1024;

/// How long to wait before a daemon is asked again.
const PAUSE: Duration = Duration::from_millis(200);

/// All listeners.
#[derive(Default)]
pub struct Listeners {
    desk: RefCell<Desk>,
    memory: RefCell<Option<Memory>>,
    /// How many pools are still to be told of, and those that were.
    coming: RefCell<(usize, Vec<Terms>)>,
    wires: RefCell<BTreeMap<String, Rc<Wire>>>,
    link: OnceCell<Rc<Link>>,
    /// Somebody may want to know the time from now on.
    pools_changed: Notify,
}

/// The pipes of one listener's process.
struct Wire {
    start: u64,
    input: pipe::Sender,
    /// Whether a task waits until more can be written.
    waits: Cell<bool>,
}

impl Listeners {
    /// Takes that there are so many pools, and what an earlier gateway wrote down.
    pub fn set_count(self: &Rc<Listeners>, link: &Rc<Link>, pools: u16, file: Option<OwnedFd>) {
        let new = self.memory.borrow().is_none();
        if let Some(file) = file.filter(|_| new) {
            let (memory, content) = Memory::open(file);
            if let Some(desk) = content.and_then(|content| unpack(&content).ok()) {
                *self.desk.borrow_mut() = desk;
            }
            *self.memory.borrow_mut() = Some(memory);
        }
        let first = self.link.set(Rc::clone(link)).is_ok();
        *self.coming.borrow_mut() = (usize::from(pools), Vec::new());
        self.begin_when_told();
        if first {
            let control = Control::new(Rc::clone(link), LISTENERS);
            spawn_local(Rc::clone(self).follow(control));
            spawn_local(Rc::clone(self).tick());
            let control = Control::new(Rc::clone(link), LISTENERS);
            spawn_local(Rc::clone(self).follow_outputs(control));
        }
    }

    /// Takes one of the pools.
    pub fn add_pool(self: &Rc<Listeners>, terms: Terms) {
        self.coming.borrow_mut().1.push(terms);
        self.begin_when_told();
    }

    fn begin_when_told(self: &Rc<Listeners>) {
        let (count, terms) = self.coming.borrow().clone();
        if terms.len() == count {
            self.change(|desk, _| desk.set_pools(terms));
            self.pools_changed.notify_waiters();
        }
    }

    /// Takes the pipes of a listener: its input, its output, and where that is written for its log. One
    /// that is known already is told again by a daemon that took over.
    pub fn open(self: &Rc<Listeners>, job: String, start: u64, ends: Vec<OwnedFd>) {
        if self.wires.borrow().get(&job).is_some_and(|wire| wire.start == start) {
            return;
        }
        let opened = || -> io::Result<_> {
            let [input, tap, spill] =
                ends.try_into().map_err(|_| io::Error::from(io::ErrorKind::InvalidInput))?;
            let input = pipe::Sender::from_owned_fd(input)?;
            let spill = pipe::Sender::from_owned_fd(spill)?;
            Ok((input, pipe::Receiver::from_owned_fd(tap)?, spill))
        };
        match opened() {
            Ok((input, tap, spill)) => {
                let wire = Wire { start, input, waits: Cell::new(false) };
                self.wires.borrow_mut().insert(job.clone(), Rc::new(wire));
                self.change(|desk, lines| desk.begun(&job, start, lines));
                spawn_local(Rc::clone(self).read(job, start, tap, spill));
            }
            Err(error) => eprintln!("upright-http: {job}: cannot be told events: {error}"),
        }
    }

    /// A client has sent something to listeners.
    pub fn remote(self: &Rc<Listeners>, kind: &str, data: &str) {
        let event = Event::Remote(kind.to_owned(), data.to_owned());
        self.change(|desk, lines| desk.happened(&event, lines));
    }

    /// Does something at the desk, writes it down, and writes what listeners are to be sent.
    fn change(self: &Rc<Listeners>, change: impl FnOnce(&mut Desk, &mut Lines)) {
        let mut lines = Lines::new();
        change(&mut self.desk.borrow_mut(), &mut lines);
        if let Some(link) = self.link.get() {
            lines.iter().for_each(|(level, line)| link.say(*level, line));
        }
        self.save();
        if self.write() {
            self.save();
        }
    }

    fn save(&self) {
        let Some(memory) = &mut *self.memory.borrow_mut() else { return };
        let content = pack(&*self.desk.borrow()).map_err(|fault| fault.to_string());
        let saved =
            content.and_then(|content| memory.write(&content).map_err(|error| error.to_string()));
        if let Err(why) = saved {
            eprintln!("upright-http: what listeners are told would not survive a crash: {why}");
        }
    }

    /// Writes what listeners are to be sent, as far as they take it; reports whether one took something.
    fn write(self: &Rc<Listeners>) -> bool {
        let wires: Vec<(String, Rc<Wire>)> =
            self.wires.borrow().iter().map(|(job, wire)| (job.clone(), Rc::clone(wire))).collect();
        let mut took = false;
        for (job, wire) in wires {
            loop {
                let unsent = self.desk.borrow().unsent(&job).to_vec();
                if unsent.is_empty() {
                    break;
                }
                match wire.input.try_write(&unsent) {
                    Ok(count) => {
                        self.desk.borrow_mut().sent(&job, count);
                        took = true;
                    }
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                        self.write_later(wire);
                        break;
                    }
                    // It reads no more: whoever else there is gets the event.
                    Err(_) => {
                        let listeners = Rc::clone(self);
                        let start = wire.start;
                        spawn_local(async move { listeners.close(&job, start) });
                        break;
                    }
                }
            }
        }
        took
    }

    fn write_later(self: &Rc<Listeners>, wire: Rc<Wire>) {
        if wire.waits.replace(true) {
            return;
        }
        let listeners = Rc::clone(self);
        spawn_local(async move {
            let _ = wire.input.writable().await;
            wire.waits.set(false);
            listeners.change(|_, _| {});
        });
    }

    /// Reads what a listener says until it says nothing more.
    async fn read(
        self: Rc<Listeners>,
        job: String,
        start: u64,
        tap: pipe::Receiver,
        mut spill: pipe::Sender,
    ) {
        let mut buffer = vec![0; CHUNK];
        loop {
            let said = match tap.readable().await.and_then(|()| tap.try_read(&mut buffer)) {
                Ok(0) => break,
                Ok(length) => buffer.get(..length).unwrap_or_default(),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => continue,
                Err(_) => break,
            };
            if !self.is_open(&job, start) {
                return;
            }
            self.change(|desk, lines| desk.said(&job, said, lines));
            // A logger that is away is waited for: by this listener alone.
            let _ = spill.write_all(said).await;
        }
        self.close(&job, start);
    }

    fn is_open(&self, job: &str, start: u64) -> bool {
        self.wires.borrow().get(job).is_some_and(|wire| wire.start == start)
    }

    fn close(self: &Rc<Listeners>, job: &str, start: u64) {
        if self.is_open(job, start) {
            self.wires.borrow_mut().remove(job);
            self.change(|desk, lines| desk.ended(job, lines));
        }
    }

    /// Tells listeners what the daemon tells, for ever.
    async fn follow(self: Rc<Listeners>, control: Control) {
        while !self.desk.borrow().is_running() {
            self.begin(&control).await;
        }
        loop {
            let heard = self.desk.borrow().heard();
            if let Ok(mut events) = control.events(Some(heard), Follow::On).await {
                self.hear(&control, &mut events).await;
            }
            sleep(PAUSE).await;
        }
    }

    /// Tells listeners what programs write, for ever; where nobody wants to know, nobody asks. What is
    /// written while the daemon is away is not told.
    async fn follow_outputs(self: Rc<Listeners>, control: Control) {
        loop {
            let changed = self.pools_changed.notified();
            if !self.desk.borrow().wants_outputs() {
                changed.await;
                continue;
            }
            if let Ok(mut outputs) = control.outputs().await {
                while let Ok(speech) = outputs.next().await {
                    let event = Event::of(speech);
                    self.change(|desk, lines| desk.happened(&event, lines));
                }
            }
            sleep(PAUSE).await;
        }
    }

    async fn hear(self: &Rc<Listeners>, control: &Control, events: &mut Events) {
        while let Ok(Some(notice)) = events.next().await {
            if notice.missed > 0 {
                self.ask_states(control).await;
            }
            self.change(|desk, lines| desk.notice(notice.sequence, &notice.what, lines));
        }
    }

    /// What happened before there was a gateway: first the groups, then that Upright runs, then their
    /// programs, as the original has it.
    async fn begin(self: &Rc<Listeners>, control: &Control) {
        let Ok(mut events) = control.events(Some(0), Follow::Off).await else {
            return sleep(PAUSE).await;
        };
        let mut later: Vec<Notice> = Vec::new();
        let mut missed = false;
        loop {
            match events.next().await {
                Ok(Some(notice)) => {
                    missed |= notice.missed > 0;
                    match &notice.what {
                        What::Job { .. } => {
                            self.change(|desk, lines| {
                                desk.notice(notice.sequence, &notice.what, lines);
                            });
                        }
                        _ => later.push(notice),
                    }
                }
                Ok(None) => break,
                Err(_) => return sleep(PAUSE).await,
            }
        }
        if missed {
            self.ask_states(control).await;
        }
        self.change(|desk, lines| desk.runs(lines));
        for notice in later {
            self.change(|desk, lines| desk.notice(notice.sequence, &notice.what, lines));
        }
    }

    /// What was missed may have been that a listener runs, or does not.
    async fn ask_states(self: &Rc<Listeners>, control: &Control) {
        let Ok(Answer::Programs(views)) = control.ask(Call::Programs(None)).await else { return };
        self.change(|desk, lines| {
            for view in views {
                let running = view.state == ProgramState::Running;
                desk.runs_now(&view.job.text().lossy(), running, lines);
            }
        });
    }

    /// Tells the time to who wants to know it; sleeps where nobody does.
    async fn tick(self: Rc<Listeners>) {
        loop {
            let changed = self.pools_changed.notified();
            let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
            self.change(|desk, lines| desk.tick(now.as_secs(), lines));
            let next = self.desk.borrow().next_tick(now.as_secs());
            let begun = Duration::from_nanos(u64::from(now.subsec_nanos()));
            match next {
                Some(seconds) => {
                    tokio::select! {
                        () = sleep(Duration::from_secs(seconds) - begun) => {}
                        () = changed => {}
                    }
                }
                None => changed.await,
            }
        }
    }
}
