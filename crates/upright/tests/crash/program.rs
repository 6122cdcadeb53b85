//! What the jobs run: `crash job MODE DIRECTORY NAME ...`.
//!
//! Every mode tells what it did in files below the directory, so that what Upright says can be
//! compared with what was: `starts/NAME` has a line for every start of a main process, `count/NAME`
//! the number of the last line written, `ends/NAME` a line for every end that the job chose itself.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::fd::AsFd;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::fs::FileExt;
use std::os::unix::net::{SocketAddr, UnixDatagram, UnixListener};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::Duration;

/// A steady writer writes a line so often.
const TICK: Duration = Duration::from_millis(50);

/// A burst comes every so many ticks and has so many lines.
const BURST: (u64, u64) = (31, 150);

/// Runs a mode.
pub fn run(arguments: &[String]) -> ExitCode {
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["steady", directory, name] => Writer::new(directory, name).write_on(None),
        ["crashing", directory, name, every] => {
            let every = every.parse().unwrap_or(10);
            Writer::new(directory, name).write_on(Some(every))
        }
        ["fork", rest @ ..] => beget(own().arg("job").args(rest)),
        ["daemon", rest @ ..] => {
            beget(Command::new("setsid").arg(own().get_program()).args(["job", "fork"]).args(rest))
        }
        ["note", directory, file, words @ ..] => {
            append(&Path::new(directory).join(file), &words.join(" "));
            ExitCode::SUCCESS
        }
        ["task", directory, id, milliseconds] => {
            let _only = Lock::take(directory, &format!("task-{id}"));
            append(&Path::new(directory).join("tasks"), id);
            std::thread::sleep(Duration::from_millis(milliseconds.parse().unwrap_or(1)));
            ExitCode::SUCCESS
        }
        ["await", directory, flag] => {
            let directory = Path::new(directory);
            while !directory.join(flag).exists() && directory.join("alive").exists() {
                std::thread::sleep(TICK);
            }
            ExitCode::SUCCESS
        }
        ["accept"] => accept(),
        ["spin", milliseconds] => {
            sys::timer::arm(engine::time::Span::millis(milliseconds.parse().unwrap_or(1)));
            loop {
                std::hint::spin_loop();
            }
        }
        _ => {
            eprintln!("crash job: no such mode: {words:?}");
            ExitCode::FAILURE
        }
    }
}

/// Says to each client of the socket that it was given who it is.
fn accept() -> ExitCode {
    let Ok(socket) = std::io::stdin().as_fd().try_clone_to_owned() else {
        return ExitCode::FAILURE;
    };
    for client in UnixListener::from(socket).incoming() {
        let _ = client.and_then(|mut client| writeln!(client, "{}", std::process::id()));
    }
    ExitCode::SUCCESS
}

fn own() -> Command {
    Command::new(std::env::current_exe().unwrap_or_default())
}

/// Leaves a child behind and ends, as a daemon's original does.
fn beget(child: &mut Command) -> ExitCode {
    match child.spawn() {
        Ok(_) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{child:?}: {error}");
            ExitCode::FAILURE
        }
    }
}

fn append(path: &Path, line: &str) {
    let opened = OpenOptions::new().create(true).append(true).open(path);
    let written = opened.and_then(|mut file| file.write_all(format!("{line}\n").as_bytes()));
    if let Err(error) = written {
        eprintln!("{}: {error}", path.display());
        std::process::exit(112);
    }
}

/// Being the only one of a name; given back by the kernel when the process is gone.
struct Lock(#[allow(dead_code)] UnixDatagram);

impl Lock {
    fn take(directory: &str, name: &str) -> Lock {
        let address = SocketAddr::from_abstract_name(format!("{directory}/{name}"));
        match address.and_then(|address| UnixDatagram::bind_addr(&address)) {
            Ok(socket) => Lock(socket),
            Err(error) => {
                append(&Path::new(directory).join("doubled"), &format!("{name}: {error}"));
                std::process::exit(113);
            }
        }
    }
}

/// A job that writes numbered lines.
struct Writer {
    directory: PathBuf,
    name: String,
    count: File,
    written: u64,
    _only: Lock,
}

impl Writer {
    fn new(directory: &str, name: &str) -> Writer {
        let only = Lock::take(directory, name);
        let directory = PathBuf::from(directory);
        append(&directory.join("starts").join(name), &std::process::id().to_string());
        let path = directory.join("count").join(name);
        let before = std::fs::read_to_string(&path).unwrap_or_default();
        let opened = OpenOptions::new().create(true).truncate(false).write(true).open(&path);
        let count = opened.unwrap_or_else(|error| {
            eprintln!("{}: {error}", path.display());
            std::process::exit(112);
        });
        let written = before.trim().parse().unwrap_or(0);
        Writer { directory, name: name.to_owned(), count, written, _only: only }
    }

    fn line(&mut self) {
        self.written += 1;
        let line = format!("{} {}\n", self.name, self.written);
        // What was written is counted after it was: the log has it, or one more.
        if std::io::stdout().write_all(line.as_bytes()).is_err() {
            append(&self.directory.join("doubled"), &format!("{}: cannot write", self.name));
            std::process::exit(114);
        }
        let _ = self.count.write_all_at(format!("{:020}", self.written).as_bytes(), 0);
    }

    /// Writes until it is ended; `every` so many ticks it ends itself.
    fn write_on(mut self, every: Option<u64>) -> ExitCode {
        // So that not all write at once.
        let phase = self.name.bytes().map(u64::from).sum::<u64>();
        let mut calm = false;
        for tick in 1.. {
            let burst = (tick + phase) % BURST.0 == 0;
            (0..if burst { BURST.1 } else { 1 }).for_each(|_| self.line());
            std::thread::sleep(TICK);
            if !self.directory.join("alive").exists() {
                return ExitCode::SUCCESS;
            }
            let Some(every) = every else { continue };
            let is_calm = self.directory.join("calm").exists();
            if is_calm && !calm {
                append(&self.directory.join("calmed"), &self.name);
            }
            calm = is_calm;
            if !calm && tick >= every {
                self.end();
            }
        }
        ExitCode::SUCCESS
    }

    /// Ends in one of several ways, each written down before.
    fn end(&self) -> ! {
        let pid = std::process::id();
        let path = self.directory.join("ends").join(&self.name);
        match self.written % 4 {
            0 => {
                append(&path, &format!("{pid} signal ABRT"));
                std::process::abort();
            }
            way => {
                let status = 2 + way as i32;
                append(&path, &format!("{pid} status {status}"));
                std::process::exit(status);
            }
        }
    }
}
