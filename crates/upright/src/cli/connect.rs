//! Finding Upright's control socket, and making sure of who listens there before anything is sent.

pub use shown::words::system as words;

use super::World;
use crate::session;
use engine::control::rights::OVERFLOW_UID;
use std::fmt;
use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::net::{SocketAddr, UnixStream};
use std::path::PathBuf;

/// Where the system's Upright listens.
pub const SYSTEM_SOCKET: &str = "/run/upright/control";

/// Where a user's Upright listens, below `XDG_RUNTIME_DIR`.
pub const USER_SOCKET: &str = "upright/control";

/// Where a control socket is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// In the file system.
    Path(PathBuf),
    /// In the abstract namespace of Linux.
    Abstract(Vec<u8>),
}

impl Address {
    /// Reads `unix:abstract=NAME`, `unix:path=PATH`, `@NAME` or a path. What follows a comma in the
    /// `unix:` forms is left out. Source: D-Bus specification, server addresses.
    pub fn parse(text: &[u8]) -> Option<Address> {
        let until_comma = |text: &[u8]| {
            let end = text.iter().position(|byte| *byte == b',').unwrap_or(text.len());
            text.get(..end).unwrap_or_default().to_vec()
        };
        let path =
            |bytes: Vec<u8>| Address::Path(PathBuf::from(std::ffi::OsString::from_vec(bytes)));
        let address = if let Some(name) = text.strip_prefix(b"unix:abstract=") {
            Address::Abstract(until_comma(name))
        } else if let Some(name) = text.strip_prefix(b"unix:path=") {
            path(until_comma(name))
        } else if let Some(name) = text.strip_prefix(b"@") {
            Address::Abstract(name.to_vec())
        } else if text.starts_with(b"unix:") {
            return None;
        } else {
            path(text.to_vec())
        };
        match &address {
            Address::Path(path) if path.as_os_str().is_empty() => None,
            Address::Abstract(name) if name.is_empty() => None,
            Address::Path(_) | Address::Abstract(_) => Some(address),
        }
    }

    fn socket(&self) -> io::Result<SocketAddr> {
        match self {
            Address::Path(path) => SocketAddr::from_pathname(path),
            Address::Abstract(name) => SocketAddr::from_abstract_name(name),
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Address::Path(path) => write!(f, "{}", path.display()),
            Address::Abstract(name) => write!(f, "unix:abstract={}", String::from_utf8_lossy(name)),
        }
    }
}

/// Why there is no connection to an address.
#[derive(Debug)]
pub enum Refusal {
    /// The kernel says so.
    Kernel(io::Error),
    /// Somebody listens there who is neither root nor ourselves.
    Stranger(u32),
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Refusal::Kernel(error) => f.write_str(&words(error)),
            Refusal::Stranger(uid) => {
                write!(f, "uid {uid} listens there, who is neither root nor you: nothing was sent")
            }
        }
    }
}

/// Connects, and trusts only root and the own user.
pub fn connect(address: &Address, uid: u32) -> Result<UnixStream, Refusal> {
    let socket = address.socket().map_err(Refusal::Kernel)?;
    let stream = UnixStream::connect_addr(&socket).map_err(Refusal::Kernel)?;
    let peer = sys::peer::of(&stream)
        .map_err(|errno| Refusal::Kernel(io::Error::from_raw_os_error(errno.raw_os_error())))?;
    if trusted(peer.uid, uid) {
        Ok(stream)
    } else {
        Err(Refusal::Stranger(peer.uid))
    }
}

/// Reports whether a server may be told anything: root and ourselves, but never the overflow user,
/// who may be anybody.
fn trusted(server: u32, own: u32) -> bool {
    server != OVERFLOW_UID && (server == 0 || server == own)
}

