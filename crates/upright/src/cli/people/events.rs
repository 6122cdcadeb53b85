//! `upright events`: what happens, one line each.

use super::{Exit, Form, Session};
use crate::cli::client::Enough;
use clap::ArgMatches;
use engine::control::answer::Answer;
use engine::control::call::{Call, Follow};
use engine::control::notice::Notice;
use shown::words::printable;

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
    let what = shown::notice::words(&notice.what);
    out += &format!("{} {}\n", notice.sequence, printable(&what));
    out
}
