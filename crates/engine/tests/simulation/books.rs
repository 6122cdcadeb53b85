//! What the committed turns add up to, counted again: requests and replies, respawns, signals.

use engine::machine::request::{Asked, Refusal, Reply, Request, RequestId, Wait};
use engine::machine::state::{Goal, State};
use engine::machine::{Effect, Engine, Input, Notice};
use engine::process::{InstanceId, Pid, Role, Slot};
use engine::signal::Signal;
use engine::spec::RespawnLimit;
use engine::text::Text;
use engine::time::{Mono, Span};
use std::collections::{BTreeMap, BTreeSet};

/// A request that was committed.
struct Asking {
    request: Request,
    turn: u64,
    /// Whether its client may come back for the answer.
    token: bool,
    /// The instance that is asked about.
    shown: String,
    /// Whether it joins a run that has not begun to stop.
    joins: bool,
    answered: bool,
    /// Whether its client has gone for good.
    gone: bool,
}

/// The machine's deeds in the world's own count.
#[derive(Default)]
pub struct Books {
    /// How many inputs were committed.
    pub turn: u64,
    /// The names of instances, as they are shown.
    pub names: BTreeMap<InstanceId, String>,
    /// Instances whose original has ended as `expect` wants, and its number.
    pub owed: BTreeMap<InstanceId, Pid>,
    asked: BTreeMap<RequestId, Asking>,
    tokens: BTreeSet<Text>,
    notices: u64,
    windows: BTreeMap<String, (Mono, u32)>,
    /// When the last restart was promised its turn that the budget had no room for.
    turn_promised: Option<Mono>,
    /// The limits of the descriptions that runs began with.
    limits: BTreeMap<String, RespawnLimit>,
    polite: BTreeMap<Slot, Mono>,
    spawned: BTreeMap<Slot, Mono>,
    mains: BTreeMap<String, u64>,
    killed: BTreeMap<InstanceId, (Mono, Span)>,
    shutdown: bool,
    wrong: Vec<String>,
}

/// How far apart restarts are that wait for their turn, in worlds whose budget is soon spent.
pub const BETWEEN_TURNS: Span = Span::secs(1);

/// How long the kernel may hold a process after KILL, and how late a turn may be.
const PATIENCE: Span = Span::secs(30);

impl Books {
    /// Counts what one input did. `before` says whose exits were expected to leave something.
    pub fn count(&mut self, engine: &Engine, now: Mono, input: &Input, effects: &[Effect]) {
        self.turn += 1;
        match input {
            Input::Ask(id, token, request, _) => {
                let again = token.clone().filter(|token| !self.tokens.insert(token.clone()));
                if let Some(token) = again {
                    self.wrong.push(format!("the request of {token} is carried out twice"));
                }
                let asking = Asking {
                    token: token.is_some(),
                    joins: joins(engine, request),
                    ..self.asking(engine, request)
                };
                self.asked.insert(*id, asking);
                self.forget_window(engine, request, *id, effects);
            }
            Input::Replace(id, target, _) => {
                let request = Request::Restart(target.clone(), Wait::Accepted);
                let asking = self.asking(engine, &request);
                self.asked.insert(*id, asking);
                self.forget_window(engine, &request, *id, effects);
            }
            Input::Gone(id) => {
                if let Some(asking) = self.asked.get_mut(id) {
                    asking.gone = !asking.token;
                }
            }
            Input::Exited(slot, pid, _) => {
                self.killed.remove(&slot.instance).filter(|_| slot.role == Role::Main);
                if engine.processes().any(|(of, pid)| of == *slot && pid.is_none()) {
                    self.owed.insert(slot.instance, *pid);
                }
            }
            Input::Survey(slot, left) if left.is_empty() => {
                self.owed.remove(&slot.instance);
            }
            Input::Shutdown(_) => self.shutdown = true,
            Input::Define(_)
            | Input::Recalled(_)
            | Input::Kept(..)
            | Input::Remove(_)
            | Input::Happened(..)
            | Input::Spawned(..)
            | Input::SpawnFailed(..)
            | Input::Stopped(..)
            | Input::Survey(..)
            | Input::Swept(..)
            | Input::SweptAll(_)
            | Input::Pass(_)
            | Input::Remains(..)
            | Input::OomKills(..)
            | Input::Interrupt
            | Input::Revise(_)
            | Input::Probation(_)
            | Input::Vary(..)
            | Input::Tick => {}
        }
        for effect in effects {
            self.count_effect(engine, now, effect);
        }
    }

    fn asking(&self, engine: &Engine, request: &Request) -> Asking {
        Asking {
            request: request.clone(),
            turn: self.turn,
            token: false,
            shown: shown(engine, request),
            joins: false,
            answered: false,
            gone: false,
        }
    }

    /// The client of a request without token was cut off by the death of the daemon.
    pub fn cut_off(&mut self, id: RequestId) {
        if let Some(asking) = self.asked.get_mut(&id) {
            asking.gone = true;
        }
    }

