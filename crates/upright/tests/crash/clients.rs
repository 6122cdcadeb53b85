//! Clients that ask while Upright is killed, and count what they were told.

use crate::world::{target, World};
use engine::control::answer::Answer;
use engine::control::call::{Call, Follow, Token};
use engine::machine::request::{Request, Wait};
use engine::machine::Notice;
use engine::text::Text;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;
use upright::cli::client::{Client, Enough, Trouble};
use upright::cli::connect::{self, Address};

/// What was asked and told.
#[derive(Default)]
pub struct Books {
    /// Work that was asked for and, as the answer said, done.
    pub worked: Vec<String>,
    /// How often `toggled` was started, as the answers said.
    pub toggled: usize,
    /// How often `again` was restarted, as the answers said.
    pub restarted: usize,
    /// Every answer that was not what it had to be.
    pub wrong: Vec<String>,
    /// Answers in all.
    pub answers: u64,
}

impl Books {
    /// Where the keeper was killed, a task that ended before there was another is answered with an end
    /// of which nobody can say how it was: the work was done all the same. Returns how many there were.
    pub fn forgive_unknown(&mut self, may_be: bool) -> u64 {
        if !may_be {
            return 0;
        }
        let wrong = std::mem::take(&mut self.wrong);
        let (unknown, wrong): (Vec<String>, Vec<String>) =
            wrong.into_iter().partition(|answer| answer.contains("event-failed"));
        self.wrong = wrong;
        let of = |answer: &String| answer.split(':').next().unwrap_or_default().to_owned();
        self.worked.extend(unknown.iter().map(of));
        unknown.len() as u64
    }
}

/// The clients, each a thread.
pub struct Clients {
    address: Address,
    books: Arc<Mutex<Books>>,
    stop: Arc<AtomicBool>,
    threads: Vec<(&'static str, JoinHandle<()>)>,
}

/// Connects anew.
pub fn client(address: &Address) -> Client {
    let uid = sys::peer::own_uid();
    let stream = crate::world::eventually("a connection", || connect::connect(address, uid).ok());
    Client::new(stream, address.clone(), uid).with_patience(crate::world::PATIENCE)
}

/// Asks for a piece of work that takes so long.
pub fn work(id: &str, milliseconds: u64) -> Call {
    let env = vec![Text::from(format!("ID={id}")), Text::from(format!("MS={milliseconds}"))];
    let token = Token::try_from(format!("work-{id}")).ok();
    Call::Ask(Request::Emit(Text::from("work"), env, Wait::Settled), token)
}

/// Emits an event and waits until it has finished.
pub fn emit(name: &str) -> Call {
    Call::Ask(Request::Emit(Text::from(name), Vec::new(), Wait::Settled), None)
}

impl Clients {
    /// Begins to ask.
    pub fn start(world: &World) -> Clients {
        let mut clients = Clients {
            address: world.address(),
            books: Arc::default(),
            stop: Arc::default(),
            threads: Vec::new(),
        };
        clients.run("worker a", |client, books, turn| do_work(client, books, turn, "a"));
        clients.run("worker b", |client, books, turn| do_work(client, books, turn, "b"));
        clients.run("toggler", |client, books, _| {
            let start = Call::Ask(Request::Start(target("toggled"), Wait::Settled), None);
            if books.told("start toggled", client.ask(start)) {
                books.change(|books| books.toggled += 1);
            }
            let stop = Call::Ask(Request::Stop(target("toggled"), Wait::Settled), None);
            books.told("stop toggled", client.ask(stop));
        });
        clients.run("restarter", |client, books, _| {
            let call = Call::Ask(Request::Restart(target("again"), Wait::Settled), None);
            if books.told("restart again", client.ask(call)) {
                books.change(|books| books.restarted += 1);
            }
            // No wait for a fact: at most fifty restarts a second, so that the job runs in between.
            std::thread::sleep(Duration::from_millis(20));
        });
        clients
    }

