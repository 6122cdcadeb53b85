//! What listeners are told, in the original's words. Source: Supervisor 4.3.0, events.

use engine::control::notice::Speech;
use engine::machine::{JobChange, ProgramNews};
use engine::process::{Pid, Stream};
use engine::view::ProgramState;

/// One thing that happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A program has come to another state.
    Program(ProgramNews),
    /// A program has written something, and its events are enabled.
    Log(Output),
    /// A program has written something between the signs of capture mode.
    Communication(Output),
    /// A client has sent something: its type and what it is.
    Remote(String, String),
    /// Upright itself has changed.
    Supervisor(Change),
    /// Time has passed: the period, and the second since 1970 at which it began.
    Tick(Period, u64),
    /// A group has come or gone.
    Group(String, JobChange),
}

/// What a program has written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Output {
    /// Its job.
    pub job: String,
    /// Its process.
    pub pid: Pid,
    /// Where it wrote it.
    pub channel: Channel,
    /// What.
    pub data: Vec<u8>,
}

/// One of the two outputs of a program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Channel {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

/// What became of Upright itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// It runs.
    Running,
    /// It ends.
    Stopping,
}

/// How often a tick comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Period {
    /// Every five seconds.
    Five,
    /// Every minute.
    Minute,
    /// Every hour.
    Hour,
}

impl Period {
    /// Every period with its name and its seconds.
    pub const TABLE: [(Period, &'static str, u64); 3] = [
        (Period::Five, "TICK_5", 5),
        (Period::Minute, "TICK_60", 60),
        (Period::Hour, "TICK_3600", 3600),
    ];
}

impl Event {
    /// Returns the event of what a program has written.
    pub fn of(speech: Speech) -> Event {
        let channel = match speech.stream {
            Stream::Stdout => Channel::Stdout,
            Stream::Stderr => Channel::Stderr,
        };
        let job = speech.job.text().lossy().into_owned();
        let output = Output { job, pid: speech.pid, channel, data: speech.said.bytes().to_vec() };
        match speech.captured {
            true => Event::Communication(output),
            false => Event::Log(output),
        }
    }

    /// Returns what kind of event it is: the name of a leaf of the tree that listeners subscribe to.
    pub fn name(&self) -> &'static str {
        match self {
            Event::Program(news) => match news.to {
                ProgramState::Stopped => "PROCESS_STATE_STOPPED",
                ProgramState::Starting => "PROCESS_STATE_STARTING",
                ProgramState::Running => "PROCESS_STATE_RUNNING",
                ProgramState::Backoff => "PROCESS_STATE_BACKOFF",
                ProgramState::Stopping => "PROCESS_STATE_STOPPING",
                ProgramState::Exited => "PROCESS_STATE_EXITED",
                ProgramState::Fatal => "PROCESS_STATE_FATAL",
                ProgramState::Unknown => "PROCESS_STATE_UNKNOWN",
            },
            Event::Log(Output { channel: Channel::Stdout, .. }) => "PROCESS_LOG_STDOUT",
            Event::Log(Output { channel: Channel::Stderr, .. }) => "PROCESS_LOG_STDERR",
            Event::Communication(Output { channel: Channel::Stdout, .. }) => {
                "PROCESS_COMMUNICATION_STDOUT"
            }
            Event::Communication(Output { channel: Channel::Stderr, .. }) => {
                "PROCESS_COMMUNICATION_STDERR"
            }
            Event::Remote(..) => "REMOTE_COMMUNICATION",
            Event::Supervisor(Change::Running) => "SUPERVISOR_STATE_CHANGE_RUNNING",
            Event::Supervisor(Change::Stopping) => "SUPERVISOR_STATE_CHANGE_STOPPING",
            Event::Tick(period, _) => {
                let row = Period::TABLE.iter().find(|row| row.0 == *period);
                row.map_or("TICK_5", |row| row.1)
            }
            Event::Group(_, JobChange::Added) => "PROCESS_GROUP_ADDED",
            Event::Group(_, JobChange::Removed) => "PROCESS_GROUP_REMOVED",
        }
    }

