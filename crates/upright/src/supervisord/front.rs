//! What `supervisord` does before there is a keeper: arguments, configuration, user, limits, background.
//! Source: Supervisor 4.3.0, start-up.

use super::options::{self, Asked, Given};
use crate::options::words;
use crate::proposal::Proposal;
use engine::control::call::Proposed;
use engine::dialect::supervisord::{Config, Daemon, Source};
use engine::spec::Resource;
use engine::text::Text;
use std::ffi::{CString, OsString};
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::Duration;
use sys::background::{self, Side};
use sys::limits::Ensured;
use sys::users;

/// The exit status for a mistake in the arguments or the configuration.
pub const USAGE: i32 = 2;

/// How long the process in front waits for the one in the background to be ready.
const PATIENCE: Duration = Duration::from_secs(60);

/// What the front has come to.
pub enum Front {
    /// This process shall be the keeper, whose daemons get these arguments.
    Keep(Vec<CString>, Option<Read>),
    /// It ends with this status.
    End(i32),
}

/// The files that were read by a user that the process is no more, packed: whom the configuration names
/// may not be allowed to read it.
pub struct Read(Vec<u8>);

impl Read {
    fn of(config: &Config, given: &Given) -> Option<Read> {
        let file = |file: &Source| Proposed {
            path: Text::from(given.directory.join(&file.path).as_os_str().as_bytes()),
            text: Some(Text::from(&*file.bytes)),
        };
        let files: Vec<Proposed> = config.files.iter().map(file).collect();
        serde_json::to_vec(&files).ok().map(Read)
    }

    /// Returns them as bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// Returns what was made bytes of.
    pub fn unpacked(bytes: &[u8]) -> Proposal {
        Proposal::new(serde_json::from_slice(bytes).unwrap_or_default())
    }
}

/// Whether the process has become another user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Became {
    Another,
    NoOther,
}

/// Reads the arguments and prepares the process.
pub fn prepare(arguments: Vec<CString>) -> Front {
    let arguments = words(arguments);
    match keep(&arguments) {
        Ok(front) => front,
        Err(mistake) => {
            let program =
                arguments.first().map_or(options::NAME.into(), |name| name.to_string_lossy());
            complain(&mistake, &program);
            Front::End(USAGE)
        }
    }
}

/// Says what is wrong with the arguments or the configuration.
pub fn complain(mistake: &str, program: &str) {
    let _ = write!(std::io::stderr(), "Error: {mistake}\nFor help, use {program} -h\n");
}

fn keep(arguments: &[OsString]) -> Result<Front, String> {
    let directory = std::env::current_dir().unwrap_or_else(|_| PathBuf::from("/"));
    let mut given = match options::read(arguments, &directory)? {
        Asked::Run(given) => given,
        Asked::Print(text) => {
            sys::say::text(&text);
            return Ok(Front::End(0));
        }
    };
    if given.file.is_none() {
        given.file = Some(search(arguments, &directory)?);
    }
    let config = given.read()?;
    let read = match drop_privileges(&config)? {
        Became::Another => Read::of(&config, &given),
        Became::NoOther => None,
    };
    ensure_limits(&config.daemon)?;
    if config.daemon.nodaemon {
        // That of the configuration is for the background. Source: Supervisor 4.3.0, daemonize.
        let given = given.with("umask", format!("{:03o}", background::mask()));
        return Ok(Front::Keep(given.arguments(), read));
    }
    let behind = match background::split() {
        Ok(Side::Back) => return Ok(in_background(&given, &config.daemon, read)),
        Ok(Side::Front(behind)) => behind,
        Err(errno) => return Err(format!("cannot go into the background: {errno}")),
    };
    Ok(Front::End(behind.wait(PATIENCE)))
}

fn in_background(given: &Given, daemon: &Daemon, read: Option<Read>) -> Front {
    if let Some(directory) = &daemon.directory {
        // Where that cannot be, the daemon says so in its log.
        let _ = std::env::set_current_dir(given.directory.join(directory));
    }
    background::set_mask(daemon.umask);
    Front::Keep(given.arguments(), read)
}

/// Finds the configuration where nothing names it.
fn search(arguments: &[OsString], directory: &Path) -> Result<String, String> {
    let (uid, _) = sys::own::ids();
    if uid == 0 {
        let _ = writeln!(
            std::io::stderr(),
            "supervisord: UserWarning: Supervisord is running as root and it is searching for its configuration file in default locations (including its current working directory); you probably want to specify a \"-c\" argument specifying an absolute path to a configuration file for improved security."
        );
    }
    let program = arguments.first().map_or("".into(), |name| name.to_string_lossy());
    let above =
        |path: &str| path.rfind('/').map_or(String::new(), |at| path[..at.max(1)].to_owned());
    let up = above(&above(&program));
    let beside = |rest: &str| match up.as_str() {
        "" => rest.to_owned(),
        up => format!("{}/{rest}", up.trim_end_matches('/')),
    };
    let places = [
        beside("etc/supervisord.conf"),
        beside("supervisord.conf"),
        String::from("supervisord.conf"),
        String::from("etc/supervisord.conf"),
        String::from("/etc/supervisord.conf"),
        String::from("/etc/supervisor/supervisord.conf"),
    ];
    let found = places.iter().find(|place| directory.join(place).exists());
    found.cloned().ok_or_else(|| {
        let places = places.join(", ");
        format!(
            "No config file found at default paths ({places}); use the -c option to specify a config file at a different path"
        )
    })
}

/// Becomes the user that the configuration names.
fn drop_privileges(config: &Config) -> Result<Became, String> {
    let Some(name) = &config.daemon.user else { return Ok(Became::NoOther) };
    let root = Path::new("/");
    let user = match name.parse() {
        Ok(uid) => users::user_by_id(root, uid).map_err(|_| format!("Can't find uid {uid}"))?,
        Err(_) => {
            users::user(root, name.as_bytes()).map_err(|_| format!("Invalid user name {name}"))?
        }
    };
    let (uid, _) = sys::own::ids();
    if uid == user.uid {
        return Ok(Became::NoOther);
    }
    if uid != 0 {
        return Err(String::from("Can't drop privilege as nonroot user"));
    }
    let groups = users::groups_of(root, &user.name, user.gid);
    let groups = groups.map_err(|_| String::from("Could not set groups of effective user"))?;
    sys::own::become_user(user.uid, user.gid, &groups)
        .map(|()| Became::Another)
        .map_err(|_| String::from("Could not set group id of effective user"))
}

/// Makes sure that there is room for as many files and processes as the configuration wants.
fn ensure_limits(daemon: &Daemon) -> Result<(), String> {
    let least = |number: i64| u64::try_from(number).unwrap_or(0);
    if let Ensured::Refused(hard) = sys::limits::ensure(Resource::Nofile, least(daemon.minfds)) {
        let least = daemon.minfds;
        return Err(format!(
            "The minimum number of file descriptors required to run this process is {least} as per the \"minfds\" command-line argument or config file setting. The current environment will only allow you to open {hard} file descriptors.  Either raise the number of usable file descriptors in your environment (see README.rst) or lower the minfds setting in the config file to allow the process to start."
        ));
    }
    if let Ensured::Refused(hard) = sys::limits::ensure(Resource::Nproc, least(daemon.minprocs)) {
        let least = daemon.minprocs;
        return Err(format!(
            "The minimum number of available processes required to run this program is {least} as per the \"minprocs\" command-line argument or config file setting. The current environment will only allow you to open {hard} processes.  Either raise the number of usable processes in your environment (see README.rst) or lower the minprocs setting in the config file to allow the program to start."
        ));
    }
    Ok(())
}
