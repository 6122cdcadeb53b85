//! The world: a daemon that turns, and dies at any point, over the fake kernel.

use crate::agenda::Agenda;
use crate::books::Books;
use crate::client::{Client, Link};
use crate::kernel::{Ask, Fate, Kernel};
use crate::paper::Paper;
use crate::plant::Plant;
use crate::program::Mood;
use crate::rng::Rng;
use crate::specs::{self, Ring};
use engine::intent::Keeping;
use engine::journal::Record;
use engine::keeper::{FromKeeper, Replaced};
use engine::machine::request::{RequestId, Target, Which};
use engine::machine::state::{Goal, State};
use engine::machine::{
    Budget, Config, Effect, Engine, Found, Input, Level, Probation, Remaining, ShutdownKind,
};
use engine::names::{EventName, JobName};
use engine::plan::{self, Step};
use engine::process::{Role, Slot};
use engine::recovery::recover;
use engine::signal::Signal;
use engine::spec::JobSpec;
use engine::text::Text;
use engine::time::{Mono, Span};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

/// In which worlds files are put in force: those whose seed leaves this when divided. None of the seeds that
/// are kept does.
const APPLYING: (u64, u64) = (7, 5);

/// What is not as it must be.
#[derive(Clone, Debug)]
pub struct Broken(pub String);

/// What waits at the daemon's door.
#[derive(Clone, Debug)]
enum News {
    Client(usize),
    Gone(usize),
    Define(Arc<JobSpec>),
    /// As `Define`, but somebody puts it in force at once: what runs is restarted or goes on by it.
    Apply(Arc<JobSpec>),
    Probation(Probation),
    Remove(JobName),
    Happened(EventName, Vec<Text>),
    Shutdown,
}

/// What the world itself is going to do.
#[derive(Clone, Debug)]
enum Errand {
    Reconnect(usize),
    Daemon,
    Look(Slot, u32),
    LookAll(u32),
    /// The rest of a main's group has ended.
    GroupEnds(Slot),
    /// What is intended has been written down, or could not be.
    Kept(u64, Keeping),
}

/// Where the daemon dies in a turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Death {
    Never,
    /// The turn never happened.
    BeforeCommit,
    /// After so many effects, the last of them not ticked where it says so.
    Performing(usize, Tick),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Tick {
    Written,
    Lost,
}

/// Whether the daemon and the keeper may die.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Peril {
    Perilous,
    Safe,
}

/// What is left when everything that can happen has happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Rest {
    Quiet,
    /// The jobs of a ring start each other for ever.
    Endless,
    Over,
}

/// A machine that was made again from the journal and must do the same.
struct Shadow {
    engine: Engine,
    inputs: u32,
}

/// Everything.
pub struct World {
    /// What happened, where somebody wants to read it.
    pub transcript: Option<Vec<String>>,
    /// How many actions were taken.
    pub step: u64,
    rng: Rng,
    /// What is put in force in worlds where files are. Not of the generator: the worlds of the seeds that are
    /// kept stay what they were.
    applies: Option<Rng>,
    ring: Ring,
    plant: Plant,
    config: Config,
    now: Mono,
    wall: i64,
    peril: Peril,
    /// How often the daemon dies in a turn, in hundredths, and how often something dies idle.
    deadly: (usize, usize),
    kernel: Kernel,
    files: BTreeMap<JobName, Arc<JobSpec>>,
    journal: Paper,
    records: u32,
    daemon: Option<Engine>,
    /// The machine of the daemon that died, as of its last commit.
    dead: Option<Engine>,
    since: Mono,
    /// Whether the keeper took the place of one that was killed.
    replaced: Replaced,
    inner: VecDeque<Input>,
    /// Slots that were asked for.
    spawned: BTreeSet<Slot>,
    /// Effects that are committed and not done.
    line: VecDeque<Effect>,
    news: VecDeque<News>,
    clients: Vec<Client>,
    errands: Agenda<Errand>,
    books: Books,
    shadow: Option<Shadow>,
    quit: bool,
}

type Done = Result<(), Broken>;

impl World {
    /// Returns the world of a seed.
    pub fn new(seed: u64, plant: Plant, transcript: bool) -> World {
        let mut rng = Rng::new(seed);
        let ring = if rng.chance(8) { Ring::Yes } else { Ring::No };
        let bytes = rng.chance(20);
        let mut config = Config { seed, table: vec![Text::from("PATH=/bin")], ..Config::default() };
        if seed.is_multiple_of(3) {
            config.budget = Budget { per_second: 1, at_once: 1 };
        }
        plant.sow(&mut config);
        let deadly = rng.pick(&[(1, 1), (2, 1), (2, 2), (6, 2), (2, 8)]);
        let mut world = World {
            deadly,
            transcript: transcript.then(Vec::new),
            step: 0,
            applies: (seed % APPLYING.0 == APPLYING.1).then(|| Rng::new(!seed)),
            ring,
            plant,
            config: config.clone(),
            now: Mono(1_000_000_000),
            wall: 0,
            peril: Peril::Perilous,
            kernel: Kernel::new(seed),
            files: BTreeMap::new(),
            journal: if bytes { Paper::Bytes(Vec::new()) } else { Paper::Records(Vec::new(), 0) },
            records: 0,
            daemon: None,
            dead: None,
            since: Mono(0),
            replaced: Replaced::No,
            inner: VecDeque::new(),
            spawned: BTreeSet::new(),
            line: VecDeque::new(),
            news: VecDeque::new(),
            clients: Vec::new(),
            errands: Agenda::new(),
            books: Books::default(),
            shadow: None,
            quit: false,
            rng,
        };
        let mut engine = Engine::new(config);
        // So that it says what it defers.
        engine.hear(Level::Info);
        world.compact(&engine, Vec::new());
        world.daemon = Some(engine);
        let jobs = 2 + world.rng.below(specs::JOBS - 1);
        for index in 0..jobs {
            world.write_file(index);
        }
        world
    }

