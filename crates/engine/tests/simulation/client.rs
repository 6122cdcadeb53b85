//! Clients: what they ask, how they lose their connections and come back.

use crate::rng::Rng;
use crate::specs;
use engine::intent::{Intent, Lasting};
use engine::machine::request::{Reply, Request, RequestId, Target, Wait, Which};
use engine::names::{InstanceName, JobName};
use engine::text::Text;

/// A client with one request.
pub struct Client {
    /// What it asks.
    pub request: Request,
    /// What it is known by when it comes back.
    pub token: Option<Text>,
    /// The number of its request, once the daemon has taken it.
    pub id: Option<RequestId>,
    /// Whether it is connected.
    pub link: Link,
    /// What it was answered.
    pub answer: Option<Reply>,
}

/// Whether a client is connected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Link {
    /// It waits for its answer.
    Up,
    /// It has gone away or been cut off.
    Down,
}

impl Client {
    /// Makes up a client that asks about one of these jobs; `number` makes its token.
    pub fn new(rng: &mut Rng, number: usize, jobs: &[JobName]) -> Client {
        let token = rng.chance(60).then(|| Text::from(format!("t{number}")));
        Client { request: request(rng, jobs), token, id: None, link: Link::Up, answer: None }
    }

    /// Returns a client that asks this and waits.
    pub fn asking(request: Request, number: usize) -> Client {
        let token = Some(Text::from(format!("t{number}")));
        Client { request, token, id: None, link: Link::Up, answer: None }
    }
}

fn request(rng: &mut Rng, jobs: &[JobName]) -> Request {
    let wait = rng.pick(&[Wait::Settled, Wait::Settled, Wait::Accepted]);
    match rng.weighted(&[(4, 0), (3, 1), (3, 2), (1, 3), (5, 6), (1, 4), (1, 5), (1, 7)]) {
        0 => Request::Start(target(rng, jobs), wait),
        1 => Request::Stop(target(rng, jobs), wait),
        2 => Request::Restart(target(rng, jobs), wait),
        3 => Request::Reload(target(rng, jobs)),
        4 => Request::StartOnce(target(rng, jobs), wait),
        7 => Request::Check(target(rng, jobs)),
        5 => {
            // Seldom for long: what is masked does nothing that could go wrong.
            let intents =
                [None, None, Some(Intent::Disabled), Some(Intent::Stopped), Some(Intent::Masked)];
            let lasting = rng.pick(&[Lasting::Kept, Lasting::Runtime]);
            Request::Intend(target(rng, jobs).job, rng.pick(&intents), lasting)
        }
        _ => Request::Emit(Text::from(specs::event(rng.below(specs::EVENTS))), given(rng), wait),
    }
}

fn target(rng: &mut Rng, jobs: &[JobName]) -> Target {
    let job = match rng.below(40) {
        0 => Text::from("nobody"),
        1..=3 => specs::name(rng.below(specs::JOBS)).into(),
        _ => rng.pick(jobs).into(),
    };
    let which = match rng.below(12) {
        0 => Which::Named(InstanceName::default()),
        1 => Which::Named(InstanceName::try_from("a").expect("a name")),
        _ => Which::Env(given(rng)),
    };
    Target { job, which }
}

fn given(rng: &mut Rng) -> Vec<Text> {
    let rows: &[&str] = match rng.below(20) {
        0 => &["bad"],
        1..=6 => &[],
        7..=14 => &["N=a"],
        15..=17 => &["N=b"],
        _ => &["N=a", "X=1"],
    };
    rows.iter().map(|row| Text::from(*row)).collect()
}
