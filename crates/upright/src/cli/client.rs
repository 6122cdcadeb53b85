//! One connection to the daemon: a call goes out, its answer comes in, whatever dies in between.

use super::connect::{self, Address};
use engine::control::answer::{Answer, Version};
use engine::control::call::{Back, Call, Follow, Log, Token};
use engine::control::codec::{Continues, Inbox};
use engine::control::fault::Fault;
use engine::control::notice::Notice;
use engine::machine::request::Request;
use engine::machine::ShutdownKind;
use engine::view::LogView;
use std::fmt;
use std::fs::File;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io::{self, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};
use sys::Errno;

/// How long a lost connection is tried again.
pub const RECONNECT: Duration = Duration::from_secs(10);

/// The longest wait between two tries.
const PAUSE_MAX: Duration = Duration::from_millis(250);

/// A connection.
pub struct Client {
    stream: UnixStream,
    inbox: Inbox,
    /// The last descriptor that came.
    file: Option<OwnedFd>,
    address: Address,
    uid: u32,
    patience: Duration,
}

/// Why a call brought no answer.
#[derive(Debug)]
pub enum Trouble {
    /// The daemon says so.
    Fault(Fault),
    /// The connection was lost and could not be made again.
    Lost(io::Error),
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Trouble::Fault(fault) => fault.fmt(f),
            Trouble::Lost(_) => {
                f.write_str("Connection was disconnected before a reply was received")
            }
        }
    }
}

impl Client {
    /// Returns a client that talks over `stream`, which leads to `address`.
    pub fn new(stream: UnixStream, address: Address, uid: u32) -> Client {
        let inbox = Inbox::default();
        Client { stream, inbox, file: None, address, uid, patience: RECONNECT }
    }

    /// Sets how long a lost connection is tried again.
    pub fn with_patience(self, patience: Duration) -> Client {
        Client { patience, ..self }
    }

    /// Asks and waits for the whole answer. A connection lost on the way is made again and the call
    /// asked again; a request by the same token, so that it is done once. However often: who waits
    /// for days may see many daemons, and one that dies of each asking is slowed down by the keeper.
    pub fn ask(&mut self, call: Call) -> Result<Answer, Trouble> {
        let call = with_token(call);
        loop {
            match self.ask_once(&call) {
                Err(Trouble::Lost(error)) if matches!(call, Call::Shutdown(_)) => {
                    return match error.kind() {
                        io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset => {
                            Ok(Answer::Done)
                        }
                        _ => Err(Trouble::Lost(error)),
                    }
                }
                // The end of the connection is the answer: another binary is gone on in. What runs then
                // says whether it is that one.
                Err(Trouble::Lost(error)) if call == Call::Upgrade => {
                    self.reconnect(error)?;
                    let runs = self.ask(Call::Version)?;
                    let Answer::Version(Version { given_up: Some(why), .. }) = runs else {
                        return Ok(Answer::Done);
                    };
                    return Err(Trouble::Fault(Fault::Unavailable(why)));
                }
                Err(Trouble::Lost(error)) => self.reconnect(error)?,
                done => return done,
            }
        }
    }

    /// Asks for a log's file, as it was so many rotations ago: the daemon opens it, so that who is granted
    /// a look needs no right over the file. No file where there is none.
    pub fn open_log(&mut self, log: Log, back: Back) -> Result<(LogView, Option<File>), Trouble> {
        self.file = None;
        match self.ask(Call::OpenLog(log, back))? {
            Answer::Log(view) => Ok((view, self.file.take().map(File::from))),
            _ => Err(Trouble::Lost(io::ErrorKind::InvalidData.into())),
        }
    }

    /// Asks for the stream of events and passes every notice to `tell` until it says that it is
    /// enough. A lost connection is made again, and the stream goes on where it was.
    pub fn events(
        &mut self,
        mut after: Option<u64>,
        follow: Follow,
        mut tell: impl FnMut(Notice) -> Enough,
    ) -> Result<(), Trouble> {
        loop {
            let call = Call::Events(after, follow);
            let told = self.send(&call).and_then(|()| loop {
                let Answer::Notice(notice) = self.receive(&call)?.0 else { return Ok(()) };
                after = Some(notice.sequence);
                if tell(notice) == Enough::Yes {
                    return Ok(());
                }
            });
            match told {
                Err(Trouble::Lost(error)) => self.reconnect(error)?,
                done => return done,
            }
        }
    }