    /// Lives for so many steps, comes to rest, is stirred again and ends.
    pub fn run(&mut self, steps: u64) -> Done {
        for _ in 0..steps {
            if self.quit {
                return self.after_quit();
            }
            self.wild_step()?;
            self.check_kernel()?;
        }
        self.calm();
        for index in 0..=specs::EVENTS {
            match self.settle()? {
                Rest::Quiet => self.check_rest()?,
                Rest::Over => return self.after_quit(),
                Rest::Endless => return Ok(()),
            }
            if index < specs::EVENTS {
                self.emit(index);
            }
        }
        self.news.push_back(News::Shutdown);
        match self.settle()? {
            Rest::Quiet => self.broken("the shutdown does not end"),
            Rest::Over => self.after_quit(),
            Rest::Endless => Ok(()),
        }
    }

    fn say(&mut self, words: impl FnOnce() -> String) {
        if let Some(transcript) = &mut self.transcript {
            transcript.push(format!("{:>5} {:?} {}", self.step, self.now, words()));
        }
    }

    fn broken<T>(&self, words: impl Into<String>) -> Result<T, Broken> {
        Err(Broken(words.into()))
    }

    // ---- the wild part

    fn wild_step(&mut self) -> Done {
        self.step += 1;
        let due = self.daemon_due().is_some_and(|at| at <= self.now);
        let busy = self.busy();
        let choice = self.rng.weighted(&[
            (if self.kernel.asked.is_empty() { 0 } else { 30 }, 0),
            (if busy { 40 } else { 0 }, 1),
            (if due { 60 } else { 0 }, 1),
            (if self.kernel.next().is_some_and(|at| at <= self.now) { 40 } else { 0 }, 2),
            (if self.errands.next().is_some_and(|at| at <= self.now) { 30 } else { 0 }, 3),
            (14, 4),
            (9, 5),
            (2, 6),
            (2, 7),
            (self.deadly.1, 8),
            (2, 9),
        ]);
        match choice {
            0 => {
                self.keeper_serves();
                Ok(())
            }
            1 => self.daemon_turns(),
            2 => {
                self.kernel_happens();
                Ok(())
            }
            3 => self.run_errand(),
            4 => {
                self.pass_time();
                Ok(())
            }
            5 => {
                self.new_client();
                Ok(())
            }
            6 => {
                self.lose_client();
                Ok(())
            }
            7 => {
                self.change_file();
                Ok(())
            }
            8 => self.calamity(),
            _ => {
                self.stir();
                Ok(())
            }
        }
    }

    fn busy(&self) -> bool {
        self.daemon.is_some()
            && !(self.inner.is_empty()
                && self.news.is_empty()
                && self.line.is_empty()
                && self.kernel.told.is_empty())
    }

    fn keeper_serves(&mut self) -> bool {
        let Some(ask) = self.kernel.asked.pop_front() else { return false };
        self.say(|| format!("keeper: {:?}", AskWords(&ask)));
        self.kernel.serve(self.now, ask);
        self.kernel_words();
        true
    }

    fn kernel_happens(&mut self) -> bool {
        let happened = self.kernel.happen(self.now);
        self.kernel_words();
        happened
    }

    fn kernel_words(&mut self) {
        for words in std::mem::take(&mut self.kernel.words) {
            self.say(|| format!("kernel: {words}"));
        }
    }

    fn next_anything(&self) -> Option<Mono> {
        let daemon = self.daemon.as_ref().and_then(|_| self.daemon_due());
        [self.kernel.next(), self.errands.next(), daemon].into_iter().flatten().min()
    }

    fn pass_time(&mut self) {
        let soon = self.now + self.rng.span(1, 200);
        let next = self.next_anything().unwrap_or(soon).max(self.now);
        // While somebody has a message to read only a little time passes.
        let waited_for = self.busy() || !self.kernel.asked.is_empty();
        self.now = match self.rng.below(4) {
            1..=3 if !waited_for => next,
            _ => soon.min(next),
        };
    }

    fn new_client(&mut self) {
        let mut jobs: Vec<JobName> = self.files.keys().cloned().collect();
        jobs.push(specs::name(0));
        let client = Client::new(&mut self.rng, self.clients.len(), &jobs);
        let words =
            format!("client {}: {:?} {:?}", self.clients.len(), client.request, client.token);
        self.say(|| words);
        self.news.push_back(News::Client(self.clients.len()));
        self.clients.push(client);
    }

