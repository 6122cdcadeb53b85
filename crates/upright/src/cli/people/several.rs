//! Words that mean several jobs: patterns (`web-*`), and groups of Supervisor's programs by their name.

use super::{is_unknown_job, About, Exit, Session};
use crate::cli::client::{Client, Trouble};
use engine::control::answer::Answer;
use engine::control::call::{Call, Listed};
use engine::glob;
use engine::text::Text;
use engine::view::InstanceView;
use shown::words::printable;

/// How many calls are under way at once. A stop may take a while, and all may be asked to stop together.
const AT_ONCE: usize = 32;

/// Reports whether a word is a pattern and no name.
pub(super) fn is_pattern(word: &Text) -> bool {
    word.bytes().iter().any(|byte| b"*?[".contains(byte))
}

/// Returns what there is of the jobs that a pattern matches. That there is none is an error.
pub(super) fn meant(
    session: &mut Session<'_, '_>,
    pattern: &Text,
    listed: Listed,
) -> Result<Vec<InstanceView>, Exit> {
    let mut views = all(session, listed)?;
    views.retain(|view| glob::matches(pattern.bytes(), view.job.text().bytes()));
    if views.is_empty() {
        let shown = printable(&pattern.lossy());
        session.world.say(&format!("upright: no job has a name like `{shown}`."));
        session.world.say("`upright status` shows all jobs.");
        return Err(Exit::Failed);
    }
    Ok(views)
}

/// Returns what there is of the programs of a group, where a call failed because no job has its name;
/// else says why the call failed.
pub(super) fn of_group(
    session: &mut Session<'_, '_>,
    name: &Text,
    trouble: Trouble,
    call: &Call,
) -> Result<Vec<InstanceView>, Exit> {
    let mut views = match is_unknown_job(&trouble) {
        true => all(session, Listed::Own)?,
        false => Vec::new(),
    };
    views.retain(|view| {
        let member = view.job.text().bytes().strip_prefix(name.bytes());
        member.is_some_and(|member| member.starts_with(b":"))
    });
    match views.is_empty() {
        true => Err(session.trouble(trouble, &About::of(call))),
        false => Ok(views),
    }
}

fn all(session: &mut Session<'_, '_>, listed: Listed) -> Result<Vec<InstanceView>, Exit> {
    let Answer::Instances(views) = session.ask(Call::List(None, listed))? else {
        return Ok(Vec::new());
    };
    Ok(views)
}

/// Asks many things at once; the answers come in the order of the calls.
pub(super) fn ask_all(
    session: &mut Session<'_, '_>,
    calls: &[Call],
) -> Result<Vec<Result<Answer, Trouble>>, Exit> {
    let mut answers = Vec::new();
    for some in calls.chunks(AT_ONCE) {
        let clients: Result<Vec<Client>, Exit> = some.iter().map(|_| session.client()).collect();
        let asked = some.iter().zip(clients?);
        std::thread::scope(|scope| {
            let asked =
                asked.map(|(call, mut client)| scope.spawn(move || client.ask(call.clone())));
            let asked: Vec<_> = asked.collect();
            for one in asked {
                answers.push(one.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
            }
        });
    }
    Ok(answers)
}
