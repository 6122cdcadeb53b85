//! What a run is to do, out of options and the configuration file.

use crate::options::{self, Opt};
use engine::dialect::supervisord::{self, repr, Facts, Ini, Listen, User};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use sys::users;

/// Where the original looks if nothing says anything else.
const DEFAULT_URL: &str = "http://localhost:9001";

/// Where supervisord's socket usually is: Upright's own place first, then where Debian's and the
/// sample configuration put it.
const USUAL_SOCKETS: [&str; 4] = [
    "/run/upright/supervisor.sock",
    "/run/supervisor.sock",
    "/var/run/supervisor.sock",
    "/tmp/supervisor.sock",
];

/// The longest configuration file.
const FILE_MAX: u64 = 4 * 1024 * 1024;

/// How many users of `~user` are looked up.
const HOMES_MAX: usize = 100;

/// What a run is to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Where the server is.
    pub url: String,
    /// Whether nothing named that place.
    pub guessed: bool,
    /// Who we are.
    pub username: Option<String>,
    /// How we prove it.
    pub password: Option<String>,
    /// What the shell's prompt begins with.
    pub prompt: String,
    /// Where typed lines are kept.
    pub history: Option<PathBuf>,
    /// Whether to ask before what ends the server.
    pub interactive: bool,
    /// The action and its arguments.
    pub words: Vec<String>,
    /// The configuration file that was read.
    pub file: Option<PathBuf>,
}

/// Why nothing is run.
#[derive(Debug, PartialEq, Eq)]
pub enum Instead {
    /// This text was asked for.
    Help(String),
    /// The arguments or the configuration are wrong.
    Mistake(String),
}

impl From<String> for Instead {
    fn from(text: String) -> Instead {
        Instead::Mistake(text)
    }
}

/// What is seen of the world.
pub struct Surroundings<'a> {
    /// The name that the program was called by.
    pub program: &'a str,
    /// The variables of the environment.
    pub environment: &'a [(String, String)],
    /// The user that it runs as.
    pub uid: u32,
}

/// Reads options and configuration. Source: Supervisor 4.3.0, options.py, `ClientOptions`.
pub fn read(arguments: &[String], around: &Surroundings<'_>) -> Result<Settings, Instead> {
    let (given, words) = options::read(arguments)?;
    let mut seen: Vec<(Opt, String)> = Vec::new();
    for (opt, written, value) in given {
        if opt == Opt::Help {
            return Err(Instead::Help(options::help(around.program)));
        }
        if opt == Opt::ServerUrl && !is_url(&value) {
            let shown = repr(&value);
            return Err(
                format!("invalid value for {written} {shown}: value {shown} is not a URL").into()
            );
        }
        if seen.iter().any(|(known, _)| *known == opt) {
            return Err(options::twice(&written).into());
        }
        seen.push((opt, value));
    }
    let option =
        |opt: Opt| seen.iter().find(|(known, _)| *known == opt).map(|(_, value)| value.clone());
    let file = match option(Opt::Configuration) {
        Some(path) => Some(PathBuf::from(path)),
        None => places(around).into_iter().find(|path| path.exists()),
    };
    let section = match &file {
        Some(path) => Told::read(path, around)?,
        None => Told::default(),
    };
    let url = option(Opt::ServerUrl).or(section.url);
    let guessed = url.is_none();
    let history = option(Opt::HistoryFile).map(PathBuf::from).or(section.history);
    Ok(Settings {
        url: url.unwrap_or_else(|| usual(section.socket, around.uid)),
        guessed,
        username: option(Opt::Username).or(section.username),
        password: option(Opt::Password).or(section.password),
        prompt: section.prompt.unwrap_or_else(|| "supervisor".to_owned()),
        history,
        interactive: words.is_empty() || option(Opt::Interactive).is_some(),
        words,
        file,
    })
}

