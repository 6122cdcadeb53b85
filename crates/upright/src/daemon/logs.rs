//! Logs for those who may not open files themselves: opened, emptied and counted by the logger, which is
//! there to wait for disks.

use super::connections::ConnectionId;
use super::{outputs, Daemon};
use engine::control::answer::Answer;
use engine::control::call::{Back, Log};
use engine::control::fault::Fault;
use engine::logroute::{Count, ToLogger};
use engine::names::{InstanceName, JobName};
use engine::process::Stream;
use engine::spec::LogPlace;
use engine::text::Text;
use engine::time::{Mono, Span};
use engine::view::{CountView, InstanceView, LogState, LogView};
use shown::words::system as words;
use std::collections::BTreeMap;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use sys::Errno;

/// How many clients may wait for the logger.
const WAITING_MAX: usize = 256;

/// How long it may take; one that is gone is followed by another, which is asked again.
const PATIENCE: Span = Span::secs(10);

/// The kernel's words for a file that is not there, and for what is no file.
const NOENT: i32 = Errno::NOENT.raw_os_error();
const SPIPE: i32 = Errno::SPIPE.raw_os_error();

/// What the logger is asked for, by the number of the question.
#[derive(Default)]
pub struct Logs {
    last: u64,
    waiting: BTreeMap<u64, Waiting>,
}

struct Waiting {
    client: ConnectionId,
    until: Mono,
    what: Asked,
}

/// What is asked of the logger.
enum Asked {
    /// A file; one that is not there is to come, or is missing.
    Open(Text, LogState),
    /// An empty file.
    Clear(Text),
    /// How much has come; what it has said so far.
    Count(Vec<Count>),
}

impl Asked {
    fn message(&self, number: u64) -> ToLogger {
        match self {
            Asked::Open(path, _) => ToLogger::Open { number, path: path.clone() },
            Asked::Clear(path) => ToLogger::Clear { number, path: path.clone() },
            Asked::Count(_) => ToLogger::Count { number },
        }
    }
}

impl Logs {
    /// Returns when somebody has waited too long.
    pub fn due(&self) -> Option<Mono> {
        self.waiting.values().map(|waiting| waiting.until).min()
    }
}

impl Daemon {
    /// Has a log opened for a client.
    pub(super) fn open_log(&mut self, client: ConnectionId, log: &Log, back: Back) {
        match self.place_of(log).and_then(|place| self.place_back(log, back, place)) {
            Ok((path, absent)) => self.ask_logger(client, Asked::Open(path, absent)),
            Err(fault) => self.connections.answer(client, Err(fault)),
        }
    }

    /// Has a log emptied for a client.
    pub(super) fn clear_log(&mut self, client: ConnectionId, log: &Log) {
        match self.place_of(log) {
            Ok((path, _)) => self.ask_logger(client, Asked::Clear(path)),
            Err(fault) => self.connections.answer(client, Err(fault)),
        }
    }

    /// Has it counted for a client what came of each output.
    pub(super) fn count_logs(&mut self, client: ConnectionId) {
        self.ask_logger(client, Asked::Count(Vec::new()));
    }

    /// Returns where a log is, and what it is where there is no file.
    fn place_of(&self, log: &Log) -> Result<(Text, LogState), Fault> {
        let none = |why: String| Fault::refusal("no-log", why);
        let (target, stream) = match log {
            Log::Own => {
                let own = self.own_log().ok_or_else(|| {
                    none(String::from("this Upright keeps no log of its own in a file"))
                })?;
                return Ok((own, LogState::Missing));
            }
            Log::Of(target, stream) => (target, *stream),
        };
        let (job, id) =
            self.engine.find(target).map_err(|refusal| Fault::refused(&refusal, None))?;
        let view = id.and_then(|id| self.engine.view_of(id));
        let view = view.unwrap_or_else(|| self.engine.view_at_rest(&job));
        let spec = self.engine.spec(&job);
        let path = spec
            .and_then(|spec| outputs::log_path(&self.settings, spec, &view.instance, stream))
            .ok_or_else(|| none(format!("{job}: its {} is not kept in a file", called(stream))))?;
        let auto = spec.is_some_and(|spec| spec.attrs.log.place == LogPlace::Auto);
        let absent = match auto || has_begun(&view) {
            true => LogState::Empty,
            false => LogState::Missing,
        };
        Ok((Text::from(path.as_os_str().as_bytes()), absent))
    }

    /// Returns where a log was that many rotations ago. Only what is kept of this log is told: another file
    /// may have such a name.
    fn place_back(
        &self,
        log: &Log,
        back: Back,
        now: (Text, LogState),
    ) -> Result<(Text, LogState), Fault> {
        let kept = match log {
            Log::Of(target, stream) => {
                let (job, _) =
                    self.engine.find(target).map_err(|refusal| Fault::refused(&refusal, None))?;
                let spec = self.engine.spec(&job);
                spec.map_or(0, |spec| outputs::kept(&self.settings, &spec.attrs.log, *stream))
            }
            Log::Own => 0,
        };
        match back {
            Back(0) => Ok(now),
            Back(number) if u32::from(number) <= kept => {
                let path = Text::from([now.0.bytes(), format!(".{number}").as_bytes()].concat());
                Ok((path, LogState::Missing))
            }
            Back(number) => {
                let why = format!("{}.{number} is no log: {kept} old ones are kept", now.0);
                Err(Fault::refusal("no-log", why))
            }
        }
    }

