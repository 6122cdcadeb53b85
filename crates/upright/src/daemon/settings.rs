//! What the options and the environment mean here: directories, sockets, who we are.

use super::autologs::AutoLogs;
use crate::keeper::handover::Kin;
use crate::logplace;
use crate::options::{Inherit, Mode, Options};
use crate::session::{self, FIRST};
use crate::supervisord::options::Given;
use engine::machine::{Config, Level};
use engine::process::Pid;
use engine::spec::Console;
use engine::text::Text;
use engine::time::Span;
use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use sys::procfs;

/// Where PID 1 looks for programs. Source: spec 6.1.
const SYSTEM_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/bin:/usr/sbin:/sbin:/bin";

/// Where Upstart listened as PID 1. Source: spec 12.
pub const SYSTEM_ADDRESS: &str = "/com/ubuntu/upstart";

/// How long PID 1 has to stop everything: what container engines wait before they kill.
/// Source: docker stop, --time.
const STOP_TIMEOUT: Span = Span::secs(10);

/// Everything that is decided once, when the daemon starts.
#[derive(Debug)]
pub struct Settings {
    /// What was asked for.
    pub options: Options,
    /// Who we run as.
    pub uid: u32,
    /// The group we run as.
    pub gid: u32,
    /// The group of log files: `adm` where the machine's Upright runs as root and there is one.
    pub log_group: Option<u32>,
    /// Whether `debug` stanzas are honoured: at log level debug only. Source: spec 4.
    pub debugs: bool,
    /// The process that the user started: the keeper, unless that was killed.
    pub named: Pid,
    /// The keeper.
    pub keeper: Pid,
    /// Whether there may be processes that are not the keeper's children.
    pub kin: Kin,
    /// The directories of job files, the first wins.
    pub sources: Vec<PathBuf>,
    /// Supervisor's configurations.
    pub programs: Vec<Given>,
    /// The user's directory of configurations, where job files of his are looked for in it.
    pub config_home: Option<PathBuf>,
    /// Where output goes; none: it is forwarded only.
    pub logdir: Option<PathBuf>,
    /// Where what operators have decided is kept; none: nowhere.
    pub statedir: Option<PathBuf>,
    /// The file that says who may do what; none: there is no place for one.
    pub rights: Option<PathBuf>,
    /// The log of who did what; none: it is not kept.
    pub audit: Option<PathBuf>,
    /// What log files are called that are named by nobody; none: there is no place for such.
    pub autologs: Option<AutoLogs>,
    /// The control socket in the file system; none: there is no place for one.
    pub socket: Option<PathBuf>,
    /// The abstract address of a session, without its leading NUL.
    pub session: Option<String>,
    /// The file that tells a session's address.
    pub session_file: Option<PathBuf>,
}

impl Settings {
    /// Works out what the options mean in this environment.
    pub fn new(mut options: Options, named: Pid) -> Settings {
        // Of `supervisord`, whose options are the original's.
        let said = |name| variable(name).map(PathBuf::from);
        options.rights = options.rights.or_else(|| said("UPRIGHT_RIGHTS"));
        options.audit = options.audit.or_else(|| said("UPRIGHT_AUDIT"));
        let keeper = sys::own::parent();
        let kin = if keeper == named { Kin::Own } else { Kin::Foster };
        let (uid, gid) = sys::own::ids();
        let log_group = (uid == 0 && options.mode == Mode::System)
            .then(|| sys::users::group(Path::new("/"), b"adm").ok())
            .flatten();
        let runtime = variable("XDG_RUNTIME_DIR").map(PathBuf::from);
        let own = options.mode != Mode::System;
        let session = own.then(|| session::name(uid, named));
        let session_file = runtime
            .as_ref()
            .filter(|_| own)
            .map(|runtime| runtime.join("upstart/sessions").join(format!("{named}.session")));
        let socket = options.socket.clone().or_else(|| match options.mode {
            Mode::System => Some(PathBuf::from("/run/upright/control")),
            Mode::User | Mode::Up | Mode::Supervisord => {
                runtime.map(|runtime| runtime.join("upright/control"))
            }
        });
        let (configurations, sources): (Vec<PathBuf>, Vec<PathBuf>) = sources(&options)
            .into_iter()
            .partition(|path: &PathBuf| crate::supervisord::is_configuration(path));
        Settings {
            rights: rights(&options, &sources),
            audit: audit(&options, keeper),
            programs: programs(&options, configurations),
            sources,
            logdir: logdir(&options, keeper),
            statedir: statedir(&options),
            autologs: None,
            config_home: looks_in_user_sources(&options).then(config_home),
            debugs: options.level == Level::Debug,
            options,
            uid,
            gid,
            log_group,
            named,
            keeper,
            kin,
            socket,
            session,
            session_file,
        }
    }

