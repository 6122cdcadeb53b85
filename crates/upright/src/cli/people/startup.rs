//! `upright blame`, `critical-chain` and `plot`: where the time of a start-up went.

use super::{text, Exit, Form, Session};
use clap::ArgMatches;
use engine::control::answer::Answer;
use engine::control::call::Call;
use shown::timeline::{self, svg, Startup};

pub(super) fn blame(session: &mut Session<'_, '_>, matches: &ArgMatches) -> Result<(), Exit> {
    if let Some(startup) = startup(session, matches)? {
        session.world.print(&timeline::blame(&startup));
    }
    Ok(())
}

pub(super) fn critical_chain(
    session: &mut Session<'_, '_>,
    matches: &ArgMatches,
) -> Result<(), Exit> {
    let Some(startup) = startup(session, matches)? else { return Ok(()) };
    let job = text(matches, "job").map(|job| job.lossy().into_owned());
    let from = match &job {
        Some(job) => startup.find(job),
        None => startup.last(),
    };
    let Some(from) = from else {
        let job = job.unwrap_or_default();
        let why = "had no part in the start-up as far as is remembered";
        session.world.say(&format!("{job}: {why}; `upright blame` shows which had"));
        return Err(Exit::Failed);
    };
    session.world.print(&timeline::critical_chain(&startup, from));
    Ok(())
}

pub(super) fn plot(session: &mut Session<'_, '_>, matches: &ArgMatches) -> Result<(), Exit> {
    if let Some(startup) = startup(session, matches)? {
        session.world.print(&svg::write(&startup));
    }
    Ok(())
}

/// Asks for the start-up; nothing where it has been printed as JSON, or there is none, which is said.
fn startup(session: &mut Session<'_, '_>, matches: &ArgMatches) -> Result<Option<Startup>, Exit> {
    let Some(Answer::Timeline(times)) = session.ask_in_words(Call::Timeline)? else {
        return Ok(None);
    };
    if session.form == Form::Json {
        return Ok(None);
    }
    let Answer::Jobs(jobs) = session.ask(Call::ShowConfig(None))? else { return Ok(None) };
    let startup = Startup::of(&times, &jobs, matches.get_flag("all"));
    if startup.bars.is_empty() {
        session.world.say("No job was started by an event; `--all` shows those that were by hand.");
        return Ok(None);
    }
    Ok(Some(startup))
}
