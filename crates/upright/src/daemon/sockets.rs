//! Sockets that servers listen at: opened, given their mode and owner, removed.
//! Source: Supervisor 4.3.0, http.py.

use super::hosts::{address, HOSTS};
use engine::dialect::supervisord::{Access, Listen, Server};
use shown::words::system as words;
use std::fmt;
use std::fs::{self, Permissions};
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{chown, FileTypeExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

/// What the original says where somebody listens there already.
const TAKEN: &str =
    "Another program is already listening on a port that one of our HTTP servers is \
                     configured to use.  Shut this program down first before starting supervisord.";

/// Where a server listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// At a file.
    File(PathBuf),
    /// At a port of an address.
    Port(SocketAddr),
    /// At a port of a host that is not known.
    Nowhere(String),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Place::File(path) => path.display().fmt(f),
            Place::Port(at) => at.fmt(f),
            Place::Nowhere(host) => host.fmt(f),
        }
    }
}

/// Returns where a server listens. One that is for this machine alone has the loopback address,
/// whichever its section names.
pub fn place(server: &Server) -> Place {
    match &server.listen {
        Listen::Unix { file, .. } => Place::File(PathBuf::from(file)),
        Listen::Inet { host, port } => {
            let address = address(host).map(|address| match server.access {
                Access::Local if !address.is_loopback() => IpAddr::V4(Ipv4Addr::LOCALHOST),
                Access::Local | Access::Full | Access::ReadOnly => address,
            });
            match address {
                Some(address) => Place::Port(SocketAddr::new(address, *port)),
                None => Place::Nowhere(host.clone()),
            }
        }
    }
}

/// Reports whether other machines are let in without a password.
pub fn is_open_to_all(server: &Server) -> bool {
    match place(server) {
        Place::Port(at) => server.login.is_none() && !at.ip().is_loopback(),
        Place::File(_) | Place::Nowhere(_) => false,
    }
}

/// Opens a server's socket, close-on-exec, non-blocking. An error says what cannot be and why.
pub fn open(server: &Server, say: impl Fn(&str)) -> Result<OwnedFd, String> {
    let place = place(server);
    let cannot = |error: io::Error| match error.kind() {
        io::ErrorKind::AddrInUse => TAKEN.to_owned(),
        _ => {
            format!("[{}]: Cannot open an HTTP server: {place}: {}", server.section, words(&error))
        }
    };
    match &place {
        Place::Port(at) => {
            let listener = TcpListener::bind(at).map_err(cannot)?;
            listener.set_nonblocking(true).map_err(cannot)?;
            Ok(listener.into())
        }
        Place::File(path) => open_file(server, path, say).map_err(cannot),
        Place::Nowhere(host) => Err(format!(
            "[{}]: Could not determine IP address for hostname {host}: it is neither an address nor \
             in {HOSTS}; try setting an explicit IP address in the \"port\" setting",
            server.section
        )),
    }
}

/// Makes a socket under another name and moves it over, so that nobody meets it before it has its mode
/// and owner. One that nobody listens at any more is replaced, any other file is left alone.
fn open_file(server: &Server, path: &Path, say: impl Fn(&str)) -> io::Result<OwnedFd> {
    match fs::symlink_metadata(path) {
        Ok(about) if !about.file_type().is_socket() => {
            return Err(io::Error::other("there is a file of that name, which is no socket"));
        }
        Ok(_) if UnixStream::connect(path).is_ok() => {
            return Err(io::ErrorKind::AddrInUse.into());
        }
        Ok(_) => say(&format!("Unlinking stale socket {}", path.display())),
        Err(_) => {}
    }
    let mut new = path.as_os_str().to_owned();
    new.push(format!(".{}", std::process::id()));
    let new = PathBuf::from(new);
    let _ = fs::remove_file(&new);
    let made = UnixListener::bind(&new).and_then(|listener| {
        listener.set_nonblocking(true)?;
        dress_file(server, &new)?;
        fs::rename(&new, path)?;
        Ok(listener.into())
    });
    if made.is_err() {
        // The reason has been told; a half-made socket helps nobody.
        let _ = fs::remove_file(&new);
    }
    made
}

