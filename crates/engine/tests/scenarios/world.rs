//! The world around the machine, as a transcript tells it: a clock, a keeper, clients.

use crate::transcript::Time;
use crate::words::{self, Kind};
use crate::Memory;
use engine::dialect::supervisord::{self, Facts, Want};
use engine::dialect::upstart;
use engine::intent::{Intent, Keeping, Lasting};
use engine::machine::request::{Reply, Request, RequestId, Target, Wait, Which};
use engine::machine::{Budget, Candidate, Changes, Config, Effect, Engine, Found};
use engine::machine::{Input, Level, Probation, Remaining, ShutdownKind};
use engine::names::{EventName, InstanceName, JobName};
use engine::process::{Exit, Pid, Role, Slot, Step};
use engine::signal::Signal;
use engine::text::Text;
use engine::time::Span;
use engine::view::{Asker, ProgramView};
use std::collections::BTreeMap;
use std::sync::Arc;

/// How often the keeper answers in one turn of a transcript before something is taken to be wrong.
const ANSWERS_MAX: usize = 1000;

/// The number of the first process.
const FIRST_PID: Pid = 101;

type Followed = Result<Vec<String>, String>;

/// What a line of input does, with its words.
type Do = fn(&mut World, &[&str]) -> Followed;

/// Every input: its first word, the rest of its form, what it does.
const INPUTS: &[(&str, &str, Do)] = &[
    ("start", "JOB [KEY=VALUE]... [no-wait] [token=T]", |w, r| w.ask("start", r)),
    ("stop", "JOB [KEY=VALUE]... [no-wait] [token=T]", |w, r| w.ask("stop", r)),
    ("restart", "JOB [KEY=VALUE]... [no-wait] [token=T]", |w, r| w.ask("restart", r)),
    ("reload", "JOB [KEY=VALUE]...", |w, r| w.ask("reload", r)),
    ("check", "JOB [KEY=VALUE]...", |w, r| w.ask("check", r)),
    ("start-once", "JOB [KEY=VALUE]... [no-wait] [token=T]", |w, r| w.ask("start-once", r)),
    ("intend", "JOB [disabled|stopped|masked] [runtime] [token=T]", |w, r| w.ask("intend", r)),
    ("kept", "N [no-room|nowhere]", World::kept),
    ("recalled", "WORD JOB...", World::recalled),
    ("usr1", "JOB [KEY=VALUE]...", |w, r| w.ask("usr1", r)),
    ("emit", "EVENT [KEY=VALUE]... [no-wait] [token=T]", |w, r| w.ask("emit", r)),
    ("by", "UID PROGRAM", World::by),
    ("gone", "REQUEST", World::gone),
    ("find", "TOKEN", World::find_token),
    ("happened", "EVENT [KEY=VALUE]...", World::happened),
    ("ran", "JOB PROCESS [refused STEP...]", World::ran),
    ("refused", "JOB PROCESS STEP ERRNO", World::refused),
    ("exited", "JOB PROCESS STATUS", World::exited),
    ("killed", "JOB PROCESS SIGNAL [core]", World::killed),
    ("vanished", "JOB PROCESS", World::vanished),
    ("stopped", "JOB PROCESS [SIGNAL]", World::stopped),
    ("left", "JOB [PID:SESSION]...", World::left),
    ("swept", "JOB COUNT", World::swept),
    ("oom", "JOB PROCESS COUNT", World::oom),
    ("remaining", "JOB [PID]...", World::remaining),
    ("remove", "JOB", World::remove),
    ("replace", "JOB [KEY=VALUE]...", World::replace),
    ("probation", "begins|ends", |w, r| {
        let begins = one(r)? == "begins";
        w.tell(Input::Probation(if begins { Probation::Begins } else { Probation::Ends }))
    }),
    ("shutdown", "[logout|restart]", World::shutdown),
    ("interrupt", "", |w, _| w.tell(Input::Interrupt)),
    ("strays", "COUNT", World::strays_left),
    ("pass", "SIGNAL", |w, r| {
        let signal = Signal::from_name(one(r)?).ok_or("which signal?")?;
        w.tell(Input::Pass(signal))
    }),
    ("tick", "", |w, _| w.tell(Input::Tick)),
    ("status", "JOB [KEY=VALUE]...", World::status),
    ("list", "", World::list),
    ("why", "JOB [KEY=VALUE]...", World::why),
    ("times", "", World::times),
    ("work", "", World::work),
    ("states", "", World::states),
];

