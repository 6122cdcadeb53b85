//! Where the outputs of jobs go: files named, their owners looked up, routes written.

use super::settings::Settings;
use crate::logplace;
use crate::options::Mode;
use engine::logroute::{self, Forward, LogFile, LogRoute};
use engine::machine::SpawnOrder;
use engine::names::InstanceName;
use engine::process::Stream;
use engine::spec::{Console, JobSpec, LogPlace, LogPolicy};
use engine::text::Text;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use sys::users;

/// A file that has reached this size is rotated, unless the job says otherwise.
const ROTATE_SIZE: u64 = 10 * 1024 * 1024;

/// How many rotated files are kept, unless the job says otherwise.
const ROTATE_COUNT: u32 = 5;

/// Permission bits of a log file, unless the job says otherwise. Source: spec 9.
const LOG_MODE: u16 = 0o640;

/// Returns the encoded route of one of an instance's outputs.
pub fn route(settings: &Settings, order: &SpawnOrder, stream: Stream) -> Vec<u8> {
    let spec = &order.spec;
    let label = spec.name.with_instance(&order.instance);
    let path = log_path(settings, spec, &order.instance, stream);
    let policy = policy(spec, stream).unwrap_or(&spec.attrs.log);
    let file = path.map(|path| log_file_of(settings, &spec.attrs.log, policy, &path));
    let console = settings.console(spec.attrs.console);
    let forward = match policy.place {
        LogPlace::Own(stream) => Forward::Bare(stream),
        LogPlace::Usual | LogPlace::None | LogPlace::File(_) | LogPlace::Auto => {
            match settings.options.mode == Mode::Up || console == Console::Stdout {
                true => Forward::Labelled,
                false => Forward::No,
            }
        }
    };
    logroute::encode(&LogRoute { label, file, forward, treat: policy.treat.clone() })
}

/// Returns the encoded route of an output of a process that runs already; none where it has no pipe of
/// its own.
pub fn running_route(settings: &Settings, order: &SpawnOrder, stream: Stream) -> Option<Vec<u8>> {
    let console = settings.console(order.spec.attrs.console);
    let piped = matches!(console, Console::Log | Console::Stdout);
    policy(&order.spec, stream).filter(|_| piped)?;
    Some(route(settings, order, stream))
}

/// Returns how an output is kept; nothing where it goes where standard output goes.
fn policy(job: &JobSpec, stream: Stream) -> Option<&LogPolicy> {
    match stream {
        Stream::Stdout => Some(&job.attrs.log),
        Stream::Stderr => job.attrs.log.errors.as_deref(),
    }
}

/// Returns the file of one of an instance's outputs; nothing where it is not kept in one.
pub fn log_path(
    settings: &Settings,
    job: &JobSpec,
    instance: &InstanceName,
    stream: Stream,
) -> Option<PathBuf> {
    let keeps = match settings.console(job.attrs.console) {
        Console::Log | Console::LogPty | Console::Default => true,
        Console::Stdout | Console::None | Console::Output | Console::Owner => false,
    };
    let policy = policy(job, stream).filter(|_| keeps)?;
    let instance = instance.text().bytes();
    match &policy.place {
        LogPlace::Usual => usual(settings, job, instance, stream),
        LogPlace::File(path) => {
            let path = Path::new(OsStr::from_bytes(path.bytes()));
            Some(match &settings.logdir {
                Some(directory) => directory.join(path),
                None => settings.absolute(path),
            })
        }
        LogPlace::Auto => match &settings.autologs {
            Some(logs) => Some(logs.path(&job.name, stream)),
            None => usual(settings, job, instance, stream),
        },
        LogPlace::None | LogPlace::Own(_) => None,
    }
}

/// Returns the file in the log directory, where there is one.
fn usual(settings: &Settings, job: &JobSpec, instance: &[u8], stream: Stream) -> Option<PathBuf> {
    let directory = settings.logdir.as_ref()?;
    let job = job.name.text().bytes();
    Some(match stream {
        Stream::Stdout => logplace::file(directory, job, instance),
        Stream::Stderr => logplace::file(directory, &[job, b".stderr"].concat(), instance),
    })
}

/// Returns after how many bytes a job's log file is rotated, and how many old ones are kept.
pub fn rotation(settings: &Settings, policy: &LogPolicy) -> (u64, u32) {
    let (size, count) = settings.options.log_rotate.unwrap_or((ROTATE_SIZE, ROTATE_COUNT));
    (policy.rotate_size.unwrap_or(size), policy.rotate_count.unwrap_or(count))
}

/// Returns how many old files are kept of an output.
pub fn kept(settings: &Settings, job: &LogPolicy, stream: Stream) -> u32 {
    let (_, count) = rotation(settings, job);
    let own = match stream {
        Stream::Stdout => None,
        Stream::Stderr => job.errors.as_ref().and_then(|errors| errors.rotate_count),
    };
    own.unwrap_or(count)
}

/// Splits `USER[:GROUP]`.
fn owner(text: &[u8]) -> (Text, Option<Text>) {
    let mut halves = text.splitn(2, |byte| *byte == b':');
    let user = Text::from(halves.next().unwrap_or_default());
    (user, halves.next().map(Text::from))
}

/// Returns the numbers of a user and a group, who may be numbers already; without a group the user's.
pub fn found((user, group): &(Text, Option<Text>)) -> (Option<u32>, Option<u32>) {
    let root = Path::new("/");
    let number = |name: &Text| std::str::from_utf8(name.bytes()).ok()?.parse().ok();
    let user_found = users::user(root, user.bytes()).ok();
    let uid = user_found.as_ref().map(|user| user.uid).or_else(|| number(user));
    let own = || user_found.or_else(|| users::user_by_id(root, uid?).ok()).map(|user| user.gid);
    let gid = match group {
        Some(group) => users::group(root, group.bytes()).ok().or_else(|| number(group)),
        None => own(),
    };
    (uid, gid)
}

/// Describes a file. What its own policy does not say the job's does, then the options.
fn log_file_of(settings: &Settings, job: &LogPolicy, own: &LogPolicy, path: &Path) -> LogFile {
    let options = &settings.options;
    let (rotate_size, rotate_count) = rotation(settings, job);
    let general = options.log_owner.as_deref().map(owner);
    let named = own.owner.as_ref().or(job.owner.as_ref()).or(general.as_ref());
    let (uid, gid) = named.map_or((None, None), found);
    LogFile {
        path: Text::from(path.as_os_str().as_bytes()),
        rotate_size: own.rotate_size.unwrap_or(rotate_size),
        rotate_count: own.rotate_count.unwrap_or(rotate_count),
        mode: own.mode.or(job.mode).or(options.log_mode).unwrap_or(LOG_MODE),
        uid,
        gid: gid.or(settings.log_group),
        on_full: own.on_full.or(job.on_full).unwrap_or_default(),
    }
}
