//! A `supervisord` of the test's own, in a directory of its own.

use engine::control::answer::Answer;
use engine::control::call::Call;
use engine::machine::request::{Request, Target, Wait, Which};
use engine::process::Pid;
use engine::signal::Signal;
use engine::text::Text;
use engine::view::{ProgramState, ProgramView};
use std::fs;
use std::io::Read;
use std::os::unix::fs::symlink;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};
use upright::cli::client::{Client, Trouble};
use upright::cli::connect::{self, Address};

/// How long a fact is waited for before the test gives up.
const PATIENCE: Duration = Duration::from_secs(60);

/// Where the log and the process number go.
const USUAL: &str = "logfile=%(here)s/log\npidfile=%(here)s/pid\n";

/// Waits until `look` finds what is looked for.
#[track_caller]
pub fn eventually<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let until = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < until, "did not come about: {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// A directory with a configuration and `supervisord`, which is removed in the end.
pub struct Place {
    /// Where it is.
    pub dir: PathBuf,
}

impl Place {
    /// Makes a place. The text stands behind `[supervisord]` with the usual files.
    pub fn new(text: &str) -> Place {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("upright-supd-{}-{number}", std::process::id());
        let dir = std::env::temp_dir().join(name);
        let _ = fs::remove_dir_all(&dir);
        fs::create_dir_all(dir.join("run")).unwrap();
        symlink(env!("CARGO_BIN_EXE_upright-core"), dir.join("supervisord")).unwrap();
        let place = Place { dir };
        place.configure(text);
        place
    }

    /// Writes another configuration.
    pub fn configure(&self, text: &str) {
        fs::write(self.dir.join("x.conf"), format!("[supervisord]\n{USUAL}{text}")).unwrap();
    }

    /// Returns the command with these arguments.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(self.dir.join("supervisord"));
        command
            .args(arguments)
            .current_dir(&self.dir)
            .env("XDG_RUNTIME_DIR", self.dir.join("run"))
            .env_remove("UPSTART_SESSION")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    /// Runs it to its end: exit code, standard output, standard error.
    pub fn refuses(&self, arguments: &[&str]) -> (Option<i32>, String, String) {
        let output = self.command(arguments).output().unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (output.status.code(), text(&output.stdout), text(&output.stderr))
    }

    /// Starts it in the foreground.
    pub fn start(&self) -> Running<'_> {
        self.start_with(&["-n", "-c", "x.conf"])
    }

    /// Starts it in the foreground, and waits for nothing: who is somebody else is not asked over control.
    pub fn start_unasked(&self) -> Running<'_> {
        Running { place: self, child: self.command(&["-n", "-c", "x.conf"]).spawn().unwrap() }
    }

    /// Starts it in the foreground with more variables.
    pub fn start_in(&self, variables: &[(&str, &str)]) -> Running<'_> {
        let mut command = self.command(&["-n", "-c", "x.conf"]);
        let child = command.envs(variables.iter().copied()).spawn().unwrap();
        let running = Running { place: self, child };
        eventually("it answers", || running.try_client());
        running
    }

    /// Starts it with these arguments, in the foreground.
    pub fn start_with(&self, arguments: &[&str]) -> Running<'_> {
        let child = self.command(arguments).spawn().unwrap();
        let running = Running { place: self, child };
        eventually("it answers", || running.try_client());
        running
    }

    /// Starts `upright up` with these arguments.
    pub fn up(&self, arguments: &[&str]) -> Running<'_> {
        let mut command = Command::new(env!("CARGO_BIN_EXE_upright"));
        command
            .arg("up")
            .args(arguments)
            .current_dir(&self.dir)
            .env("XDG_RUNTIME_DIR", self.dir.join("run"))
            .env("XDG_CACHE_HOME", self.dir.join("run"))
            .env_remove("UPSTART_SESSION")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let running = Running { place: self, child: command.spawn().unwrap() };
        eventually("it answers", || running.try_client());
        running
    }

    /// Returns what is in a file; nothing where it is not there.
    pub fn read(&self, file: &str) -> String {
        let bytes = fs::read(self.dir.join(file)).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// Returns the lines of the log without their times.
    pub fn log(&self) -> Vec<String> {
        let log = self.read("log");
        log.lines().map(|line| line.get(24..).unwrap_or(line).to_owned()).collect()
    }

    /// Waits until a line of the log has these words; returns it.
    #[track_caller]
    pub fn says(&self, words: &str) -> String {
        let found = || self.log().into_iter().find(|line| line.contains(words));
        eventually(&format!("`{words}` in {:#?}", self.log()), found)
    }

    /// Connects to whoever listens here.
    pub fn client(&self) -> Option<Client> {
        let address = Address::Path(self.dir.join("run/upright/control"));
        let uid = sys::peer::own_uid();
        let stream = connect::connect(&address, uid).ok()?;
        Some(Client::new(stream, address, uid).with_patience(PATIENCE))
    }

    /// Returns the number in the pid file, where there is one.
    pub fn pid(&self) -> Option<Pid> {
        self.read("pid").trim().parse().ok()
    }

    /// Signals a process.
    pub fn signal(&self, pid: Pid, signal: Signal) {
        let opened = sys::pidfd::open(pid).unwrap();
        sys::pidfd::send(opened, signal).unwrap();
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.dir);
    }
}

