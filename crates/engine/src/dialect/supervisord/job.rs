//! From a process of a program to a job in the engine's own words.

use super::config::{
    Config, Daemon, Group, GroupKind, Listen, LogFile, Output, Program, Restart, Socket,
    SocketPlace,
};
use crate::dialect::upstart;
use crate::names::{JobName, NameError};
use crate::process::{Role, Stream};
use crate::signal::Signal;
use crate::spec::{
    self, Backoff, Command, Console, EnvRow, Expect, JobSpec, KillMode, LogPlace, LogPolicy,
    NormalExit, Order, Reader, Respawn, RespawnLimit, StandardInput,
};
use crate::text::Text;
use crate::time::Span;
use crate::treat::Treatment;
use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

/// What asks a program to stop that shall be asked by signal 0, which asks nothing: a signal that is
/// ignored by whoever does not wait for it.
const NOTHING: Option<Signal> = Signal::new(23);

impl Config {
    /// Returns the jobs, one for each process, in the order in which they are started; a process whose
    /// name cannot be one of a job is left out, and named with what is wrong.
    pub fn jobs(&self) -> (Vec<JobSpec>, Vec<(String, NameError)>) {
        let (mut jobs, mut wrong) = (Vec::new(), Vec::new());
        let server = self.server_url();
        for group in &self.groups {
            let mut programs: Vec<&Program> = group.programs.iter().collect();
            // The original starts members of a `[group:x]` as they are listed, and stops them so.
            programs.sort_by_key(|program| program.priority);
            for program in programs {
                match job(group, program, &self.daemon, server.as_deref()) {
                    Ok(spec) => jobs.push(spec),
                    Err(error) => wrong.push((namespec(group, program), error)),
                }
            }
        }
        (jobs, wrong)
    }

    /// Returns what programs are told as the daemon's address: the first Unix socket, else the first
    /// TCP socket.
    pub fn server_url(&self) -> Option<String> {
        let unix = self.servers.iter().find_map(|server| match &server.listen {
            Listen::Unix { file, .. } => Some(format!("unix://{file}")),
            Listen::Inet { .. } => None,
        });
        let inet = || {
            self.servers.iter().find_map(|server| match &server.listen {
                Listen::Inet { host, port } if host.is_empty() => {
                    Some(format!("http://localhost:{port}"))
                }
                Listen::Inet { host, port } => Some(format!("http://{host}:{port}")),
                Listen::Unix { .. } => None,
            })
        };
        unix.or_else(inet)
    }
}

/// Returns what a process is called: `GROUP:PROCESS`, or the name alone where both are the same.
pub fn namespec(group: &Group, program: &Program) -> String {
    match group.name == program.name {
        true => program.name.clone(),
        false => format!("{}:{}", group.name, program.name),
    }
}

fn job(
    group: &Group,
    program: &Program,
    daemon: &Daemon,
    server: Option<&str>,
) -> Result<JobSpec, NameError> {
    let mut spec = JobSpec::new(JobName::try_from(&*namespec(group, program))?);
    spec.commands.insert(Role::Main, Command::Words(Text::from(&*program.command)));
    spec.env = environment(group, program, server).into();
    let attrs = &mut spec.attrs;
    attrs.console = Console::Log;
    attrs.cgroups = program.cgroups.clone();
    attrs.input = StandardInput::Pipe;
    attrs.umask = program.umask.map(|mask| (mask & 0o7777) as u16);
    attrs.chdir = program.directory.as_deref().map(Text::from);
    attrs.setuid = program.user.as_ref().map(|(name, _)| Text::from(&**name));
    attrs.log = log(&program.stdout, daemon);
    if !program.redirect_stderr {
        attrs.log.errors = Some(Box::new(log(&program.stderr, daemon)));
    }
    match &group.kind {
        GroupKind::Programs => {}
        GroupKind::Listeners(_) => attrs.reader = Reader::Gateway,
        GroupKind::FastCgi(socket) => {
            attrs.socket = Some(Box::new(shared(socket)));
            attrs.input = StandardInput::Null;
        }
    }
    let policy = &mut spec.policy;
    policy.respawn = match program.autorestart {
        Restart::Never => Respawn::Never,
        Restart::Unexpected => Respawn::Failed,
        Restart::Always => Respawn::Always,
    };
    policy.respawn_limit = RespawnLimit::Unlimited;
    policy.normal_exit =
        program.exitcodes.iter().map(|code| NormalExit::Status(u32::from(*code))).collect();
    policy.expect = Expect::Up(seconds(program.startsecs));
    policy.start_retries = Some(clamped(program.startretries));
    policy.backoff = Backoff {
        delay: seconds(program.backoff_delay),
        factor_percent: program.backoff_factor.unwrap_or(100),
        step: match program.backoff_factor {
            None => seconds(program.backoff_delay),
            Some(_) => Span::ZERO,
        },
        cap: seconds(program.backoff_cap.max(program.backoff_delay)),
        // As the original, unless keys of ours say otherwise.
        jitter_percent: 0,
        reset: Span::ZERO,
        pace: seconds(program.restart_pace),
        ..Backoff::default()
    };
    if let Some(signal) = program.stopsignal.or(NOTHING) {
        policy.kill_signal = signal;
    }
    policy.kill_timeout = seconds(program.stopwaitsecs);
    policy.kill_mode = match (program.stopasgroup, program.killasgroup) {
        (true, _) => KillMode::Group,
        (false, true) => KillMode::Mixed,
        (false, false) => KillMode::Process,
    };
    policy.autostart = program.autostart;
    policy.order = Some(Order {
        group_priority: group.priority,
        group: Text::from(&*group.name),
        priority: program.priority,
    });
    Ok(with_stanzas(spec, &program.stanzas))
}