    fn emit(&mut self, index: usize) {
        let (name, env) = (Text::from(specs::event(index)), vec![Text::from("N=a")]);
        let request = engine::machine::request::Request::Emit(
            name,
            env,
            engine::machine::request::Wait::Settled,
        );
        self.news.push_back(News::Client(self.clients.len()));
        self.clients.push(Client::asking(request, self.clients.len()));
    }

    fn lose_client(&mut self) {
        let waiting: Vec<usize> = (0..self.clients.len())
            .filter(|i| self.clients[*i].link == Link::Up && self.clients[*i].id.is_some())
            .filter(|i| self.clients[*i].answer.is_none())
            .collect();
        if waiting.is_empty() {
            return;
        }
        let index = self.rng.pick(&waiting);
        self.say(|| format!("client {index} goes away"));
        self.clients[index].link = Link::Down;
        self.news.push_back(News::Gone(index));
        if self.clients[index].token.is_some() && self.rng.chance(70) {
            let at = self.now + self.rng.span(0, 3000);
            self.errands.add(at, Errand::Reconnect(index));
        }
    }

    fn write_file(&mut self, index: usize) {
        let mut spec = specs::job(&mut self.rng, index, self.ring);
        let mut news: fn(Arc<JobSpec>) -> News = News::Define;
        if let Some(rng) = &mut self.applies {
            // The end of one ends the world: few.
            Arc::make_mut(&mut spec).policy.essential |= rng.chance(8);
            news = rng.pick(&[News::Define as fn(_) -> _, News::Apply, News::Apply]);
        }
        self.say(|| format!("file: {spec:?}"));
        self.files.insert(spec.name.clone(), spec.clone());
        self.news.push_back(news(spec));
    }

    /// Puts a description in force that needs no other process, or begins or ends a test.
    fn apply(&mut self) {
        let Some(rng) = &mut self.applies else { return };
        if rng.chance(30) {
            let probation = rng.pick(&[Probation::Begins, Probation::Ends]);
            return self.news.push_back(News::Probation(probation));
        }
        let files: Vec<Arc<JobSpec>> = self.files.values().cloned().collect();
        if files.is_empty() {
            return;
        }
        let mut spec = rng.pick(&files);
        let changed = Arc::make_mut(&mut spec);
        changed.policy.kill_timeout = rng.span(200, 3000);
        let index = rng.below(specs::JOBS);
        // Of a job before it, so that no ring comes about.
        if specs::name(index) <= changed.name {
            changed.stop_on = specs::job(rng, index, self.ring).stop_on.clone();
        }
        self.say(|| format!("file, to be put in force: {spec:?}"));
        self.files.insert(spec.name.clone(), spec.clone());
        self.news.push_back(News::Apply(spec));
    }

    fn change_file(&mut self) {
        let applies = self.applies.as_mut().is_some_and(|rng| rng.chance(60));
        if applies {
            return self.apply();
        }
        let index = self.rng.below(specs::JOBS);
        if self.rng.chance(25) {
            let name = specs::name(index);
            self.say(|| format!("file: {name} is removed"));
            self.files.remove(&name);
            self.news.push_back(News::Remove(name));
        } else {
            self.write_file(index);
        }
    }

    /// The daemon is killed while idle, the keeper is killed, or the wall clock jumps.
    fn calamity(&mut self) -> Done {
        match self.rng.below(8) {
            0..=2 => {
                self.dead = self.daemon.clone().or(self.dead.take());
                self.daemon_dies();
                Ok(())
            }
            3 | 4 => self.keeper_dies(),
            5 if self.rng.chance(15) => {
                self.news.push_back(News::Shutdown);
                Ok(())
            }
            _ => {
                self.wall += (self.rng.below(7200) as i64 - 3600) * 1_000_000_000;
                Ok(())
            }
        }
    }

    fn stir(&mut self) {
        let event = specs::event(self.rng.below(specs::EVENTS));
        let name = EventName::try_from(event.as_str()).expect("an event name");
        let env = vec![Text::from(self.rng.pick(&["N=a", "N=b"]))];
        self.news.push_back(News::Happened(name, env));
    }

    fn run_errand(&mut self) -> Done {
        match self.errands.take(self.now) {
            Some(Errand::Reconnect(index)) => {
                self.say(|| format!("client {index} comes back"));
                self.clients[index].link = Link::Up;
                self.news.push_back(News::Client(index));
                Ok(())
            }
            Some(Errand::Daemon) => self.start_daemon(),
            Some(Errand::Look(slot, times)) => {
                if self.daemon.is_some() {
                    let left = self.kernel.left(slot);
                    self.inner.push_back(Input::Swept(slot, left));
                    if left > 0 && times > 0 {
                        let at = self.now + Span::millis(100);
                        self.errands.add(at, Errand::Look(slot, times - 1));
                    }
                }
                Ok(())
            }
            Some(Errand::LookAll(times)) => {
                if self.daemon.is_some() {
                    let left = self.kernel.strays();
                    self.inner.push_back(Input::SweptAll(left));
                    if left > 0 && times > 0 {
                        self.errands.add(self.now + Span::millis(100), Errand::LookAll(times - 1));
                    }
                }
                Ok(())
            }
            Some(Errand::Kept(number, keeping)) => {
                if self.daemon.is_some() {
                    self.inner.push_back(Input::Kept(number, keeping));
                }
                Ok(())
            }
            Some(Errand::GroupEnds(slot)) => {
                if self.daemon.is_some() {
                    self.inner.push_back(Input::Remains(slot, Remaining::of(&[])));
                }
                Ok(())
            }
            None => Ok(()),
        }
    }