    fn run(&mut self, name: &'static str, ask: impl Fn(&mut Client, &Told, u64) + Send + 'static) {
        let (address, stop) = (self.address.clone(), Arc::clone(&self.stop));
        let told = Told(Arc::clone(&self.books));
        let thread = std::thread::spawn(move || {
            let mut client = client(&address);
            for turn in 0.. {
                if stop.load(Ordering::Relaxed) {
                    return;
                }
                ask(&mut client, &told, turn);
            }
        });
        self.threads.push((name, thread));
    }

    /// Notes that work which somebody else asked for was done.
    pub fn note(&self, id: String, answer: Result<Answer, Trouble>) {
        let told = Told(Arc::clone(&self.books));
        if told.told(&id, answer) {
            told.change(|books| books.worked.push(id));
        }
    }

    /// Asks no more, waits for the answers that are owed and returns the books. Who is still not
    /// answered then is a request lost.
    pub fn finish(self) -> Books {
        self.stop.store(true, Ordering::Relaxed);
        for (name, thread) in self.threads {
            let finished =
                crate::world::within(crate::world::PATIENCE, || thread.is_finished().then_some(()));
            if finished.is_none() || thread.join().is_err() {
                let told = Told(Arc::clone(&self.books));
                told.change(|books| books.wrong.push(format!("{name} was never answered")));
            }
        }
        std::mem::take(&mut *self.books.lock().unwrap())
    }
}

fn do_work(client: &mut Client, books: &Told, turn: u64, who: &str) {
    let id = format!("{who}{turn}");
    if books.told(&id, client.ask(work(&id, turn % 7 * 5))) {
        books.change(|books| books.worked.push(id));
    }
}

struct Told(Arc<Mutex<Books>>);

impl Told {
    fn change(&self, change: impl FnOnce(&mut Books)) {
        change(&mut self.0.lock().unwrap());
    }

    /// Notes an answer; reports whether it says that it was done.
    fn told(&self, what: &str, answer: Result<Answer, Trouble>) -> bool {
        self.change(|books| books.answers += 1);
        match answer {
            Ok(Answer::Instance(_)) => true,
            other => {
                self.change(|books| books.wrong.push(format!("{what}: {other:?}")));
                false
            }
        }
    }
}

/// What a stream of notices told of `exited` events.
#[derive(Default)]
pub struct Heard {
    /// Job, process and how it ended, as the jobs' program writes it.
    pub exited: Vec<(String, String)>,
    /// How many notices the stream said that it had lost.
    pub missed: u64,
    /// Numbers that came twice or out of order.
    pub disorder: Vec<String>,
    last: u64,
}

/// Follows the stream of notices until the event `end-of-stream`.
pub fn listen(address: Address) -> JoinHandle<Heard> {
    std::thread::spawn(move || {
        let mut heard = Heard::default();
        let told = client(&address).events(Some(0), Follow::On, |notice| {
            if notice.sequence <= heard.last {
                heard.disorder.push(format!("{} after {}", notice.sequence, heard.last));
            }
            heard.missed += notice.missed;
            heard.last = notice.sequence;
            let Notice::Event { name, env, .. } = notice.what else { return Enough::No };
            let value = |key: &str| {
                let text = env.iter().map(|row| String::from_utf8_lossy(row.bytes()).into_owned());
                text.into_iter().find_map(|row| row.strip_prefix(key).map(str::to_owned))
            };
            match name.text().bytes() {
                b"exited" => {
                    let status = value("EXIT_STATUS=").map(|status| format!("status {status}"));
                    let signal = value("EXIT_SIGNAL=").map(|signal| format!("signal {signal}"));
                    let how = status.or(signal).unwrap_or_else(|| String::from("unknown"));
                    let pid = value("PID=").unwrap_or_default();
                    let job = value("JOB=").unwrap_or_default();
                    heard.exited.push((job, format!("{pid} {how}")));
                    Enough::No
                }
                b"end-of-stream" => Enough::Yes,
                _ => Enough::No,
            }
        });
        if let Err(trouble) = told {
            heard.disorder.push(format!("the stream ended: {trouble:?}"));
        }
        heard
    })
}