/// What a header sets.
type Set = fn(&mut World, &str) -> Result<(), String>;

/// Every header.
const HEADERS: &[(&str, Set)] = &[
    // What is told below an input: words of `Kind`.
    ("show", |w, v| Kind::list(v).map(|kinds| w.show = kinds)),
    // How loud a message must be to be said.
    ("level", |w, v| {
        let row = Level::TABLE.iter().find(|row| row.1 == v);
        row.map(|row| w.level = row.0).ok_or_else(|| format!("there is no level {v}"))
    }),
    // `told`: what became of a spawn is an input; else every process runs at once.
    ("keeper", |w, v| {
        w.keeper = Keeper::Told;
        (v == "told").then_some(()).ok_or_else(|| format!("there is no keeper {v}"))
    }),
    // KEY=VALUE of the table that all jobs start from.
    ("table", |w, v| rows(v).map(|rows| w.config.table = rows)),
    // How many seconds an orderly end may take.
    ("timeout", |w, v| {
        let seconds = v.parse().map_err(|_| format!("{v} is no number of seconds"))?;
        w.config.stop_timeout = Some(Span::secs(seconds));
        Ok(())
    }),
    // How many restarts there may be over all jobs, `RATE:BURST`.
    ("budget", |w, v| {
        let budget = Budget::from_text(v);
        budget.map(|budget| w.config.budget = budget).ok_or_else(|| format!("no budget: {v}"))
    }),
    // How many processes descend from Upright beside the jobs'.
    ("strays", |w, v| {
        w.strays = v.parse().map_err(|_| format!("{v} is no number"))?;
        Ok(())
    }),
    // KEY=VALUE of Upright's own environment.
    ("own", |w, v| rows(v).map(|rows| w.config.own = rows)),
    // KEY=VALUE given to every process last.
    ("forced", |w, v| rows(v).map(|rows| w.config.forced = rows)),
];

/// How the keeper comes to answer.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Keeper {
    /// Every process runs as soon as it is wanted.
    Prompt,
    /// The transcript says what becomes of it.
    Told,
}

/// A process that the machine wanted.
struct Known {
    slot: Slot,
    job: JobName,
    instance: InstanceName,
    pid: Option<Pid>,
}

/// The machine and everything around it.
pub struct World {
    engine: Engine,
    config: Config,
    level: Level,
    memory: Memory,
    records: Vec<Changes>,
    now: Time,
    show: Vec<Kind>,
    keeper: Keeper,
    next_pid: Pid,
    known: Vec<Known>,
    asker: Option<Asker>,
    asked: BTreeMap<RequestId, &'static str>,
    /// How many processes descend from Upright beside the jobs'.
    strays: u32,
    fault: Option<String>,
}

impl World {
    /// Returns a world with the headers of a scenario.
    pub fn new(headers: &[(String, String)], memory: Memory) -> World {
        let mut world = World {
            engine: Engine::new(Config::default()),
            config: Config::default(),
            level: Level::Message,
            memory,
            records: Vec::new(),
            now: Time(Span::ZERO),
            show: Kind::usual(),
            keeper: Keeper::Prompt,
            next_pid: FIRST_PID,
            known: Vec::new(),
            asker: None,
            asked: BTreeMap::new(),
            strays: 0,
            fault: None,
        };
        for (key, value) in headers {
            let set = HEADERS.iter().find(|row| row.0 == key);
            let done =
                set.map_or_else(|| Err(format!("no header {key}")), |row| row.1(&mut world, value));
            world.fault = world.fault.or(done.err());
        }
        world.engine = Engine::new(world.config.clone());
        world.engine.hear(world.level);
        world
    }

    /// Makes a job known.
    pub fn define(&mut self, name: &str, file: &str) -> Followed {
        if let Some(name) = name.strip_prefix("revise ") {
            return self.revise(name, file);
        }
        let name = JobName::try_from(name).map_err(|error| error.to_string())?;
        let parsed = upstart::parse(name.clone(), file.as_bytes());
        match parsed.error() {
            Some(error) => Err(error.one_line(&name.text().lossy())),
            None => self.tell(Input::Define(Arc::new(parsed.spec))),
        }
    }

