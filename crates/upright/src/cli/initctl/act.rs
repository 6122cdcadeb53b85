//! What initctl's commands do.

use super::sessions::{self, Found};
use super::{help as help_text, printable_lines, Failed, Session};
use engine::control::answer::Answer;
use engine::control::call::{Call, Clash, EnvScope, Listed};
use engine::control::priority;
use engine::dialect::upstart::{check, show};
use engine::machine::request::{Request, Target, Wait, Which};
use engine::names::InstanceName;
use engine::spec::JobSpec;
use engine::text::Text;
use shown::statusline::status_line;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;

type Args = [Vec<u8>];

/// A job that is meant, and whether it is the one that the command runs in.
struct Meant {
    target: Target,
    own: bool,
}

impl Session<'_, '_> {
    /// Returns the job of the arguments; without any, the one that the command runs in.
    fn meant(&mut self, args: &Args) -> Result<Meant, Failed> {
        if let Some((job, env)) = args.split_first() {
            let env = env.iter().map(|row| Text::from(row.as_slice())).collect();
            let target = Target { job: Text::from(job.as_slice()), which: Which::Env(env) };
            return Ok(Meant { target, own: false });
        }
        let job = (self.world.env)("UPSTART_JOB");
        let instance = (self.world.env)("UPSTART_INSTANCE");
        let (Some(job), Some(instance)) = (job, instance) else {
            return Err(self.mistake("missing job name"));
        };
        match InstanceName::try_from(Text::from(instance)) {
            Ok(name) => {
                let target = Target { job: Text::from(job), which: Which::Named(name) };
                Ok(Meant { target, own: true })
            }
            Err(error) => Err(self.error(&format!("UPSTART_INSTANCE: {error}"))),
        }
    }

    /// A job is never made to wait for what it asked of itself: that would block it for ever.
    fn wait(&self, meant: &Meant) -> Wait {
        if meant.own || self.settings.no_wait {
            Wait::Accepted
        } else {
            Wait::Settled
        }
    }

    fn ask_and_show(&mut self, call: Call) -> Result<(), Failed> {
        let answer = self.ask(call)?;
        if let Answer::Instance(Some(view)) = self.checked(answer) {
            self.message(&status_line(&view));
        }
        Ok(())
    }

    /// Says what a check wrote that let a request through.
    fn checked(&mut self, answer: Answer) -> Answer {
        let Answer::Checked(view, output) = answer else { return answer };
        self.world.say(&printable_lines(&output));
        Answer::Instance(view)
    }

    /// Returns whose environment is meant: inside a job its own, unless `--global` is given.
    fn scope(&mut self) -> Result<EnvScope, Failed> {
        let job = (self.world.env)("UPSTART_JOB").filter(|_| !self.settings.global);
        let Some(job) = job else { return Ok(EnvScope::Global) };
        let Some(instance) = (self.world.env)("UPSTART_INSTANCE") else {
            return Err(self.mistake("missing job name"));
        };
        match InstanceName::try_from(Text::from(instance)) {
            Ok(name) => Ok(EnvScope::Instance(Text::from(job), name)),
            Err(error) => Err(self.error(&format!("UPSTART_INSTANCE: {error}"))),
        }
    }

    fn jobs(&mut self, job: Option<Text>) -> Result<Vec<JobSpec>, Failed> {
        let Answer::Jobs(jobs) = self.ask(Call::ShowConfig(job))? else { return Ok(Vec::new()) };
        Ok(jobs.into_iter().map(JobSpec::from).collect())
    }
}

fn texts(args: &Args) -> Vec<Text> {
    args.iter().map(|arg| Text::from(arg.as_slice())).collect()
}

pub(super) fn start(session: &mut Session<'_, '_>, args: &Args) -> Result<(), Failed> {
    let meant = session.meant(args)?;
    let wait = session.wait(&meant);
    session.ask_and_show(Call::Ask(Request::Start(meant.target, wait), None))
}

