//! Job descriptions, made up.

use crate::rng::Rng;
use engine::names::{EventName, JobName};
use engine::process::Role;
use engine::signal::Signal;
use engine::spec::{
    Arg, Backoff, Command, Condition, EnvRow, Expect, JobSpec, KillMode, Node, NormalExit, Operand,
    Order, Respawn, RespawnLimit,
};
use engine::text::Text;
use engine::time::Span;
use std::sync::Arc;

/// How many jobs a world has at most.
pub const JOBS: usize = 6;

/// How many kinds of events clients emit.
pub const EVENTS: usize = 4;

/// Whether jobs may start and stop each other in a ring.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ring {
    /// A job listens only to jobs before it: everything comes to rest.
    No,
    /// Any job listens to any job.
    Yes,
}

/// Returns the name of the n-th job.
pub fn name(index: usize) -> JobName {
    JobName::try_from(format!("j{index}").as_str()).expect("a job name")
}

/// Returns the name of the n-th event that clients emit.
pub fn event(index: usize) -> String {
    format!("e{index}")
}

/// Makes up the n-th job.
pub fn job(rng: &mut Rng, index: usize, ring: Ring) -> Arc<JobSpec> {
    let mut spec = JobSpec::new(name(index));
    commands(rng, &mut spec);
    policy(rng, &mut spec);
    // A restart that waits for its check begins its window later than it is asked for.
    if spec.commands.contains_key(&Role::Check) {
        spec.policy.respawn_limit = RespawnLimit::Unlimited;
    }
    if spec.policy.task {
        // Without main a task rests in running for ever, and whoever waits for it with it.
        if !spec.commands.contains_key(&Role::Main) {
            spec.commands.insert(Role::Main, Command::Exec(Text::from("main")));
        }
    }
    if rng.chance(20) {
        spec.instance = Text::from("$N");
    }
    if rng.chance(20) {
        spec.env.push(EnvRow::Set(Text::from("V"), Text::from("x")));
        spec.export.push(Text::from("V"));
    }
    if rng.chance(60) {
        spec.start_on = Some(condition(rng, index, ring, Side::Start).into());
    }
    if rng.chance(45) {
        spec.stop_on = Some(condition(rng, index, ring, Side::Stop).into());
    }
    Arc::new(spec)
}

fn commands(rng: &mut Rng, spec: &mut JobSpec) {
    let often = [
        (Role::Main, 88),
        (Role::PreStart, 25),
        (Role::PostStart, 22),
        (Role::PreStop, 22),
        (Role::PostStop, 25),
        (Role::Check, 20),
    ];
    for (role, percent) in often {
        if rng.chance(percent) {
            spec.commands.insert(role, Command::Exec(Text::from(role.name())));
        }
    }
}

