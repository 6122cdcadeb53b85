//! Job files that change: noticed, walked, read a piece at a time. Source: spec 2.3, 2.4.

use super::catalogue::Said;
use super::watching::Changed;
use super::{sources, Daemon};
use crate::options::Mode;
use crate::proposal::Proposal;
use engine::control::fault::{Fault, Refused};
use engine::machine::request::Request;
use engine::machine::{Effect, Level};
use engine::names::JobName;
use engine::plan::{self, Jobs};
use std::path::Path;
use sys::Errno;

/// How many jobs are read in one turn: what clients ask is answered in between.
const TURN_FILES: usize = 256;

/// The machine's file beside its directories. It may say nothing: Upstart has no stanza for it any
/// more. Source: spec 2.1.
const INIT_CONF: &str = "/etc/init.conf";

impl Daemon {
    /// Finds what has changed in all sources; it is read in the turns that follow. Nothing is
    /// started by it.
    pub(super) fn reload(&mut self) {
        self.say(Level::Info, "Reloading configuration");
        for source in self.catalogue.sources() {
            self.say(Level::Info, &format!("Loading configuration from {}", source.display()));
        }
        if self.settings.options.mode == Mode::System {
            let fault = sources::fault_of_init_conf(Path::new(INIT_CONF));
            fault.iter().for_each(|fault| self.say(Level::Error, fault));
        }
        self.walk_all();
    }

    /// As [`Daemon::reload`], without a word.
    pub(super) fn walk_all(&mut self) {
        if self.applying.holds() {
            return self.applying.miss();
        }
        (0..self.catalogue.sources().len()).for_each(|number| self.walk(number));
        // Programs have no file of their own.
        let engine = &self.engine;
        let is_program =
            |name: &JobName| engine.spec(name).is_some_and(|spec| spec.policy.order.is_some());
        let of_files = engine.job_names().filter(|name| !name.is_reserved() && !is_program(name));
        self.catalogue.miss(of_files);
    }

    /// Reads everything that has changed, however long that takes.
    pub(super) fn read_all_files(&mut self, effects: &mut Vec<Effect>) {
        while !self.catalogue.is_settled() {
            self.read_files(effects);
        }
    }

    /// Walks a source; its directories are watched before they are read.
    fn walk(&mut self, number: usize) {
        let Some(source) = self.catalogue.sources().get(number).cloned() else { return };
        let root = sources::root(&source).to_path_buf();
        self.watching.leave(number);
        let mut refused = None;
        let mut said = Vec::new();
        let watching = &mut self.watching;
        self.catalogue.walk(number, &mut said, &mut |relative: &Path| {
            match watching.enter(number, &root, relative) {
                // One that may not be read is told by the walk itself.
                Ok(()) | Err(Errno::NOENT | Errno::NOTDIR | Errno::ACCESS) => {}
                Err(errno) => refused = Some(errno),
            }
        });
        if !source.exists() {
            if let Err(errno) = self.watching.await_source(number, &source) {
                refused = Some(errno);
            }
        }
        self.watching.prune();
        self.say_unwatched(&source, refused);
        said.iter().for_each(|(level, line)| self.say(*level, line));
    }

    /// Looks at what the watched directories told, once it is time.
    pub(super) fn look_at_changes(&mut self) {
        if self.applying.holds() {
            return;
        }
        let now = sys::clock::monotonic();
        let Some(Changed { files, walks, lost, moved }) = self.watching.take(now) else { return };
        for (number, relative) in &files {
            if !walks.contains(number) {
                self.catalogue.look(*number, relative);
            }
        }
        for number in walks {
            let Some(source) = self.catalogue.sources().get(number).cloned() else { continue };
            let gone = lost.contains(&number) && !source.exists();
            if gone {
                let line = format!("{}: Configuration directory deleted", source.display());
                self.say(Level::Warn, &line);
            }
            if !gone || !moved.contains(&number) {
                self.walk(number);
                continue;
            }
            // Nobody has deleted the files: their jobs stay until a reload. Source: spec 2.3.
            self.watching.leave(number);
            let awaited = self.watching.await_source(number, &source);
            self.watching.prune();
            self.say_unwatched(&source, awaited.err());
        }
    }

