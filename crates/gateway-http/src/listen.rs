//! Sockets and connections, within bounds.

use crate::auth::Login;
use crate::call::Gateway;
use crate::control::{Address, Control};
use crate::guard::Via;
use crate::options::{Options, Place};
use crate::serve::answer;
use crate::web::Web;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::future::Future;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, ToSocketAddrs};
use std::os::unix::fs::{chown, FileTypeExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Duration;
use sys::users;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, UnixListener, UnixStream};
use tokio::task::{AbortHandle, LocalSet};
use tokio::time::{sleep, Instant};

/// How many connections there are at once. One more ends the one that has been idle for the longest.
const CONNECTIONS_MAX: usize = 256;

/// How long the head of a request may be, in bytes.
const HEAD_MAX: usize = 64 * 1024;

/// How long a connection may be silent between requests, or take for a head. Clients of Supervisor
/// keep a connection from one minute's event to the next hour's.
const SILENCE_MAX: Duration = Duration::from_secs(2 * 3600);

/// How long to wait where the kernel has no room for another connection.
const PAUSE: Duration = Duration::from_millis(100);

/// Where connections come in.
enum Listener {
    Unix(UnixListener),
    Tcp(TcpListener),
}

/// Serves for ever.
pub fn run(options: Options) -> Result<(), String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| format!("cannot begin: {error}"))?;
    LocalSet::new().block_on(&runtime, serve(options))
}

async fn serve(options: Options) -> Result<(), String> {
    let control = Control::new(options.control.as_deref());
    let mut listeners = Vec::new();
    for place in &options.places {
        listeners.push(open(place, options.login.is_some()).await?);
    }
    match control.address() {
        Address::Path(path) => eprintln!("upright-http: serves the Upright at {path}"),
        Address::Abstract(name) => eprintln!("upright-http: serves the Upright at @{name}"),
    }
    let gateway = Rc::new(Gateway { control, identifier: options.identifier, web: Web::default() });
    let crowd = Rc::new(Crowd::default());
    let login = Rc::new(options.login);
    let mut tasks = tokio::task::JoinSet::new();
    for listener in listeners {
        tasks.spawn_local(accept(listener, gateway.clone(), login.clone(), crowd.clone()));
    }
    while tasks.join_next().await.is_some() {}
    Ok(())
}

async fn accept(
    listener: Listener,
    gateway: Rc<Gateway>,
    login: Rc<Option<Login>>,
    crowd: Rc<Crowd>,
) {
    loop {
        let accepted = match &listener {
            Listener::Unix(listener) => {
                let accepted = listener.accept().await;
                accepted.map(|(stream, _)| attend(stream, Via::Socket, &gateway, &login, &crowd))
            }
            Listener::Tcp(listener) => listener.accept().await.map(|(stream, from)| {
                // An answer is written at once; waiting for more of it would only cost time.
                let _ = stream.set_nodelay(true);
                let via = if from.ip().is_loopback() { Via::Loopback } else { Via::Port };
                attend(stream, via, &gateway, &login, &crowd)
            }),
        };
        if let Err(error) = accepted {
            eprintln!("upright-http: a connection cannot be taken: {error}");
            sleep(PAUSE).await;
        }
    }
}

/// Serves one connection in a task of its own.
fn attend<S>(
    stream: S,
    via: Via,
    gateway: &Rc<Gateway>,
    login: &Rc<Option<Login>>,
    crowd: &Rc<Crowd>,
) where
    S: AsyncRead + AsyncWrite + Unpin + 'static,
{
    let (gateway, login) = (Rc::clone(gateway), Rc::clone(login));
    crowd.admit(|id, crowd| async move {
        let service = service_fn(|request| {
            let (gateway, login, crowd) = (gateway.clone(), login.clone(), Rc::clone(&crowd));
            async move {
                crowd.note(id, Mood::Busy);
                let answered = answer(gateway, login, via, request).await;
                if answered.as_ref().is_ok_and(|answered| answered.body().is_whole()) {
                    crowd.note(id, Mood::Idle(Instant::now()));
                }
                answered
            }
        });
        // A client that breaks off is no mistake of anybody here.
        let _ = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(SILENCE_MAX)
            .max_buf_size(HEAD_MAX)
            .serve_connection(TokioIo::new(stream), service)
            .await;
    });
}

/// All connections.
#[derive(Default)]
struct Crowd {
    guests: RefCell<BTreeMap<u64, Guest>>,
    next: std::cell::Cell<u64>,
}

struct Guest {
    mood: Mood,
    task: AbortHandle,
}

/// What a connection does.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Mood {
    /// Nothing, since then.
    Idle(Instant),
    /// A request of it is carried out.
    Busy,
}