    /// Has what runs go on by another description.
    fn revise(&mut self, name: &str, file: &str) -> Followed {
        let name = JobName::try_from(name).map_err(|error| error.to_string())?;
        let parsed = upstart::parse(name.clone(), file.as_bytes());
        match parsed.error() {
            Some(error) => Err(error.one_line(&name.text().lossy())),
            None => self.tell(Input::Revise(Arc::new(parsed.spec))),
        }
    }

    /// Restarts what was checked.
    fn replace(&mut self, words: &[&str]) -> Followed {
        let (subject, env) = words.split_first().ok_or("which job?")?;
        let id = self.engine.next_request();
        self.asked.insert(id, "replace");
        self.tell(Input::Replace(id, target(subject, env)?, self.asker.clone()))
    }

    /// Makes programs known, in the order in which they are started.
    pub fn programs(&mut self, file: &str) -> Followed {
        let mut facts = Facts { path: "programs".into(), ..Facts::default() };
        let file = format!("[supervisord]\n{file}");
        let mut config = supervisord::read(file.as_bytes(), &facts);
        for want in core::mem::take(&mut config.wants) {
            if let Want::Directory(path) = want {
                facts.directories.insert(path, true);
            }
        }
        let config = supervisord::read(file.as_bytes(), &facts);
        if let Some(refusal) = config.refusal {
            return Err(refusal);
        }
        let mut followed = Vec::new();
        for spec in config.jobs().0 {
            followed.extend(self.tell(Input::Define(Arc::new(spec)))?);
        }
        Ok(followed)
    }

    /// Says what Supervisor's clients are shown of every job.
    fn states(&mut self, _: &[&str]) -> Followed {
        let jobs: Vec<JobName> = self.engine.job_names().cloned().collect();
        let views = jobs.iter().filter_map(|job| self.engine.program(job));
        let line = |view: ProgramView| {
            let mut line = format!("{} {}", view.job, view.state.name());
            line += &view.description().map_or(String::new(), |text| format!(" {text}"));
            let ago =
                |span: Option<Span>| span.map_or("never".into(), |span| format!("{span} ago"));
            line += &format!("; started {}, ended {}", ago(view.started), ago(view.stopped));
            if !view.spawn_error.is_empty() {
                line += &format!("; {}", view.spawn_error);
            }
            line
        };
        Ok(views.map(line).collect())
    }

    /// Carries out one line.
    pub fn input(&mut self, at: Time, words: &str) -> Followed {
        if let Some(fault) = self.fault.take() {
            return Err(fault);
        }
        if at < self.now {
            return Err(format!("time does not go back: it is @{} already", self.now));
        }
        if let Some(due) = self.engine.next_deadline().map(Time::of).filter(|due| *due < at) {
            return Err(format!("something is due before: write `@{due} tick`"));
        }
        self.now = at;
        let words: Vec<&str> = words.split_whitespace().collect();
        let (first, rest) = words.split_first().ok_or("there is nothing to do")?;
        match INPUTS.iter().find(|row| row.0 == *first) {
            Some((_, form, carry_out)) => carry_out(self, rest)
                .map_err(|what| format!("{what} (the form is `{first} {form}`)")),
            None => {
                let all: Vec<&str> = INPUTS.iter().map(|row| row.0).collect();
                Err(format!("there is no such input; there are {}", all.join(", ")))
            }
        }
    }

    /// Tells the machine, performs what it wants, and lets the keeper answer.
    fn tell(&mut self, input: Input) -> Followed {
        let mut followed = Vec::new();
        let mut inputs = vec![input];
        for _ in 0..ANSWERS_MAX {
            let mut answers = Vec::new();
            for input in inputs {
                let mut effects = Vec::new();
                self.engine.handle(self.now.mono(), input, &mut effects);
                for effect in &effects {
                    followed.extend(self.perform(effect, &mut answers));
                }
                self.remember();
            }
            if answers.is_empty() {
                if self.show.contains(&Kind::Wakes) {
                    let due = self.engine.next_deadline().map(Time::of);
                    followed.extend(due.map(|due| format!("wakes @{due}")));
                }
                return Ok(followed);
            }
            inputs = answers;
        }
        Err("it never comes to an end".into())
    }

