//! Pools: events that wait, and who of the listeners gets the next one. Source: Supervisor 4.3.0,
//! process, EventListenerPool.
//!
//! Nothing here reads or writes: what a listener is to be sent is kept until it has been taken.

use super::event::{divided, includes, Event};
use super::talk::{Heard, State, Talk};
use engine::machine::Level;
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;

/// How many bytes the events that wait in one pool may have together; beyond, the oldest are dropped
/// as if there were too many.
const WAITING_MAX: usize = 8 * 1024 * 1024;

/// What a pool is, as its section says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Terms {
    /// Its name: that of its group.
    pub name: String,
    /// What Upright calls itself.
    pub server: String,
    /// How many events wait at most.
    pub buffer_size: usize,
    /// What it subscribes to.
    pub events: Vec<String>,
    /// The jobs that are its listeners, in the order in which they are served.
    pub listeners: Vec<String>,
}

/// An event that a pool has taken.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Taken {
    /// Its number among all events that some pool took.
    serial: u64,
    /// Its number in this pool.
    pool_serial: u64,
    name: String,
    payload: String,
}

/// A pool.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pool {
    terms: Terms,
    members: Vec<Member>,
    waiting: VecDeque<Taken>,
    /// The number of the next event.
    next: u64,
}

/// A listener.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Member {
    job: String,
    /// Whether it has stayed up long enough to be sent events.
    running: bool,
    /// The number of its process's start; none: nobody can be talked to.
    start: Option<u64>,
    talk: Talk,
    /// The event that it has.
    event: Option<Taken>,
    /// What it has not been sent of it yet.
    unsent: Vec<u8>,
}

impl Member {
    fn new(job: &str) -> Member {
        Member {
            job: job.to_owned(),
            running: false,
            start: None,
            talk: Talk::default(),
            event: None,
            unsent: Vec::new(),
        }
    }

    fn name(&self) -> &str {
        divided(&self.job).1
    }

    fn wants(&self) -> bool {
        self.running && self.start.is_some() && self.talk.state() == State::Ready
    }
}

/// Lines for Upright's log, in the order in which they are said.
pub type Lines = Vec<(Level, String)>;

impl Pool {
    /// Makes one in which nothing has happened yet.
    pub fn new(terms: Terms) -> Pool {
        let members = terms.listeners.iter().map(|job| Member::new(job)).collect();
        Pool { terms, members, waiting: VecDeque::new(), next: 0 }
    }

    /// Returns what it is.
    pub fn terms(&self) -> &Terms {
        &self.terms
    }

    /// Goes on under other terms, with the events that wait and the listeners that there still are.
    pub fn go_on(&mut self, terms: Terms) {
        let mut old = std::mem::take(&mut self.members);
        let mut member = |job: &String| match old.iter().position(|member| member.job == *job) {
            Some(place) => old.swap_remove(place),
            None => Member::new(job),
        };
        self.members = terms.listeners.iter().map(&mut member).collect();
        self.terms = terms;
    }

    /// Reports whether it takes events of this name.
    pub fn takes(&self, name: &str) -> bool {
        self.terms.events.iter().any(|wanted| includes(wanted, name))
    }

    /// Takes an event: once for each subscription that has it.
    pub fn take(&mut self, serial: u64, event: &Event, lines: &mut Lines) {
        let name = event.name();
        let times = self.terms.events.iter().filter(|wanted| includes(wanted, name)).count();
        if times == 0 {
            return;
        }
        let pool_serial = self.next;
        self.next += 1;
        let taken = Taken { serial, pool_serial, name: name.to_owned(), payload: event.payload() };
        for _ in 0..times {
            self.make_room(lines);
            self.waiting.push_back(taken.clone());
        }
        self.hand_out(lines);
    }

    /// A listener has another process, with which the conversation begins anew. Reports whether this
    /// is a listener's job.
    pub fn begun(&mut self, job: &str, start: u64, lines: &mut Lines) {
        let Some(place) = self.place(job) else { return };
        if self.members.get(place).is_some_and(|member| member.start == Some(start)) {
            return;
        }
        self.give_back(place, lines);
        if let Some(member) = self.members.get_mut(place) {
            member.start = Some(start);
            member.talk = Talk::default();
        }
    }

