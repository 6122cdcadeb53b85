//! A server that answers as it is told to, and runs of the client against it.

use std::collections::VecDeque;
use std::io::{Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use xmlrpc::{Code, Fault, Value};

pub const PROGRAM: &str = env!("CARGO_BIN_EXE_supervisorctl");

/// How long anything may take before a test fails.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// A directory of one test, removed with it.
pub struct Folder(pub PathBuf);

impl Folder {
    pub fn new() -> Folder {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("sctl{}-{number}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Folder(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

type Replies = dyn Fn(&str, &[Value]) -> Result<Value, Fault> + Send + Sync;

/// A server at a socket. Its thread ends with the test's process.
pub struct Server {
    pub folder: Folder,
    /// What was asked for, with its head: `method` or `GET /path`.
    pub asked: Arc<Mutex<Vec<(String, String)>>>,
}

impl Server {
    /// Answers calls by this, and pages by a stream of one chunk that never ends.
    pub fn new(
        replies: impl Fn(&str, &[Value]) -> Result<Value, Fault> + Send + Sync + 'static,
    ) -> Server {
        let replies: Arc<Replies> = Arc::new(replies);
        Server::raw(move |asked, stream| converse(asked, stream, &replies))
    }

    /// Answers each connection by this.
    pub fn raw(
        answer: impl Fn(&Mutex<Vec<(String, String)>>, UnixStream) + Send + Sync + 'static,
    ) -> Server {
        let folder = Folder::new();
        let listener = UnixListener::bind(folder.0.join("s.sock")).unwrap();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let answer = Arc::new(answer);
        let known = Arc::clone(&asked);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (answer, known) = (Arc::clone(&answer), Arc::clone(&known));
                std::thread::spawn(move || answer(&known, stream));
            }
        });
        let server = Server { folder, asked };
        let text = format!("[supervisorctl]\nserverurl=unix://{}\n", server.socket().display());
        std::fs::write(server.file(), text).unwrap();
        server
    }

    pub fn socket(&self) -> PathBuf {
        self.folder.0.join("s.sock")
    }

    pub fn file(&self) -> PathBuf {
        self.folder.0.join("s.conf")
    }

    pub fn methods(&self) -> Vec<String> {
        self.asked.lock().unwrap().iter().map(|(what, _)| what.clone()).collect()
    }

    /// Runs the client with its configuration, these arguments and this input.
    #[track_caller]
    pub fn run(&self, arguments: &str, input: &str) -> Ran {
        let file = self.file().display().to_string();
        let mut words = vec!["-c", &file];
        words.extend(arguments.split_whitespace());
        run(&words, &self.folder.0, input)
    }
}

/// What came of a run.
#[derive(Debug, PartialEq, Eq)]
pub struct Ran {
    pub code: Option<i32>,
    pub out: String,
    pub err: String,
}

impl From<Output> for Ran {
    fn from(output: Output) -> Ran {
        Ran {
            code: output.status.code(),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

pub fn run(words: &[&str], folder: &Path, input: &str) -> Ran {
    let mut child = Command::new(PROGRAM)
        .args(words)
        .current_dir(folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    child.wait_with_output().unwrap().into()
}

/// Reads one request: its first line, its head, its body.
pub fn request(
    stream: &mut UnixStream,
    held: &mut VecDeque<u8>,
) -> Option<(String, String, String)> {
    let mut bytes = [0; 4096];
    loop {
        let all: Vec<u8> = held.iter().copied().collect();
        if let Some(end) = all.windows(4).position(|four| four == b"\r\n\r\n") {
            let head = String::from_utf8(all[..end].to_vec()).unwrap();
            let length = head.lines().find_map(|line| line.strip_prefix("Content-Length: "));
            let length: usize = length.map_or(0, |text| text.parse().unwrap());
            if all.len() >= end + 4 + length {
                held.drain(..end + 4 + length);
                let body = String::from_utf8(all[end + 4..end + 4 + length].to_vec()).unwrap();
                return Some((head.lines().next().unwrap().to_owned(), head, body));
            }
        }
        match stream.read(&mut bytes) {
            Ok(0) | Err(_) => return None,
            Ok(length) => held.extend(&bytes[..length]),
        }
    }
}

fn converse(asked: &Mutex<Vec<(String, String)>>, mut stream: UnixStream, replies: &Arc<Replies>) {
    let mut held = VecDeque::new();
    while let Some((first, head, body)) = request(&mut stream, &mut held) {
        if let Some(path) = first.strip_prefix("GET ") {
            let path = path.trim_end_matches(" HTTP/1.1").to_owned();
            asked.lock().unwrap().push((format!("GET {path}"), head));
            let text = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nline\n\r\n";
            // A client that was told to end reads nothing more.
            if stream.write_all(text.as_bytes()).is_err() {
                return;
            }
            continue;
        }
        let call = xmlrpc::read::call(&body).unwrap();
        let method = call.method.strip_prefix("supervisor.").unwrap().to_owned();
        asked.lock().unwrap().push((method.clone(), head));
        let body = match (method.as_str(), replies(&method, &call.parameters)) {
            ("getVersion", Err(fault)) if fault.code() == Some(Code::UnknownMethod) => {
                xmlrpc::write::result(&"3.0".into())
            }
            (_, Ok(value)) => xmlrpc::write::result(&value),
            (_, Err(fault)) => xmlrpc::write::fault(&fault),
        };
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len());
        if stream.write_all((head + &body).as_bytes()).is_err() {
            return;
        }
    }
}

/// What a server says of one process.
pub fn process(group: &str, name: &str, state: xmlrpc::states::State) -> Value {
    let member = |name: &str, value: Value| (name.to_owned(), value);
    Value::Record(vec![
        member("name", name.into()),
        member("group", group.into()),
        member("state", Value::Int(state.number())),
        member("statename", state.name().into()),
        member("description", format!("of {name}").into()),
        member("pid", Value::Int(if state.is_stopped() { 0 } else { 7 })),
    ])
}

/// Waits until it is so.
#[track_caller]
pub fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < PATIENCE, "{what}: not within {PATIENCE:?}");
        std::thread::sleep(Duration::from_millis(2));
    }
}