    fn ask_logger(&mut self, client: ConnectionId, what: Asked) {
        let number = self.logs.last + 1;
        if self.logs.waiting.len() >= WAITING_MAX {
            let why = String::from("too many clients wait for logs; try again later");
            return self.connections.answer(client, Err(Fault::Unavailable(why)));
        }
        // Where there is none now, the next one is asked: see `ask_logger_again`.
        if self.logger.is_some() && !self.tell_logger(&what.message(number)) {
            let why = String::from("the logger is busy; try again");
            return self.connections.answer(client, Err(Fault::Unavailable(why)));
        }
        self.logs.last = number;
        let until = sys::clock::monotonic() + PATIENCE;
        self.logs.waiting.insert(number, Waiting { client, until, what });
        self.connections.await_logger(client);
    }

    /// Asks a new logger what the one before did not answer.
    pub(super) fn ask_logger_again(&mut self) {
        let mut waiting = std::mem::take(&mut self.logs.waiting);
        for (number, one) in &mut waiting {
            if let Asked::Count(rows) = &mut one.what {
                rows.clear();
            }
            self.tell_logger(&one.what.message(*number));
        }
        self.logs.waiting = waiting;
    }

    /// The logger has opened a file, or could not.
    pub(super) fn log_opened(&mut self, number: u64, errno: i32, file: Option<OwnedFd>) {
        let Some(Waiting { client, what, .. }) = self.logs.waiting.remove(&number) else { return };
        let Asked::Open(path, absent) = what else { return };
        self.touched.insert(client);
        match (file, errno) {
            (Some(file), _) => {
                let view = LogView { path, state: LogState::Open };
                self.connections.answer_with(client, Ok(Answer::Log(view)), file);
            }
            (None, NOENT) => {
                let view = LogView { path, state: absent };
                self.connections.answer(client, Ok(Answer::Log(view)));
            }
            (None, errno) => {
                let fault = cannot(&path, "be read", errno);
                self.connections.answer(client, Err(fault));
            }
        }
    }

    /// The logger has emptied a file, or could not.
    pub(super) fn log_cleared(&mut self, number: u64, errno: i32) {
        let Some(Waiting { client, what, .. }) = self.logs.waiting.remove(&number) else { return };
        let Asked::Clear(path) = what else { return };
        self.touched.insert(client);
        let told = match errno {
            0 => Ok(Answer::Done),
            errno => Err(cannot(&path, "be emptied", errno)),
        };
        self.connections.answer(client, told);
    }

    /// The logger has told some of what came, or all of it.
    pub(super) fn logs_counted(&mut self, number: u64, more: Vec<Count>) {
        let Some(waiting) = self.logs.waiting.get_mut(&number) else { return };
        let Asked::Count(rows) = &mut waiting.what else { return };
        if !more.is_empty() {
            return rows.extend(more);
        }
        let (client, rows) = (waiting.client, std::mem::take(rows));
        self.logs.waiting.remove(&number);
        self.touched.insert(client);
        let views = self.engine.list(None, usize::MAX).into_iter();
        let named = views.map(|view| {
            let label = view.job.with_instance(&view.instance);
            (label, (view.job, view.instance))
        });
        let named: BTreeMap<String, (JobName, InstanceName)> = named.collect();
        let counts = rows.into_iter().filter_map(|row| {
            let (job, instance) = named.get(&row.label)?.clone();
            let Count { stream, taken, dropped, size, .. } = row;
            Some(CountView { job, instance, stream, taken, dropped, size })
        });
        let mut counts: Vec<CountView> = counts.collect();
        counts
            .sort_by(|a, b| (&a.job, &a.instance, a.stream).cmp(&(&b.job, &b.instance, b.stream)));
        self.connections.answer(client, Ok(Answer::Counts(counts)));
    }

    /// Answers who has waited too long for the logger.
    pub(super) fn give_up_logs(&mut self) {
        let now = sys::clock::monotonic();
        let late = self.logs.waiting.iter().filter(|(_, waiting)| waiting.until <= now);
        let late: Vec<u64> = late.map(|(number, _)| *number).collect();
        for number in late {
            let Some(Waiting { client, .. }) = self.logs.waiting.remove(&number) else { continue };
            let why = String::from("the logger did not answer in time; try again");
            self.connections.answer(client, Err(Fault::Unavailable(why)));
            self.touched.insert(client);
        }
    }
}

/// Reports whether a process of the instance runs, or has run before.
fn has_begun(view: &InstanceView) -> bool {
    !view.processes.is_empty() || view.last_exit.is_some()
}

fn called(stream: Stream) -> &'static str {
    match stream {
        Stream::Stdout => "output",
        Stream::Stderr => "standard error",
    }
}

/// What is no file has no log in it; of all else the reason is told.
fn cannot(path: &Text, what: &str, errno: i32) -> Fault {
    match errno {
        SPIPE => Fault::refusal("no-log", format!("{path}: is no file")),
        errno => {
            let why = words(&std::io::Error::from_raw_os_error(errno));
            Fault::refusal("unreadable-log", format!("{path}: cannot {what}: {why}"))
        }
    }
}
