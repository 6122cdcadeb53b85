//! Where the outputs of programs go.

use crate::daemon::{eventually, Place};
use engine::control::answer::Answer;
use engine::control::call::Call;
use engine::control::command::Command;
use engine::control::notice::Speech;
use engine::machine::request::{Target, Which};
use engine::process::Stream;
use engine::signal::Signal;
use engine::text::Text;
use engine::view::ProgramState;
use std::io::{Read, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;
use upright::cli::connect::{self, Address};

/// Listens to what programs say.
struct Listener {
    stream: UnixStream,
    read: Vec<u8>,
}

impl Listener {
    fn new(place: &Place) -> Listener {
        let address = Address::Path(place.dir.join("run/upright/control"));
        let mut stream = connect::connect(&address, sys::peer::own_uid()).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        let mut call = Vec::new();
        Call::Outputs.encode(&mut call);
        stream.write_all(&call).unwrap();
        Listener { stream, read: Vec::new() }
    }

    fn next(&mut self) -> Speech {
        loop {
            if let Some(end) = self.read.iter().position(|byte| *byte == 0) {
                let frame: Vec<u8> = self.read.drain(..=end).collect();
                match Answer::decode(Command::Outputs, &frame[..end]).unwrap().0 {
                    Answer::Speech(speech) => return speech,
                    other => panic!("{other:?}"),
                }
            }
            let mut buffer = [0; 4096];
            let length = self.stream.read(&mut buffer).unwrap();
            assert!(length > 0, "it goes on");
            self.read.extend_from_slice(&buffer[..length]);
        }
    }
}

fn target(job: &str) -> Target {
    Target { job: Text::from(job), which: Which::Env(Vec::new()) }
}

#[test]
fn each_output_has_its_file_and_redirected_errors_are_in_that_of_the_output() {
    let place = Place::new(
        "[program:two]\ncommand=sh -c 'echo out; echo err >&2; exec sleep 1000'\n\
         stdout_logfile=%(here)s/two.out\nstderr_logfile=two.err\n\
         [program:one]\ncommand=sh -c 'echo out; echo err >&2; exec sleep 1000'\n\
         stdout_logfile=%(here)s/one.out\nredirect_stderr=true\n\
         [program:none]\ncommand=sh -c 'echo out; echo err >&2; exec sleep 1000'\n\
         stdout_logfile=NONE\nstderr_logfile=NONE\n",
    );
    let supervisord = place.start();
    ["one", "two", "none"].iter().for_each(|job| {
        supervisord.comes_to(job, ProgramState::Running);
    });
    let reads = |file: &str, text: &str| {
        eventually(file, || (place.read(file) == text).then_some(()));
    };
    reads("two.out", "out\n");
    reads("two.err", "err\n");
    reads("one.out", "out\nerr\n");
    let mode = std::fs::metadata(place.dir.join("two.err")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o644);
    let path = |job: &str, stream| place.client().unwrap().ask(Call::LogPath(target(job), stream));
    let Ok(Answer::Path(err)) = path("two", Stream::Stderr) else { panic!("it has a file") };
    assert_eq!(err, Text::from(place.dir.join("two.err").to_str().unwrap()));
    assert!(path("one", Stream::Stderr).is_err() && path("none", Stream::Stdout).is_err());
    for job in ["one", "two", "none"] {
        let told = supervisord.program(job);
        for (stream, log) in [(Stream::Stdout, told.stdout_log), (Stream::Stderr, told.stderr_log)]
        {
            let alone = match path(job, stream) {
                Ok(Answer::Path(path)) => Some(path),
                Ok(_) | Err(_) => None,
            };
            assert_eq!(log, alone, "{job} {stream:?}");
        }
    }
    supervisord.signal(Signal::TERM);
    assert_eq!(supervisord.end().0, Some(0));
}

#[test]
fn output_to_dev_stdout_and_dev_stderr_is_that_of_the_daemon_line_by_line() {
    let place = Place::new(
        "silent=true\n[program:web]\ncommand=sh -c 'echo out; echo err >&2; printf rest'\n\
         startsecs=0\nautorestart=false\n\
         stdout_logfile=/dev/stdout\nstdout_logfile_maxbytes=0\n\
         stderr_logfile=/dev/fd/2\nstderr_logfile_maxbytes=0\n",
    );
    let supervisord = place.start();
    supervisord.comes_to("web", ProgramState::Exited);
    supervisord.signal(Signal::TERM);
    let (code, out, err) = supervisord.end();
    assert_eq!((code, out.as_str(), err.as_str()), (Some(0), "out\nrest\n", "err\n"));
}

#[test]
fn names_that_are_made_up_stay_the_same_and_are_cleaned_up_only_when_nobody_lives() {
    let text = "childlogdir=%(here)s\n[program:web]\ncommand=sh -c 'echo out; exec sleep 1000'\n";
    let place = Place::new(text);
    let supervisord = place.start();
    supervisord.comes_to("web", ProgramState::Running);
    let path = || match supervisord.ask(Call::LogPath(target("web"), Stream::Stdout)) {
        Answer::Path(path) => path.to_string(),
        other => panic!("{other:?}"),
    };
    let log = path();
    let there = |count: usize| {
        let read = || std::fs::read_to_string(&log).ok();
        eventually("its lines", || read().filter(|text| text.lines().count() == count));
    };
    there(1);
    let mode = std::fs::metadata(&log).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let other = Place::new(&text.replace("%(here)s", place.dir.to_str().unwrap()));
    let second = other.start();
    second.comes_to("web", ProgramState::Running);
    assert!(Path::new(&log).exists(), "its owner lives");
    let daemon = |name: &[u8]| {
        let children = sys::procfs::children_of(supervisord.pid());
        children.into_iter().find(|pid| {
            let first = sys::procfs::arguments(*pid).and_then(|all| all.into_iter().next());
            first.is_some_and(|first| first.starts_with(name))
        })
    };
    let before = daemon(b"upright-daemon").unwrap();
    place.signal(before, Signal::KILL);
    eventually("another daemon", || daemon(b"upright-daemon").filter(|pid| *pid != before));
    assert_eq!(path(), log, "also of the daemon after it");
    place.signal(supervisord.program("web").pid.unwrap(), Signal::KILL);
    there(2);
    supervisord.signal(Signal::TERM);
    assert_eq!(supervisord.end().0, Some(0));
    second.signal(Signal::TERM);
    assert_eq!(second.end().0, Some(0));
    let third = other.start();
    third.comes_to("web", ProgramState::Running);
    assert!(!Path::new(&log).exists(), "nobody lives whose it was");
    third.signal(Signal::TERM);
    third.end();
}

#[test]
fn what_stands_between_the_signs_is_told_and_not_written_and_colours_are_taken_out() {
    let long = "x".repeat(40_000);
    let place = Place::new(&format!(
        "strip_ansi=true\n[program:web]\ncommand=sh %(here)s/talk\nstartsecs=0\nautorestart=false\n\
         autostart=false\nstdout_logfile=out\nstdout_capture_maxbytes=1MB\n\
         stdout_events_enabled=true\nstderr_logfile=err\n{}",
        "[program:other]\ncommand=echo unheard\nstartsecs=0\nautorestart=false\n"
    ));
    let talk = format!(
        "printf 'a\\033[31mb\\n'; printf '<!--XSUPERVISOR:BEGIN-->{long}<!--XSUPERVISOR:END-->'\n\
         sleep 0.2; printf 'c\\n'; printf 'wrong\\n' >&2\n"
    );
    std::fs::write(place.dir.join("talk"), talk).unwrap();
    let supervisord = place.start();
    supervisord.comes_to("other", ProgramState::Exited);
    let mut listener = Listener::new(&place);
    let wait = engine::machine::request::Wait::Accepted;
    let start = engine::machine::request::Request::Start(target("web"), wait);
    supervisord.ask(Call::Ask(start, None));
    let (mut written, mut captured, mut pids) = (Vec::new(), Vec::new(), Vec::new());
    while written.len() < 5 || captured.is_empty() {
        let speech = listener.next();
        assert_eq!((speech.job.to_string().as_str(), speech.missed), ("web", 0));
        assert_eq!(speech.stream, Stream::Stdout);
        pids.push(speech.pid);
        match speech.captured {
            true => captured.push(speech.said),
            false => written.extend_from_slice(speech.said.bytes()),
        }
    }
    assert_eq!(captured, [Text::from(long.as_str())]);
    assert_eq!(written, b"ab\nc\n");
    assert!(pids.iter().all(|pid| *pid == pids[0] && *pid > 0), "{pids:?}");
    eventually("the log", || (place.read("out") == "ab\nc\n").then_some(()));
    eventually("the other log", || (place.read("err") == "wrong\n").then_some(()));
    supervisord.signal(Signal::TERM);
    assert_eq!(supervisord.end().0, Some(0));
}

/// Of programs, whatever their names are made of, and of the daemon itself; a program may say otherwise.
#[test]
fn logs_belong_to_whom_the_configuration_names() {
    if sys::peer::own_uid() != 0 {
        println!("passed over: only root gives files to others");
        return;
    }
    let place = Place::new(
        "log_mode=0640\nlog_owner=nobody\nchildlogdir=%(here)s\n\
         [program:web]\ncommand=sh -c 'echo out; echo err >&2; exec sleep 1000'\n\
         stdout_logfile=%(here)s/web.out\n\
         [program:own]\ncommand=sh -c 'echo out; exec sleep 1000'\n\
         stdout_logfile=%(here)s/own.out\nlog_mode=0600\nlog_owner=root\n",
    );
    let supervisord = place.start();
    ["web", "own"].iter().for_each(|job| {
        supervisord.comes_to(job, ProgramState::Running);
    });
    let automatic = match supervisord.ask(Call::LogPath(target("web"), Stream::Stderr)) {
        Answer::Path(path) => PathBuf::from(path.to_string()),
        other => panic!("{other:?}"),
    };
    let nobody = sys::users::user(Path::new("/"), b"nobody").unwrap().uid;
    let here = |name: &str| place.dir.join(name);
    for (path, mode, owner) in [
        (here("log"), 0o640, nobody),
        (here("web.out"), 0o640, nobody),
        (automatic, 0o640, nobody),
        (here("own.out"), 0o600, 0),
    ] {
        let what = format!("{} is {owner}'s, {mode:o}", path.display());
        eventually(&what, || {
            let found = std::fs::metadata(&path).ok()?;
            let is_so = found.permissions().mode() & 0o7777 == mode && found.uid() == owner;
            is_so.then_some(())
        });
    }
}