    /// Waits until the server is gone, once it has been told to end. A connection that is lost while
    /// somebody still listens was a daemon that died: the next one is told again.
    pub fn wait_for_the_end(&mut self) -> Result<(), Trouble> {
        loop {
            let mut nothing = [0; 64];
            match self.stream.read(&mut nothing) {
                Ok(0) => {}
                Ok(_) => continue,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(_) => {}
            }
            let Ok(stream) = connect::connect(&self.address, self.uid) else { return Ok(()) };
            self.stream = stream;
            self.inbox = Inbox::default();
            match self.ask_once(&Call::Shutdown(ShutdownKind::Shutdown)) {
                Ok(_) | Err(Trouble::Lost(_)) => {}
                Err(trouble) => return Err(trouble),
            }
        }
    }

    fn ask_once(&mut self, call: &Call) -> Result<Answer, Trouble> {
        self.send(call)?;
        let (mut whole, mut continues) = self.receive(call)?;
        while continues == Continues::Yes {
            let (answer, further) = self.receive(call)?;
            whole.join(answer);
            continues = further;
        }
        Ok(whole)
    }

    fn send(&mut self, call: &Call) -> Result<(), Trouble> {
        let mut wire = Vec::new();
        call.encode(&mut wire);
        self.stream.write_all(&wire).map_err(Trouble::Lost)
    }

    fn receive(&mut self, call: &Call) -> Result<(Answer, Continues), Trouble> {
        let mut buffer = [0; 16 * 1024];
        loop {
            match self.inbox.take() {
                Some(Ok(message)) => {
                    return Answer::decode(call.command(), &message).map_err(Trouble::Fault)
                }
                Some(Err(too_long)) => {
                    let why = format!("in a reply: {too_long:?}");
                    return Err(Trouble::Fault(Fault::BadMessage(why)));
                }
                None => {}
            }
            match sys::peer::await_read(&self.stream, &mut buffer) {
                Ok((0, _)) => return Err(Trouble::Lost(io::ErrorKind::UnexpectedEof.into())),
                Ok((length, file)) => {
                    self.inbox.feed(buffer.get(..length).unwrap_or_default());
                    self.file = file.or(self.file.take());
                }
                Err(Errno::INTR) => {}
                Err(errno) => return Err(Trouble::Lost(errno.into())),
            }
        }
    }

    /// Connects again for as long as the patience lasts; `lost` is told when it is over.
    fn reconnect(&mut self, lost: io::Error) -> Result<(), Trouble> {
        let until = Instant::now() + self.patience;
        let mut pause = Duration::from_millis(5);
        loop {
            if let Ok(stream) = connect::connect(&self.address, self.uid) {
                self.stream = stream;
                self.inbox = Inbox::default();
                return Ok(());
            }
            if Instant::now() + pause >= until {
                return Err(Trouble::Lost(lost));
            }
            std::thread::sleep(pause);
            pause = (pause * 2).min(PAUSE_MAX);
        }
    }
}

/// Whether a stream has told enough.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Enough {
    /// It has.
    Yes,
    /// It goes on.
    No,
}

/// Gives a request a token, where it has none: asked again, it is known again.
fn with_token(call: Call) -> Call {
    match call {
        Call::Ask(request, None) => {
            let token = new_token(&request);
            Call::Ask(request, token)
        }
        other => other,
    }
}

fn new_token(_: &Request) -> Option<Token> {
    let random = || RandomState::new().build_hasher().finish();
    Token::try_from(format!("{:x}-{:016x}{:016x}", std::process::id(), random(), random())).ok()
}

#[cfg(test)]
pub mod fake {
    //! A server that answers a script, for tests of commands.

    use super::connect::Address;
    use engine::control::answer::Answer;
    use engine::control::call::Call;
    use engine::control::conversation::Conversation;
    use engine::control::fault::Fault;
    use engine::control::notice::Notice;
    use engine::control::rights::{Caller, Peer, Rights, Sight};
    use std::fs::File;
    use std::io::{Read, Write};
    use std::os::fd::AsFd;
    use std::os::linux::net::SocketAddrExt;
    use std::os::unix::net::{SocketAddr, UnixListener};
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::thread::JoinHandle;

    /// What the server does about the next call that comes.
    pub enum Act {
        /// Answers.
        Answer(Result<Answer, Fault>),
        /// Answers, and sends a file along.
        Lend(Answer, File),
        /// Sends bytes as they are.
        Send(Vec<u8>),
        /// Sends notices; the stream stays open for the acts that follow.
        Tell(Vec<Notice>),
        /// Closes the connection without an answer.
        Hang,
        /// Closes the connection after the act before this one, without another call.
        Close,
    }