    /// Returns what is said of it: words of `KEY:VALUE`, and for some a text behind them.
    pub fn payload(&self) -> String {
        match self {
            Event::Program(news) => of_program(news),
            Event::Log(output) => {
                let channel = match output.channel {
                    Channel::Stdout => "stdout",
                    Channel::Stderr => "stderr",
                };
                let of = of_job(&output.job);
                format!("{of} pid:{} channel:{channel}\n{}", output.pid, text(&output.data))
            }
            Event::Communication(output) => {
                let of = of_job(&output.job);
                format!("{of} pid:{}\n{}", output.pid, text(&output.data))
            }
            Event::Remote(kind, data) => format!("type:{kind}\n{data}"),
            Event::Supervisor(_) => String::new(),
            Event::Tick(_, when) => format!("when:{when}"),
            // The only one that ends in a newline.
            Event::Group(name, _) => format!("groupname:{name}\n"),
        }
    }
}

/// Reports whether who subscribed to `wanted` is told of events of this name: `PROCESS_STATE` has all
/// that begin so, and `EVENT` has all.
pub fn includes(wanted: &str, name: &str) -> bool {
    let rest = name.strip_prefix(wanted);
    wanted == "EVENT" || rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('_'))
}

/// Returns the group and the name of a program within it.
pub fn divided(job: &str) -> (&str, &str) {
    job.split_once(':').unwrap_or((job, job))
}

fn of_job(job: &str) -> String {
    let (group, process) = divided(job);
    format!("processname:{process} groupname:{group}")
}

fn of_program(news: &ProgramNews) -> String {
    let head = format!("{} from_state:{}", of_job(&news.job.text().lossy()), news.from.name());
    let pid = news.pid.unwrap_or(0);
    match news.to {
        ProgramState::Starting | ProgramState::Backoff => format!("{head} tries:{}", news.tries),
        ProgramState::Running | ProgramState::Stopping | ProgramState::Stopped => {
            format!("{head} pid:{pid}")
        }
        ProgramState::Exited => {
            format!("{head} expected:{} pid:{pid}", u8::from(news.expected))
        }
        ProgramState::Fatal | ProgramState::Unknown => head,
    }
}

/// Returns output as it stands in an event. Source: Supervisor 4.3.0, ProcessLogEvent.payload.
fn text(data: &[u8]) -> String {
    match std::str::from_utf8(data) {
        Ok(text) => text.to_owned(),
        Err(_) => format!("Undecodable: {}", represented(data)),
    }
}

