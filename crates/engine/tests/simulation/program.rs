//! What a process is going to do: its program, made up.

use crate::rng::Rng;
use engine::process::{Exit, Role};
use engine::spec::{Expect, JobSpec};
use engine::time::Span;

/// Whether processes do what they like or what a good service does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mood {
    /// They die, hang, fail and ignore.
    Wild,
    /// New ones serve, helpers succeed.
    Calm,
}

/// One thing that a process does after a while.
#[derive(Clone, Debug)]
pub enum Act {
    /// It ends.
    End(Exit),
    /// It stops itself.
    Stop,
    /// It forks a child that runs this.
    Fork(Program, Session),
}

/// Whether a child leaves the session of its parent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Session {
    /// It stays.
    Same,
    /// It leads its own.
    Own,
}

/// What a process does when it is politely told to end.
#[derive(Clone, Copy, Debug)]
pub enum Polite {
    /// It ends after this time in this way; none: by the signal.
    Ends(Span, Option<Exit>),
    /// It does not care.
    Ignores,
}

/// The life of a process, if nobody interferes.
#[derive(Clone, Debug)]
pub struct Program {
    /// What it does, one after the other, each after a time.
    pub acts: Vec<(Span, Act)>,
    /// What it does on a polite signal.
    pub polite: Polite,
    /// How long the kernel holds it after KILL.
    pub stubborn: Span,
}

/// Makes up the program of a process.
pub fn of(rng: &mut Rng, role: Role, spec: &JobSpec, mood: Mood) -> Program {
    let mut program = manners(rng, mood);
    if role != Role::Main {
        program.acts = helper(rng, mood);
        return program;
    }
    let work = work(rng, spec.policy.task, mood);
    program.acts = match spec.policy.expect {
        Expect::None | Expect::Up(_) => work,
        Expect::Stop => stops_first(rng, work, mood),
        Expect::Fork => forks_first(rng, work, &spec.policy.expect_timeout, mood),
        Expect::Daemon => forks_twice(rng, work, mood),
    };
    program
}

fn manners(rng: &mut Rng, mood: Mood) -> Program {
    let exit = rng.pick(&[None, None, Some(Exit::Status(0)), Some(Exit::Status(1))]);
    let ends = Polite::Ends(rng.span(0, 600), exit);
    let (polite, stubborn) = match mood {
        Mood::Calm => (ends, Span::ZERO),
        Mood::Wild => (
            rng.weighted(&[(7, ends), (3, Polite::Ignores)]),
            if rng.chance(12) { rng.span(500, 25_000) } else { Span::ZERO },
        ),
    };
    Program { acts: Vec::new(), polite, stubborn }
}

fn bad(rng: &mut Rng) -> Exit {
    rng.pick(&[
        Exit::Status(0),
        Exit::Status(1),
        Exit::Status(2),
        Exit::Signal { signal: 11, core: true },
        Exit::Signal { signal: 15, core: false },
    ])
}

fn helper(rng: &mut Rng, mood: Mood) -> Vec<(Span, Act)> {
    let exit = if mood == Mood::Wild && rng.chance(25) { bad(rng) } else { Exit::Status(0) };
    if mood == Mood::Wild && rng.chance(8) {
        return Vec::new();
    }
    Vec::from([(rng.span(0, 1500), Act::End(exit))])
}

fn work(rng: &mut Rng, task: bool, mood: Mood) -> Vec<(Span, Act)> {
    match (task, mood) {
        (true, Mood::Calm) => Vec::from([(rng.span(0, 300), Act::End(Exit::Status(0)))]),
        (true, Mood::Wild) => {
            let exit = if rng.chance(35) { bad(rng) } else { Exit::Status(0) };
            Vec::from([(rng.span(0, 2000), Act::End(exit))])
        }
        (false, Mood::Wild) if rng.chance(50) => {
            let long = rng.pick(&[50, 300, 1000]);
            Vec::from([(rng.span(0, long), Act::End(bad(rng)))])
        }
        (false, Mood::Wild | Mood::Calm) => Vec::new(),
    }
}

fn stops_first(rng: &mut Rng, work: Vec<(Span, Act)>, mood: Mood) -> Vec<(Span, Act)> {
    if mood == Mood::Wild && rng.chance(12) {
        return work;
    }
    let mut acts = Vec::from([(rng.span(0, 900), Act::Stop)]);
    acts.extend(work);
    acts
}

fn forks_first(
    rng: &mut Rng,
    work: Vec<(Span, Act)>,
    timeout: &Span,
    mood: Mood,
) -> Vec<(Span, Act)> {
    if mood == Mood::Wild && rng.chance(10) {
        return work;
    }
    let daemon = Program { acts: work, ..manners(rng, mood) };
    let session = rng.pick(&[Session::Own, Session::Own, Session::Same]);
    let mut acts = Vec::new();
    if rng.chance(15) {
        let helper = Program { acts: helper(rng, Mood::Calm), ..manners(rng, mood) };
        acts.push((rng.span(0, 50), Act::Fork(helper, Session::Same)));
    }
    let late = mood == Mood::Wild && rng.chance(8);
    let after = if late { *timeout } else { Span::ZERO };
    acts.push((Span(after.0 + rng.span(0, 500).0), Act::Fork(daemon, session)));
    let exit = if mood == Mood::Wild && rng.chance(6) { Exit::Status(1) } else { Exit::Status(0) };
    acts.push((rng.span(0, 150), Act::End(exit)));
    acts
}

fn forks_twice(rng: &mut Rng, work: Vec<(Span, Act)>, mood: Mood) -> Vec<(Span, Act)> {
    if mood == Mood::Wild && rng.chance(10) {
        return work;
    }
    let daemon = Program { acts: work, ..manners(rng, mood) };
    let middle = Program {
        acts: Vec::from([
            (rng.span(0, 100), Act::Fork(daemon, Session::Same)),
            (rng.span(0, 60), Act::End(Exit::Status(0))),
        ]),
        ..manners(rng, Mood::Calm)
    };
    Vec::from([
        (rng.span(0, 500), Act::Fork(middle, Session::Own)),
        (rng.span(0, 100), Act::End(Exit::Status(0))),
    ])
}
