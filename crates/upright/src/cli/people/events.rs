//! `upright events`: what happens, one line each.

use super::{text, Exit, Form, Session};
use crate::cli::client::Enough;
use clap::ArgMatches;
use engine::control::answer::Answer;
use engine::control::call::{Call, Follow};
use engine::control::notice::Notice;
use engine::glob;
use engine::machine;
use engine::text::Text;
use engine::time::Span;
use shown::words::printable;

pub(super) fn events(session: &mut Session<'_, '_>, matches: &ArgMatches) -> Result<(), Exit> {
    let after = matches.get_one::<u64>("after").copied();
    let (after, follow) = if matches.get_flag("follow") {
        (after, Follow::On)
    } else {
        (after.or(Some(0)), Follow::Off)
    };
    let filter = match Filter::of(matches) {
        Ok(filter) => filter,
        Err(why) => {
            session.world.say(&format!("upright: {why}"));
            return Err(Exit::Usage);
        }
    };
    // What happened before now and within that time is told first.
    let after = if filter.since.is_some() { after.or(Some(0)) } else { after };
    let mut client = session.client()?;
    let told = client.events(after, follow, |notice| {
        if !filter.takes(&notice) {
            return Enough::No;
        }
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

/// The kinds of notices, as `--kind` names them.
pub(in crate::cli) const KINDS: [&str; 6] = ["event", "state", "goal", "failed", "job", "program"];

/// Which notices are shown.
struct Filter {
    since: Option<Span>,
    job: Option<Text>,
    event: Option<Text>,
    kind: Option<String>,
}

impl Filter {
    fn of(matches: &ArgMatches) -> Result<Filter, String> {
        let since = match text(matches, "since") {
            Some(words) => Some(span(&words.lossy()).ok_or_else(|| {
                format!("--since {words}: is a number with s, m, h or d: 90s, 5m, 2h")
            })?),
            None => None,
        };
        let kind = text(matches, "kind").map(|kind| kind.lossy().into_owned());
        match kind.filter(|kind| !KINDS.contains(&kind.as_str())) {
            Some(kind) => Err(format!("--kind {kind}: is one of {}", KINDS.join(", "))),
            None => Ok(Filter {
                since,
                job: text(matches, "job"),
                event: text(matches, "event"),
                kind: text(matches, "kind").map(|kind| kind.lossy().into_owned()),
            }),
        }
    }

    fn takes(&self, notice: &Notice) -> bool {
        let (kind, job) = about(&notice.what);
        let young = match (self.since, notice.age) {
            (Some(since), Some(age)) => age <= since,
            (Some(_), None) => false,
            (None, _) => true,
        };
        let of_kind = self.kind.as_ref().is_none_or(|wanted| wanted == kind);
        let of_job = self
            .job
            .as_ref()
            .is_none_or(|pattern| job.is_some_and(|job| glob::matches(pattern.bytes(), job)));
        let of_name = self.event.as_ref().is_none_or(|pattern| match &notice.what {
            machine::Notice::Event { name, .. } => {
                glob::matches(pattern.bytes(), name.text().bytes())
            }
            machine::Notice::State { .. }
            | machine::Notice::Goal { .. }
            | machine::Notice::Failed { .. }
            | machine::Notice::Job { .. }
            | machine::Notice::Program(_)
            | machine::Notice::Restarted => false,
        });
        young && of_kind && of_job && of_name
    }
}

/// Returns the kind of a notice, and the job that it is about.
fn about(what: &machine::Notice) -> (&'static str, Option<&[u8]>) {
    match what {
        machine::Notice::Event { env, .. } => ("event", of_event(env)),
        machine::Notice::State { job, .. } => ("state", Some(job.text().bytes())),
        machine::Notice::Goal { job, .. } => ("goal", Some(job.text().bytes())),
        machine::Notice::Failed { job, .. } => ("failed", Some(job.text().bytes())),
        machine::Notice::Job { job, .. } => ("job", Some(job.text().bytes())),
        machine::Notice::Program(news) => ("program", Some(news.job.text().bytes())),
        machine::Notice::Restarted => ("", None),
    }
}

/// Returns the job that an event names.
fn of_event(env: &[Text]) -> Option<&[u8]> {
    env.iter().find_map(|row| row.bytes().strip_prefix(b"JOB="))
}

/// Reads a time: a number of seconds, or with s, m, h or d.
pub(super) fn span(words: &str) -> Option<Span> {
    let (number, unit) = match words.strip_suffix(|letter: char| letter.is_ascii_alphabetic()) {
        Some(number) => (number, words.get(number.len()..)?),
        None => (words, "s"),
    };
    let seconds = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        "d" => 86_400,
        _ => return None,
    };
    let number: u64 = number.parse().ok()?;
    Some(Span(number.checked_mul(seconds)?.checked_mul(1_000_000_000)?))
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