/// A `supervisord` that runs in the foreground.
pub struct Running<'a> {
    /// Where.
    pub place: &'a Place,
    child: Child,
}

impl Running<'_> {
    fn try_client(&self) -> Option<Client> {
        self.place.client()
    }

    /// Returns its process.
    pub fn pid(&self) -> Pid {
        Pid::try_from(self.child.id()).unwrap()
    }

    /// Asks.
    pub fn ask(&self, call: Call) -> Answer {
        eventually("a connection", || self.try_client()).ask(call).unwrap()
    }

    /// Asks; what is refused is no failure of the test.
    pub fn try_ask(&self, call: Call) -> Result<Answer, Trouble> {
        eventually("a connection", || self.try_client()).ask(call)
    }

    /// Starts a job and waits until it runs.
    pub fn start(&self, job: &str) {
        let target = Target { job: Text::from(job), which: Which::Env(Vec::new()) };
        self.ask(Call::Ask(Request::Start(target, Wait::Settled), None));
    }

    /// Stops a job and waits until it has.
    pub fn stop(&self, job: &str) {
        let target = Target { job: Text::from(job), which: Which::Env(Vec::new()) };
        self.ask(Call::Ask(Request::Stop(target, Wait::Settled), None));
    }

    /// Returns the programs, where somebody answers.
    pub fn try_programs(&self) -> Option<Vec<ProgramView>> {
        match self.try_client()?.ask(Call::Programs(None)) {
            Ok(Answer::Programs(views)) => Some(views),
            Ok(_) | Err(_) => None,
        }
    }

    /// Returns the programs.
    pub fn programs(&self) -> Vec<ProgramView> {
        match self.ask(Call::Programs(None)) {
            Answer::Programs(views) => views,
            other => panic!("programs: {other:?}"),
        }
    }

    /// Returns a program.
    #[track_caller]
    pub fn program(&self, job: &str) -> ProgramView {
        let found = self.programs().into_iter().find(|view| view.job.to_string() == job);
        found.unwrap_or_else(|| panic!("no program {job}"))
    }

    /// Waits until a program is in this state; returns it.
    #[track_caller]
    pub fn comes_to(&self, job: &str, state: ProgramState) -> ProgramView {
        let look = || Some(self.program(job)).filter(|view| view.state == state);
        eventually(&format!("{job} is {}", state.name()), look)
    }

    /// Sends a signal.
    pub fn signal(&self, signal: Signal) {
        self.place.signal(self.pid(), signal);
    }

    /// Waits for its end: exit code, standard output, standard error.
    pub fn end(mut self) -> (Option<i32>, String, String) {
        let status = eventually("it ends", || self.child.try_wait().unwrap());
        let read = |pipe: Option<&mut dyn Read>| {
            let mut bytes = Vec::new();
            pipe.map(|pipe| pipe.read_to_end(&mut bytes));
            String::from_utf8_lossy(&bytes).into_owned()
        };
        let out = read(self.child.stdout.as_mut().map(|pipe| pipe as &mut dyn Read));
        let err = read(self.child.stderr.as_mut().map(|pipe| pipe as &mut dyn Read));
        (status.code().or(status.signal().map(|signal| 128 + signal)), out, err)
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        if let Ok(None) = self.child.try_wait() {
            let _ = sys::pidfd::open(self.pid()).map(|fd| sys::pidfd::send(fd, Signal::TERM));
            let until = Instant::now() + Duration::from_secs(20);
            while Instant::now() < until && matches!(self.child.try_wait(), Ok(None)) {
                std::thread::sleep(Duration::from_millis(2));
            }
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

/// Reports whether a process is there.
pub fn lives(pid: Pid) -> bool {
    Path::new(&format!("/proc/{pid}")).exists()
}