/// A scheme, then a host or a path. Source: Supervisor 4.3.0, datatypes.py, `url`.
fn is_url(value: &str) -> bool {
    value.split_once(':').is_some_and(|(scheme, rest)| {
        scheme.starts_with(|letter: char| letter.is_ascii_alphabetic())
            && scheme.chars().all(|letter| letter.is_ascii_alphanumeric() || "+-.".contains(letter))
            && !rest
                .trim_start_matches("//")
                .split(['?', '#'])
                .next()
                .unwrap_or_default()
                .is_empty()
    })
}

/// Returns where a configuration file may be, in order: beside the program, in the working
/// directory, in /etc. Source: Supervisor 4.3.0, options.py, `Options`.
fn places(around: &Surroundings<'_>) -> Vec<PathBuf> {
    let variable = |name: &str| around.environment.iter().find(|(known, _)| known == name);
    let program = if around.program.contains('/') {
        PathBuf::from(around.program)
    } else {
        // Python is given the whole path of what PATH led to.
        let path = variable("PATH").map(|(_, value)| value.as_str()).unwrap_or_default();
        let mut found = path.split(':').map(|folder| Path::new(folder).join(around.program));
        found.find(|path| path.exists()).unwrap_or_default()
    };
    let above = program.parent().and_then(Path::parent).map(Path::to_owned).unwrap_or_default();
    vec![
        above.join("etc/supervisord.conf"),
        above.join("supervisord.conf"),
        PathBuf::from("supervisord.conf"),
        PathBuf::from("etc/supervisord.conf"),
        PathBuf::from("/etc/supervisord.conf"),
        PathBuf::from("/etc/supervisor/supervisord.conf"),
    ]
}

/// Returns where a server most probably is: the configured socket, else a usual one where root or we
/// ourselves listen.
fn usual(configured: Option<PathBuf>, uid: u32) -> String {
    let ours = |path: &PathBuf| {
        let peer = UnixStream::connect(path).ok().and_then(|socket| sys::peer::of(&socket).ok());
        peer.is_some_and(|peer| peer.uid == 0 || peer.uid == uid)
    };
    let configured = configured.filter(|path| path.exists());
    let found = configured.or_else(|| USUAL_SOCKETS.iter().map(PathBuf::from).find(ours));
    found.map_or_else(|| DEFAULT_URL.to_owned(), |path| format!("unix://{}", path.display()))
}

/// What a configuration file says to the client.
#[derive(Default)]
struct Told {
    url: Option<String>,
    socket: Option<PathBuf>,
    username: Option<String>,
    password: Option<String>,
    prompt: Option<String>,
    history: Option<PathBuf>,
}

impl Told {
    fn read(path: &Path, around: &Surroundings<'_>) -> Result<Told, String> {
        let shown = path.display();
        if !path.exists() {
            return Err(format!("could not find config file {shown}"));
        }
        let unreadable = || format!("could not read config file {shown}");
        if path.metadata().is_ok_and(|about| about.len() > FILE_MAX) {
            return Err(format!("{}: longer than {FILE_MAX} bytes", unreadable()));
        }
        let bytes = std::fs::read(path).map_err(|_| unreadable())?;
        let text = String::from_utf8_lossy(&bytes);
        let facts = facts(path, &text, around);
        let client = supervisord::read_client(&bytes, &facts)?;
        let mut ini = Ini::new();
        // What is wrong with it has been told above.
        let _ = ini.read(0, &facts.path, &text);
        let is_named = ini.get("supervisorctl", "serverurl").is_some();
        // Only where nothing names a server; what is wrong in it is the daemon's to say.
        let servers = if is_named { Vec::new() } else { supervisord::read(&bytes, &facts).servers };
        let socket = servers.into_iter().find_map(|server| match server.listen {
            Listen::Unix { file, .. } => Some(PathBuf::from(file)),
            Listen::Inet { .. } => None,
        });
        Ok(Told {
            url: is_named.then_some(client.serverurl),
            socket,
            username: client.username,
            password: client.password,
            prompt: Some(client.prompt),
            history: client.history_file.map(PathBuf::from),
        })
    }
}