    // ---- the daemon

    /// Returns what the daemon takes for the time: the monotonic clock, unless a bug is planted.
    fn clock(&self, at: Mono) -> Mono {
        match self.plant.uses_wall_clock() {
            true => Mono((at.0 as i64 + self.wall).max(0) as u64),
            false => at,
        }
    }

    fn daemon_due(&self) -> Option<Mono> {
        let due = self.daemon.as_ref()?.next_deadline()?;
        Some(self.now + due.since(self.clock(self.now)))
    }

    fn daemon_turns(&mut self) -> Done {
        if self.daemon.is_none() {
            return Ok(());
        }
        let mut batch = Vec::new();
        let mut news = Vec::new();
        for _ in 0..=self.rng.below(4) {
            match self.rng.below(3) {
                0 => self.hear_keeper(&mut batch),
                1 => batch.extend(self.inner.pop_front()),
                _ => news.extend(self.news.pop_front()),
            }
        }
        if batch.is_empty() && news.is_empty() {
            self.hear_keeper(&mut batch);
            batch.extend(self.inner.pop_front());
            news.extend(self.news.pop_front());
        }
        self.turn(batch, news)
    }

    /// Takes a message of the keeper. Some mains leave others in their group, and of these some end.
    fn hear_keeper(&mut self, batch: &mut Vec<Input>) {
        let Some(input) = self.kernel.told.pop_front().and_then(input_of) else { return };
        if let Input::Exited(slot, pid, _) = input {
            let leaves = self.daemon.as_ref().is_some_and(|engine| engine.leaves_its_group(slot));
            if leaves && pid % 3 == 0 {
                batch.push(Input::Remains(slot, Remaining::of(&[pid + 1])));
                if pid % 2 == 0 {
                    self.errands.add(self.now + Span::millis(60), Errand::GroupEnds(slot));
                }
            }
        }
        batch.push(input);
    }

    fn death(&mut self) -> Death {
        if self.peril == Peril::Safe || !self.rng.chance(self.deadly.0) {
            return Death::Never;
        }
        match self.rng.below(3) {
            0 => Death::BeforeCommit,
            1 => Death::Performing(self.rng.below(6), Tick::Written),
            _ => Death::Performing(self.rng.below(6), Tick::Lost),
        }
    }

    fn turn(&mut self, inputs: Vec<Input>, news: Vec<News>) -> Done {
        let Some(mut engine) = self.daemon.take() else { return Ok(()) };
        let death = self.death();
        if death == Death::BeforeCommit {
            self.dead = Some(engine.clone());
        }
        let mut effects = Vec::new();
        for input in inputs {
            self.handle(&mut engine, input, &mut effects, death)?;
        }
        for news in &news {
            for input in self.hear(&engine, news) {
                self.handle(&mut engine, input, &mut effects, death)?;
            }
        }
        if self.daemon_time_is_news(&engine) {
            self.handle(&mut engine, Input::Tick, &mut effects, death)?;
        }
        if self.plant.releases_early() {
            for effect in effects.iter().filter(|effect| matches!(effect, Effect::Release(_))) {
                self.perform(&engine, effect)?;
            }
        }
        if death == Death::BeforeCommit {
            self.say(|| "the daemon dies before its turn is committed".into());
            self.forget_unheard(news);
            self.daemon_dies();
            return Ok(());
        }
        Effect::in_order(&mut effects);
        let record = Record { changes: engine.take_changes(), effects: effects.clone() };
        self.commit(&record);
        self.check_engine(&engine)?;
        self.cast_shadow(&engine)?;
        self.perform_all(engine, &effects, death)?;
        if self.records > 24 {
            if let Some(engine) = self.daemon.take() {
                let line = self.line.iter().cloned().collect();
                self.compact(&engine, line);
                self.daemon = Some(engine);
            }
        }
        Ok(())
    }

    fn daemon_time_is_news(&self, engine: &Engine) -> bool {
        engine.next_deadline().is_some_and(|at| at <= self.clock(self.now))
    }

