//! `upright events`: what happens, one line each.

use super::words::printable;
use super::{Exit, Form, Session};
use crate::cli::client::Enough;
use clap::ArgMatches;
use engine::control::answer::Answer;
use engine::control::call::{Call, Follow};
use engine::control::notice::Notice;
use engine::machine::request::Ended;
use engine::machine::{self, JobChange, ProgramNews};

pub(super) fn events(session: &mut Session<'_, '_>, matches: &ArgMatches) -> Result<(), Exit> {
    let after = matches.get_one::<u64>("after").copied();
    let (after, follow) = if matches.get_flag("follow") {
        (after, Follow::On)
    } else {
        (after.or(Some(0)), Follow::Off)
    };
    let mut client = session.client()?;
    let told = client.events(after, follow, |notice| {
        let line = match session.form {
            Form::Words => words(&notice),
            Form::Json => format!("{}\n", Answer::Notice(notice).to_json()),
        };
        // Each line goes out at once: who follows wants to see it now.
        if session.world.print(&line) && session.world.out.flush().is_ok() {
            Enough::No
        } else {
            Enough::Yes
        }
    });
    let about = super::About::of(&Call::Events(after, follow));
    told.map_err(|trouble| session.trouble(trouble, &about))
}

fn words(notice: &Notice) -> String {
    let mut out = match notice.missed {
        0 => String::new(),
        missed => format!("({missed} missed)\n"),
    };
    let what = match &notice.what {
        machine::Notice::Event { name, env, failed } => {
            let mut line = format!("event {name}");
            for row in env {
                line += &format!(" {row}");
            }
            if *failed {
                line += " (failed)";
            }
            line
        }
        machine::Notice::State { job, instance, goal, from, to } => {
            format!("job {} {goal}/{to} (was {from})", job.with_instance(instance))
        }
        machine::Notice::Goal { job, instance, goal, state } => {
            format!("job {} goal {goal} (in {state})", job.with_instance(instance))
        }
        machine::Notice::Failed { job, instance, failure } => {
            format!("job {} failed: {failure}", job.with_instance(instance))
        }
        machine::Notice::Job { job, change: JobChange::Added } => format!("job {job} added"),
        machine::Notice::Job { job, change: JobChange::Removed } => format!("job {job} removed"),
        machine::Notice::Program(news) => {
            let ProgramNews { job, from, to, pid, tries, exit, expected } = news;
            let mut line = format!("program {job} {} (was {})", to.name(), from.name());
            if let Some(pid) = pid {
                line += &format!(", process {pid}");
            }
            if let Some(exit) = exit {
                let how = if *expected { "expected" } else { "not expected" };
                line += &format!(": {}; {how}", Ended(*exit));
            }
            if *tries > 0 {
                line += &format!(", {tries} failed so far");
            }
            line
        }
        machine::Notice::Restarted => String::from("restarted"),
    };
    out += &format!("{} {}\n", notice.sequence, printable(&what));
    out
}
