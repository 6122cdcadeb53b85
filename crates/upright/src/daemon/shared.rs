//! Sockets that main processes share: opened before the first of them, held by the keeper, so that
//! connections only wait while there is nobody to accept them. Source: Supervisor 4.3.0, socket_manager.

use super::hosts::{address, HOSTS};
use super::Daemon;
use engine::keeper::{held, ToKeeper};
use engine::machine::{Level, SpawnOrder};
use engine::names::JobName;
use engine::pack::{pack, unpack};
use engine::process::Role;
use engine::spec::{Socket, SocketPlace};
use engine::text::Text;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::fs::{self, Permissions};
use std::io;
use std::net::TcpListener;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{chown, FileTypeExt, PermissionsExt};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use sys::{backlog, memfd, users, Errno};

/// The descriptor at which a process finds its socket.
const PLACE: u8 = 0;

/// The sockets that are open.
#[derive(Default)]
pub struct Shared {
    open: Vec<Open>,
    /// Whether a job may have come to rest since it was last looked who needs them.
    stale: bool,
}

struct Open {
    known: Known,
    fd: OwnedFd,
}

/// What is known of a socket, as the keeper holds it for the next daemon.
#[derive(Clone, Serialize, Deserialize)]
struct Known {
    /// Which of the keeper's keys it has.
    number: u32,
    socket: Socket,
    /// The jobs that have asked for it.
    jobs: BTreeSet<JobName>,
}

impl Shared {
    /// Notes that a job may need no socket any more.
    pub fn note(&mut self) {
        self.stale = true;
    }
}

impl Daemon {
    /// Takes over what the keeper held.
    pub(super) fn take_shared(&mut self, held: &mut BTreeMap<u32, OwnedFd>) {
        let note = held.remove(&held::SHARED_NOTE).and_then(|fd| memfd::read_all(&fd).ok());
        let known: Option<Vec<Known>> = note.and_then(|note| unpack(&note).ok());
        for known in known.unwrap_or_default() {
            if let Some(fd) = held.remove(&(held::SHARED + known.number)) {
                self.shared.open.push(Open { known, fd });
            }
        }
        self.shared.stale = true;
    }

    /// Returns what main finds as its socket, opened if need be; nothing where its job has none. An
    /// error was said.
    pub(super) fn shared_of(&mut self, order: &SpawnOrder) -> Result<Vec<(u8, OwnedFd)>, Errno> {
        let Some(socket) = &order.spec.attrs.socket else { return Ok(Vec::new()) };
        if order.slot.role != Role::Main {
            return Ok(Vec::new());
        }
        let job = &order.spec.name;
        let found =
            self.shared.open.iter().position(|open| open.known.socket.place == socket.place);
        let place = match found {
            Some(place) => place,
            None => self.open_shared(job, socket)?,
        };
        let Some(open) = self.shared.open.get_mut(place) else { return Err(Errno::NFILE) };
        let new = open.known.jobs.insert(job.clone());
        let copy = open.fd.try_clone().map_err(|error| errno(&error))?;
        if new {
            self.note_shared();
        }
        Ok(Vec::from([(PLACE, copy)]))
    }

    fn open_shared(&mut self, job: &JobName, socket: &Socket) -> Result<usize, Errno> {
        let taken = |number| self.shared.open.iter().any(|open| open.known.number == number);
        let free = (0..held::SHARED_MAX).find(|number| !taken(*number));
        let made = match free {
            Some(number) => open(socket).map(|fd| (number, fd)),
            None => {
                let why = format!("{} sockets are open, as many as may be", held::SHARED_MAX);
                Err(io::Error::new(io::ErrorKind::QuotaExceeded, why))
            }
        };
        let (number, fd) = made.map_err(|error| {
            let why = match error.raw_os_error() {
                Some(number) => engine::errno::Errno(number).to_string(),
                None => error.to_string(),
            };
            let place = &socket.place;
            self.say(Level::Error, &format!("{job} main process: cannot open {place}: {why}"));
            errno(&error)
        })?;
        self.say(Level::Message, &format!("Creating socket {}", socket.place));
        self.hold(held::SHARED + number, fd.as_fd());
        let known = Known { number, socket: socket.clone(), jobs: BTreeSet::new() };
        self.shared.open.push(Open { known, fd });
        Ok(self.shared.open.len() - 1)
    }

