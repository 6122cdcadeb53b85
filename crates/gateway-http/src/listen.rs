//! Sockets and connections, within bounds.

use crate::auth::Login;
use crate::call::Gateway;
use crate::guard::Via;
use crate::serve::answer;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::future::Future;
use std::io;
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, UnixListener};
use tokio::task::AbortHandle;
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

/// Begins to serve at a socket that listens, in tasks of their own.
pub fn begin(
    socket: OwnedFd,
    gateway: Gateway,
    login: Option<(String, String)>,
    crowd: &Rc<Crowd>,
) -> io::Result<()> {
    let login = login.map(|(name, password)| Login::new(&name, &password));
    let listener = listener(socket)?;
    let (gateway, login, crowd) = (Rc::new(gateway), Rc::new(login), Rc::clone(crowd));
    tokio::task::spawn_local(accept(listener, gateway, login, crowd));
    Ok(())
}

fn listener(socket: OwnedFd) -> io::Result<Listener> {
    let socket = std::net::TcpListener::from(socket);
    socket.set_nonblocking(true)?;
    if socket.local_addr().is_ok() {
        return TcpListener::from_std(socket).map(Listener::Tcp);
    }
    let socket = std::os::unix::net::UnixListener::from(OwnedFd::from(socket));
    UnixListener::from_std(socket).map(Listener::Unix)
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
                accepted.map(|(stream, _)| {
                    let peer = stream.peer_cred().ok();
                    let peer = peer.map(|peer| {
                        let pid = peer.pid().map_or(String::new(), |pid| format!(",pid:{pid}"));
                        format!("uid:{}{pid}", peer.uid())
                    });
                    let from = (Via::Socket, peer);
                    attend(stream, from, &gateway, &login, &crowd);
                })
            }
            Listener::Tcp(listener) => listener.accept().await.map(|(stream, from)| {
                // An answer is written at once; waiting for more of it would only cost time.
                let _ = stream.set_nodelay(true);
                let via = if from.ip().is_loopback() { Via::Loopback } else { Via::Port };
                attend(stream, (via, Some(from.to_string())), &gateway, &login, &crowd);
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
    (via, from): (Via, Option<String>),
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
            let from = from.clone();
            async move {
                crowd.note(id, Mood::Busy);
                let answered = answer(gateway, login, (via, from), request).await;
                let whole = answered.as_ref().is_ok_and(|answered| answered.body().is_whole());
                let mood = if whole { Mood::Idle(Instant::now()) } else { Mood::Following };
                crowd.note(id, mood);
                answered
            }
        });
        // A client that breaks off is no mistake of anybody here.
        let _ = http1::Builder::new()
            .timer(TokioTimer::new())
            // As the original writes them: not every client knows that the case means nothing.
            .title_case_headers(true)
            .header_read_timeout(SILENCE_MAX)
            .max_buf_size(HEAD_MAX)
            .serve_connection(TokioIo::new(stream), service)
            .await;
    });
}

/// All connections.
#[derive(Default)]
pub struct Crowd {
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
    /// Somebody reads a log as it grows.
    Following,
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
                Mood::Busy | Mood::Following => None,
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

    /// Reports whether a request is being carried out that will have an end.
    pub fn is_busy(&self) -> bool {
        self.guests.borrow().values().any(|guest| guest.mood == Mood::Busy)
    }

    fn note(&self, id: u64, mood: Mood) {
        if let Some(guest) = self.guests.borrow_mut().get_mut(&id) {
            guest.mood = mood;
        }
    }
}