pub(super) fn stop(session: &mut Session<'_, '_>, args: &Args) -> Result<(), Failed> {
    let meant = session.meant(args)?;
    let wait = session.wait(&meant);
    session.ask_and_show(Call::Ask(Request::Stop(meant.target, wait), None))
}

pub(super) fn restart(session: &mut Session<'_, '_>, args: &Args) -> Result<(), Failed> {
    let meant = session.meant(args)?;
    let wait = session.wait(&meant);
    session.ask_and_show(Call::Ask(Request::Restart(meant.target, wait), None))
}

pub(super) fn reload(session: &mut Session<'_, '_>, args: &Args) -> Result<(), Failed> {
    let meant = session.meant(args)?;
    let answer = session.ask(Call::Ask(Request::Reload(meant.target), None))?;
    session.checked(answer);
    Ok(())
}

pub(super) fn status(session: &mut Session<'_, '_>, args: &Args) -> Result<(), Failed> {
    let meant = session.meant(args)?;
    session.ask_and_show(Call::Status(meant.target))
}

pub(super) fn list(session: &mut Session<'_, '_>, _: &Args) -> Result<(), Failed> {
    if let Answer::Instances(views) = session.ask(Call::List(None, Listed::Own))? {
        for view in &views {
            session.message(&status_line(view));
        }
    }
    Ok(())
}

pub(super) fn emit(session: &mut Session<'_, '_>, args: &Args) -> Result<(), Failed> {
    let Some((event, env)) = args.split_first() else {
        return Err(session.mistake("missing event name"));
    };
    let wait = if session.settings.no_wait { Wait::Accepted } else { Wait::Settled };
    let request = Request::Emit(Text::from(event.as_slice()), texts(env), wait);
    session.ask(Call::Ask(request, None)).map(drop)
}

pub(super) fn get_env(session: &mut Session<'_, '_>, args: &Args) -> Result<(), Failed> {
    let Some(name) = args.first() else {
        return Err(session.mistake("missing variable name"));
    };
    let scope = session.scope()?;
    if let Answer::Value(value) = session.ask(Call::GetEnv(scope, Text::from(name.as_slice())))? {
        session.message(&value.lossy());
    }
    Ok(())
}

pub(super) fn list_env(session: &mut Session<'_, '_>, _: &Args) -> Result<(), Failed> {
    let scope = session.scope()?;
    if let Answer::Variables(variables) = session.ask(Call::ListEnv(scope))? {
        for variable in variables {
            session.message(&variable.lossy());
        }
    }
    Ok(())
}

pub(super) fn reset_env(session: &mut Session<'_, '_>, _: &Args) -> Result<(), Failed> {
    let scope = session.scope()?;
    session.ask(Call::ResetEnv(scope)).map(drop)
}

pub(super) fn set_env(session: &mut Session<'_, '_>, args: &Args) -> Result<(), Failed> {
    if args.is_empty() {
        return Err(session.mistake("missing variable value"));
    }
    let scope = session.scope()?;
    let clash = if session.settings.retain { Clash::Keep } else { Clash::Replace };
    session.ask(Call::SetEnv(scope, texts(args), clash)).map(drop)
}

pub(super) fn unset_env(session: &mut Session<'_, '_>, args: &Args) -> Result<(), Failed> {
    if args.is_empty() {
        return Err(session.mistake("missing variable name"));
    }
    let scope = session.scope()?;
    session.ask(Call::UnsetEnv(scope, texts(args))).map(drop)
}

pub(super) fn reload_configuration(session: &mut Session<'_, '_>, _: &Args) -> Result<(), Failed> {
    session.ask(Call::ReloadConfiguration).map(drop)
}

pub(super) fn version(session: &mut Session<'_, '_>, _: &Args) -> Result<(), Failed> {
    if let Answer::Version(version) = session.ask(Call::Version)? {
        session.message(&version.compatible);
    }
    Ok(())
}