    /// Returns what was found wrong since the last call.
    pub fn take_wrong(&mut self) -> Vec<String> {
        std::mem::take(&mut self.wrong)
    }

    /// Returns the requests that somebody waits for.
    pub fn unanswered(&self) -> impl Iterator<Item = (RequestId, &Request)> + '_ {
        let open = self.asked.iter().filter(|(_, asking)| !asking.answered && !asking.gone);
        open.map(|(id, asking)| (*id, &asking.request))
    }

    /// Says which instances have been told to end for longer than that may take, the daemon having
    /// been there since `since`.
    pub fn overdue(&self, now: Mono, since: Mono) -> Option<InstanceId> {
        let late = |(from, allowed): &(Mono, Span)| {
            now.since((*from).max(since)) > Span(allowed.0 + PATIENCE.0)
        };
        self.killed.iter().find(|(_, killed)| late(killed)).map(|(id, _)| *id)
    }

    fn shown(&self, id: InstanceId) -> String {
        self.names.get(&id).cloned().unwrap_or_default()
    }

    fn count_effect(&mut self, engine: &Engine, now: Mono, effect: &Effect) {
        match effect {
            Effect::Spawn(slot) => {
                let named = engine.name_of(slot.instance);
                if let Some((job, name)) = named.filter(|_| slot.role != Role::Check) {
                    self.names.insert(slot.instance, job.with_instance(name));
                }
                self.spawned.insert(*slot, now);
                if slot.role == Role::Main {
                    let turn = self.turn;
                    self.mains.insert(self.shown(slot.instance), turn);
                }
            }
            Effect::Signal(slot, Signal::KILL, _) => self.count_kill(engine, now, *slot),
            Effect::Signal(slot, signal, _) if [Signal::TERM, Signal::INT].contains(signal) => {
                self.polite.entry(*slot).or_insert(now);
            }
            Effect::Reply(id, reply, _) => self.count_reply(*id, reply),
            Effect::Notice(sequence, notice) => {
                if *sequence != self.notices + 1 {
                    self.wrong.push(format!("notice {sequence} after notice {}", self.notices));
                }
                self.notices = *sequence;
                self.count_notice(engine, now, notice);
            }
            Effect::Say(_, words) => {
                self.count_words(now, words);
                self.count_deferred(engine, now, words);
            }
            Effect::Adopt(slot, _) => {
                self.spawned.insert(*slot, now);
            }
            Effect::Signal(..)
            | Effect::Release(_)
            | Effect::Survey(..)
            | Effect::Sweep(..)
            | Effect::SweepAll(_)
            | Effect::Keep(_)
            | Effect::Quit(_) => {}
        }
    }

    /// KILL comes only after the polite signal has had its time.
    fn count_kill(&mut self, engine: &Engine, now: Mono, slot: Slot) {
        let Some(order) = engine.order(slot) else { return };
        let policy = &order.spec.policy;
        let polite = self.polite.get(&slot).is_some_and(|at| now.since(*at) >= policy.kill_timeout);
        let hangs = self.spawned.get(&slot).is_some_and(|at| now.since(*at) >= Span::secs(30));
        if policy.kill_timeout.0 > 0
            && !polite
            && !hangs
            && !self.shutdown
            && !engine.shutting_down()
        {
            self.wrong.push(format!("{slot:?} is sent KILL before its time"));
        }
    }

    fn count_notice(&mut self, engine: &Engine, now: Mono, notice: &Notice) {
        let Notice::State { job, instance, to: state, .. } = notice else { return };
        let shown = job.with_instance(instance);
        match (*state, engine.spec(job)) {
            (State::Waiting, _) => {
                self.windows.remove(&shown);
            }
            (State::Starting, Some(spec)) => {
                // What is tried again slowly is never given up.
                let limit = match spec.policy.backoff.retry {
                    None => spec.policy.respawn_limit,
                    Some(_) => RespawnLimit::Unlimited,
                };
                self.limits.insert(shown.clone(), limit);
            }
            _ => {}
        }
        let id = self.names.iter().rev().find(|(_, name)| **name == shown).map(|(id, _)| *id);
        let Some(id) = id else { return };
        self.killed.remove(&id);
        if let (State::Killed, Some(spec)) = (*state, engine.spec(job)) {
            self.killed.insert(id, (now, spec.policy.kill_timeout));
        }
    }

    fn count_words(&mut self, now: Mono, words: &str) {
        const RESPAWNS: &str = " main process ended, respawning";
        const TOO_FAST: &str = " respawning too fast, stopped";
        let limit = |shown: &str| match *self.limits.get(shown)? {
            RespawnLimit::Within { count, interval } if count > 0 && interval.0 > 0 => {
                Some((count, interval))
            }
            RespawnLimit::Within { .. } | RespawnLimit::Unlimited => None,
        };
        let ended = words.strip_suffix(RESPAWNS).or(words.strip_suffix(TOO_FAST));
        let Some((shown, (count, interval))) = ended.and_then(|s| Some((s, limit(s)?))) else {
            return;
        };
        let window = self.windows.entry(shown.into()).or_insert((now, 0));
        if now.since(window.0) < interval {
            window.1 += 1;
        } else {
            *window = (now, 1);
        }
        let allowed = window.1 <= count;
        if allowed == words.ends_with(TOO_FAST) {
            let times = window.1;
            self.wrong.push(format!("{words}: number {times} where the limit is {count}"));
        }
    }

    /// Restarts that the budget has no room for come one behind the other, and the time that they wait
    /// is none of that in which the limit counts.
    fn count_deferred(&mut self, engine: &Engine, now: Mono, words: &str) {
        let Some((shown, _)) = words.split_once(" restart deferred by ") else { return };
        let mut all = engine.list(None, usize::MAX).into_iter();
        let view = all.find(|view| view.job.with_instance(&view.instance) == shown);
        let why = view.and_then(|view| engine.why(&view.job, &view.instance));
        // It may have been told to stop in the same turn.
        let Some(wait) = why.and_then(|why| why.due) else { return };
        let promised = now + wait;
        let gap = self.turn_promised.map_or(Span::secs(1), |last| promised.since(last));
        if gap < BETWEEN_TURNS {
            self.wrong.push(format!("{shown} has its turn {gap} after another restart"));
        }
        self.turn_promised = Some(promised);
        if let Some((began, _)) = self.windows.get_mut(shown) {
            *began = *began + wait;
        }
    }

    /// A restart by a client begins a new window; so says our manual.
    fn forget_window(
        &mut self,
        engine: &Engine,
        request: &Request,
        id: RequestId,
        effects: &[Effect],
    ) {
        let refused = effects.iter().any(|effect| {
            matches!(effect, Effect::Reply(of, Reply::Refused(why), _) if *of == id
                && !matches!(why, Refusal::Failed(..) | Refusal::Superseded(..)))
        });
        let Request::Restart(target, _) = request else { return };
        if let (false, Ok((job, Some(instance)))) = (refused, engine.find(target)) {
            let name = engine.name_of(instance).map(|(_, name)| name.clone());
            self.windows.remove(&job.with_instance(&name.unwrap_or_default()));
        }
    }

    fn count_reply(&mut self, id: RequestId, reply: &Reply) {
        let Some(asking) = self.asked.get_mut(&id) else {
            self.wrong.push(format!("request {} is answered and was never asked", id.0));
            return;
        };
        if std::mem::replace(&mut asking.answered, true) {
            self.wrong.push(format!("request {} is answered twice", id.0));
        }
        let (asked, settled) = match &asking.request {
            Request::Start(_, wait) | Request::StartOnce(_, wait) => (Asked::Start, wait),
            Request::Restart(_, wait) => (Asked::Restart, wait),
            Request::Stop(_, wait) => (Asked::Stop, wait),
            Request::Reload(_)
            | Request::Check(_)
            | Request::Signal(..)
            | Request::Emit(..)
            | Request::Intend(..) => return,
        };
        let Reply::Done(Some(view)) = reply else { return };
        if *settled != Wait::Settled {
            return;
        }
        let shown = &asking.shown;
        let spawned = self.mains.get(shown).is_some_and(|turn| *turn >= asking.turn);
        let running = (view.goal, view.state) == (Goal::Start, State::Running);
        let right = match asked {
            Asked::Start => running || spawned || asking.joins,
            Asked::Restart => running || spawned,
            Asked::Stop => view.state == State::Waiting,
            Asked::Reload | Asked::Check => true,
        };
        if !right {
            let (goal, state) = (view.goal, view.state);
            self.wrong
                .push(format!("{asked:?} of {shown} is done, says the reply, at {goal}/{state}"));
        }
    }
}

/// Reports whether what a start asks for goes on with a run of the instance that has begun.
fn joins(engine: &Engine, request: &Request) -> bool {
    let (Request::Start(target, _) | Request::StartOnce(target, _)) = request else { return false };
    let view = engine.find(target).ok().and_then(|(_, id)| engine.view_of(id?));
    view.is_some_and(|view| {
        !matches!(view.state, State::Stopping | State::Killed | State::PostStop | State::Waiting)
    })
}

fn shown(engine: &Engine, request: &Request) -> String {
    let target = match request {
        Request::Start(target, _)
        | Request::StartOnce(target, _)
        | Request::Stop(target, _)
        | Request::Restart(target, _) => target,
        Request::Reload(_)
        | Request::Check(_)
        | Request::Signal(..)
        | Request::Emit(..)
        | Request::Intend(..) => return String::new(),
    };
    let name = engine.find(target).ok().and_then(|(_, id)| engine.name_of(id?));
    name.map_or_else(String::new, |(job, name)| job.with_instance(name))
}
