//! What operators have decided of jobs, on the disk: read at the start, written by the logger.

use super::Daemon;
use engine::control::answer::Answer;
use engine::control::fault::Fault;
use engine::intent::{self, Intent, Keeping, Lasting, TEXT_MAX};
use engine::logroute::{self, ToLogger};
use engine::machine::{Effect, Input, Level};
use engine::text::Text;
use shown::words::system as words;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{ErrorKind, Read};
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::time::Duration;
use sys::{memfd, seqpacket};

impl Daemon {
    fn intents_file(&self) -> Option<PathBuf> {
        self.settings.statedir.as_ref().map(|directory| directory.join("intents"))
    }

    /// Takes what the disk has of decisions; where it cannot be read that is said.
    pub(super) fn recall_intents(&mut self, effects: &mut Vec<Effect>) {
        let Some(path) = self.intents_file() else { return };
        let mut text = Vec::new();
        let read = File::open(&path)
            .and_then(|file| file.take(TEXT_MAX as u64 + 1).read_to_end(&mut text));
        let (found, mut wrong) = match read {
            Err(error) if error.kind() == ErrorKind::NotFound => return,
            Err(error) => (BTreeMap::new(), vec![format!("it cannot be read: {}", words(&error))]),
            Ok(length) if length > TEXT_MAX => {
                (BTreeMap::new(), vec![format!("it is longer than {TEXT_MAX} bytes")])
            }
            Ok(_) => intent::read(&text),
        };
        wrong.truncate(10);
        for wrong in wrong {
            let line = format!("{}: {wrong}; what it says of jobs does not hold", path.display());
            self.say(Level::Warn, &line);
        }
        self.handle(Input::Recalled(found), effects);
    }

    /// The disk can be written at last, and read.
    pub(super) fn disk_writable(&mut self, effects: &mut Vec<Effect>) -> Result<Answer, Fault> {
        self.tell_logger(&ToLogger::Writable);
        self.lock_state(&mut BTreeMap::new(), Duration::ZERO);
        self.recall_intents(effects);
        self.recall_tokens();
        Ok(Answer::Done)
    }

    /// Has what is intended written down.
    pub(super) fn keep_intents(&mut self, number: u64) {
        let Some(path) = self.intents_file() else {
            self.news.push_back(Input::Kept(number, Keeping::Nowhere));
            return;
        };
        let kept = self.engine.intents().filter(|(_, of)| of.lasting == Lasting::Kept);
        let kept: Vec<(_, Intent)> = kept.map(|(job, of)| (job, of.intent)).collect();
        let text = intent::write(kept.into_iter());
        let message = ToLogger::Store { number, path: Text::from(path.as_os_str().as_bytes()) };
        let told = memfd::sealed(c"upright-intents", &text).and_then(|text| {
            match &self.logger {
                // The next logger is told: see `take_logger`.
                None => Ok(()),
                Some(logger) => {
                    seqpacket::send(logger, &[&logroute::encode(&message)], &[text.as_fd()])
                }
            }
        });
        if let Err(errno) = told {
            self.news.push_back(Input::Kept(number, Keeping::Failed(errno.raw_os_error())));
        }
    }

    /// The logger has written down what is intended, or could not.
    pub(super) fn stored(&mut self, number: u64, errno: i32) {
        if self.tokens_stored(number, errno) {
            return;
        }
        let keeping = if errno == 0 { Keeping::Done } else { Keeping::Failed(errno) };
        self.news.push_back(Input::Kept(number, keeping));
    }
}