impl Crowd {
    /// Takes a connection in, if need be for one that does nothing; drops it where all are busy.
    fn admit<F: Future<Output = ()> + 'static>(
        self: &Rc<Crowd>,
        serve: impl FnOnce(u64, Rc<Crowd>) -> F,
    ) {
        let mut guests = self.guests.borrow_mut();
        if guests.len() >= CONNECTIONS_MAX {
            let idle = guests.iter().filter_map(|(id, guest)| match guest.mood {
                Mood::Idle(since) => Some((since, *id)),
                Mood::Busy => None,
            });
            let Some((_, oldest)) = idle.min() else { return };
            if let Some(guest) = guests.remove(&oldest) {
                guest.task.abort();
            }
        }
        let id = self.next.get();
        self.next.set(id.wrapping_add(1));
        let (serving, crowd) = (serve(id, Rc::clone(self)), Rc::clone(self));
        let task = tokio::task::spawn_local(async move {
            serving.await;
            crowd.guests.borrow_mut().remove(&id);
        });
        let mood = Mood::Idle(Instant::now());
        guests.insert(id, Guest { mood, task: task.abort_handle() });
    }

    fn note(&self, id: u64, mood: Mood) {
        if let Some(guest) = self.guests.borrow_mut().get_mut(&id) {
            guest.mood = mood;
        }
    }
}

async fn open(place: &Place, guarded: bool) -> Result<Listener, String> {
    match place {
        Place::Unix { path, mode, owner } => {
            let listener = open_unix(path, *mode, owner.as_deref()).await;
            listener.map(Listener::Unix).map_err(|why| format!("{}: {why}", path.display()))
        }
        Place::Inet(host, port) => {
            let shown = format!("{}:{port}", host.as_deref().unwrap_or("*"));
            let places: Vec<SocketAddr> = match host {
                Some(host) => (host.as_str(), *port)
                    .to_socket_addrs()
                    .map_err(|error| format!("{shown}: {error}"))?
                    .collect(),
                None => vec![(Ipv4Addr::UNSPECIFIED, *port).into()],
            };
            if !guarded && places.iter().any(|place| !place.ip().is_loopback()) {
                eprintln!(
                    "upright-http: {shown}: open to other machines without a password; give \
                     --username and --password-file, or listen at 127.0.0.1"
                );
            }
            let listener = TcpListener::bind(places.as_slice()).await;
            listener.map(Listener::Tcp).map_err(|error| format!("{shown}: {error}"))
        }
    }
}

/// Makes a socket under another name, so that nobody meets it before it has its mode and owner. One
/// that nobody listens at any more is replaced, any other file is left alone.
async fn open_unix(path: &Path, mode: u32, owner: Option<&str>) -> Result<UnixListener, String> {
    let words = |error: io::Error| error.to_string();
    match std::fs::symlink_metadata(path) {
        Ok(about) if !about.file_type().is_socket() => {
            return Err("there is a file of that name, which is no socket".to_owned());
        }
        Ok(_) if UnixStream::connect(path).await.is_ok() => {
            return Err("somebody listens there already; end that first".to_owned());
        }
        Ok(_) | Err(_) => {}
    }
    let mut new = path.as_os_str().to_owned();
    new.push(format!(".{}", std::process::id()));
    let new = PathBuf::from(new);
    let made = || {
        let listener = std::os::unix::net::UnixListener::bind(&new).map_err(words)?;
        listener.set_nonblocking(true).map_err(words)?;
        std::fs::set_permissions(&new, std::fs::Permissions::from_mode(mode)).map_err(words)?;
        if let Some(owner) = owner {
            let (uid, gid) = who(owner)?;
            chown(&new, uid, gid).map_err(|error| format!("chown {owner}: {error}"))?;
        }
        std::fs::rename(&new, path).map_err(words)?;
        UnixListener::from_std(listener).map_err(words)
    };
    let made = made();
    if made.is_err() {
        // The reason has been told; a half-made socket helps nobody.
        let _ = std::fs::remove_file(&new);
    }
    made
}

/// Reads `USER[:GROUP]`, each a name or a number.
fn who(owner: &str) -> Result<(Option<u32>, Option<u32>), String> {
    let (user, group) = match owner.split_once(':') {
        Some((user, group)) => (user, Some(group)),
        None => (owner, None),
    };
    let root = Path::new("/");
    let number = |text: &str| text.parse::<u32>().ok();
    let uid = number(user).or_else(|| users::user(root, user.as_bytes()).ok().map(|user| user.uid));
    let uid = uid.ok_or_else(|| format!("chown {owner}: no such user: {user}"))?;
    let gid = match group {
        None => None,
        Some(name) => {
            let gid = number(name).or_else(|| users::group(root, name.as_bytes()).ok());
            Some(gid.ok_or_else(|| format!("chown {owner}: no such group: {name}"))?)
        }
    };
    Ok((Some(uid), gid))
}