    fn handle(
        &mut self,
        engine: &mut Engine,
        input: Input,
        effects: &mut Vec<Effect>,
        death: Death,
    ) -> Done {
        let from = effects.len();
        let now = self.clock(self.now);
        self.say(|| format!("daemon: {input:?}"));
        let tested = engine.tests_descriptions() && !engine.shutting_down();
        engine.handle(now, input.clone(), effects);
        let wanted = matches!(input, Input::Shutdown(_) | Input::Interrupt | Input::Probation(_));
        if tested && engine.shutting_down() && !wanted {
            return self.broken("everything ends while descriptions are put to the test");
        }
        for effect in &effects[from..] {
            self.say(|| format!("        {effect:?}"));
        }
        if effects.len() - from > 400_000 {
            return self.broken("a turn without bound");
        }
        if let Some(mut shadow) = self.shadow.take().filter(|_| death != Death::BeforeCommit) {
            let mut same = Vec::new();
            shadow.engine.handle(now, input.clone(), &mut same);
            if same != effects[from..] {
                let got = &effects[from..];
                return self
                    .broken(format!("restored, it does something else: {same:?} for {got:?}"));
            }
            shadow.inputs += 1;
            let differs = shadow.engine.snapshot() != engine.snapshot()
                || shadow.engine.next_deadline() != engine.next_deadline();
            if differs {
                return self.broken("restored, it becomes something else");
            }
            self.shadow = Some(shadow).filter(|shadow| shadow.inputs < 8);
        }
        if death != Death::BeforeCommit {
            self.books.count(engine, self.now, &input, &effects[from..]);
        }
        Ok(())
    }

    /// Makes inputs of what waits at the door.
    fn hear(&mut self, engine: &Engine, news: &News) -> Vec<Input> {
        let input = match news {
            News::Client(index) => {
                let client = &mut self.clients[*index];
                let token = client.token.clone();
                let (found, next) =
                    (token.as_ref().and_then(|t| engine.find_token(t)), engine.next_request());
                match found {
                    Some(Found::Pending(id)) => client.id = Some(id),
                    Some(Found::Answered(reply)) => client.answer = Some(reply),
                    None => {
                        client.id = Some(next);
                        return vec![Input::Ask(next, token, client.request.clone(), None)];
                    }
                }
                return Vec::new();
            }
            News::Gone(index) => {
                return self.clients[*index].id.map(Input::Gone).into_iter().collect()
            }
            News::Define(spec) => Input::Define(spec.clone()),
            News::Apply(spec) => return put_in_force(engine, spec),
            News::Probation(probation) => Input::Probation(*probation),
            News::Remove(name) => Input::Remove(name.clone()),
            News::Happened(name, env) => Input::Happened(name.clone(), env.clone()),
            News::Shutdown => Input::Shutdown(ShutdownKind::Shutdown),
        };
        vec![input]
    }

    /// What a daemon had read and not committed: signals are told again, clients see a lost
    /// connection.
    fn forget_unheard(&mut self, news: Vec<News>) {
        for news in news.into_iter().rev() {
            match news {
                News::Client(index) => self.clients[index].id = None,
                News::Gone(_) | News::Define(_) | News::Apply(_) | News::Remove(_) => {}
                // Its client sees a lost connection, and ends it or asks again.
                News::Probation(_) => {}
                News::Happened(..) | News::Shutdown => self.news.push_front(news),
            }
        }
    }

    fn commit(&mut self, record: &Record) {
        self.journal.commit(record);
        self.records += 1;
        self.dead = None;
    }

    fn compact(&mut self, engine: &Engine, effects: Vec<Effect>) {
        self.journal = self.journal.anew();
        self.records = 0;
        self.commit(&Record { changes: engine.snapshot(), effects });
    }

    /// Does what is in line and these effects after it, as far as the keeper listens and the daemon
    /// lives.
    fn perform_all(&mut self, engine: Engine, effects: &[Effect], death: Death) -> Done {
        self.line.extend(effects.iter().cloned());
        let stalls = self.peril == Peril::Perilous && self.rng.chance(4);
        let most = if stalls { self.rng.below(6) } else { usize::MAX };
        for index in 0..most {
            let Some(effect) = self.line.front().cloned() else { break };
            let (last, tick) = match death {
                Death::Performing(at, tick) => (at == index, tick),
                Death::Never | Death::BeforeCommit => (false, Tick::Written),
            };
            if last {
                if tick == Tick::Lost {
                    self.perform(&engine, &effect)?;
                }
                self.say(|| format!("the daemon dies at {effect:?}, tick {tick:?}"));
                self.dead = Some(engine);
                self.daemon_dies();
                return Ok(());
            }
            self.perform(&engine, &effect)?;
            self.journal.tick();
            self.line.pop_front();
        }
        self.daemon = Some(engine);
        Ok(())
    }

