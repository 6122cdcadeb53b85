//! Our `supervisord` with real programs.

use crate::daemon::{eventually, lives, Place};
use engine::signal::Signal;
use engine::view::ProgramState;

/// Runs until it is told to end.
const WEB: &str = "[program:web]\ncommand=sleep 1000\nstartsecs=0\n";

#[test]
fn programs_start_by_priority_and_stop_in_the_other_order_and_the_code_is_0() {
    let place = Place::new(
        "[program:last]\ncommand=sleep 1000\npriority=30\n\
         [program:first]\ncommand=sleep 1000\npriority=10\n\
         [program:never]\ncommand=sleep 1000\nautostart=false\n\
         [program:gone]\ncommand=/bin/false\nstartretries=0\n",
    );
    let supervisord = place.start();
    assert_eq!(place.pid(), Some(supervisord.pid()));
    let last = supervisord.comes_to("last", ProgramState::Running);
    let first = supervisord.comes_to("first", ProgramState::Running);
    assert!(first.pid < last.pid, "{first:?} {last:?}");
    assert_eq!(supervisord.program("never").state, ProgramState::Stopped);
    supervisord.comes_to("gone", ProgramState::Fatal);
    supervisord.signal(Signal::TERM);
    let (code, out, err) = supervisord.end();
    assert_eq!((code, err.as_str()), (Some(0), ""));
    assert_eq!(place.pid(), None, "the pid file is removed");
    let log = place.log();
    let at = |words: &str| {
        let place = log.iter().position(|line| line.contains(words));
        place.unwrap_or_else(|| panic!("no `{words}` in {log:#?}"))
    };
    let (first, last) = (first.pid.unwrap(), last.pid.unwrap());
    at(&format!("INFO spawned: 'first' with pid {first}"));
    at(&format!("INFO spawned: 'last' with pid {last}"));
    let order = [
        at("INFO supervisord started with pid"),
        at("INFO spawned: 'gone' with pid"),
        at("WARN exited: gone (exit status 1; not expected)"),
        at("INFO gave up: gone entered FATAL state, too many start retries too quickly"),
        at("INFO success: first entered RUNNING state, process has stayed up for > than 1 seconds (startsecs)"),
        at("WARN received SIGTERM indicating exit request"),
        at("WARN stopped: last (terminated by SIGTERM)"),
        at("WARN stopped: first (terminated by SIGTERM)"),
    ];
    assert!(order.is_sorted(), "{log:#?}");
    assert_eq!(out, place.read("log"), "the same lines on standard output");
    assert!(!lives(first) && !lives(last));
}

#[test]
fn each_of_three_signals_ends_it() {
    for signal in [Signal::INT, Signal::QUIT] {
        let place = Place::new(WEB);
        let supervisord = place.start();
        let pid = supervisord.comes_to("web", ProgramState::Running).pid.unwrap();
        supervisord.signal(signal);
        assert_eq!(supervisord.end().0, Some(0));
        place.says(&format!("WARN received SIG{signal} indicating exit request"));
        assert!(!lives(pid));
    }
}

#[test]
fn in_the_background_it_is_there_once_the_command_returns() {
    let place = Place::new(WEB);
    let (code, out, err) = place.refuses(&["-c", "x.conf"]);
    assert_eq!((code, out.as_str(), err.as_str()), (Some(0), "", ""));
    let pid = place.pid().expect("a pid file");
    assert!(lives(pid) && place.client().is_some());
    place.says("INFO spawned: 'web'");
    place.signal(pid, Signal::TERM);
    eventually("it ends", || (!lives(pid)).then_some(()));
    assert_eq!(place.pid(), None);
}

#[test]
fn mistakes_are_told_as_the_original_tells_them() {
    let place = Place::new("[program:x]\n");
    let usage = |said: &str| {
        let program = place.dir.join("supervisord");
        (Some(2), String::new(), format!("Error: {said}\nFor help, use {} -h\n", program.display()))
    };
    let missing = "program section program:x does not specify a command in section 'program:x' (file: 'x.conf')";
    for arguments in [&["-n", "-c", "x.conf"][..], &["-c", "x.conf"]] {
        assert_eq!(place.refuses(arguments), usage(missing));
    }
    assert_eq!(place.refuses(&["-c", "none"]), usage("could not find config file none"));
    assert_eq!(place.refuses(&["-Z"]), usage("option -Z not recognized"));
    let (code, out, _) = place.refuses(&["-v"]);
    assert_eq!((code, out.as_str()), (Some(0), "4.3.0\n"));
    let (code, out, _) = place.refuses(&["-h"]);
    assert!(code == Some(0) && out.starts_with("supervisord -- run a set of applications"));
}