    /// Nobody can be talked to any more under this name. An event that was not answered is another's.
    pub fn ended(&mut self, job: &str, lines: &mut Lines) {
        let Some(place) = self.place(job) else { return };
        self.give_back(place, lines);
        if let Some(member) = self.members.get_mut(place) {
            member.start = None;
        }
        self.hand_out(lines);
    }

    /// A listener runs, or does not: only one that does is sent events.
    pub fn runs(&mut self, job: &str, running: bool, lines: &mut Lines) {
        let Some(place) = self.place(job) else { return };
        if let Some(member) = self.members.get_mut(place) {
            member.running = running;
        }
        self.hand_out(lines);
    }

    /// A listener has said something.
    pub fn said(&mut self, job: &str, bytes: &[u8], lines: &mut Lines) {
        let Some(place) = self.place(job) else { return };
        let Some(member) = self.members.get_mut(place) else { return };
        let mut heard = Vec::new();
        member.talk.hear(bytes, &mut heard);
        for heard in heard {
            self.follow(place, heard, lines);
        }
        self.hand_out(lines);
    }

    /// Returns what a listener is to be sent next; nothing where there is nothing.
    pub fn unsent(&self, job: &str) -> &[u8] {
        let member = self.place(job).and_then(|place| self.members.get(place));
        member.filter(|member| member.start.is_some()).map_or(&[], |member| &member.unsent)
    }

    /// A listener has taken so many bytes of that.
    pub fn sent(&mut self, job: &str, count: usize) {
        let Some(place) = self.place(job) else { return };
        if let Some(member) = self.members.get_mut(place) {
            member.unsent.drain(..count.min(member.unsent.len()));
        }
    }

    fn place(&self, job: &str) -> Option<usize> {
        self.members.iter().position(|member| member.job == job)
    }

    fn follow(&mut self, place: usize, heard: Heard, lines: &mut Lines) {
        let Some(member) = self.members.get_mut(place) else { return };
        let name = member.name().to_owned();
        match heard {
            Heard::Became(from, to) => {
                lines.push((Level::Debug, format!("{name}: {} -> {}", from.name(), to.name())));
                if to == State::Unknown {
                    lines.push((
                        Level::Warn,
                        format!(
                            "{name}: has entered the UNKNOWN state and will no longer receive \
                             events, this usually indicates the process violated the \
                             eventlistener protocol"
                        ),
                    ));
                }
            }
            Heard::Accepted => {
                member.event = None;
                lines.push((Level::Debug, format!("{name}: event was processed")));
            }
            Heard::Rejected => {
                lines.push((Level::Warn, format!("{name}: event was rejected")));
                self.give_back(place, lines);
            }
            Heard::BadResult(line) => {
                lines.push((Level::Warn, format!("{name}: bad result line: '{line}'")));
                self.give_back(place, lines);
            }
        }
    }

    /// Puts a listener's event before all that wait.
    fn give_back(&mut self, place: usize, lines: &mut Lines) {
        let Some(member) = self.members.get_mut(place) else { return };
        member.unsent = Vec::new();
        let Some(event) = member.event.take() else { return };
        self.make_room(lines);
        self.waiting.push_front(event);
    }

    /// Drops the oldest events that there is no room for beside one more.
    fn make_room(&mut self, lines: &mut Lines) {
        let bytes = |waiting: &VecDeque<Taken>| -> usize {
            waiting.iter().map(|taken| taken.payload.len()).sum()
        };
        while self.waiting.len() >= self.terms.buffer_size || bytes(&self.waiting) > WAITING_MAX {
            let Some(oldest) = self.waiting.pop_front() else { return };
            let (pool, serial) = (&self.terms.name, oldest.serial);
            lines.push((
                Level::Error,
                format!("pool {pool} event buffer overflowed, discarding event {serial}"),
            ));
        }
    }

    /// Gives events to listeners as long as there are both.
    fn hand_out(&mut self, lines: &mut Lines) {
        while let Some(place) = self.members.iter().position(Member::wants) {
            let Some(event) = self.waiting.pop_front() else { return };
            let Some(member) = self.members.get_mut(place) else { return };
            let name = divided(&member.job).1;
            lines.push((Level::Debug, format!("event {} sent to listener {name}", event.serial)));
            member.unsent = envelope(&self.terms, &event).into_bytes();
            member.talk.sent();
            member.event = Some(event);
        }
    }
}