    fn perform(&mut self, engine: &Engine, effect: &Effect) -> Done {
        match effect {
            Effect::Spawn(slot) => match engine.order(*slot) {
                Some(order) => {
                    let named = engine.name_of(slot.instance);
                    if let Some((job, name)) = named.filter(|_| slot.role != Role::Check) {
                        self.books.names.insert(slot.instance, job.with_instance(name));
                    }
                    self.spawned.insert(*slot);
                    self.kernel.asked.push_back(Ask::Spawn(*slot, order.spec));
                }
                // Asked for again, and meanwhile answered.
                None if self.spawned.contains(slot) => {}
                // Begun and given up in one turn: nothing else would end it.
                None if slot.role == Role::Check => {}
                None => return self.broken(format!("{slot:?} shall be spawned without an order")),
            },
            Effect::Signal(slot, signal, scope) => {
                self.kernel.asked.push_back(Ask::Signal(*slot, *signal, *scope));
            }
            Effect::Release(slot) => self.kernel.asked.push_back(Ask::Release(*slot)),
            Effect::Adopt(slot, pid) => {
                self.books.owed.remove(&slot.instance);
                self.kernel.asked.push_back(Ask::Adopt(*slot, *pid));
            }
            Effect::Survey(slot, original) => {
                let found = self.kernel.candidates(*original);
                self.inner.push_back(Input::Survey(*slot, found));
            }
            Effect::Sweep(slot, signal) => self.sweep(*slot, *signal),
            Effect::SweepAll(signal) => {
                self.kernel.sweep_all(self.now, *signal);
                self.kernel_words();
                self.inner.push_back(Input::SweptAll(self.kernel.strays()));
                self.errands.add(self.now + Span::millis(50), Errand::LookAll(400));
            }
            Effect::Reply(id, reply, _) => {
                for client in self.clients.iter_mut().filter(|client| client.id == Some(*id)) {
                    if client.link == Link::Up && client.answer.is_none() {
                        client.answer = Some(reply.clone());
                    }
                }
                let other = self.clients.iter().any(|client| {
                    client.id == Some(*id) && client.answer.as_ref().is_some_and(|a| a != reply)
                });
                if other {
                    return self.broken(format!("request {} has two answers", id.0));
                }
            }
            Effect::Notice(..) | Effect::Say(..) => {}
            Effect::Quit(_) => self.quit = true,
            Effect::Keep(number) => {
                let keepings = [Keeping::Done, Keeping::Failed(28), Keeping::Nowhere];
                let at = self.now + Span::millis(self.rng.below(200) as u64);
                self.errands.add(at, Errand::Kept(*number, self.rng.pick(&keepings)));
            }
        }
        Ok(())
    }

    fn sweep(&mut self, slot: Slot, signal: Signal) {
        self.kernel.sweep(self.now, slot, signal);
        self.kernel_words();
        let left = self.kernel.left(slot);
        self.inner.push_back(Input::Swept(slot, left));
        if left > 0 {
            self.errands.add(self.now + Span::millis(50), Errand::Look(slot, 400));
        }
    }

    fn daemon_dies(&mut self) {
        if self.daemon.take().is_none() && self.dead.is_none() {
            return;
        }
        self.say(|| "the daemon is dead".into());
        self.shadow = None;
        self.inner.clear();
        self.line.clear();
        // What it had sent lies in the keeper's socket and is read.
        while self.keeper_serves() {}
        self.news.retain(|news| !matches!(news, News::Gone(_)));
        let queued: Vec<usize> = (self.news.iter())
            .filter_map(|news| match news {
                News::Client(index) => Some(*index),
                News::Gone(_) | News::Define(_) | News::Apply(_) | News::Remove(_) => None,
                News::Probation(_) | News::Happened(..) | News::Shutdown => None,
            })
            .collect();
        for index in 0..self.clients.len() {
            let client = &mut self.clients[index];
            let waits = client.link == Link::Up && client.answer.is_none();
            if client.token.is_none() {
                if let Some(id) = client.id {
                    self.books.cut_off(id);
                }
            }
            if !waits || queued.contains(&index) {
                continue;
            }
            client.link = Link::Down;
            if client.token.is_some() {
                let at = self.now + self.rng.span(0, 2000);
                self.errands.add(at, Errand::Reconnect(index));
            }
        }
        let after = self.rng.pick(&[0, 0, 100, 1000, 5000]);
        self.errands.add(self.now + Span::millis(after), Errand::Daemon);
    }

    fn start_daemon(&mut self) -> Done {
        if self.daemon.is_some() || self.quit {
            return Ok(());
        }
        let table = self.kernel.tell_all();
        let (records, ticked) = self.journal.read().map_err(Broken)?;
        if let Some(dead) = self.dead.take() {
            let changes = records.iter().map(|record| record.changes.clone());
            let again = Engine::restore(self.config.clone(), changes);
            if again.snapshot() != dead.snapshot() {
                return self.broken("the journal does not make what the dead daemon was");
            }
        }
        let config = self.config.clone();
        let (engine, catching) = recover(config, records, ticked, &table, self.replaced);
        self.say(|| format!("a new daemon catches up: {catching:?}"));
        self.compact(&engine, catching.effects.clone());
        self.since = self.now;
        self.check_engine(&engine)?;
        let gone: Vec<JobName> =
            engine.job_names().filter(|name| !self.files.contains_key(name)).cloned().collect();
        gone.into_iter().for_each(|name| self.news.push_front(News::Remove(name)));
        for spec in self.files.values() {
            self.news.push_front(News::Define(spec.clone()));
        }
        let death = self.death();
        self.perform_all(engine, &catching.effects, death)?;
        self.turn(catching.inputs, Vec::new())?;
        if self.daemon.is_some() {
            self.replaced = Replaced::No;
        }
        Ok(())
    }