/// The addresses where an Upright may be, each with why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Places {
    /// The one that was named; no other will do.
    Named(Address, &'static str),
    /// Where one usually is, to be tried in order.
    Usual(Vec<(Address, &'static str)>),
}

/// Returns where to look for an Upright.
pub fn places(world: &World<'_>, named: Option<&[u8]>) -> Result<Places, String> {
    let given = [
        (named.map(<[u8]>::to_vec), "--socket"),
        (world.variable("UPRIGHT_SOCKET"), "UPRIGHT_SOCKET"),
        (world.variable("UPSTART_SESSION"), "UPSTART_SESSION"),
    ];
    for (value, origin) in given {
        let Some(value) = value else { continue };
        return match Address::parse(&value) {
            Some(address) => Ok(Places::Named(address, origin)),
            None => Err(format!(
                "{origin}: {:?} is no address: give a path or unix:abstract=NAME",
                String::from_utf8_lossy(&value)
            )),
        };
    }
    let system = (Address::Path(PathBuf::from(SYSTEM_SOCKET)), "the system's");
    let user = world.variable("XDG_RUNTIME_DIR").map(|directory| {
        let directory = PathBuf::from(std::ffi::OsString::from_vec(directory));
        (Address::Path(directory.join(USER_SOCKET)), "yours")
    });
    let mut found: Vec<(Address, &'static str)> = user.into_iter().collect();
    if world.uid == 0 {
        found.insert(0, system);
    } else {
        found.push(system);
    }
    Ok(Places::Usual(found))
}

/// Nobody answered.
#[derive(Debug)]
pub struct Nobody {
    /// What was tried, in order, and what came of it.
    pub tried: Vec<(Address, &'static str, Refusal)>,
    /// Several sessions run and nothing says which is meant.
    pub sessions: Vec<Address>,
}

impl fmt::Display for Nobody {
    /// Names every address and what to type next; several lines, the last without its end.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("no Upright answers. Tried:\n")?;
        for (address, origin, refusal) in &self.tried {
            writeln!(f, "  {address} ({origin}): {refusal}")?;
        }
        if self.sessions.is_empty() {
            return f.write_str(
                "Start one with `upright up DIRECTORY`, or name another with --socket.",
            );
        }
        f.write_str("Several sessions run; say which one is meant:")?;
        for session in &self.sessions {
            write!(f, "\n  --socket {session}")?;
        }
        Ok(())
    }
}

/// Where the kernel lists Unix sockets.
const SOCKETS: &str = "/proc/net/unix";

/// Returns the session sockets of a user that somebody listens at: where nothing names one, as in a
/// container without `XDG_RUNTIME_DIR`.
fn sessions(uid: u32) -> Vec<Address> {
    listening(&std::fs::read_to_string(SOCKETS).unwrap_or_default(), uid)
}

/// Reads the kernel's list: of each line the flags (the fourth word, bit 16 where it listens) and
/// the name (the last word, `@` before an abstract one).
fn listening(list: &str, uid: u32) -> Vec<Address> {
    const LISTENS: u32 = 1 << 16;
    let begins = format!("{}{uid}/", session::NAME);
    let name = |line: &str| {
        let mut words = line.split_ascii_whitespace();
        let flags = u32::from_str_radix(words.nth(3)?, 16).ok()?;
        let name = words.last()?.strip_prefix('@')?;
        (flags & LISTENS != 0 && name.starts_with(&begins)).then(|| name.as_bytes().to_vec())
    };
    list.lines().filter_map(name).map(Address::Abstract).collect()
}

/// Connects to the first of the places where somebody answers who can be trusted; where nobody
/// does at the usual ones, to the user's only session.
pub fn find(places: Places, uid: u32) -> Result<(UnixStream, Address), Nobody> {
    let (rows, sessions) = match places {
        Places::Named(address, origin) => (vec![(address, origin)], Sessions::Pass),
        Places::Usual(rows) => (rows, Sessions::Look),
    };
    let mut tried = Vec::new();
    for (address, origin) in rows {
        match connect(&address, uid) {
            Ok(stream) => return Ok((stream, address)),
            Err(refusal) => tried.push((address, origin, refusal)),
        }
    }
    let mut sessions = match sessions {
        Sessions::Look => match first(uid) {
            Some(found) => return Ok(found),
            None => self::sessions(uid),
        },
        Sessions::Pass => Vec::new(),
    };
    if sessions.len() == 1 {
        for address in sessions.drain(..) {
            match connect(&address, uid) {
                Ok(stream) => return Ok((stream, address)),
                Err(refusal) => tried.push((address, "your session", refusal)),
            }
        }
    }
    Err(Nobody { tried, sessions })
}

/// Connects to PID 1 of our own container, which may have no place for a socket in the file system.
pub fn first(uid: u32) -> Option<(UnixStream, Address)> {
    let address = Address::Abstract(session::name(uid, session::FIRST).into_bytes());
    connect(&address, uid).ok().map(|stream| (stream, address))
}

/// Whether sessions that nobody named are looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sessions {
    Look,
    Pass,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::Look;

    #[test]
    fn addresses_are_read_in_the_forms_that_people_and_upstart_write() {
        let path = |text: &str| Some(Address::Path(PathBuf::from(text)));
        let named = |text: &str| Some(Address::Abstract(text.as_bytes().to_vec()));
        for (text, expected) in [
            ("/run/x", path("/run/x")),
            ("x", path("x")),
            ("unix:path=/run/x,guid=1", path("/run/x")),
            ("unix:abstract=/com/x/1,guid=1", named("/com/x/1")),
            ("@x", named("x")),
            ("", None),
            ("@", None),
            ("unix:abstract=", None),
            ("unix:tmpdir=/tmp", None),
        ] {
            assert_eq!(Address::parse(text.as_bytes()), expected, "{text}");
        }
    }

    #[test]
    fn only_root_and_ourselves_are_trusted_and_the_overflow_user_never() {
        assert!(trusted(0, 1000) && trusted(1000, 1000) && trusted(0, 0));
        assert!(!trusted(1001, 1000) && !trusted(1001, 0));
        assert!(!trusted(OVERFLOW_UID, OVERFLOW_UID));
    }

    #[test]
    fn sessions_are_found_in_the_kernels_list_of_sockets() {
        let list = "Num       RefCount Protocol Flags    Type St Inode Path\n\
            0000: 00000002 00000000 00010000 0001 01 5 @/com/ubuntu/upstart-session/7/41\n\
            0000: 00000003 00000000 00000000 0001 03 6 @/com/ubuntu/upstart-session/7/41\n\
            0000: 00000002 00000000 00010000 0001 01 7 @/com/ubuntu/upstart-session/77/42\n\
            0000: 00000002 00000000 00010000 0001 01 8 /com/ubuntu/upstart-session/7/43\n\
            0000: 00000002 00000000 00010000 0001 01 9\n\
            nonsense\n";
        let found = Address::Abstract(b"/com/ubuntu/upstart-session/7/41".to_vec());
        assert_eq!(listening(list, 7), [found]);
        assert_eq!(listening("", 7), []);
    }

    #[test]
    fn where_several_sessions_run_each_is_named() {
        let session = |pid: u32| Address::Abstract(format!("/s/{pid}").into_bytes());
        let nobody = Nobody { tried: Vec::new(), sessions: vec![session(1), session(2)] };
        let expected = "no Upright answers. Tried:\nSeveral sessions run; say which one is \
            meant:\n  --socket unix:abstract=/s/1\n  --socket unix:abstract=/s/2";
        assert_eq!(nobody.to_string(), expected);
    }

    fn order(uid: u32, named: Option<&str>, variables: &[(&str, &str)]) -> Vec<String> {
        let env = |name: &str| {
            let row = variables.iter().find(|row| row.0 == name);
            row.map(|row| row.1.as_bytes().to_vec())
        };
        let world = World {
            program: String::from("upright"),
            args: Vec::new(),
            env: &env,
            uid,
            out: &mut io::sink(),
            err: &mut io::sink(),
            look: Look::Plain,
        };
        match places(&world, named.map(str::as_bytes)).unwrap() {
            Places::Named(address, _) => vec![format!("only {address}")],
            Places::Usual(rows) => rows.iter().map(|(address, _)| address.to_string()).collect(),
        }
    }

    #[test]
    fn a_named_socket_is_the_only_one_and_root_asks_the_system_first() {
        let runtime = ("XDG_RUNTIME_DIR", "/run/user/1");
        let session = ("UPSTART_SESSION", "unix:abstract=/s/1");
        let own = ("UPRIGHT_SOCKET", "/tmp/own");
        let all = [runtime, session, own];
        assert_eq!(order(1, Some("/tmp/x"), &all), ["only /tmp/x"]);
        assert_eq!(order(1, None, &all), ["only /tmp/own"]);
        assert_eq!(order(1, None, &[runtime, session]), ["only unix:abstract=/s/1"]);
        let user = "/run/user/1/upright/control";
        assert_eq!(order(1, None, &[runtime]), [user, SYSTEM_SOCKET]);
        assert_eq!(order(0, None, &[runtime]), [SYSTEM_SOCKET, user]);
        assert_eq!(order(0, None, &[("UPSTART_SESSION", "")]), [SYSTEM_SOCKET]);
    }
}