    /// Takes the machine's record and, where that is what is played, makes it again.
    fn remember(&mut self) {
        if self.memory == Memory::Kept {
            return;
        }
        let bytes = serde_json::to_vec(&self.engine.take_changes()).expect("a record is JSON");
        self.records.push(serde_json::from_slice(&bytes).expect("a record can be read"));
        self.engine = Engine::restore(self.config.clone(), self.records.iter().cloned());
        self.records = vec![self.engine.snapshot()];
    }

    /// Does what the machine wants, and returns it in words where it is shown.
    fn perform(&mut self, effect: &Effect, answers: &mut Vec<Input>) -> Option<String> {
        let words = match effect {
            Effect::Spawn(slot) | Effect::Adopt(slot, _) => {
                self.learn(*slot, effect);
                let name = self.named(*slot);
                let pid = self.answer(*slot, answers);
                let pid = pid.map_or_else(String::new, |pid| format!(", process {pid}"));
                match effect {
                    Effect::Adopt(_, pid) => format!("adopt {name} {pid}"),
                    _ => format!("spawn {name}{pid}{}", self.with_env(*slot)),
                }
            }
            Effect::Signal(slot, signal, scope) => {
                format!("signal {} {signal} {}", self.named(*slot), words::scope(*scope))
            }
            Effect::Release(slot) => format!("release {}", self.named(*slot)),
            Effect::Survey(slot, pid) => format!("survey {} {pid}", self.named(*slot)),
            Effect::Sweep(slot, signal) => format!("sweep {} {signal}", self.named(*slot)),
            Effect::SweepAll(signal) => {
                answers.push(Input::SweptAll(self.strays));
                format!("sweep all {signal}")
            }
            Effect::Reply(id, reply, output) => self.reply_words(*id, reply, *output),
            Effect::Notice(_, notice) if self.show.contains(&Kind::Causes) => {
                words::notice(notice) + &words::cause(notice)
            }
            Effect::Notice(_, notice) => words::notice(notice),
            Effect::Say(level, what) => format!("say {} {what}", words::level(*level)),
            Effect::Quit(code) => format!("quit {code}"),
            Effect::Keep(number) => {
                let all = self.engine.intents().filter(|(_, of)| of.lasting == Lasting::Kept);
                let all: Vec<String> =
                    all.map(|(job, of)| format!("{} {job}", of.intent)).collect();
                format!("keep {number}: {}", all.join(", "))
            }
        };
        self.show.contains(&Kind::of(effect)).then_some(words)
    }

    fn learn(&mut self, slot: Slot, effect: &Effect) {
        let Some((job, instance)) = self.engine.name_of(slot.instance) else { return };
        let (job, instance) = (job.clone(), instance.clone());
        let pid = if let Effect::Adopt(_, pid) = effect { Some(*pid) } else { None };
        self.known.push(Known { slot, job, instance, pid });
    }

    /// A prompt keeper: the process runs.
    fn answer(&mut self, slot: Slot, answers: &mut Vec<Input>) -> Option<Pid> {
        if self.keeper == Keeper::Told {
            return None;
        }
        let pid = self.run(slot)?;
        answers.push(Input::Spawned(slot, pid, 0));
        Some(pid)
    }

    fn run(&mut self, slot: Slot) -> Option<Pid> {
        let next = self.next_pid;
        let known = self.known.iter_mut().find(|known| known.slot == slot)?;
        if known.pid.is_none() {
            self.next_pid += 1;
        }
        Some(*known.pid.get_or_insert(next))
    }

    fn with_env(&self, slot: Slot) -> String {
        if !self.show.contains(&Kind::Env) {
            return String::new();
        }
        let env = self.engine.order(slot).map(|order| order.env).unwrap_or_default();
        let rows: Vec<String> = env.iter().map(|row| format!("\n    {row}")).collect();
        rows.concat()
    }

    fn named(&self, slot: Slot) -> String {
        match self.known.iter().find(|known| known.slot == slot) {
            Some(known) => format!("{} {}", words::place(&known.job, &known.instance), slot.role),
            None => format!("(nobody's) {}", slot.role),
        }
    }

