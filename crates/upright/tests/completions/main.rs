//! Completions in real shells: somebody sits at a terminal, types the beginning of a word, the tab
//! key and Enter, and what then happens is what the whole word says.

mod terminal;

use engine::control::answer::Answer;
use engine::control::call::{Call, Listed};
use engine::machine::state::State;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use terminal::Terminal;
use upright::cli::client::Client;
use upright::cli::connect::{self, Address};

/// How long a fact is waited for before a test fails.
const PATIENCE: Duration = Duration::from_secs(60);

/// What a shell reads before it asks for the first line: files of its home, with its text.
struct Shell {
    program: &'static str,
    arguments: &'static [&'static str],
    files: &'static [(&'static str, &'static str)],
}

const BASH: Shell = Shell {
    program: "/bin/bash",
    arguments: &["--noprofile", "--rcfile", ".bashrc", "-i"],
    files: &[(".bashrc", "unset HISTFILE\nPS1='ready> '\n. DIST/upright.bash\n")],
};

const ZSH: Shell = Shell {
    program: "/usr/bin/zsh",
    arguments: &["-i"],
    files: &[(
        ".zshrc",
        "PS1='ready> '\nfpath=(DIST $fpath)\nautoload -Uz compinit\ncompinit -u -D\n",
    )],
};

const FISH: Shell = Shell {
    program: "/usr/bin/fish",
    arguments: &["-i"],
    files: &[(
        ".config/fish/config.fish",
        "set fish_greeting\nfunction fish_prompt; echo -n 'ready> '; end\n. DIST/upright.fish\n",
    )],
};

/// An Upright with a few jobs, in a directory of its own.
struct World {
    dir: PathBuf,
    core: Child,
}

fn eventually<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let until = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < until, "did not come about: {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

impl World {
    fn start(name: &str) -> World {
        let dir = std::env::temp_dir().join(format!("upright-tab-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&dir);
        for part in ["conf", "log", "run", "bin", "home"] {
            fs::create_dir_all(dir.join(part)).unwrap();
        }
        for job in ["only-one", "other", "pool:first"] {
            let text = "start on startup\nexec sleep 1000\n";
            fs::write(dir.join(format!("conf/{job}.conf")), text).unwrap();
        }
        for name in ["upright", "initctl"] {
            std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_upright"), dir.join("bin").join(name))
                .unwrap();
        }
        let said = fs::File::create(dir.join("said")).unwrap();
        let core = Command::new(env!("CARGO_BIN_EXE_upright-core"))
            .arg("--user")
            .arg("--confdir")
            .arg(dir.join("conf"))
            .arg("--logdir")
            .arg(dir.join("log"))
            .env("XDG_RUNTIME_DIR", dir.join("run"))
            .stdin(Stdio::null())
            .stdout(said.try_clone().unwrap())
            .stderr(said)
            .spawn()
            .unwrap();
        let world = World { dir, core };
        ["only-one", "other", "pool:first"].iter().for_each(|job| world.is(job, State::Running));
        world
    }

    fn socket(&self) -> PathBuf {
        self.dir.join("run/upright/control")
    }

    /// Waits until a job is in a state.
    fn is(&self, job: &str, state: State) {
        let uid = sys::peer::own_uid();
        eventually(&format!("{job} is {state}"), || {
            let address = Address::Path(self.socket());
            let stream = connect::connect(&address, uid).ok()?;
            let listed = Client::new(stream, address, uid).ask(Call::List(None, Listed::Own));
            let Ok(Answer::Instances(views)) = listed else { return None };
            let view = views.iter().find(|view| view.job.to_string() == job)?;
            (view.state == state).then_some(())
        });
    }

    /// Starts a shell at a terminal and waits until it asks for a line.
    fn shell(&self, shell: &Shell) -> Terminal {
        let home = self.dir.join("home");
        let dist = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../dist/completions");
        for (file, text) in shell.files {
            let file = home.join(file);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, text.replace("DIST", &dist.display().to_string())).unwrap();
        }
        let path = format!("{}:/usr/bin:/bin", self.dir.join("bin").display());
        let mut command = Command::new("setsid");
        command
            .args(["-c", "-w", "sh", "-c", "stty rows 40 cols 200; exec \"$@\"", "sh"])
            .arg(shell.program)
            .args(shell.arguments)
            .current_dir(&home)
            .env_clear()
            .envs([("PATH", path.as_str()), ("TERM", "xterm"), ("LANG", "C.UTF-8")])
            .env("HOME", &home)
            .env("ZDOTDIR", &home)
            .env("UPRIGHT_SOCKET", self.socket());
        let terminal = Terminal::start(command);
        eventually("the shell asks for a line", || terminal.shows("ready> ").then_some(()));
        terminal
    }

    /// Waits for the whole text that a command has written to a file.
    fn wrote(&self, file: &str, text: &str) {
        let path = self.dir.join("home").join(file);
        eventually(&format!("{file} says {text}"), || {
            fs::read_to_string(&path).unwrap_or_default().contains(text).then_some(())
        });
    }
}

impl Drop for World {
    fn drop(&mut self) {
        let pid = sys::pidfd::open(self.core.id().try_into().unwrap());
        let _ = pid.map(|pid| sys::pidfd::send(pid, engine::signal::Signal::TERM));
        let until = Instant::now() + PATIENCE;
        while Instant::now() < until && matches!(self.core.try_wait(), Ok(None)) {
            std::thread::sleep(Duration::from_millis(2));
        }
        let _ = self.core.kill();
        let _ = self.core.wait();
        let _ = fs::remove_dir_all(&self.dir);
    }
}

fn check(name: &str, shell: &Shell) {
    if !Path::new(shell.program).exists() {
        println!("passed over: {} is not installed", shell.program);
        return;
    }
    let world = World::start(name);
    let terminal = world.shell(shell);
    // A command, and a job that runs.
    terminal.type_("upright sto\tonly-o\t\r");
    world.is("only-one", State::Waiting);
    world.is("other", State::Running);
    // An option, and a name with a letter that is another word to readline.
    terminal.type_("upright stop --no-w\tpool:f\t\r");
    world.is("pool:first", State::Waiting);
    // The original's words.
    terminal.type_("initctl start only-o\t\r");
    world.is("only-one", State::Running);
    // The shell's own files, and words that an option takes.
    terminal.type_("upright check ../conf/oth\t && echo fine > checked\r");
    world.wrote("checked", "fine");
    terminal.type_("upright events --kind sta\t > events; echo over >> events\r");
    world.wrote("events", "over");
    let events = fs::read_to_string(world.dir.join("home/events")).unwrap();
    assert!(events.contains("only-one"), "states were asked for: {events}");
}

#[test]
fn bash_completes() {
    check("bash", &BASH);
}

#[test]
fn zsh_completes() {
    check("zsh", &ZSH);
}

#[test]
fn fish_completes() {
    check("fish", &FISH);
}