/// Gives a server's socket that is open already the mode and the owner that its section says now.
pub fn dress(server: &Server) -> Result<(), String> {
    match place(server) {
        Place::File(path) => dress_file(server, &path).map_err(|error| {
            format!("[{}]: {}: {}", server.section, path.display(), words(&error))
        }),
        Place::Port(_) | Place::Nowhere(_) => Ok(()),
    }
}

fn dress_file(server: &Server, path: &Path) -> io::Result<()> {
    let Listen::Unix { file, chmod, chown: owner } = &server.listen else { return Ok(()) };
    fs::set_permissions(path, Permissions::from_mode(*chmod))?;
    let Some(owner) = owner else { return Ok(()) };
    chown(path, Some(owner.uid), owner.gid).map_err(|error| match error.kind() {
        io::ErrorKind::PermissionDenied => {
            let group = owner.gid.map_or_else(|| "-1".to_owned(), |gid| gid.to_string());
            io::Error::other(format!(
                "Not permitted to chown {file} to uid/gid ({}, {group}); adjust \"sockchown\" value \
                 in config file or on command line to values that the current user (uid {}) can \
                 successfully chown",
                owner.uid,
                sys::peer::own_uid()
            ))
        }
        _ => error,
    })
}

/// Removes what a server left in the file system.
pub fn remove(server: &Server) {
    if let Place::File(path) = place(server) {
        let _ = fs::remove_file(path);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scratch::Scratch;
    use std::os::unix::fs::MetadataExt;

    fn server(listen: Listen, access: Access) -> Server {
        Server { section: "s".into(), name: None, listen, login: None, access }
    }

    fn inet(host: &str, access: Access) -> Server {
        server(Listen::Inet { host: host.into(), port: 9001 }, access)
    }

    #[test]
    fn a_server_for_this_machine_alone_listens_at_its_loopback_address() {
        for (host, access, wanted) in [
            ("", Access::Full, "0.0.0.0:9001"),
            ("", Access::Local, "127.0.0.1:9001"),
            ("10.1.2.3", Access::Local, "127.0.0.1:9001"),
            ("127.0.0.2", Access::Local, "127.0.0.2:9001"),
            ("[::1]", Access::Full, "[::1]:9001"),
            ("localhost", Access::Full, "127.0.0.1:9001"),
            ("no such host", Access::Full, "no such host"),
        ] {
            assert_eq!(place(&inet(host, access)).to_string(), wanted);
        }
        assert!(is_open_to_all(&inet("*", Access::ReadOnly)));
        assert!(!is_open_to_all(&inet("*", Access::Local)));
        let login = Some(("al".to_owned(), "secret".to_owned()));
        assert!(!is_open_to_all(&Server { login, ..inet("*", Access::Full) }));
        let why = open(&inet("no such host", Access::Full), |_| {}).unwrap_err();
        assert!(why.contains("Could not determine IP address for hostname no such host"), "{why}");
    }

    #[test]
    fn a_socket_has_its_mode_at_once_and_takes_the_place_of_a_stale_one_alone() {
        let path = Scratch::path("server");
        let file = path.display().to_string();
        let unix = |chmod| {
            let file = file.clone();
            server(Listen::Unix { file, chmod, chown: None }, Access::Full)
        };
        let said = std::cell::RefCell::new(Vec::new());
        let say = |line: &str| said.borrow_mut().push(line.to_owned());
        let first = open(&unix(0o770), say).unwrap();
        assert_eq!(path.metadata().unwrap().mode() & 0o777, 0o770);
        let taken = open(&unix(0o700), say).unwrap_err();
        assert!(taken.contains("Another program is already listening"), "{taken}");
        dress(&unix(0o600)).unwrap();
        assert_eq!(path.metadata().unwrap().mode() & 0o777, 0o600);
        drop(first);
        let second = open(&unix(0o700), say).unwrap();
        assert_eq!(*said.borrow(), [format!("Unlinking stale socket {file}")]);
        drop(second);
        remove(&unix(0o700));
        fs::write(&path, "a file").unwrap();
        let file = open(&unix(0o700), say).unwrap_err();
        assert!(file.contains("which is no socket"), "{file}");
    }
}