/// Returns bytes as Python writes them. Source: CPython, bytes.__repr__.
fn represented(data: &[u8]) -> String {
    let quote = if data.contains(&b'\'') && !data.contains(&b'"') { '"' } else { '\'' };
    let mut out = format!("b{quote}");
    for byte in data {
        match byte {
            b'\\' => out.push_str("\\\\"),
            b'\t' => out.push_str("\\t"),
            b'\n' => out.push_str("\\n"),
            b'\r' => out.push_str("\\r"),
            byte if char::from(*byte) == quote => out.push_str(&format!("\\{quote}")),
            b' '..=b'~' => out.push(char::from(*byte)),
            byte => out.push_str(&format!("\\x{byte:02x}")),
        }
    }
    out.push(quote);
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use engine::dialect::supervisord::EVENTS;
    use engine::names::JobName;
    use engine::process::Exit;

    fn news(job: &str, from: ProgramState, to: ProgramState) -> Event {
        let job = JobName::try_from(job).unwrap();
        let exit = Some(Exit::Status(0));
        let news = ProgramNews { job, from, to, pid: Some(12), tries: 3, exit, expected: true };
        Event::Program(news)
    }

    fn output(channel: Channel, data: &[u8]) -> Output {
        Output { job: String::from("grp:cat"), pid: 7, channel, data: data.to_vec() }
    }

    /// One event of each kind.
    fn all() -> Vec<Event> {
        let mut all = Vec::new();
        for (to, _, _) in ProgramState::TABLE {
            all.push(news("cat", ProgramState::Stopped, to));
        }
        for channel in [Channel::Stdout, Channel::Stderr] {
            all.push(Event::Log(output(channel, b"x")));
            all.push(Event::Communication(output(channel, b"x")));
        }
        all.push(Event::Remote(String::from("t"), String::new()));
        all.extend([Change::Running, Change::Stopping].map(Event::Supervisor));
        all.extend(Period::TABLE.map(|(period, ..)| Event::Tick(period, 60)));
        let group = |change| Event::Group(String::from("grp"), change);
        all.extend([JobChange::Added, JobChange::Removed].map(group));
        all
    }

    #[test]
    fn every_name_that_can_be_subscribed_to_has_an_event_and_every_event_such_a_name() {
        let names: Vec<&str> = all().iter().map(Event::name).collect();
        for wanted in EVENTS {
            let leaf = !EVENTS.iter().any(|name| *name != wanted && includes(wanted, name));
            let told = names.iter().filter(|name| includes(wanted, name)).count();
            assert_eq!(told == 1, leaf, "{wanted}: {told}");
            assert!(told >= 1, "{wanted}");
        }
        for name in &names {
            assert!(EVENTS.contains(name), "{name}");
        }
        assert_eq!(names.iter().filter(|name| includes("EVENT", name)).count(), names.len());
    }

    #[test]
    fn a_subscription_takes_what_is_below_it_and_nothing_beside_it() {
        for (wanted, name, told) in [
            ("PROCESS_STATE", "PROCESS_STATE_EXITED", true),
            ("PROCESS_STATE_EXITED", "PROCESS_STATE", false),
            ("PROCESS_STATE", "PROCESS_STATES", false),
            ("TICK", "TICK_60", true),
            ("TICK_6", "TICK_60", false),
            ("PROCESS_LOG", "PROCESS_COMMUNICATION_STDOUT", false),
            ("EVENT", "REMOTE_COMMUNICATION", true),
        ] {
            assert_eq!(includes(wanted, name), told, "{wanted} {name}");
        }
    }

    #[test]
    fn payloads_are_the_originals_to_the_letter() {
        use ProgramState as S;
        let head = "processname:cat groupname:cat from_state:RUNNING";
        for (to, tail) in [
            (S::Starting, " tries:3"),
            (S::Backoff, " tries:3"),
            (S::Running, " pid:12"),
            (S::Stopping, " pid:12"),
            (S::Stopped, " pid:12"),
            (S::Exited, " expected:1 pid:12"),
            (S::Fatal, ""),
            (S::Unknown, ""),
        ] {
            let event = news("cat", S::Running, to);
            assert_eq!(event.payload(), format!("{head}{tail}"));
        }
        let err = Event::Log(output(Channel::Stderr, "h\u{e9}\n".as_bytes()));
        let of = "processname:cat groupname:grp pid:7";
        assert_eq!(err.payload(), format!("{of} channel:stderr\nh\u{e9}\n"));
        let said = Event::Communication(output(Channel::Stdout, b"it's\xff\n\\\""));
        assert_eq!(said.payload(), format!(r#"{of}{}Undecodable: b'it\'s\xff\n\\"'"#, '\n'));
        let said = Event::Communication(output(Channel::Stdout, b"'\x00\xff"));
        assert_eq!(said.payload(), format!(r#"{of}{}Undecodable: b"'\x00\xff""#, '\n'));
        let remote = Event::Remote(String::from("t"), String::from("a\nb"));
        assert_eq!(remote.payload(), "type:t\na\nb");
        assert_eq!(Event::Supervisor(Change::Stopping).payload(), "");
        assert_eq!(Event::Tick(Period::Minute, 120).payload(), "when:120");
        assert_eq!(Event::Group(String::from("g"), JobChange::Added).payload(), "groupname:g\n");
    }
}