/// Returns what reading the configuration needs to know of the world.
fn facts(path: &Path, text: &str, around: &Surroundings<'_>) -> Facts {
    let lossy = |path: &Path| path.to_string_lossy().into_owned();
    let directory = std::env::current_dir().unwrap_or_default();
    let here = std::path::absolute(path).unwrap_or_else(|_| directory.join(path));
    let mut facts = Facts {
        path: lossy(path),
        here: normal(here.parent().unwrap_or(Path::new("/"))),
        directory: lossy(&directory),
        uid: around.uid,
        environment: around.environment.to_vec(),
        ..Facts::default()
    };
    let root = Path::new("/");
    let told = |user: users::User| User {
        uid: user.uid,
        gid: user.gid,
        home: String::from_utf8_lossy(&user.home).into_owned(),
    };
    let own = users::user_by_id(root, around.uid).ok().map(told);
    facts.users.insert(around.uid.to_string(), own);
    for rest in text.split('~').skip(1).take(HOMES_MAX) {
        let name: String = rest.chars().take_while(|sign| !"/ \t\n;#".contains(*sign)).collect();
        let user = users::user(root, name.as_bytes()).ok().map(told);
        facts.users.entry(name).or_insert(user);
    }
    facts
}

/// Returns an absolute path without `.` and `..`, by its text alone.
fn normal(path: &Path) -> String {
    let mut out = PathBuf::from("/");
    for part in path.components() {
        match part {
            std::path::Component::ParentDir => drop(out.pop()),
            std::path::Component::Normal(name) => out.push(name),
            std::path::Component::CurDir
            | std::path::Component::RootDir
            | std::path::Component::Prefix(_) => {}
        }
    }
    out.to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(arguments: &[&str]) -> Result<Settings, Instead> {
        let environment =
            [("HOME".to_owned(), "/h".to_owned()), ("X".to_owned(), "val%s".to_owned())];
        let around = Surroundings {
            program: "/nowhere/bin/supervisorctl",
            environment: &environment,
            uid: 1,
        };
        let arguments: Vec<String> = arguments.iter().map(|word| (*word).to_owned()).collect();
        read(&arguments, &around)
    }

    #[test]
    fn the_clients_section_is_expanded_and_options_come_before_it() {
        let folder = crate::scratch::Scratch::directory("supervisorctl");
        let file = folder.join("s.conf");
        let text = "[supervisorctl]\nserverurl = unix://%(here)s/./x/../s.sock ; here\n\
                    username=u\npassword=%(ENV_X)s\nPrompt=p%%\nhistory_file=~/.h\n";
        std::fs::write(&file, text).unwrap();
        let path = file.display().to_string();
        let read = check(&["-c", &path, "-u", "other", "status", "a"]).unwrap();
        assert_eq!(read.url, format!("unix://{}/s.sock", folder.display()));
        assert_eq!(read.username.as_deref(), Some("other"));
        assert_eq!(read.password.as_deref(), Some("val%s"));
        assert_eq!(read.prompt, "p%");
        assert_eq!(read.history.as_deref(), Some(Path::new("/h/.h")));
        assert_eq!((read.interactive, read.guessed), (false, false));
        assert_eq!(read.words, ["status", "a"]);
        assert!(check(&["-c", &path]).unwrap().interactive);
    }

    #[test]
    fn mistakes_are_said_in_the_originals_words() {
        let mistake = |arguments: &[&str]| match check(arguments) {
            Err(Instead::Mistake(text)) => text,
            other => panic!("{other:?}"),
        };
        let url = "invalid value for -s 'foo': value 'foo' is not a URL";
        assert_eq!(mistake(&["-s", "foo", "status"]), url);
        let twice = "conflicting command line option '-u'";
        assert_eq!(mistake(&["-u", "a", "-u", "b"]), twice);
        let missing = "could not find config file /no/such.conf";
        assert_eq!(mistake(&["-c", "/no/such.conf"]), missing);
    }
}