    /// The keeper is killed where it is not PID 1. The daemon, where there is one, may hear its last
    /// words, and ends; what the new keeper starts goes on from the journal and from what lives.
    fn keeper_dies(&mut self) -> Done {
        if self.daemon.is_some() && self.rng.chance(50) {
            let last: Vec<Input> = self.kernel.told.drain(..).filter_map(input_of).collect();
            let peril = std::mem::replace(&mut self.peril, Peril::Safe);
            self.turn(last, Vec::new())?;
            self.peril = peril;
            if self.quit {
                return Ok(());
            }
        }
        let was_dead = self.daemon.is_none();
        self.kernel.keeper_dies();
        self.kernel_words();
        self.replaced = Replaced::Yes;
        if !was_dead {
            self.dead = self.daemon.clone().or(self.dead.take());
            self.daemon_dies();
        }
        Ok(())
    }

    // ---- the quiet part

    fn calm(&mut self) {
        self.say(|| "everything calms down".into());
        self.kernel.mood = Mood::Calm;
        self.peril = Peril::Safe;
    }

    /// Lets everything happen that is going to happen. Reports whether it comes to rest; in a ring
    /// it need not.
    fn settle(&mut self) -> Result<Rest, Broken> {
        let most = if self.ring == Ring::Yes { 2_000 } else { 40_000 };
        for _ in 0..most {
            self.step += 1;
            if self.quit {
                return Ok(Rest::Over);
            }
            let due = self.daemon_due().is_some_and(|at| at <= self.now);
            if self.keeper_serves() {
            } else if self.busy() || due {
                self.daemon_turns()?;
            } else if self.kernel_happens() {
            } else if self.errands.next().is_some_and(|at| at <= self.now) {
                self.run_errand()?;
            } else if let Some(next) = self.next_anything() {
                self.now = self.now.max(next);
            } else {
                return Ok(Rest::Quiet);
            }
            self.check_kernel()?;
        }
        match self.ring {
            Ring::Yes => Ok(Rest::Endless),
            Ring::No => self.broken("it does not come to rest"),
        }
    }

    // ---- what must be true

    fn check_kernel(&mut self) -> Done {
        if let Some(words) = self.kernel.wrong.pop() {
            return self.broken(words);
        }
        if let Some(words) = self.books.take_wrong().pop() {
            return self.broken(words);
        }
        let mut mains: BTreeMap<&str, u32> = BTreeMap::new();
        let name = |slot: Slot| self.books.names.get(&slot.instance).map_or("", String::as_str);
        for (slot, fate) in self.kernel.rows() {
            if let (Role::Main, Fate::Running { .. }) = (slot.role, fate) {
                *mains.entry(name(slot)).or_default() += 1;
            }
        }
        for (instance, original) in &self.books.owed {
            if self.kernel.has_heirs(*original) {
                let shown = self.books.names.get(instance).map_or("", String::as_str);
                *mains.entry(shown).or_default() += 1;
            }
        }
        if let Some((shown, count)) = mains.into_iter().find(|(_, count)| *count > 1) {
            return self.broken(format!("{shown} has {count} living main processes"));
        }
        if self.daemon.is_some() && !self.plant.uses_wall_clock() {
            if let Some(late) = self.books.overdue(self.now, self.since) {
                let shown = self.books.names.get(&late).cloned().unwrap_or_default();
                return self.broken(format!("{shown} was told to end and nothing comes of it"));
            }
        }
        Ok(())
    }

    fn check_engine(&mut self, engine: &Engine) -> Done {
        if let Some(words) = engine.audit().into_iter().next() {
            return self.broken(words);
        }
        let (steps, _) = engine.unfinished();
        if self.ring == Ring::No && steps > 0 && !engine.shutting_down() {
            return self.broken(format!("a turn ends with {steps} steps to do"));
        }
        if steps == 0 {
            self.check_why(engine)?;
        }
        Ok(())
    }

    /// Of every instance it can be told why it is as it is; of one that is wanted and does not run,
    /// also what it waits for.
    fn check_why(&mut self, engine: &Engine) -> Done {
        for view in engine.list(None, usize::MAX) {
            let shown = view.job.with_instance(&view.instance);
            let Some(why) = engine.why(&view.job, &view.instance) else {
                return self.broken(format!("{shown} is listed, and why does not know it"));
            };
            let runs = (view.goal, view.state) == (Goal::Start, State::Running);
            let silent = view.goal == Goal::Start && !runs && why.status.waits_for.is_empty();
            if silent || why.verdict.is_empty() {
                let (goal, state) = (view.goal, view.state);
                return self.broken(format!("why {shown}, in {goal}/{state}, says nothing"));
            }
        }
        Ok(())
    }

    /// Now and then a machine is made from the journal and has to do the same from there on.
    fn cast_shadow(&mut self, engine: &Engine) -> Done {
        if self.shadow.is_some() || !self.rng.chance(6) {
            return Ok(());
        }
        let (records, _) = self.journal.read().map_err(Broken)?;
        let changes = records.into_iter().map(|record| record.changes);
        let again = Engine::restore(self.config.clone(), changes);
        if again.snapshot() != engine.snapshot() {
            return self.broken("the journal does not make what the machine is");
        }
        self.shadow = Some(Shadow { engine: again, inputs: 0 });
        Ok(())
    }