    /// A running server.
    pub struct Server {
        /// Where it listens.
        pub address: Address,
        thread: JoinHandle<Vec<Call>>,
    }

    impl Server {
        /// Starts a server that does these acts, one for each call.
        pub fn start(script: Vec<Act>) -> Server {
            static NUMBER: AtomicU32 = AtomicU32::new(0);
            let number = NUMBER.fetch_add(1, Ordering::Relaxed);
            let name = format!("upright-test/{}/{number}", std::process::id()).into_bytes();
            let socket = SocketAddr::from_abstract_name(&name).unwrap();
            let listener = UnixListener::bind_addr(&socket).unwrap();
            let thread = std::thread::spawn(move || serve(&listener, script));
            Server { address: Address::Abstract(name), thread }
        }

        /// Ends once the script is done; returns the calls that came.
        pub fn calls(self) -> Vec<Call> {
            self.thread.join().unwrap()
        }
    }

    fn serve(listener: &UnixListener, script: Vec<Act>) -> Vec<Call> {
        let mut calls = Vec::new();
        let mut script = script.into_iter().peekable();
        while script.peek().is_some() {
            let (mut stream, _) = listener.accept().unwrap();
            let own = Caller::Peer(Peer { uid: 0, gid: 0, pid: 1, groups: Vec::new() });
            let mut conversation = Conversation::new(own);
            conversation.see(Sight::Full);
            let mut buffer = [0; 4096];
            'connection: while script.peek().is_some() {
                let mut out = Vec::new();
                if !conversation.waits() {
                    match conversation.take(&Rights::of_owner(0), &mut out) {
                        Some(call) => calls.push(call),
                        None => {
                            let length = stream.read(&mut buffer).unwrap();
                            if length == 0 {
                                break 'connection;
                            }
                            conversation.feed(&buffer[..length]);
                            continue;
                        }
                    }
                }
                match script.next().unwrap() {
                    Act::Answer(answer) => conversation.answer(answer, &mut out),
                    Act::Lend(answer, file) => {
                        conversation.answer(Ok(answer), &mut out);
                        sys::seqpacket::send(&stream, &[&out], &[file.as_fd()]).unwrap();
                        continue;
                    }
                    Act::Send(bytes) => out = bytes,
                    Act::Tell(notices) => {
                        notices.iter().for_each(|notice| conversation.notice(notice, &mut out));
                    }
                    Act::Hang | Act::Close => break 'connection,
                }
                stream.write_all(&out).unwrap();
                if matches!(script.peek(), Some(Act::Close)) {
                    script.next();
                    break 'connection;
                }
            }
        }
        calls
    }
}

#[cfg(test)]
mod tests {
    use super::fake::{Act, Server};
    use super::*;
    use engine::control::call::Listed;
    use engine::control::command::Command;
    use engine::machine;
    use engine::machine::request::{Target, Wait, Which};
    use engine::names::{EventName, InstanceName, JobName};
    use engine::text::Text;
    use engine::view::InstanceView;

    fn client(server: &Server) -> Client {
        let uid = sys::peer::own_uid();
        let stream = connect::connect(&server.address, uid).unwrap();
        Client::new(stream, server.address.clone(), uid)
    }

    fn start() -> Call {
        let target = Target { job: Text::from("web"), which: Which::Env(Vec::new()) };
        Call::Ask(Request::Start(target, Wait::Settled), None)
    }

    fn instance(job: String) -> InstanceView {
        InstanceView {
            goal: machine::state::Goal::Start,
            state: machine::state::State::Running,
            ..InstanceView::at_rest(
                JobName::try_from(job.as_str()).unwrap(),
                InstanceName::default(),
            )
        }
    }

    #[test]
    fn a_request_whose_connection_is_lost_is_asked_again_by_the_same_token() {
        let half = b"{\"parameters\":{\"inst".to_vec();
        let server = Server::start(vec![
            Act::Hang,
            Act::Send(half),
            Act::Hang,
            Act::Answer(Ok(Answer::Instance(None))),
        ]);
        let answer = client(&server).ask(start()).unwrap();
        assert_eq!(answer, Answer::Instance(None));
        let calls = server.calls();
        assert_eq!(calls.len(), 3);
        assert!(calls.iter().all(|call| *call == calls[0]));
        assert!(matches!(&calls[0], Call::Ask(_, Some(_))));
    }