    fn reply_words(&self, id: RequestId, reply: &Reply, output: Option<Slot>) -> String {
        let asked = format!("{}#{}", self.asked.get(&id).unwrap_or(&"request"), id.0);
        let quoting =
            output.map_or_else(String::new, |slot| format!(", quoting {}", self.named(slot)));
        format!("{}{quoting}", words::reply(&asked, reply))
    }
}

/// What clients do.
impl World {
    fn ask(&mut self, what: &'static str, words: &[&str]) -> Followed {
        let (subject, rest) = words.split_first().ok_or("of what?")?;
        let mut wait = Wait::Settled;
        let (mut env, mut token) = (Vec::new(), None);
        for word in rest {
            match *word {
                "no-wait" => wait = Wait::Accepted,
                word => match word.strip_prefix("token=") {
                    Some(word) => token = Some(Text::from(word)),
                    None => env.push(word),
                },
            }
        }
        let request = match what {
            "start" => Request::Start(target(subject, &env)?, wait),
            "stop" => Request::Stop(target(subject, &env)?, wait),
            "restart" => Request::Restart(target(subject, &env)?, wait),
            "reload" => Request::Reload(target(subject, &env)?),
            "check" => Request::Check(target(subject, &env)?),
            "start-once" => Request::StartOnce(target(subject, &env)?, wait),
            "intend" => {
                let runtime = env.contains(&"runtime");
                let lasting = if runtime { Lasting::Runtime } else { Lasting::Kept };
                let intent = env.iter().find_map(|word| Intent::from_word(word));
                Request::Intend(Text::from(*subject), intent, lasting)
            }
            "usr1" => Request::Signal(target(subject, &env)?, Signal::USR1),
            _ => Request::Emit(Text::from(*subject), texts(&env), wait),
        };
        let id = self.engine.next_request();
        self.asked.insert(id, what);
        self.tell(Input::Ask(id, token, request, self.asker.clone()))
    }

    /// Says who asks from now on.
    fn by(&mut self, words: &[&str]) -> Followed {
        let [uid, program] = words else { return Err("who?".into()) };
        let uid = uid.parse().map_err(|_| "no user")?;
        self.asker = Some(Asker { uid, pid: 77, program: Text::from(*program) });
        Ok(Vec::new())
    }

    fn kept(&mut self, words: &[&str]) -> Followed {
        let (number, rest) = words.split_first().ok_or("which?")?;
        let number = number.parse().map_err(|_| "no number")?;
        self.tell(Input::Kept(
            number,
            match rest {
                [] => Keeping::Done,
                ["no-room"] => Keeping::Failed(28),
                _ => Keeping::Nowhere,
            },
        ))
    }

    fn recalled(&mut self, words: &[&str]) -> Followed {
        let lines = words.chunks(2).map(|line| line.join(" ") + "\n");
        let text = format!("upright intents 1\n{}", lines.collect::<String>());
        let (intents, wrong) = engine::intent::read(text.as_bytes());
        match wrong.first() {
            Some(wrong) => Err(wrong.clone()),
            None => self.tell(Input::Recalled(intents)),
        }
    }

    fn gone(&mut self, words: &[&str]) -> Followed {
        let (_, number) = one(words)?.split_once('#').ok_or("no request")?;
        self.tell(Input::Gone(RequestId(number.parse().map_err(|_| "no number")?)))
    }

    fn find_token(&mut self, words: &[&str]) -> Followed {
        Ok(vec![match self.engine.find_token(&Text::from(one(words)?)) {
            None => "nothing is known of it".into(),
            Some(Found::Pending(id)) => format!("{}#{} is on its way", self.asked[&id], id.0),
            Some(Found::Answered(reply)) => words::reply("it", &reply),
        }])
    }

    fn happened(&mut self, words: &[&str]) -> Followed {
        let (name, env) = words.split_first().ok_or("what?")?;
        let name = EventName::try_from(*name).map_err(|error| error.to_string())?;
        self.tell(Input::Happened(name, texts(env)))
    }

    fn remove(&mut self, words: &[&str]) -> Followed {
        let name = JobName::try_from(one(words)?).map_err(|error| error.to_string())?;
        self.tell(Input::Remove(name))
    }