fn policy(rng: &mut Rng, spec: &mut JobSpec) {
    let policy = &mut spec.policy;
    policy.task = rng.chance(25);
    policy.essential = rng.chance(1);
    policy.respawn =
        rng.weighted(&[(5, Respawn::Never), (4, Respawn::Failed), (1, Respawn::Always)]);
    // A task that is always started again never comes to rest.
    if policy.task && policy.respawn == Respawn::Always {
        policy.respawn = Respawn::Failed;
    }
    let few = RespawnLimit::Within {
        count: 1 + rng.below(4) as u32,
        interval: Span::secs(2 + rng.below(9) as u64),
    };
    let none = RespawnLimit::Within { count: 0, interval: Span::secs(5) };
    policy.respawn_limit = rng.weighted(&[
        (6, few),
        (2, RespawnLimit::default()),
        (1, RespawnLimit::Unlimited),
        (1, none),
    ]);
    if rng.chance(30) {
        policy.backoff = backoff(rng);
    }
    if rng.chance(20) {
        policy.normal_exit.push(NormalExit::Status(1));
    }
    if rng.chance(15) {
        policy.normal_exit.push(NormalExit::Signal(Signal::TERM));
    }
    policy.kill_signal = rng.pick(&[Signal::TERM, Signal::TERM, Signal::INT]);
    policy.kill_timeout =
        rng.pick(&[Span::ZERO, Span::millis(200), Span::secs(1), Span::secs(5), Span::secs(5)]);
    policy.kill_mode =
        rng.pick(&[KillMode::Group, KillMode::Process, KillMode::Mixed, KillMode::Tree]);
    policy.expect = rng.weighted(&[
        (6, Expect::None),
        (2, Expect::Stop),
        (2, Expect::Fork),
        (2, Expect::Daemon),
        (2, Expect::Up(Span::millis(300))),
        (1, Expect::Up(Span::ZERO)),
    ]);
    if matches!(policy.expect, Expect::Up(_)) && rng.chance(70) {
        policy.start_retries = Some(rng.below(4) as u32);
    }
    if rng.chance(20) {
        policy.order = Some(Order {
            group_priority: rng.below(3) as i64,
            group: Text::from(rng.pick(&["a", "b", "c"])),
            priority: rng.below(3) as i64,
        });
    }
    policy.expect_timeout = Span::secs(1 + rng.below(5) as u64);
    for role in [Role::PreStart, Role::PostStart, Role::PreStop, Role::PostStop, Role::Check] {
        if rng.chance(35) {
            policy.timeouts.insert(role, rng.span(500, 3000));
        }
    }
}

fn backoff(rng: &mut Rng) -> Backoff {
    let delay = rng.span(100, 2000);
    Backoff {
        delay,
        factor_percent: rng.pick(&[100, 200]),
        cap: Span::secs(3),
        jitter_percent: rng.pick(&[0, 20]),
        reset: Span::secs(5),
        pace: rng.pick(&[Span::ZERO, Span::secs(1)]),
        step: rng.pick(&[Span::ZERO, Span::millis(500)]),
        // Not by the generator: the worlds of the seeds that are kept stay what they were.
        retry: (delay.0 / 1_000_000).is_multiple_of(3).then_some(Span::secs(4)),
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Side {
    Start,
    Stop,
}

fn condition(rng: &mut Rng, index: usize, ring: Ring, side: Side) -> Condition {
    let operands = rng.weighted(&[(6, 1), (3, 2), (2, 3)]);
    let mut nodes = Vec::new();
    let mut open = 0;
    for _ in 0..operands {
        nodes.push(Node::Event(operand(rng, index, ring, side)));
        open += 1;
        if open == 2 && rng.chance(60) {
            nodes.push(rng.pick(&[Node::And, Node::Or]));
            open = 1;
        }
    }
    for _ in 1..open {
        nodes.push(rng.pick(&[Node::And, Node::Or]));
    }
    Condition { nodes }
}

fn operand(rng: &mut Rng, index: usize, ring: Ring, side: Side) -> Operand {
    let others = match ring {
        Ring::No => index,
        Ring::Yes => JOBS,
    };
    if others > 0 && rng.chance(50) {
        let names = ["starting", "started", "stopping", "stopped", "started", "exited"];
        let job = Arg::Equal(Text::from("JOB"), name(rng.below(others)).into());
        return operand_of(rng.pick(&names), vec![job]);
    }
    if rng.chance(6) {
        return operand_of("session-end", vec![]);
    }
    let mut args = Vec::new();
    if rng.chance(25) {
        let value = if side == Side::Stop { "$N" } else { "a" };
        args.push(Arg::Equal(Text::from("N"), Text::from(value)));
    }
    let name = event(rng.below(EVENTS));
    let failed = if rng.chance(6) { "/failed" } else { "" };
    operand_of(&format!("{name}{failed}"), args)
}

fn operand_of(name: &str, args: Vec<Arg>) -> Operand {
    Operand { event: EventName::try_from(name).expect("an event name"), args }
}