pub(super) fn log_priority(session: &mut Session<'_, '_>, args: &Args) -> Result<(), Failed> {
    let Some(word) = args.first() else {
        if let Answer::Priority(level) = session.ask(Call::GetLogPriority)? {
            session.message(priority::name(level));
        }
        return Ok(());
    };
    match std::str::from_utf8(word).ok().and_then(priority::from_name) {
        Some(level) => session.ask(Call::SetLogPriority(level)).map(drop),
        None => Err(session.error("The log priority given was not recognised")),
    }
}

pub(super) fn show_config(session: &mut Session<'_, '_>, args: &Args) -> Result<(), Failed> {
    let job = args.first().map(|job| Text::from(job.as_slice()));
    for job in session.jobs(job)? {
        let shown = if session.settings.enumerate {
            show::config_enumerated(&job)
        } else {
            show::config(&job)
        };
        session.message(shown.lossy().trim_end_matches('\n'));
    }
    Ok(())
}

pub(super) fn check_config(session: &mut Session<'_, '_>, args: &Args) -> Result<(), Failed> {
    let known = session.jobs(None)?;
    let known: Vec<&JobSpec> = known.iter().collect();
    let named = |job: &&&JobSpec| {
        args.first().is_none_or(|name| job.name.text().bytes() == name.as_slice())
    };
    let checked: Vec<&JobSpec> = known.iter().filter(named).copied().collect();
    if let (Some(name), true) = (args.first(), checked.is_empty()) {
        let name = String::from_utf8_lossy(name);
        return Err(session.error(&format!("Invalid job class: {name}")));
    }
    let options = check::Options {
        ignored: std::mem::take(&mut session.settings.ignored),
        strict: session.settings.everything,
        session: session.world.variable("UPSTART_SESSION").is_some(),
    };
    let faults = check::config(&checked, &known, &options);
    for block in &faults {
        session.message(block.lossy().trim_end_matches('\n'));
    }
    if faults.is_empty() {
        Ok(())
    } else {
        Err(Failed)
    }
}

pub(super) fn usage(session: &mut Session<'_, '_>, args: &Args) -> Result<(), Failed> {
    let Some(job) = args.first() else { return Err(session.mistake("missing job name")) };
    if let Answer::Usage(usage) = session.ask(Call::Usage(Text::from(job.as_slice())))? {
        session.message(&format!("Usage: {}", usage.unwrap_or_default()));
    }
    Ok(())
}

pub(super) fn notify_cgroup_manager_address(
    session: &mut Session<'_, '_>,
    args: &Args,
) -> Result<(), Failed> {
    let Some(address) = args.first() else { return Err(session.mistake("missing address")) };
    session.ask(Call::NotifyCgroupManagerAddress(Text::from(address.as_slice()))).map(drop)
}

pub(super) fn notify_dbus_address(
    session: &mut Session<'_, '_>,
    args: &Args,
) -> Result<(), Failed> {
    let Some(address) = args.first() else { return Err(session.mistake("missing D-Bus address")) };
    session.ask(Call::NotifyDbusAddress(Text::from(address.as_slice()))).map(drop)
}

pub(super) fn notify_disk_writeable(session: &mut Session<'_, '_>, _: &Args) -> Result<(), Failed> {
    session.ask(Call::NotifyDiskWriteable).map(drop)
}

pub(super) fn list_sessions(session: &mut Session<'_, '_>, _: &Args) -> Result<(), Failed> {
    let Some(directory) = session.world.variable("XDG_RUNTIME_DIR") else {
        return Err(session.error("Unable to query session directory"));
    };
    let directory = PathBuf::from(std::ffi::OsString::from_vec(directory));
    let Some(found) = sessions::read(&directory.join("upstart/sessions")) else {
        return Err(session.error("unable to determine sessions"));
    };
    for found in found {
        match found {
            Found::Session(pid, address) => session.message(&format!("{pid} {address}")),
            Found::Stale(path) => {
                session.info(&format!("Ignoring stale session file: {}", path.display()));
            }
        }
    }
    Ok(())
}

pub(super) fn help(session: &mut Session<'_, '_>, _: &Args) -> Result<(), Failed> {
    let text = help_text::commands(&session.world.program);
    session.world.print(&text);
    Ok(())
}