    fn shutdown(&mut self, words: &[&str]) -> Followed {
        self.tell(Input::Shutdown(match words {
            [] => ShutdownKind::Shutdown,
            ["logout"] => ShutdownKind::Logout,
            ["restart"] => ShutdownKind::Restart,
            _ => return Err("no such shutdown".into()),
        }))
    }

    /// A look is taken at the present: the machine is told the time first.
    fn status(&mut self, words: &[&str]) -> Followed {
        let mut followed = self.tell(Input::Tick)?;
        let (job, env) = words.split_first().ok_or("of what?")?;
        let view = self.engine.find(&target(job, env)?).map(|(job, id)| {
            id.and_then(|id| self.engine.view_of(id))
                .unwrap_or_else(|| self.engine.view_at_rest(&job))
        });
        followed.push(
            view.map_or_else(|refusal| words::refusal(&refusal), |view| words::status(&view)),
        );
        Ok(followed)
    }

    fn list(&mut self, _: &[&str]) -> Followed {
        let mut followed = self.tell(Input::Tick)?;
        followed.extend(self.engine.list(None, 1000).iter().map(words::status));
        Ok(followed)
    }

    fn why(&mut self, words: &[&str]) -> Followed {
        let mut followed = self.tell(Input::Tick)?;
        let (job, env) = words.split_first().ok_or("of what?")?;
        let found = self.engine.find_past(&target(job, env)?);
        let (job, instance) = match found {
            Ok(found) => found,
            Err(refusal) => return Ok(vec![words::refusal(&refusal)]),
        };
        let why = self.engine.why(&job, &instance).ok_or("no such job")?;
        followed.extend(words::why(&why));
        Ok(followed)
    }

    /// Shows when everything was wanted, began, ran and ended.
    fn times(&mut self, _: &[&str]) -> Followed {
        let mut followed = self.tell(Input::Tick)?;
        followed.extend(self.engine.timeline().iter().map(words::times));
        Ok(followed)
    }

    /// Reports whether the machine has been cut off in its work.
    fn work(&mut self, _: &[&str]) -> Followed {
        let left = self.engine.next_deadline() == Some(self.now.mono());
        Ok(vec![if left { "there is more to do at once" } else { "all is done" }.into()])
    }
}

/// What the keeper tells.
impl World {
    /// Returns the process `JOB ROLE`, of several the last, or the n-th: `JOB ROLE#n`.
    fn process(&self, words: &[&str]) -> Result<Slot, String> {
        let [place, role, ..] = words else { return Err("which process?".into()) };
        let (role, number) = role.split_once('#').unwrap_or((role, ""));
        let mut of_it = self.known.iter().filter(|known| {
            words::place(&known.job, &known.instance) == *place && known.slot.role.name() == role
        });
        let found = match number.parse::<usize>() {
            Ok(number) => of_it.nth(number.saturating_sub(1)),
            Err(_) => of_it.next_back(),
        };
        let known = found.ok_or_else(|| format!("{place} {role} was never spawned"))?;
        Ok(known.slot)
    }

    fn ran(&mut self, words: &[&str]) -> Followed {
        let slot = self.process(words)?;
        let pid = self.run(slot).ok_or("it was never spawned")?;
        let steps = words.iter().skip(3).map(|word| step(word));
        let refused = steps.map(|step| step.map(|step| 1 << step.code()));
        let refused = refused.collect::<Result<Vec<u32>, String>>()?.iter().sum();
        self.tell(Input::Spawned(slot, pid, refused))
    }

    fn refused(&mut self, words: &[&str]) -> Followed {
        let slot = self.process(words)?;
        let [_, _, step_name, errno] = words else { return Err("which step, why?".into()) };
        const ERRNOS: &[(&str, i32)] = &[
            ("EPERM", 1),
            ("ENOENT", 2),
            ("EAGAIN", 11),
            ("ENOMEM", 12),
            ("EACCES", 13),
            ("EOPNOTSUPP", 95),
        ];
        let errno = ERRNOS.iter().find(|row| row.0 == *errno).ok_or("no such errno")?.1;
        self.tell(Input::SpawnFailed(slot, step(step_name)?, errno))
    }

