//! Commands that change something.

use super::{target, text, texts, About, Exit, Form, Session};
use clap::ArgMatches;
use engine::control::answer::Answer;
use engine::control::call::Call;
use engine::machine::request::{Request, Wait};
use engine::machine::ShutdownKind;
use shown::statusline::status_line;
use shown::words::printable;

fn wait(matches: &ArgMatches) -> Wait {
    if matches.get_flag("no-wait") {
        Wait::Accepted
    } else {
        Wait::Settled
    }
}

fn request(session: &mut Session<'_, '_>, request: Request) -> Result<(), Exit> {
    if let Some(Answer::Instance(Some(view))) = session.ask_in_words(Call::Ask(request, None))? {
        let lines = status_line(&view);
        for line in lines.lines() {
            session.world.print(&format!("{}\n", printable(line)));
        }
        for warning in &view.warnings {
            let name = printable(&view.job.with_instance(&view.instance));
            session.world.say(&format!("{name}: warning: {}", printable(warning)));
        }
    }
    Ok(())
}

pub(super) fn start(session: &mut Session<'_, '_>, matches: &ArgMatches) -> Result<(), Exit> {
    let target = target(session, matches)?;
    request(session, Request::Start(target, wait(matches)))
}

pub(super) fn stop(session: &mut Session<'_, '_>, matches: &ArgMatches) -> Result<(), Exit> {
    let target = target(session, matches)?;
    request(session, Request::Stop(target, wait(matches)))
}

pub(super) fn restart(session: &mut Session<'_, '_>, matches: &ArgMatches) -> Result<(), Exit> {
    let target = target(session, matches)?;
    request(session, Request::Restart(target, wait(matches)))
}

pub(super) fn reload(session: &mut Session<'_, '_>, matches: &ArgMatches) -> Result<(), Exit> {
    let target = target(session, matches)?;
    request(session, Request::Reload(target))
}

pub(super) fn emit(session: &mut Session<'_, '_>, matches: &ArgMatches) -> Result<(), Exit> {
    let event = text(matches, "event").unwrap_or_default();
    request(session, Request::Emit(event, texts(matches, "env"), wait(matches)))
}

pub(super) fn reload_configuration(
    session: &mut Session<'_, '_>,
    _: &ArgMatches,
) -> Result<(), Exit> {
    session.ask_in_words(Call::ReloadConfiguration).map(drop)
}

/// Has Upright go on in the binary that stands in its place now; says what runs then.
pub(super) fn upgrade(session: &mut Session<'_, '_>, _: &ArgMatches) -> Result<(), Exit> {
    let mut client = session.client()?;
    let done = client.ask(Call::Upgrade).and_then(|_| client.ask(Call::Version));
    match (done, session.form) {
        (Ok(Answer::Version(version)), Form::Words) => {
            session.world.print(&format!("goes on as {} {}\n", version.product, version.version));
            Ok(())
        }
        (Ok(answer), Form::Words | Form::Json) => {
            session.world.print(&format!("{}\n", answer.to_json()));
            Ok(())
        }
        (Err(trouble), _) => Err(session.trouble(trouble, &About::of(&Call::Upgrade))),
    }
}

pub(super) fn down(session: &mut Session<'_, '_>, matches: &ArgMatches) -> Result<(), Exit> {
    let kind = match matches.get_flag("logout") {
        true => ShutdownKind::Logout,
        false => ShutdownKind::Shutdown,
    };
    let mut client = session.client()?;
    let done = client.ask(Call::Shutdown(kind)).and_then(|answer| {
        if wait(matches) == Wait::Settled {
            client.wait_for_the_end()?;
        }
        Ok(answer)
    });
    match (done, session.form) {
        (Ok(_), Form::Words) => Ok(()),
        (Ok(answer), Form::Json) => {
            session.world.print(&format!("{}\n", answer.to_json()));
            Ok(())
        }
        (Err(trouble), _) => Err(session.trouble(trouble, &About::of(&Call::Shutdown(kind)))),
    }
}