    /// Nothing will happen any more by itself: what is held must be held by something.
    fn check_rest(&mut self) -> Done {
        let Some(engine) = &self.daemon else { return self.broken("there is no daemon") };
        let mut rests = true;
        for view in engine.list(None, usize::MAX) {
            let shown = view.job.with_instance(&view.instance);
            let words = &view.waits_for;
            rests &= words.is_empty();
            let helper = Role::ALL.into_iter().any(|role| {
                role != Role::Main
                    && *words == format!("the {role} process to end")
                    && view.processes.iter().any(|(of, pid)| *of == role && self.kernel.lives(*pid))
            });
            if !(words.is_empty() || words.starts_with("event ") || helper) {
                let (goal, state) = (view.goal, view.state);
                return self
                    .broken(format!("{shown} rests in {goal}/{state}, waiting for {words}"));
            }
            for (role, pid) in &view.processes {
                if !self.kernel.living().any(|(_, of)| of == *pid) {
                    return self.broken(format!("{shown}: {role} process {pid} is long gone"));
                }
            }
        }
        for (slot, fate) in self.kernel.rows() {
            let known = engine.processes().find(|(of, _)| *of == slot).and_then(|(_, pid)| pid);
            let right = match fate {
                Fate::Running { pid, .. } => known == Some(pid),
                Fate::Spawning(_) | Fate::Ended { .. } | Fate::Failed(..) => false,
            };
            if !right {
                return self.broken(format!("the keeper's row {slot:?} is forgotten: {fate:?}"));
            }
        }
        for (instance, original) in &self.books.owed {
            if self.kernel.has_heirs(*original) {
                let shown = self.books.names.get(instance).cloned().unwrap_or_default();
                return self.broken(format!("{shown}: what {original} left is nobody's"));
            }
        }
        self.check_answers(engine, rests)
    }

    fn check_answers(&self, engine: &Engine, rests: bool) -> Done {
        let (_, events) = engine.unfinished();
        let open: Vec<(RequestId, String)> =
            self.books.unanswered().map(|(id, what)| (id, format!("{what:?}"))).collect();
        if let (true, 0, Some((id, what))) = (rests, events, open.first()) {
            return self.broken(format!("request {} is never answered: {what}", id.0));
        }
        for (index, client) in self.clients.iter().enumerate() {
            let open = client.id.is_some_and(|id| open.iter().any(|(of, _)| *of == id));
            if client.link == Link::Up && client.answer.is_none() && !open {
                return self.broken(format!("client {index} waits for an answer that was given"));
            }
        }
        Ok(())
    }

    /// The daemon has said that all is over: nothing of it may live on, but what the kernel holds.
    fn after_quit(&mut self) -> Done {
        while self.keeper_serves() {}
        match self.kernel.living().find(|(_, pid)| !self.kernel.is_held(*pid)) {
            Some((slot, pid)) => self.broken(format!("{slot:?} ({pid}) lives on after the end")),
            None if self.kernel.strays() > 0 => {
                self.broken("what jobs left lives on after the end")
            }
            None => Ok(()),
        }
    }
}

/// Returns what the machine is told so that a description is in force at once, as the daemon tells it.
fn put_in_force(engine: &Engine, spec: &Arc<JobSpec>) -> Vec<Input> {
    let name = &spec.name;
    let Some(old) = engine.spec(name).filter(|old| *old != spec) else {
        return vec![Input::Define(spec.clone())];
    };
    let step = Step::Change(spec.clone(), plan::changes(old, spec));
    let outcomes = plan::outcome(&step, &engine.runs_of(name), engine.starting(name));
    let mut inputs = vec![plan::input(&step, &outcomes)];
    // A job that is restarted has one instance.
    let restarted = outcomes.iter().find(|one| one.fate == plan::Fate::Restarts);
    inputs.extend(restarted.map(|one| {
        let which = Which::Named(one.instance.clone());
        Input::Replace(engine.next_request(), Target { job: name.text().clone(), which }, None)
    }));
    inputs
}

/// Returns the news that a keeper's message is for the machine.
fn input_of(message: FromKeeper) -> Option<Input> {
    match message {
        FromKeeper::Spawned { slot, pid, warnings } => Some(Input::Spawned(slot, pid, warnings)),
        FromKeeper::SpawnFailed { slot, step, errno } => {
            Some(Input::SpawnFailed(slot, step, errno))
        }
        FromKeeper::Stopped { slot, signal } => Some(Input::Stopped(slot, signal)),
        FromKeeper::Exited { slot, pid, exit } => Some(Input::Exited(slot, pid, exit)),
        FromKeeper::OrphanExited { .. }
        | FromKeeper::Welcome { .. }
        | FromKeeper::Held { .. }
        | FromKeeper::Logger
        | FromKeeper::Told
        | FromKeeper::Signalled { .. }
        | FromKeeper::Lent { .. }
        | FromKeeper::NotUpgraded { .. } => None,
    }
}

/// A message to the keeper, without the whole description.
struct AskWords<'a>(&'a Ask);

impl std::fmt::Debug for AskWords<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            Ask::Spawn(slot, _) => write!(f, "spawn {slot:?}"),
            other => write!(f, "{other:?}"),
        }
    }
}
