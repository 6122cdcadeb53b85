//! What a configuration says of its programs, as clients ask for it.

use super::config::{Config, LogFile, Output, Program};
use super::job::namespec;
use crate::process::Role;
use crate::spec::{Command, Expect, JobSpec, KillMode, LogPlace, LogPolicy, NormalExit};
use crate::text::Text;
use crate::view::{ConfiguredView, OutputView};
use alloc::string::String;
use alloc::vec::Vec;

/// What a program says that its job has no other use for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Said {
    uid: Option<u32>,
    server_url: Option<String>,
    /// Of a standard error that goes where standard output goes.
    stderr: Option<OutputView>,
}

impl Config {
    /// Returns what programs say that is not in their jobs, by the job's name; nothing for most.
    pub fn said(&self) -> Vec<(String, Said)> {
        let all = self.groups.iter();
        let all = all.flat_map(|group| group.programs.iter().map(move |one| (group, one)));
        let said = all.map(|(group, program)| (namespec(group, program), said(program)));
        said.filter(|(_, said)| *said != Said::default()).collect()
    }
}

fn said(program: &Program) -> Said {
    Said {
        uid: program.user.as_ref().map(|(_, uid)| *uid),
        server_url: program.serverurl.clone(),
        stderr: program.redirect_stderr.then(|| written(&program.stderr)),
    }
}

fn written(output: &Output) -> OutputView {
    OutputView {
        file: match &output.logfile {
            LogFile::None | LogFile::Syslog => None,
            LogFile::Auto => Some(Text::from("auto")),
            LogFile::Path(path) => Some(Text::from(&**path)),
        },
        max_bytes: u64::try_from(output.maxbytes).unwrap_or(0),
        backups: u32::try_from(output.backups.max(0)).unwrap_or(u32::MAX),
        capture: u64::try_from(output.capture_maxbytes).unwrap_or(0),
        events: output.events_enabled,
        syslog: output.syslog,
    }
}

/// Returns what a program's job and what else it says come to.
pub fn configured(job: &JobSpec, said: Option<&Said>) -> ConfiguredView {
    let (policy, order) = (&job.policy, job.policy.order.as_ref());
    let whole = job.name.text();
    let group = order.map_or_else(|| whole.clone(), |order| order.group.clone());
    let behind = whole.bytes().strip_prefix(group.bytes());
    let process = behind.and_then(|rest| rest.strip_prefix(b":"));
    let status = |exit: &NormalExit| match exit {
        NormalExit::Status(status) => Some(*status),
        NormalExit::Signal(_) => None,
    };
    let command = job.commands.get(&Role::Main).map(|command| match command {
        Command::Exec(text) | Command::Script(text) | Command::Words(text) => text.clone(),
    });
    let said = said.cloned().unwrap_or_default();
    let errors = job.attrs.log.errors.as_deref();
    ConfiguredView {
        process: process.map_or_else(|| whole.clone(), Text::from),
        group,
        in_force: false,
        priorities: order.map_or((999, 999), |order| (order.group_priority, order.priority)),
        autostart: policy.autostart,
        command: command.unwrap_or_default(),
        directory: job.attrs.chdir.clone(),
        uid: said.uid,
        exitcodes: policy.normal_exit.iter().filter_map(status).collect(),
        kills_group: policy.kill_mode != KillMode::Process,
        start_retries: policy.start_retries.unwrap_or(0),
        start_seconds: match policy.expect {
            Expect::Up(span) => span.as_secs(),
            Expect::None | Expect::Stop | Expect::Daemon | Expect::Fork => 0,
        },
        stop_signal: policy.kill_signal.number(),
        stop_seconds: policy.kill_timeout.as_secs(),
        server_url: said.server_url,
        redirects_stderr: errors.is_none(),
        stdout: kept(&job.attrs.log),
        stderr: errors.map(kept).or(said.stderr).unwrap_or_default(),
    }
}

fn kept(log: &LogPolicy) -> OutputView {
    OutputView {
        file: match &log.place {
            LogPlace::None | LogPlace::Usual => None,
            LogPlace::Auto => Some(Text::from("auto")),
            LogPlace::File(path) => Some(path.clone()),
            LogPlace::Own(stream) => {
                Some(Text::from([b"/dev/", stream.name().as_bytes()].concat()))
            }
        },
        max_bytes: log.rotate_size.unwrap_or_default(),
        backups: log.rotate_count.unwrap_or_default(),
        capture: log.treat.capture,
        events: log.treat.events,
        syslog: log.treat.syslog,
    }
}
