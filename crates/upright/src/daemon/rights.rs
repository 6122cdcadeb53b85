//! The file of rights: read at the start and when the configuration is read again; what is in force is
//! held by the keeper, so that a new daemon goes on with it.

use super::connections::ConnectionId;
use super::http::Http;
use super::{sources, Daemon};
use engine::control::audit::{self, Entry};
use engine::control::call::Call;
use engine::control::command::{self, Command, Touch};
use engine::control::fault::Fault;
use engine::control::rights::{Asked, Caller, Judge, Rights, Shown, Sight};
use engine::dialect::rights::{read, FILE_MAX};
use engine::dialect::Severity;
use engine::keeper::{held, ToKeeper};
use engine::machine::{Engine, Level};
use engine::names::JobName;
use engine::rights::Names;
use engine::spec::JobSpec;
use engine::text::Text;
use shown::words::system as words;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fs::Metadata;
use std::io::{ErrorKind, Read};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use sys::{memfd, users};

/// How many names are remembered.
const NAMES_MAX: usize = 4096;

/// Where users and groups stand.
const USERS: &str = "/etc/passwd";
const GROUPS: &str = "/etc/group";

/// What users and groups are called, as the files have it now. What was looked up is remembered for as
/// long as the file is the same.
#[derive(Default)]
pub struct Accounts {
    users: RefCell<Known<Text, u32>>,
    groups: RefCell<Known<Text, u32>>,
    names: RefCell<Known<u32, Text>>,
}

struct Known<K, V> {
    stamp: Option<Stamp>,
    found: BTreeMap<K, Option<V>>,
}

impl<K, V> Default for Known<K, V> {
    fn default() -> Known<K, V> {
        Known { stamp: None, found: BTreeMap::new() }
    }
}

/// What tells a file from what it was.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Stamp(u64, u64, u64, i64, i64);

impl Stamp {
    fn of(path: &str) -> Option<Stamp> {
        let about = std::fs::metadata(path).ok()?;
        Some(Stamp(about.dev(), about.ino(), about.size(), about.mtime(), about.mtime_nsec()))
    }
}

impl<K: Ord + Clone, V: Clone> Known<K, V> {
    fn find(&mut self, file: &str, key: &K, look: impl Fn(&K) -> Option<V>) -> Option<V> {
        let stamp = Stamp::of(file);
        if stamp != self.stamp || self.found.len() >= NAMES_MAX {
            self.found.clear();
            self.stamp = stamp;
        }
        self.found.entry(key.clone()).or_insert_with(|| look(key)).clone()
    }
}

impl Names for Accounts {
    fn user(&self, name: &Text) -> Option<u32> {
        let look =
            |name: &Text| users::user(Path::new("/"), name.bytes()).ok().map(|user| user.uid);
        self.users.borrow_mut().find(USERS, name, look)
    }

    fn group(&self, name: &Text) -> Option<u32> {
        let look = |name: &Text| users::group(Path::new("/"), name.bytes()).ok();
        self.groups.borrow_mut().find(GROUPS, name, look)
    }

    fn name_of(&self, uid: u32) -> Option<Text> {
        let look = |uid: &u32| users::user_by_id(Path::new("/"), *uid).ok();
        let look = |uid: &u32| look(uid).map(|user| Text::from(user.name));
        self.names.borrow_mut().find(USERS, &uid, look)
    }

    fn now(&self) -> u64 {
        sys::clock::wall().as_secs()
    }
}

/// Returns the groups that the files say a user is in: the first, then the others.
pub fn groups_of(uid: u32) -> (u32, Vec<u32>) {
    let Ok(user) = users::user_by_id(Path::new("/"), uid) else { return (uid, Vec::new()) };
    let all = users::groups_of(Path::new("/"), &user.name, user.gid);
    (user.gid, all.unwrap_or_default())
}

/// Who decides on the calls of one turn.
struct Bench<'a> {
    rights: &'a Rights,
    engine: &'a Engine,
    accounts: &'a Accounts,
    http: &'a Http,
    /// Whether a log is kept.
    audited: bool,
    /// What is to be written down of the call that was let through last.
    entry: RefCell<Option<Entry>>,
    /// What is to be written down of those that were not.
    refused: RefCell<Vec<String>>,
}

impl Judge for Bench<'_> {
    fn decide(&self, caller: &Caller, asked: &Asked<'_>) -> Result<(), Fault> {
        let name = asked.job.and_then(|job| JobName::try_from(job.clone()).ok());
        let spec = name.and_then(|name| self.spec(&name));
        let allowed = self.rights.allowed(caller, asked, spec, self.accounts).map_err(Fault::from);
        let begun = || Entry::new(caller, asked, &self.known(caller), self.accounts);
        match (&allowed, asked.row.touch) {
            (_, _) if !self.audited => {}
            (Err(fault), _) => {
                self.refused.borrow_mut().push(begun().end(Some(&Err(fault.clone()))));
            }
            (Ok(()), Touch::Changes) => *self.entry.borrow_mut() = Some(begun()),
            (Ok(()), Touch::Reads) => *self.entry.borrow_mut() = None,
        }
        allowed
    }
}

impl Bench<'_> {
    /// Returns what is known of a caller beside what the connection says.
    fn known(&self, caller: &Caller) -> audit::Known {
        match caller {
            Caller::Peer(peer) => {
                let program = sys::procfs::name(peer.pid).unwrap_or_default();
                let program = String::from_utf8_lossy(&program).into_owned();
                audit::Known { program, ..audit::Known::default() }
            }
            Caller::Server(grant) | Caller::Token(Shown { grant, .. }) => {
                let section = self.http.section(grant.server).to_owned();
                audit::Known { section, ..audit::Known::default() }
            }
        }
    }

    /// What the job's file says now, also while an instance runs by what it said before.
    fn spec(&self, name: &JobName) -> Option<&JobSpec> {
        self.engine.wanted(name).or_else(|| self.engine.spec(name)).map(|spec| &**spec)
    }
}