/// Returns the job with what its program says in the words of job files, each judged when it was read.
fn with_stanzas(spec: JobSpec, stanzas: &str) -> JobSpec {
    if stanzas.is_empty() {
        return spec;
    }
    let mut spec = upstart::apply_override(&spec, stanzas.as_bytes()).spec;
    let said = spec.attrs.log.clone();
    if let Some(errors) = &mut spec.attrs.log.errors {
        // Said of the program, so of both of its files.
        errors.mode = if stanzas.contains("log mode ") { said.mode } else { errors.mode };
        errors.owner = said.owner.or(errors.owner.take());
        errors.on_full = said.on_full;
    }
    spec
}

/// How an output is kept. Source: Supervisor 4.3.0: files that are named have the mode that the daemon's
/// umask leaves, those whose names are made up 0600.
fn log(output: &Output, daemon: &Daemon) -> LogPolicy {
    let named = (0o666 & !daemon.umask & 0o777) as u16;
    let (place, mode) = match &output.logfile {
        // The old way to say syslog was made its own key when the program was read.
        LogFile::None | LogFile::Syslog => (LogPlace::None, None),
        LogFile::Auto => (LogPlace::Auto, Some(0o600)),
        LogFile::Path(path) if is_foreign_descriptor(path) => (LogPlace::None, None),
        LogFile::Path(path) => match own_output(path) {
            Some(stream) => (LogPlace::Own(stream), None),
            None => (LogPlace::File(Text::from(&**path)), Some(named)),
        },
    };
    let owner = daemon.log_owner.as_ref().map(|(user, group)| {
        (Text::from(&**user), group.as_ref().map(|group| Text::from(&**group)))
    });
    LogPolicy {
        owner,
        rotate_size: Some(u64::try_from(output.maxbytes).unwrap_or(0)),
        rotate_count: Some(clamped(output.backups)),
        mode: mode.map(|mode| daemon.log_mode.unwrap_or(mode)),
        place,
        treat: Treatment {
            strip_ansi: daemon.strip_ansi,
            capture: u64::try_from(output.capture_maxbytes).unwrap_or(0),
            events: output.events_enabled,
            syslog: output.syslog,
        },
        ..LogPolicy::default()
    }
}

/// Reports whether a path names a descriptor of the daemon that is none of its outputs. Whoever writes
/// the log is another process: there the number is something else.
pub fn is_foreign_descriptor(path: &str) -> bool {
    let number = ["/dev/fd/", "/proc/self/fd/"].iter().find_map(|head| path.strip_prefix(head));
    number.is_some() && own_output(path).is_none()
}

/// Returns which output of the daemon itself a path names.
fn own_output(path: &str) -> Option<Stream> {
    match path {
        "/dev/stdout" | "/dev/fd/1" | "/proc/self/fd/1" => Some(Stream::Stdout),
        "/dev/stderr" | "/dev/fd/2" | "/proc/self/fd/2" => Some(Stream::Stderr),
        _ => None,
    }
}

/// The socket that all programs of a group share.
fn shared(socket: &Socket) -> spec::Socket {
    let number = |id: u32| Text::from(&*format!("{id}"));
    let place = match &socket.listen {
        SocketPlace::Tcp { host, port } => {
            spec::SocketPlace::Tcp { host: Text::from(&**host), port: *port }
        }
        SocketPlace::Unix { path, mode, owner } => spec::SocketPlace::Unix {
            path: Text::from(&**path),
            mode: (mode & 0o7777) as u16,
            owner: owner.map(|owner| (number(owner.uid), owner.gid.map(number))),
        },
    };
    spec::Socket { place, backlog: socket.backlog }
}

/// Source: Supervisor 4.3.0: the daemon's own environment, what it says of itself, then
/// `environment=`.
fn environment(group: &Group, program: &Program, server: Option<&str>) -> Vec<EnvRow> {
    let set = |key: &str, value: &str| EnvRow::Set(Text::from(key), Text::from(value));
    let mut env = Vec::from([EnvRow::InheritAll, set("SUPERVISOR_ENABLED", "1")]);
    let server = program.serverurl.as_deref().or(server);
    env.extend(server.map(|url| set("SUPERVISOR_SERVER_URL", url)));
    env.push(set("SUPERVISOR_PROCESS_NAME", &program.name));
    env.push(set("SUPERVISOR_GROUP_NAME", &group.name));
    // A table there: in whatever order it is written, it is the same.
    let mut own: Vec<&(String, String)> = program.environment.iter().collect();
    own.sort();
    env.extend(own.into_iter().map(|(key, value)| set(key, value)));
    env
}

fn seconds(number: i64) -> Span {
    // Ten years are as good as for ever, and can be added to any time.
    Span::secs(u64::try_from(number).unwrap_or(0).min(10 * 365 * 86_400))
}

fn clamped(number: i64) -> u32 {
    u32::try_from(number.max(0)).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::super::config::Owner;
    use super::*;

    #[test]
    fn a_shared_socket_is_the_same_in_the_jobs_words() {
        let listen = SocketPlace::Tcp { host: String::from("localhost"), port: 9000 };
        let tcp = shared(&Socket { listen, backlog: Some(5) });
        assert_eq!((&*format!("{}", tcp.place), tcp.backlog), ("tcp://localhost:9000", Some(5)));
        let owner = Some(Owner { uid: 33, gid: Some(4) });
        let listen = SocketPlace::Unix { path: String::from("/s"), mode: 0o660, owner };
        let unix = shared(&Socket { listen, backlog: None });
        let owner = Some((Text::from("33"), Some(Text::from("4"))));
        let path = Text::from("/s");
        assert_eq!(unix.place, spec::SocketPlace::Unix { path, mode: 0o660, owner });
    }
}