    /// Returns a path as it was meant where everything began.
    pub fn absolute(&self, path: &Path) -> PathBuf {
        match self.options.programs.first() {
            Some(given) => crate::supervisord::plain(&given.directory.join(path)),
            None => path.to_owned(),
        }
    }

    /// Returns whose children orphans of the processes become that are not the keeper's, where there may
    /// be such: those of whoever the keeper itself became a child of.
    pub fn foster(&self) -> Option<Pid> {
        if self.kin == Kin::Own {
            return None;
        }
        let mut parent = procfs::stat(self.keeper)?.ppid;
        // The heir that started the keeper may not have ended yet.
        let heir = |stat: &procfs::Stat| {
            [&b"upright-logger"[..], b"upright-daemon"].contains(&stat.comm.as_slice())
        };
        if let Some(heir) = procfs::stat(parent).filter(heir) {
            parent = heir.ppid;
        }
        Some(parent)
    }

    /// Returns what the machine is told.
    pub fn config(&self) -> Config {
        let own: Vec<Text> = std::env::vars_os().map(row).collect();
        let table = match (self.options.mode, self.options.inherit) {
            (Mode::User | Mode::Up | Mode::Supervisord, Inherit::All) => own.clone(),
            (Mode::User | Mode::Up | Mode::Supervisord, Inherit::Little) => little(&own),
            (Mode::System, _) => {
                let term = own.iter().find(|row| row.bytes().starts_with(b"TERM="));
                let path = Text::from(format!("PATH={SYSTEM_PATH}"));
                [path].into_iter().chain(term.cloned()).collect()
            }
        };
        let forced = self.session.iter();
        let forced = forced.map(|at| Text::from(format!("UPSTART_SESSION=unix:abstract={at}")));
        let seed = u64::from(self.uid) ^ (self.named as u64) << 32 ^ sys::clock::wall().0;
        let stop_timeout = match self.options.stop_timeout {
            Some(Span::ZERO) => None,
            Some(span) => Some(span),
            None => (self.keeper == FIRST).then_some(STOP_TIMEOUT),
        };
        let budget = self.options.restart_budget.unwrap_or_default();
        Config { table, own, forced: forced.collect(), seed, stop_timeout, budget }
    }

    /// Returns where a job's output goes.
    pub fn console(&self, said: Console) -> Console {
        match said {
            Console::Default => self.options.console,
            Console::Log
            | Console::LogPty
            | Console::Stdout
            | Console::None
            | Console::Output
            | Console::Owner => said,
        }
    }
}

fn row((key, value): (OsString, OsString)) -> Text {
    let mut bytes = key.into_vec();
    bytes.push(b'=');
    bytes.extend_from_slice(value.as_bytes());
    Text::from(bytes)
}

fn little(own: &[Text]) -> Vec<Text> {
    let kept = |row: &&Text| row.bytes().starts_with(b"PATH=") || row.bytes().starts_with(b"TERM=");
    own.iter().filter(kept).cloned().collect()
}

fn variable(name: &str) -> Option<OsString> {
    std::env::var_os(name).filter(|value| !value.is_empty())
}

fn home() -> PathBuf {
    variable("HOME").map_or_else(|| PathBuf::from("/"), PathBuf::from)
}

/// Returns the directories of job files in their order. Source: spec 2.1.
fn sources(options: &Options) -> Vec<PathBuf> {
    let own = match options.mode {
        _ if !options.confdirs.is_empty() => options.confdirs.clone(),
        Mode::Up => vec![PathBuf::from(".")],
        Mode::Supervisord => Vec::new(),
        Mode::System => {
            vec![variable("UPSTART_CONFDIR").map_or_else(|| "/etc/init".into(), PathBuf::from)]
        }
        Mode::User if looks_in_user_sources(options) => user_sources(),
        Mode::User => variable("UPSTART_CONFDIR").into_iter().map(PathBuf::from).collect(),
    };
    [&options.prepended, &own, &options.appended].into_iter().flatten().cloned().collect()
}