    fn exited(&mut self, words: &[&str]) -> Followed {
        let status = words.get(2).and_then(|word| word.parse().ok()).ok_or("with which status?")?;
        self.ended(words, Exit::Status(status))
    }

    fn killed(&mut self, words: &[&str]) -> Followed {
        let signal = words.get(2).and_then(|word| Signal::from_name(word)).ok_or("by which?")?;
        let core = words.get(3) == Some(&"core");
        self.ended(words, Exit::Signal { signal: signal.number(), core })
    }

    fn vanished(&mut self, words: &[&str]) -> Followed {
        self.ended(words, Exit::Unknown)
    }

    fn ended(&mut self, words: &[&str], exit: Exit) -> Followed {
        let slot = self.process(words)?;
        let pid = self.run(slot).ok_or("it was never spawned")?;
        self.tell(Input::Exited(slot, pid, exit))
    }

    fn stopped(&mut self, words: &[&str]) -> Followed {
        let slot = self.process(words)?;
        let signal =
            Signal::from_name(words.get(2).unwrap_or(&"STOP")).ok_or("by which signal?")?;
        self.tell(Input::Stopped(slot, signal.number()))
    }

    fn left(&mut self, words: &[&str]) -> Followed {
        let (job, left) = words.split_first().ok_or("by which job?")?;
        let slot = self.process(&[job, Role::Main.name()])?;
        let candidate = |word: &&str| {
            let (pid, session) = word.split_once(':')?;
            Some(Candidate { pid: pid.parse().ok()?, session: session.parse().ok()?, parent: 1 })
        };
        let left = left.iter().map(candidate).collect::<Option<Vec<Candidate>>>();
        self.tell(Input::Survey(slot, left.ok_or("PID:SESSION is what I can read")?))
    }

    fn strays_left(&mut self, words: &[&str]) -> Followed {
        self.strays = one(words)?.parse().map_err(|_| "how many?")?;
        self.tell(Input::SweptAll(self.strays))
    }

    fn remaining(&mut self, words: &[&str]) -> Followed {
        let Some((job, pids)) = words.split_first() else { return Err("of which job?".into()) };
        let slot = self.process(&[job, Role::Main.name()])?;
        let pids: Option<Vec<i32>> = pids.iter().map(|word| word.parse().ok()).collect();
        self.tell(Input::Remains(slot, Remaining::of(&pids.ok_or("which?")?)))
    }

    fn swept(&mut self, words: &[&str]) -> Followed {
        let [job, count] = words else { return Err("how many?".into()) };
        let slot = self.process(&[job, Role::Main.name()])?;
        self.tell(Input::Swept(slot, count.parse().map_err(|_| "how many?")?))
    }

    fn oom(&mut self, words: &[&str]) -> Followed {
        let [job, process, count] = words else { return Err("how many?".into()) };
        let slot = self.process(&[job, process])?;
        self.tell(Input::OomKills(slot, count.parse().map_err(|_| "how many?")?))
    }
}

fn one<'a>(words: &[&'a str]) -> Result<&'a str, String> {
    let [word] = words else { return Err("one word is wanted".into()) };
    Ok(word)
}

/// Reads `KEY=VALUE`s.
fn rows(words: &str) -> Result<Vec<Text>, String> {
    let row = |word: &str| word.contains('=').then(|| Text::from(word));
    let rows = words.split(' ').map(|word| row(word).ok_or(format!("{word} is no KEY=VALUE")));
    rows.collect()
}

fn texts(words: &[&str]) -> Vec<Text> {
    words.iter().map(|word| Text::from(*word)).collect()
}

/// Reads `JOB` with its `KEY=VALUE`s, or `JOB(INSTANCE)`, which is what a job's own process asks.
fn target(word: &str, env: &[&str]) -> Result<Target, String> {
    let Some((job, instance)) = word.strip_suffix(')').and_then(|word| word.split_once('(')) else {
        return Ok(Target { job: Text::from(word), which: Which::Env(texts(env)) });
    };
    let instance = InstanceName::try_from(instance).map_err(|error| error.to_string())?;
    Ok(Target { job: Text::from(job), which: Which::Named(instance) })
}

fn step(word: &str) -> Result<Step, String> {
    serde_json::from_value(word.into()).map_err(|_| format!("there is no step {word}"))
}
