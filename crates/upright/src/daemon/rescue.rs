//! A shell where a machine has nothing to run.

use super::Daemon;
use crate::options::Mode;
use engine::dialect::upstart::parse;
use engine::machine::{Effect, Input, Level};
use engine::names::{EventName, JobName};
use std::sync::Arc;

/// The job and the event that starts it.
const NAME: &str = "rescue";

/// What it does: a shell for root on the console, with the password where there is one to ask for.
const JOB: &[u8] = b"description \"a shell, as there are no jobs\"\n\
    start on rescue\n\
    respawn\n\
    console owner\n\
    script\n\
    if [ -x /sbin/sulogin ]; then\n\
        exec /sbin/sulogin -e\n\
    fi\n\
    exec /bin/sh\n\
    end script\n";

impl Daemon {
    /// Starts a shell on the console where the machine's PID 1 has no job at all: a disk that is not
    /// there, a directory that was emptied. Anywhere else there is somebody who can look.
    pub(super) fn rescue(&mut self, effects: &mut Vec<Effect>) {
        let settings = &self.settings;
        let first = settings.options.mode == Mode::System && settings.keeper == 1;
        if !first || !sys::first::in_machine() || self.engine.job_names().next().is_some() {
            return;
        }
        let places: Vec<_> =
            self.catalogue.sources().iter().map(|place| place.display().to_string()).collect();
        let (Ok(name), Ok(event)) = (JobName::try_from(NAME), EventName::try_from(NAME)) else {
            return;
        };
        self.say(
            Level::Error,
            &format!(
                "there are no jobs in {}: a shell has the console; put job files there, then \
                 `initctl emit startup', or `reboot -f'",
                places.join(", ")
            ),
        );
        self.handle(Input::Define(Arc::new(parse(name, JOB).spec)), effects);
        self.handle(Input::Happened(event, Vec::new()), effects);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_job_of_last_resort_has_no_mistake() {
        let parsed = parse(JobName::try_from(NAME).unwrap(), JOB);
        assert!(parsed.diagnostics.is_empty(), "{:?}", parsed.diagnostics);
    }
}