/// Returns Supervisor's configurations: the one of `supervisord`, or those among the sources.
fn programs(options: &Options, configurations: Vec<PathBuf>) -> Vec<Given> {
    let directory = std::env::current_dir().unwrap_or_else(|_| PathBuf::from("/"));
    let others = configurations.iter().map(|path| Given::among_others(path, &directory));
    options.programs.iter().cloned().chain(others).collect()
}

fn looks_in_user_sources(options: &Options) -> bool {
    options.mode == Mode::User
        && options.confdirs.is_empty()
        && variable("UPSTART_CONFDIR").is_none()
}

fn config_home() -> PathBuf {
    variable("XDG_CONFIG_HOME").map_or_else(|| home().join(".config"), PathBuf::from)
}

fn user_sources() -> Vec<PathBuf> {
    let mut found = vec![config_home().join("upstart"), home().join(".init")];
    let shared = variable("XDG_CONFIG_DIRS").unwrap_or_else(|| "/etc/xdg".into());
    let shared = std::env::split_paths(&shared).filter(|directory| directory.is_absolute());
    found.extend(shared.map(|directory| directory.join("upstart")));
    if variable("UPSTART_NO_SYSTEM_USERCONFDIR").is_none() {
        found.push(PathBuf::from("/usr/share/upstart/sessions"));
    }
    found
}

/// Returns the file of rights: of the machine's Upright a place of its own, of others one beside what
/// they run.
fn rights(options: &Options, sources: &[PathBuf]) -> Option<PathBuf> {
    let beside = match options.mode {
        Mode::System => Some(PathBuf::from("/etc/upright")),
        Mode::User if looks_in_user_sources(options) => Some(config_home().join("upright")),
        Mode::Up => sources.first().filter(|source| source.is_dir()).cloned(),
        Mode::User | Mode::Supervisord => None,
    };
    let found = options.rights.clone().or(beside.map(|beside| beside.join("upright.rights")))?;
    Some(std::path::absolute(&found).unwrap_or(found))
}

/// Returns the log of who did what: the machine's is kept unless it is not wanted, others where that is
/// said.
fn audit(options: &Options, keeper: Pid) -> Option<PathBuf> {
    if let Some(said) = &options.audit {
        let none = said.as_os_str() == "none";
        return Some(said).filter(|_| !none).and_then(|path| std::path::absolute(path).ok());
    }
    let own = options.mode == Mode::System;
    let directory = logdir(options, keeper).filter(|_| own);
    directory.map(|directory| logplace::file(&directory, b"upright/audit", b""))
}

/// Returns the directory of log files. Source: spec 9.
fn statedir(options: &Options) -> Option<PathBuf> {
    let said = options.statedir.clone().or_else(|| variable("UPRIGHT_STATEDIR").map(PathBuf::from));
    said.or_else(|| match options.mode {
        Mode::System => Some(PathBuf::from("/var/lib/upright")),
        Mode::User if looks_in_user_sources(options) => {
            let all = variable("XDG_STATE_HOME");
            let all = all.map_or_else(|| home().join(".local/state"), PathBuf::from);
            Some(all.join("upright"))
        }
        // What runs for a moment, or in a container, keeps nothing that it was not told to.
        Mode::User | Mode::Up | Mode::Supervisord => None,
    })
}

fn logdir(options: &Options, keeper: Pid) -> Option<PathBuf> {
    let said = options.logdir.clone().or_else(|| variable("UPSTART_LOGDIR").map(PathBuf::from));
    // In a container standard output is the log, and files would fill a layer that nobody looks at.
    if said.is_none() && options.mode == Mode::Up && keeper == FIRST {
        return None;
    }
    let usual = || match options.mode {
        Mode::System => Some(PathBuf::from(logplace::SYSTEM)),
        Mode::User => Some(cache().join(logplace::SESSION)),
        Mode::Up => Some(cache().join(logplace::UP)),
        // Each program says where its own goes.
        Mode::Supervisord => None,
    };
    std::path::absolute(said.or_else(usual)?).ok()
}

fn cache() -> PathBuf {
    variable("XDG_CACHE_HOME").map_or_else(|| home().join(".cache"), PathBuf::from)
}