/// Returns an event as it is sent. Its length is counted in characters, as listeners in Python read it.
fn envelope(terms: &Terms, event: &Taken) -> String {
    let Terms { name: pool, server, .. } = terms;
    let Taken { serial, pool_serial, name, payload } = event;
    let length = payload.chars().count();
    format!(
        "ver:3.0 server:{server} serial:{serial} pool:{pool} poolserial:{pool_serial} \
         eventname:{name} len:{length}\n{payload}"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn terms(size: usize, listeners: &[&str]) -> Terms {
        Terms {
            name: "lis".to_owned(),
            server: "supervisor".to_owned(),
            buffer_size: size,
            events: vec!["REMOTE_COMMUNICATION".to_owned()],
            listeners: listeners.iter().map(|job| (*job).to_owned()).collect(),
        }
    }

    /// The state of the conversation with the listener; nothing where there is none.
    fn state(pool: &Pool) -> Option<State> {
        let member = pool.members.first()?;
        member.start.map(|_| member.talk.state())
    }

    /// A pool with what it said last.
    struct World {
        pool: Pool,
        lines: Lines,
        serial: u64,
    }

    impl World {
        fn new(size: usize, listeners: &[&str]) -> World {
            let mut pool = Pool::new(terms(size, listeners));
            let mut lines = Lines::new();
            for job in listeners {
                pool.begun(job, 1, &mut lines);
                pool.runs(job, true, &mut lines);
            }
            World { pool, lines, serial: 0 }
        }

        fn remote(&mut self, data: &str) {
            let event = Event::Remote("t".to_owned(), data.to_owned());
            self.pool.take(self.serial, &event, &mut self.lines);
            self.serial += 1;
        }

        fn say(&mut self, job: &str, words: &str) {
            self.pool.said(job, words.as_bytes(), &mut self.lines);
        }

        /// What a listener is sent, all of it: what it is about, and both numbers.
        fn sent(&mut self, job: &str) -> String {
            let all = String::from_utf8(self.pool.unsent(job).to_vec()).unwrap();
            self.pool.sent(job, all.len());
            let Some((head, payload)) = all.split_once('\n') else { return all };
            let word = |key: &str| {
                let found = head.split(' ').find_map(|word| word.strip_prefix(key));
                found.unwrap_or("?").to_owned()
            };
            let data = payload.split_once('\n').unwrap_or_default().1;
            format!("{data} {} {}", word("serial:"), word("poolserial:"))
        }

        fn said(&mut self) -> Vec<String> {
            let lines = std::mem::take(&mut self.lines);
            let said = lines.into_iter().filter(|(level, _)| *level > Level::Debug);
            said.map(|(_, line)| line).collect()
        }
    }

    #[test]
    fn an_event_is_sent_whole_to_one_that_is_ready_and_runs() {
        let mut pool = Pool::new(terms(10, &["lis"]));
        let mut lines = Lines::new();
        pool.begun("lis", 1, &mut lines);
        pool.said("lis", b"READY\n", &mut lines);
        let event = Event::Remote("t".to_owned(), "h\u{e9}".to_owned());
        pool.take(4, &event, &mut lines);
        assert_eq!(pool.unsent("lis"), b"", "it does not run yet");
        pool.runs("lis", true, &mut lines);
        let wanted = "ver:3.0 server:supervisor serial:4 pool:lis poolserial:0 \
                      eventname:REMOTE_COMMUNICATION len:9\ntype:t\nh\u{e9}";
        assert_eq!(pool.unsent("lis"), wanted.as_bytes());
        pool.sent("lis", 3);
        assert_eq!(pool.unsent("lis"), &wanted.as_bytes()[3..]);
        assert_eq!(state(&pool), Some(State::Busy));
    }

    #[test]
    fn a_rejected_event_comes_again_first_and_with_its_numbers() {
        let mut world = World::new(10, &["lis"]);
        world.say("lis", "READY\n");
        world.remote("a");
        world.remote("b");
        for _ in 0..3 {
            assert_eq!(world.sent("lis"), "a 0 0");
            world.say("lis", "RESULT 4\nFAIL");
            assert_eq!(world.said(), ["lis: event was rejected"]);
            assert_eq!(world.sent("lis"), "");
            world.say("lis", "READY\n");
        }
        assert_eq!(world.sent("lis"), "a 0 0");
        world.say("lis", "RESULT 2\nOKREADY\n");
        assert_eq!(world.sent("lis"), "b 1 1");
    }

    #[test]
    fn a_full_buffer_drops_the_oldest() {
        let mut world = World::new(2, &["lis"]);
        world.say("lis", "READY\n");
        for data in ["0", "1", "2", "3", "4", "5"] {
            world.remote(data);
        }
        let dropped =
            |serial| format!("pool lis event buffer overflowed, discarding event {serial}");
        assert_eq!(world.said(), [dropped(1), dropped(2), dropped(3)]);
        assert_eq!(world.sent("lis"), "0 0 0");
        world.say("lis", "RESULT 2\nOKREADY\n");
        assert_eq!(world.sent("lis"), "4 4 4");
        // One that comes back has no more room than others.
        world.remote("6");
        world.say("lis", "RESULT 2\nnoREADY\n");
        assert_eq!(world.said(), ["lis: event was rejected".to_owned(), dropped(5)]);
        assert_eq!(world.sent("lis"), "4 4 4");
    }

    #[test]
    fn the_buffer_is_bounded_in_bytes_too() {
        let mut world = World::new(usize::MAX, &["lis"]);
        for _ in 0..10 {
            world.remote(&"x".repeat(WAITING_MAX / 4));
        }
        assert!(world.pool.waiting.len() <= 6);
        assert_eq!(world.said().len(), 10 - world.pool.waiting.len());
    }

    #[test]
    fn one_that_breaks_off_is_sent_nothing_until_it_is_started_again() {
        let mut world = World::new(10, &["lis"]);
        world.say("lis", "READY\n");
        world.remote("a");
        assert_eq!(world.sent("lis"), "a 0 0");
        world.say("lis", "WHATEVER\nREADY\n");
        let unknown = "lis: has entered the UNKNOWN state and will no longer receive events, this \
                       usually indicates the process violated the eventlistener protocol";
        assert_eq!(world.said(), ["lis: bad result line: 'WHATEVER'", unknown]);
        world.remote("b");
        assert_eq!(world.sent("lis"), "");
        world.pool.ended("lis", &mut world.lines);
        assert_eq!(state(&world.pool), None);
        world.pool.begun("lis", 2, &mut world.lines);
        world.say("lis", "READY\n");
        assert_eq!(world.sent("lis"), "a 0 0");
        // The same process told again is no new one.
        world.pool.begun("lis", 2, &mut world.lines);
        assert_eq!(state(&world.pool), Some(State::Busy));
    }

    #[test]
    fn one_that_dies_with_an_event_leaves_it_to_another() {
        let mut world = World::new(10, &["lis:a", "lis:b"]);
        for job in ["lis:a", "lis:b"] {
            world.say(job, "READY\n");
        }
        for data in ["0", "1", "2"] {
            world.remote(data);
        }
        assert_eq!((world.sent("lis:a"), world.sent("lis:b")), ("0 0 0".into(), "1 1 1".into()));
        world.say("lis:b", "RESULT 2\nOK");
        world.pool.ended("lis:a", &mut world.lines);
        world.say("lis:b", "READY\n");
        assert_eq!(world.sent("lis:b"), "0 0 0");
    }

    #[test]
    fn two_subscriptions_to_one_event_have_it_twice_with_the_same_numbers() {
        let mut world = World::new(10, &["lis"]);
        let mut two = terms(10, &["lis"]);
        two.events.push("EVENT".to_owned());
        world.pool.go_on(two);
        world.say("lis", "READY\n");
        world.remote("a");
        for _ in 0..2 {
            assert_eq!(world.sent("lis"), "a 0 0");
            world.say("lis", "RESULT 2\nOKREADY\n");
        }
        world.remote("b");
        assert_eq!(world.sent("lis"), "b 1 1");
    }
}
