//! Commands that change something.

use super::{several, target, text, texts, About, Exit, Form, Session};
use crate::cli::client::Trouble;
use clap::ArgMatches;
use engine::control::answer::Answer;
use engine::control::call::{Call, Listed};
use engine::control::fault::Fault;
use engine::intent::{Intent, Lasting};
use engine::machine::request::{Request, Target, Wait, Which};
use engine::machine::state::Goal;
use engine::machine::ShutdownKind;
use engine::text::Text;
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
    let answer = session.ask(Call::Ask(request, None))?;
    show_changed(session, answer);
    Ok(())
}

/// Asks for a change of the job that the arguments name; of each whose goal is `of`, where they are a
/// pattern or name a group.
fn change(
    session: &mut Session<'_, '_>,
    matches: &ArgMatches,
    of: Goal,
    make: impl Fn(Target) -> Request,
) -> Result<(), Exit> {
    let target = target(session, matches)?;
    let plain = Call::Ask(make(target.clone()), None);
    let views = match several::is_pattern(&target.job) {
        true => several::meant(session, &target.job, Listed::Own)?,
        false => {
            let answer = session.client()?.ask(plain.clone());
            match answer {
                Ok(answer) => {
                    show_changed(session, answer);
                    return Ok(());
                }
                Err(trouble) => several::of_group(session, &target.job, trouble, &plain)?,
            }
        }
    };
    let targets = views.into_iter().filter(|view| view.goal == of).map(|view| Target {
        which: match (of, &target.which) {
            // What is to be started is made from the variables that were given.
            (Goal::Stop, which) => which.clone(),
            (Goal::Start, Which::Env(_)) => Which::Named(view.instance),
            (Goal::Start, named @ Which::Named(_)) => named.clone(),
        },
        job: view.job.text().clone(),
    });
    let calls: Vec<Call> = targets.map(|target| Call::Ask(make(target), None)).collect();
    let mut exit = Ok(());
    for (call, answer) in calls.iter().zip(several::ask_all(session, &calls)?) {
        match answer {
            Ok(answer) => show_changed(session, answer),
            Err(trouble) => exit = Err(session.trouble(trouble, &About::of(call))),
        }
    }
    exit
}

fn show_changed(session: &mut Session<'_, '_>, answer: Answer) {
    if session.form == Form::Json {
        session.world.print(&format!("{}\n", answer.to_json()));
        return;
    }
    if let Answer::Instance(Some(view)) = checked(session, answer) {
        let lines = status_line(&view);
        for line in lines.lines() {
            session.world.print(&format!("{}\n", printable(line)));
        }
        for warning in &view.warnings {
            let name = printable(&view.job.with_instance(&view.instance));
            session.world.say(&format!("{name}: warning: {}", printable(warning)));
        }
    }
}

/// Says what a check wrote that let a request through.
fn checked(session: &mut Session<'_, '_>, answer: Answer) -> Answer {
    let Answer::Checked(view, output) = answer else { return answer };
    session.world.say("The check wrote:");
    for line in output.lossy().lines() {
        session.world.say(&format!("  | {}", printable(line)));
    }
    Answer::Instance(view)
}

pub(super) fn start(session: &mut Session<'_, '_>, matches: &ArgMatches) -> Result<(), Exit> {
    let (once, wait) = (matches.get_flag("once"), wait(matches));
    change(session, matches, Goal::Stop, |target| match once {
        true => Request::StartOnce(target, wait),
        false => Request::Start(target, wait),
    })
}

pub(super) fn stop(session: &mut Session<'_, '_>, matches: &ArgMatches) -> Result<(), Exit> {
    let wait = wait(matches);
    if !matches.get_flag("persist") {
        return change(session, matches, Goal::Start, |target| Request::Stop(target, wait));
    }
    let target = target(session, matches)?;
    // First what is intended: were it the other way round, an event could start it between the two.
    intend(session, target.job.clone(), Some(Intent::Stopped), Lasting::Kept)?;
    stop_if_running(session, target, wait)
}

