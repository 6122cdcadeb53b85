//! Commands about tokens. A token is made here and shown once; the daemon is told its digest.

use super::events::span;
use super::{text, texts, Exit, Form, Session};
use crate::cli::connect;
use clap::ArgMatches;
use engine::control::answer::Answer;
use engine::control::call::{Call, NewToken};
use engine::rights::{quoted, Role};
use engine::token::TokenView;
use sha2::{Digest, Sha256};
use shown::words::printable;
use std::fs::File;
use std::io::Read;
use sys::clock::{self, Day, Moment, Shown};

/// What every token begins with, so that one is known for what it is wherever it turns up.
pub const PREFIX: &str = "upt_";

/// How many random bytes one has.
const RANDOM: usize = 32;

pub(super) fn create(session: &mut Session<'_, '_>, matches: &ArgMatches) -> Result<(), Exit> {
    let name = text(matches, "name").unwrap_or_default();
    let word = text(matches, "role").unwrap_or_default();
    let Some(role) = Role::from_word(word.bytes()) else {
        session
            .world
            .say(&format!("upright: --role {word}: it is none of look, operate, administer"));
        return Err(Exit::Usage);
    };
    let said = text(matches, "expires").unwrap_or_default().lossy().into_owned();
    let lifetime = match (said.as_str(), span(&said)) {
        ("never", _) => None,
        (_, Some(span)) => Some(span.as_secs()),
        (_, None) => {
            session
                .world
                .say(&format!("upright: --expires {said}: expected for example 12h, 90d or never"));
            return Err(Exit::Usage);
        }
    };
    let token = match made() {
        Ok(token) => token,
        Err(error) => {
            session.world.say(&format!("upright: no random numbers: {}", connect::words(&error)));
            return Err(Exit::Failed);
        }
    };
    let digest: [u8; 32] = Sha256::digest(token.as_bytes()).into();
    let jobs = texts(matches, "job");
    let shown = NewToken { name, digest: digest.into(), role, jobs, lifetime };
    session.ask(Call::CreateToken(Box::new(shown)))?;
    if session.form == Form::Json {
        session.world.print(&format!("{}\n", serde_json::json!({ "token": token })));
        return Ok(());
    }
    session.world.print(&format!("{token}\n"));
    session.world.say("This is the only time that it is shown. Clients send it as `Authorization: Bearer TOKEN', or as the password of any user.");
    Ok(())
}

pub(super) fn list(session: &mut Session<'_, '_>, _: &ArgMatches) -> Result<(), Exit> {
    if let Some(Answer::Tokens(tokens)) = session.ask_in_words(Call::ListTokens)? {
        for token in &tokens {
            session.world.print(&line(token));
        }
    }
    Ok(())
}

pub(super) fn revoke(session: &mut Session<'_, '_>, matches: &ArgMatches) -> Result<(), Exit> {
    for name in texts(matches, "name") {
        session.ask_in_words(Call::RevokeToken(name))?;
    }
    Ok(())
}

/// Makes a token that nobody can guess.
fn made() -> std::io::Result<String> {
    let mut random = [0; RANDOM];
    File::open("/dev/urandom")?.read_exact(&mut random)?;
    let digits: String = random.iter().map(|byte| format!("{byte:02x}")).collect();
    Ok(format!("{PREFIX}{digits}"))
}

fn line(token: &TokenView) -> String {
    let jobs: Vec<String> = token.jobs.iter().map(|job| quoted(job.bytes())).collect();
    let until = token.expires.map_or(String::from("never ends"), |at| format!("until {}", day(at)));
    let TokenView { name, role, by, created, .. } = token;
    let (jobs, made) = (printable(&jobs.join(" ")), day(*created));
    format!("{name}: {role} {jobs}, {until} (made {made} by uid {by})\n")
}

fn day(seconds: u64) -> String {
    let Moment { year, day: Day { month, day }, clock: Shown { hour, minute }, .. } =
        clock::moment(seconds);
    format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_tokens_are_never_the_same_and_say_what_they_are() {
        let (one, other) = (made().unwrap(), made().unwrap());
        assert_ne!(one, other);
        for token in [one, other] {
            assert_eq!(token.len(), PREFIX.len() + 2 * RANDOM);
            assert!(token.starts_with(PREFIX));
        }
    }
}