impl Daemon {
    /// Reports whether a client may learn where a job's output is written to, as `LogPath` tells.
    pub(super) fn sees_log_of(&self, id: ConnectionId, job: &JobName) -> bool {
        let Some(caller) = self.connections.caller(id) else { return false };
        let asked = Asked::about(command::row(Command::LogPath), job.text());
        let spec = self.engine.wanted(job).or_else(|| self.engine.spec(job)).map(|spec| &**spec);
        self.rights.allowed(caller, &asked, spec, &self.accounts).is_ok()
    }

    /// Returns the next call of a client that it may make; it is told which it may not.
    pub(super) fn take_call(&mut self, id: ConnectionId) -> Option<Call> {
        let bench = Bench {
            rights: &self.rights,
            engine: &self.engine,
            accounts: &self.accounts,
            http: &self.http,
            audited: self.audit.is_some(),
            entry: RefCell::default(),
            refused: RefCell::default(),
        };
        let call = self.connections.take(id, &bench);
        let (entry, refused) = (bench.entry.into_inner(), bench.refused.into_inner());
        refused.iter().for_each(|line| self.write_refusal(line));
        if let (Some(_), Some(entry)) = (&call, entry) {
            self.connections.note(id, entry);
        }
        call
    }

    /// Returns how much of notices a client may see.
    pub(super) fn sight_of(&self, id: ConnectionId) -> Sight {
        let sight = |caller: &Caller| self.rights.sight(caller, &self.accounts);
        self.connections.caller(id).map_or(Sight::NamesOnly, sight)
    }

    /// Goes on with the rights that were in force, else reads the file.
    pub(super) fn take_rights(&mut self, held: &mut BTreeMap<u32, OwnedFd>) {
        let path = self.settings.rights.as_ref();
        self.rights.file = path.map(|path| Text::from(path.as_os_str().as_bytes()));
        match held.remove(&held::RIGHTS).and_then(|note| memfd::read_all(&note).ok()) {
            Some(text) => self.rights.granted = read(&text, None).granted,
            None => self.read_rights(),
        }
    }

    /// Reads the file of rights and puts it in force, unless something is wrong with it.
    pub(super) fn read_rights(&mut self) {
        let Some(path) = self.settings.rights.clone() else { return };
        let text = match self.rights_text(&path) {
            Ok(text) => text.unwrap_or_default(),
            Err(why) => return self.keep_rights(&path, &[why]),
        };
        let rules = read(&text, None);
        let shown = path.display().to_string();
        let errors = rules.diagnostics.iter().filter(|one| one.severity == Severity::Error);
        let errors: Vec<String> = errors
            .map(|one| {
                let help = one.help.as_ref().map_or(String::new(), |help| format!("; {help}"));
                format!("{}{help}", one.one_line(&shown))
            })
            .collect();
        if !errors.is_empty() {
            return self.keep_rights(&path, &errors);
        }
        if rules.granted != self.rights.granted {
            let count = rules.granted.len();
            self.say(Level::Info, &format!("{shown}: {count} lines of rights are in force"));
        }
        self.rights.granted = rules.granted;
        match memfd::sealed(c"upright-rights", &text) {
            Ok(note) => self.hold(held::RIGHTS, note.as_fd()),
            Err(_) => drop(self.link.send(&ToKeeper::Drop { key: held::RIGHTS }, &[])),
        }
        self.judge_streams();
    }

    /// Says why the file is not put in force, and what is.
    fn keep_rights(&self, path: &Path, why: &[String]) {
        why.iter().for_each(|why| self.say(Level::Error, why));
        let force = match self.rights.granted.len() {
            0 => String::from("only root and the owner have rights"),
            count => format!("the {count} lines that were in force before stay so"),
        };
        let line = format!("{}: it is not put in force: {force}", path.display());
        self.say(Level::Error, &line);
    }

    /// Returns what the file says; nothing where there is none, and none was asked for.
    fn rights_text(&self, path: &Path) -> Result<Option<Vec<u8>>, String> {
        let shown = path.display();
        let why = |error: std::io::Error| format!("{shown}: cannot be read: {}", words(&error));
        let (file, about) = match sources::open(path) {
            Ok(opened) => opened,
            Err(error) if error.kind() == ErrorKind::NotFound => {
                return match self.settings.options.rights {
                    Some(_) => Err(format!(
                        "{shown}: --rights or UPRIGHT_RIGHTS names it, and it is not there"
                    )),
                    None => Ok(None),
                };
            }
            Err(error) => return Err(why(error)),
        };
        if let Some(why) = self.distrust(&about) {
            return Err(format!("{shown}: {why}"));
        }
        let mut text = Vec::new();
        let length = file.take(FILE_MAX as u64 + 1).read_to_end(&mut text).map_err(why)?;
        match length > FILE_MAX {
            true => Err(format!("{shown}: has more than {FILE_MAX} bytes")),
            false => Ok(Some(text)),
        }
    }

    /// Returns why others than root and the owner could have written a file.
    fn distrust(&self, about: &Metadata) -> Option<String> {
        let (uid, mode) = (about.uid(), about.mode());
        if uid != 0 && uid != self.settings.uid {
            let right = self.settings.uid;
            return Some(format!("belongs to uid {uid}; chown it to {right}"));
        }
        let others = mode & 0o022 != 0;
        others
            .then(|| format!("others may write to it (mode {:04o}); chmod go-w it", mode & 0o7777))
    }
}