pub(super) fn enable(session: &mut Session<'_, '_>, matches: &ArgMatches) -> Result<(), Exit> {
    for job in texts(matches, "job") {
        intend(session, job.clone(), None, lasting(matches))?;
        if matches.get_flag("now") {
            let started = Request::Start(whole(job), Wait::Settled);
            unless(session, started, "already-running")?;
        }
    }
    Ok(())
}

pub(super) fn disable(session: &mut Session<'_, '_>, matches: &ArgMatches) -> Result<(), Exit> {
    keep_from(session, matches, Intent::Disabled)
}

pub(super) fn mask(session: &mut Session<'_, '_>, matches: &ArgMatches) -> Result<(), Exit> {
    keep_from(session, matches, Intent::Masked)
}

/// Keeps jobs from being started; those that run are left alone, but with `--now`.
fn keep_from(
    session: &mut Session<'_, '_>,
    matches: &ArgMatches,
    intent: Intent,
) -> Result<(), Exit> {
    for job in texts(matches, "job") {
        intend(session, job.clone(), Some(intent), lasting(matches))?;
        let Answer::Instances(views) = session.ask(Call::List(Some(job), Listed::Own))? else {
            continue;
        };
        for view in views.iter().filter(|view| view.goal == Goal::Start) {
            let shown = printable(&view.job.with_instance(&view.instance));
            let which = Which::Named(view.instance.clone());
            let target = Target { job: view.job.text().clone(), which };
            match matches.get_flag("now") {
                true => stop_if_running(session, target, Wait::Settled)?,
                false => session.world.say(&format!("{shown} runs on; --now stops it, too.")),
            }
        }
    }
    Ok(())
}

fn lasting(matches: &ArgMatches) -> Lasting {
    match matches.get_flag("runtime") {
        true => Lasting::Runtime,
        false => Lasting::Kept,
    }
}

fn whole(job: Text) -> Target {
    Target { job, which: Which::Env(Vec::new()) }
}

fn intend(
    session: &mut Session<'_, '_>,
    job: Text,
    intent: Option<Intent>,
    lasting: Lasting,
) -> Result<(), Exit> {
    let said =
        format!("{} is {}\n", printable(&job.lossy()), intent.map_or("enabled", Intent::word));
    if session.ask_in_words(Call::Ask(Request::Intend(job, intent, lasting), None))?.is_some() {
        session.world.print(&said);
    }
    Ok(())
}

fn stop_if_running(session: &mut Session<'_, '_>, target: Target, wait: Wait) -> Result<(), Exit> {
    let known = Call::List(Some(target.job.clone()), Listed::Own);
    let runs = match session.ask(known)? {
        Answer::Instances(views) => views.iter().any(|view| view.goal == Goal::Start),
        _ => true,
    };
    match runs {
        true => request(session, Request::Stop(target, wait)),
        false => Ok(()),
    }
}

/// Does something unless it is done already.
fn unless(session: &mut Session<'_, '_>, wanted: Request, already: &str) -> Result<(), Exit> {
    let call = Call::Ask(wanted.clone(), None);
    let about = About::of(&call);
    match session.client()?.ask(call) {
        Err(Trouble::Fault(Fault::Refused(refused))) if refused.code == already => Ok(()),
        Err(trouble) => Err(session.trouble(trouble, &about)),
        Ok(Answer::Instance(Some(view))) => {
            session.world.print(&format!("{}\n", printable(&status_line(&view))));
            Ok(())
        }
        Ok(_) => Ok(()),
    }
}

pub(super) fn restart(session: &mut Session<'_, '_>, matches: &ArgMatches) -> Result<(), Exit> {
    let wait = wait(matches);
    change(session, matches, Goal::Start, |target| Request::Restart(target, wait))
}

pub(super) fn reload(session: &mut Session<'_, '_>, matches: &ArgMatches) -> Result<(), Exit> {
    change(session, matches, Goal::Start, Request::Reload)
}

pub(super) fn check_service(
    session: &mut Session<'_, '_>,
    matches: &ArgMatches,
) -> Result<(), Exit> {
    let target = target(session, matches)?;
    let name = printable(&target.job.lossy());
    let answer = session.ask_in_words(Call::Ask(Request::Check(target), None))?;
    if let Some(answer) = answer {
        checked(session, answer);
        session.world.print(&format!("{name}: its check succeeds\n"));
    }
    Ok(())
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