    /// Source: spec 2.3: a kernel without inotify is not worth a word.
    fn say_unwatched(&self, source: &Path, refused: Option<Errno>) {
        if let Some(errno) = refused.filter(|errno| *errno != Errno::NOSYS) {
            let (shown, why) = (source.display(), engine::errno::Errno(errno.raw_os_error()));
            let line = format!("{shown}: Unable to watch configuration directory: {why}");
            self.say(Level::Warn, &line);
        }
    }

    /// Reads the files of the job that is to be restarted again, where they have changed. One that cannot be
    /// used any more is an error, with its mistakes.
    pub(super) fn read_again(
        &mut self,
        request: &Request,
        effects: &mut Vec<Effect>,
    ) -> Result<(), Fault> {
        let (target, untouched) = match request {
            Request::Restart(target, _) => (target, "; it was not restarted"),
            Request::Check(target) => (target, ""),
            Request::Start(..)
            | Request::StartOnce(..)
            | Request::Stop(..)
            | Request::Reload(_)
            | Request::Signal(..)
            | Request::Emit(..)
            | Request::Intend(..) => return Ok(()),
        };
        let Ok(name) = JobName::try_from(target.job.clone()) else { return Ok(()) };
        // What is written just now is nobody's to be read.
        if self.applying.holds() {
            return Ok(());
        }
        if self.engine.spec(&name).is_some_and(|spec| spec.policy.order.is_some()) {
            return self.read_program_again(&name, untouched, effects);
        }
        if !self.catalogue.look_again(&name) {
            return Ok(());
        }
        let said = self.read_jobs(std::slice::from_ref(&name), effects);
        if self.catalogue.trouble(&name).is_none() {
            return Ok(());
        }
        let mistakes = said.iter().filter(|(level, _)| *level == Level::Error);
        let mistakes: Vec<&str> = mistakes.map(|(_, line)| line.as_str()).collect();
        let what = format!("Job file cannot be used: {name}{untouched}");
        Err(unusable(&name, &what, &mistakes.join("\n")))
    }

    /// Reads some of the files that have changed and tells the machine the difference.
    pub(super) fn read_files(&mut self, effects: &mut Vec<Effect>) {
        if self.applying.holds() {
            return;
        }
        if !self.catalogue.is_settled() {
            let names = self.catalogue.take_dirty(TURN_FILES);
            self.read_jobs(&names, effects);
        }
        if self.catalogue.is_settled() {
            self.touched.extend(self.connections.files_read());
        }
    }

    /// Reads the files of these jobs and tells the machine the difference; returns what is said of them.
    fn read_jobs(&mut self, names: &[JobName], effects: &mut Vec<Effect>) -> Said {
        let wanted = |name: &JobName| Some((name.clone(), self.engine.wanted(name)?.clone()));
        let old: Jobs = names.iter().filter_map(wanted).collect();
        let mut said = Vec::new();
        let new = self.catalogue.read(names, &old, &Proposal::default(), &mut said);
        said.iter().for_each(|(level, line)| self.say(*level, line));
        let plan = plan::diff(&old, &new);
        drop(new);
        plan.steps.iter().for_each(|step| self.say(Level::Debug, &step.to_string()));
        plan.inputs().for_each(|input| self.handle(input, effects));
        said
    }
}

/// Returns the refusal of a request for a job whose description cannot be read again.
pub(super) fn unusable(job: &JobName, what: &str, mistakes: &str) -> Fault {
    Fault::Refused(Box::new(Refused {
        code: String::from("bad-file"),
        message: format!("{what}\n{mistakes}"),
        job: Some(job.text().clone()),
        ..Refused::default()
    }))
}