    /// Closes sockets of which no job has an instance any more.
    pub(super) fn close_shared(&mut self) {
        if self.shared.open.is_empty() || !std::mem::take(&mut self.shared.stale) {
            return;
        }
        let engine = &self.engine;
        let needed = |open: &Open| open.known.jobs.iter().any(|job| engine.instances_of(job) > 0);
        let (kept, gone) = std::mem::take(&mut self.shared.open).into_iter().partition(needed);
        self.shared.open = kept;
        let gone: Vec<Open> = gone;
        for Open { known, .. } in &gone {
            self.say(Level::Message, &format!("Closing socket {}", known.socket.place));
            self.link.send(&ToKeeper::Drop { key: held::SHARED + known.number }, &[]);
        }
        if !gone.is_empty() {
            self.note_shared();
        }
    }

    /// Has the keeper hold what the next daemon has to know.
    fn note_shared(&self) {
        let known: Vec<Known> = self.shared.open.iter().map(|open| open.known.clone()).collect();
        let note = pack(&known).ok();
        let note = note.and_then(|note| memfd::sealed(c"upright-shared", &note).ok());
        if let Some(note) = note {
            self.hold(held::SHARED_NOTE, note.as_fd());
        }
    }
}

/// Opens a socket; close-on-exec, and blocking, as those want it who will find it.
fn open(socket: &Socket) -> io::Result<OwnedFd> {
    let fd: OwnedFd = match &socket.place {
        SocketPlace::Tcp { host, port } => {
            let host = host.lossy();
            let address = address(&host).ok_or_else(|| {
                let why = format!("{host} is neither an address nor in {HOSTS}");
                io::Error::new(io::ErrorKind::AddrNotAvailable, why)
            })?;
            TcpListener::bind((address, *port))?.into()
        }
        SocketPlace::Unix { path, mode, owner } => {
            let path = Path::new(OsStr::from_bytes(path.bytes()));
            open_file(path, *mode, owner.as_ref())?.into()
        }
    };
    if let Some(count) = socket.backlog {
        backlog::set(&fd, count)?;
    }
    Ok(fd)
}

/// Makes a socket under another name and moves it over, so that nobody meets it before it has its mode
/// and owner. A socket that is there is replaced, as the original does; any other file is left alone.
fn open_file(
    path: &Path,
    mode: u16,
    owner: Option<&(Text, Option<Text>)>,
) -> io::Result<UnixListener> {
    if fs::symlink_metadata(path).is_ok_and(|about| !about.file_type().is_socket()) {
        let why = "there is a file of that name, which is no socket";
        return Err(io::Error::new(io::ErrorKind::AlreadyExists, why));
    }
    let mut new = path.as_os_str().to_owned();
    new.push(format!(".{}", std::process::id()));
    let new = PathBuf::from(new);
    let _ = fs::remove_file(&new);
    let made = UnixListener::bind(&new).and_then(|listener| {
        fs::set_permissions(&new, Permissions::from_mode(u32::from(mode)))?;
        if let Some((user, group)) = owner {
            let (uid, gid) = ids(user, group.as_ref())?;
            chown(&new, Some(uid), gid)?;
        }
        fs::rename(&new, path)?;
        Ok(listener)
    });
    if made.is_err() {
        // The reason is told; a half-made socket helps nobody.
        let _ = fs::remove_file(&new);
    }
    made
}

/// Returns the numbers of a user and a group, each given as name or number.
fn ids(user: &Text, group: Option<&Text>) -> io::Result<(u32, Option<u32>)> {
    let root = Path::new("/");
    let number = |text: &Text| text.lossy().parse::<u32>().ok();
    let unknown = |what: &str, name: &Text| {
        io::Error::new(io::ErrorKind::NotFound, format!("there is no {what} {name}"))
    };
    let found = || users::user(root, user.bytes()).ok().map(|user| user.uid);
    let uid = number(user).or_else(found).ok_or_else(|| unknown("user", user))?;
    let of = |name: &Text| {
        let found = || users::group(root, name.bytes()).ok();
        number(name).or_else(found).ok_or_else(|| unknown("group", name))
    };
    Ok((uid, group.map(of).transpose()?))
}

/// Returns the kernel's number of an error, or the nearest that says what is wrong.
fn errno(error: &io::Error) -> Errno {
    Errno::from_io_error(error).unwrap_or(match error.kind() {
        io::ErrorKind::AlreadyExists => Errno::EXIST,
        io::ErrorKind::NotFound => Errno::NOENT,
        io::ErrorKind::QuotaExceeded => Errno::NFILE,
        _ => Errno::ADDRNOTAVAIL,
    })
}