    #[test]
    fn every_request_has_a_token_of_its_own() {
        let server = Server::start(vec![
            Act::Answer(Ok(Answer::Instance(None))),
            Act::Answer(Ok(Answer::Instance(None))),
        ]);
        let mut client = client(&server);
        client.ask(start()).unwrap();
        client.ask(start()).unwrap();
        let calls = server.calls();
        assert_ne!(calls[0], calls[1]);
    }

    #[test]
    fn a_server_that_stays_away_is_told_as_a_lost_connection() {
        let server = Server::start(vec![Act::Hang]);
        let client = client(&server);
        let mut client = client.with_patience(Duration::ZERO);
        let asked = std::thread::spawn(move || client.ask(Call::Version));
        server.calls();
        let Err(trouble @ Trouble::Lost(_)) = asked.join().unwrap() else { panic!("an answer") };
        assert_eq!(trouble.to_string(), "Connection was disconnected before a reply was received");
    }

    #[test]
    fn a_shutdown_that_ends_the_connection_has_been_done() {
        let server = Server::start(vec![Act::Hang]);
        assert_eq!(
            client(&server).ask(Call::Shutdown(ShutdownKind::Shutdown)).unwrap(),
            Answer::Done
        );
    }

    #[test]
    fn the_end_is_waited_for_through_the_death_of_a_daemon() {
        let done = || Act::Answer(Ok(Answer::Done));
        let server = Server::start(vec![done(), Act::Close, done()]);
        let mut client = client(&server);
        client.ask(Call::Shutdown(ShutdownKind::Shutdown)).unwrap();
        client.wait_for_the_end().unwrap();
        assert_eq!(
            server.calls(),
            [Call::Shutdown(ShutdownKind::Shutdown), Call::Shutdown(ShutdownKind::Shutdown)]
        );
    }

    #[test]
    fn a_list_in_pages_arrives_whole() {
        let views: Vec<InstanceView> = (0..3000).map(|n| instance(format!("job{n:04}"))).collect();
        let server = Server::start(vec![Act::Answer(Ok(Answer::Instances(views.clone())))]);
        let answer = client(&server).ask(Call::List(None, Listed::Own)).unwrap();
        assert_eq!(answer, Answer::Instances(views));
    }

    #[test]
    fn a_refusal_is_a_fault_and_the_connection_stays_good() {
        let server = Server::start(vec![
            Act::Answer(Err(Fault::Unavailable(String::from("not here")))),
            Act::Answer(Ok(Answer::Done)),
        ]);
        let mut client = client(&server);
        let Err(Trouble::Fault(fault)) = client.ask(Call::Version) else { panic!("an answer") };
        assert_eq!(fault, Fault::Unavailable(String::from("not here")));
        assert_eq!(client.ask(Call::ReloadConfiguration).unwrap(), Answer::Done);
    }

    #[test]
    fn an_answer_that_is_nonsense_is_told_and_not_believed() {
        let server = Server::start(vec![Act::Send(b"{\"parameters\":7}\0".to_vec())]);
        let Err(Trouble::Fault(Fault::BadMessage(why))) = client(&server).ask(Call::Version) else {
            panic!("an answer");
        };
        assert!(why.starts_with("in a reply: "), "{why}");
    }

    #[test]
    fn a_stream_of_events_goes_on_after_the_last_one_when_the_connection_is_lost() {
        let notice = |sequence| Notice {
            sequence,
            missed: 0,
            age: None,
            what: machine::Notice::Event {
                name: EventName::try_from("ev").unwrap(),
                env: Vec::new(),
                failed: false,
                cause: String::new(),
            },
        };
        let server = Server::start(vec![
            Act::Tell(vec![notice(4), notice(5)]),
            Act::Hang,
            Act::Tell(vec![notice(6)]),
            Act::Answer(Ok(Answer::Done)),
        ]);
        let mut seen = Vec::new();
        let mut client = client(&server);
        let told = client.events(Some(3), Follow::Off, |notice| {
            seen.push(notice.sequence);
            Enough::No
        });
        told.unwrap();
        assert_eq!(seen, [4, 5, 6]);
        let calls = server.calls();
        assert_eq!(calls[1], Call::Events(Some(5), Follow::Off));
        assert_eq!(calls[1].command(), Command::Events);
    }
}
