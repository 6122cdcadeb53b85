//! The named bounds of the machine: what is too much is refused, and the rest goes on.

use engine::dialect::upstart;
use engine::machine::request::{Refusal, Reply, Request, RequestId, Target, Wait, Which};
use engine::machine::{Config, Effect, Engine, Input};
use engine::machine::{HISTORY_MAX, PAST_MAX, REQUESTS_MAX, TURN_STEPS};
use engine::names::{InstanceName, JobName};
use engine::text::Text;
use engine::time::Mono;
use std::sync::Arc;

fn machine(jobs: &[(&str, &str)]) -> Engine {
    let mut engine = Engine::new(Config::default());
    for (name, file) in jobs {
        let name = JobName::try_from(*name).expect("a name");
        let parsed = upstart::parse(name, file.as_bytes());
        assert_eq!(parsed.error(), None);
        tell(&mut engine, Input::Define(Arc::new(parsed.spec)));
    }
    engine
}

fn tell(engine: &mut Engine, input: Input) -> Vec<Effect> {
    let mut effects = Vec::new();
    engine.handle(Mono(1), input, &mut effects);
    effects
}

fn ask(engine: &mut Engine, token: Option<Text>, request: Request) -> Option<Reply> {
    let id = engine.next_request();
    let effects = tell(engine, Input::Ask(id, token, request, None));
    effects.into_iter().find_map(|effect| match effect {
        Effect::Reply(to, reply, _) if to == id => Some(reply),
        _ => None,
    })
}

fn target(job: &str) -> Target {
    Target { job: Text::from(job), which: Which::Env(Vec::new()) }
}

#[test]
fn one_request_more_than_may_wait_is_refused_and_the_others_are_answered() {
    let mut engine = machine(&[("web", "pre-start exec x\ninstance $N")]);
    for number in 0..REQUESTS_MAX {
        let which = Which::Env(vec![Text::from(format!("N={number}"))]);
        let target = Target { job: Text::from("web"), which };
        assert_eq!(ask(&mut engine, None, Request::Start(target, Wait::Settled)), None);
    }
    let refused = ask(&mut engine, None, Request::Start(target("web"), Wait::Settled));
    assert!(matches!(refused, Some(Reply::Refused(Refusal::TooMuch(_)))), "{refused:?}");
    tell(&mut engine, Input::Gone(RequestId(1)));
    let served = ask(&mut engine, None, Request::Emit(Text::from("e"), Vec::new(), Wait::Settled));
    assert_eq!(served, Some(Reply::Done(None)), "there is room again");
}

#[test]
fn a_turn_of_jobs_that_start_each_other_for_ever_is_cut_off_and_goes_on_in_the_next() {
    let mut engine = machine(&[
        ("a", "start on stopped b\nstop on started a"),
        ("b", "start on stopped a\nstop on started b"),
    ]);
    let id = engine.next_request();
    let start = Request::Start(target("a"), Wait::Accepted);
    for _ in 0..3 {
        let effects = tell(&mut engine, Input::Ask(id, None, start.clone(), None));
        assert!(effects.len() > TURN_STEPS as usize / 10, "much is done");
        assert!(effects.len() < TURN_STEPS as usize * 10, "but not without end");
        assert_eq!(engine.next_deadline(), Some(Mono(1)), "the next turn is due at once");
    }
}

#[test]
fn the_history_of_an_instance_forgets_the_oldest() {
    let mut engine = machine(&[("web", "")]);
    for _ in 0..HISTORY_MAX {
        for request in [
            Request::Start(target("web"), Wait::Settled),
            Request::Stop(target("web"), Wait::Settled),
        ] {
            assert!(matches!(ask(&mut engine, None, request), Some(Reply::Done(Some(_)))));
        }
    }
    let name = JobName::try_from("web").expect("a name");
    let why = engine.why(&name, &InstanceName::default()).expect("the job is known");
    assert_eq!(why.history.len(), HISTORY_MAX);
}

#[test]
fn an_answer_is_kept_for_its_token_until_many_newer_ones_are() {
    let mut engine = machine(&[]);
    let emit = || Request::Emit(Text::from("e"), Vec::new(), Wait::Settled);
    let token = |number: usize| Text::from(format!("t{number}"));
    for number in 0..1000 {
        assert_eq!(ask(&mut engine, Some(token(number)), emit()), Some(Reply::Done(None)));
    }
    assert!(engine.find_token(&token(999)).is_some());
    assert!(engine.find_token(&token(800)).is_some());
    assert_eq!(engine.find_token(&token(0)), None);
}

#[test]
fn instances_that_are_gone_are_remembered_up_to_a_bound_the_oldest_forgotten_first() {
    let mut engine = machine(&[("web", "instance $N")]);
    let named = |number: usize| {
        let which = Which::Env(vec![Text::from(format!("N={number}"))]);
        Target { job: Text::from("web"), which }
    };
    let mut records = vec![engine.take_changes()];
    for number in 0..PAST_MAX + 5 {
        let mut effects = Vec::new();
        let at = Mono(number as u64 + 1);
        for request in [
            Request::Start(named(number), Wait::Settled),
            Request::Stop(named(number), Wait::Settled),
        ] {
            let id = engine.next_request();
            engine.handle(at, Input::Ask(id, None, request, None), &mut effects);
        }
        records.push(engine.take_changes());
    }
    let again = Engine::restore(Config::default(), records);
    for engine in [engine, again] {
        let known = |number: &usize| engine.find_past(&named(*number)).is_ok();
        let known: Vec<usize> = (0..PAST_MAX + 5).filter(known).collect();
        assert_eq!(known, (5..PAST_MAX + 5).collect::<Vec<_>>());
        assert_eq!(engine.audit(), Vec::<String>::new());
    }
}
