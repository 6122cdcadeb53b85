//! initctl against a server that follows a script, word for word.

use super::*;
use crate::cli::client::fake::{Act, Server};
use crate::cli::Look;
use engine::control::answer::Version;
use engine::control::call::{Clash, EnvScope, Listed};
use engine::control::fault::Fault;
use engine::machine::request::{Refusal, Request, Target, Wait, Which};
use engine::machine::state::{Goal, State};
use engine::machine::Level;
use engine::names::{InstanceName, JobName};
use engine::process::Role;
use engine::text::Text;
use engine::view::{InstanceView, JobView};

/// Runs a command line (words separated by spaces, `''` an empty one) with these variables; returns
/// exit code, standard output and standard error.
fn run_with(line: &str, variables: &[(&str, &str)]) -> (u8, String, String) {
    let mut words = line.split(' ').map(|word| if word == "''" { "" } else { word });
    let program = words.next().unwrap().to_owned();
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let env = |name: &str| {
        variables.iter().find(|row| row.0 == name).map(|row| row.1.as_bytes().to_vec())
    };
    let code = run(&mut World {
        program,
        args: words.map(|word| word.as_bytes().to_vec()).collect(),
        env: &env,
        uid: sys::peer::own_uid(),
        out: &mut out,
        err: &mut err,
        look: Look::Plain,
    });
    (code, String::from_utf8(out).unwrap(), String::from_utf8(err).unwrap())
}

/// Runs a command line that talks to a server; returns also the calls that came.
fn talk(
    line: &str,
    variables: &[(&str, &str)],
    answer: Result<Answer, Fault>,
) -> (u8, String, String, Vec<Call>) {
    let server = Server::start(vec![Act::Answer(answer)]);
    let address = server.address.to_string();
    let mut all = vec![("UPSTART_SESSION", address.as_str())];
    all.extend(variables);
    let (code, out, err) = run_with(line, &all);
    (code, out, err, server.calls())
}

fn view(job: &str, state: State, processes: &[(Role, i32)]) -> InstanceView {
    InstanceView {
        goal: if state == State::Waiting { Goal::Stop } else { Goal::Start },
        state,
        processes: processes.to_vec(),
        ..InstanceView::at_rest(JobName::try_from(job).unwrap(), InstanceName::default())
    }
}

fn instance(job: &str, state: State, processes: &[(Role, i32)]) -> Result<Answer, Fault> {
    Ok(Answer::Instance(Some(Box::new(view(job, state, processes)))))
}

fn by_env(job: &str, env: &[&str]) -> Target {
    let env = env.iter().map(|row| Text::from(*row)).collect();
    Target { job: Text::from(job), which: Which::Env(env) }
}

#[track_caller]
fn check_call(line: &str, variables: &[(&str, &str)], answer: Answer, out: &str, expected: Call) {
    let (code, shown, err, calls) = talk(line, variables, Ok(answer));
    assert_eq!((code, shown.as_str(), err.as_str()), (0, out, ""), "{line}");
    let calls: Vec<Call> = calls
        .into_iter()
        .map(|call| match call {
            Call::Ask(request, _) => Call::Ask(request, None),
            other => other,
        })
        .collect();
    assert_eq!(calls, [expected], "{line}");
}

#[track_caller]
fn check_refused(line: &str, refusal: &Refusal, expected: &str) {
    let (code, out, err, _) = talk(line, &[], Err(Fault::refused(refusal, None)));
    assert_eq!((code, out.as_str(), err.as_str()), (1, "", expected), "{line}");
}

#[track_caller]
fn check_alone(line: &str, variables: &[(&str, &str)], code: u8, out: &str, err: &str) {
    let run = run_with(line, variables);
    assert_eq!((run.0, run.1.as_str(), run.2.as_str()), (code, out, err), "{line}");
}

#[test]
fn mistakes_of_the_command_line_are_told_in_libnihs_words() {
    for (line, what) in [
        ("initctl", "missing command"),
        ("initctl bogus", "invalid command: bogus"),
        ("initctl --bogus list", "invalid option: --bogus"),
        ("initctl --bogus=1 list", "invalid option: --bogus=1"),
        ("initctl -x list", "invalid option: -x"),
        ("initctl list -qx", "invalid option: -x"),
        ("initctl list -n", "invalid option: -n"),
        ("initctl --system=1 list", "unexpected argument: --system=1"),
        ("initctl --dest", "missing argument: --dest"),
        ("initctl check-config -i", "missing argument: -i"),
        ("initctl --dest x list", "--dest given without --system"),
        ("initctl start", "missing job name"),
        ("initctl stop --", "missing job name"),
        ("initctl restart", "missing job name"),
        ("initctl reload", "missing job name"),
        ("initctl status", "missing job name"),
        ("initctl usage", "missing job name"),
        ("initctl emit", "missing event name"),
        ("initctl get-env", "missing variable name"),
        ("initctl set-env -g", "missing variable value"),
        ("initctl unset-env", "missing variable name"),
        ("initctl notify-dbus-address", "missing D-Bus address"),
        ("initctl notify-cgroup-manager-address", "missing address"),
        ("start", "missing job name"),
        ("status -z", "invalid option: -z"),
    ] {
        let program = line.split(' ').next().unwrap();
        let err = format!("{program}: {what}\nTry `{program} --help' for more information.\n");
        check_alone(line, &[], 1, "", &err);
    }
}

#[test]
fn help_is_laid_out_as_the_original_lays_it_out() {
    let mut shown = String::new();
    let lines = ["initctl --help", "initctl help start", "start --help", "initctl start --help"];
    for line in lines.into_iter().chain(["initctl check-config --help", "initctl --version"]) {
        let (code, out, err) = run_with(line, &[]);
        assert_eq!((code, err.as_str()), (0, ""), "{line}");
        shown += &format!("$ {line}\n{out}");
    }
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/initctl-help.txt");
    if std::env::var_os("UPDATE_EXPECT").is_some() {
        std::fs::write(path, &shown).unwrap();
    }
    let expected = std::fs::read_to_string(path).unwrap_or_default();
    assert!(shown == expected, "differs from {path} (UPDATE_EXPECT=1 accepts it):\n{shown}");
}

#[test]
fn help_and_version_are_those_of_the_recorded_original() {
    let recorded = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../../shared/conformance/upstart/expected/01-basic.txt"
    );
    let Ok(recorded) = std::fs::read_to_string(recorded) else {
        eprintln!("not compared: the recorded transcript is not there");
        return;
    };
    for line in [
        "initctl --help",
        "initctl help",
        "initctl help start",
        "start --help",
        "initctl --version",
    ] {
        let (_, out, _) = run_with(line, &[]);
        let wanted = format!("$ {line}\n{out}[rc=0]\n");
        assert!(recorded.contains(&wanted), "{line} printed\n{out}");
    }
}

#[test]
fn every_command_has_help_and_a_name_of_its_own() {
    for row in COMMANDS {
        let (code, out, err) = run_with(&format!("initctl {} --help", row.name), &[]);
        assert_eq!((code, err.as_str()), (0, ""), "{}", row.name);
        assert!(out.starts_with(&format!("Usage: initctl {} [OPTION]...", row.name)), "{out}");
        assert!(out.lines().all(|line| line.len() <= 80), "{out}");
        assert_eq!(names().filter(|name| *name == row.name).count(), 1);
    }
}

#[test]
fn requests_are_sent_as_asked_and_the_answered_state_is_shown() {
    let running =
        || Answer::Instance(Some(Box::new(view("web", State::Running, &[(Role::Main, 7)]))));
    let waiting = || Answer::Instance(Some(Box::new(view("web", State::Waiting, &[]))));
    let line = "web start/running, process 7\n";
    let ask = |request| Call::Ask(request, None);
    check_call(
        "initctl start web A=1 B=2",
        &[],
        running(),
        line,
        ask(Request::Start(by_env("web", &["A=1", "B=2"]), Wait::Settled)),
    );
    check_call(
        "start --no-wait web",
        &[],
        running(),
        line,
        ask(Request::Start(by_env("web", &[]), Wait::Accepted)),
    );
    check_call(
        "stop web -n",
        &[],
        waiting(),
        "web stop/waiting\n",
        ask(Request::Stop(by_env("web", &[]), Wait::Accepted)),
    );
    check_call(
        "restart web",
        &[],
        running(),
        line,
        ask(Request::Restart(by_env("web", &[]), Wait::Settled)),
    );
    check_call("initctl reload web", &[], running(), "", ask(Request::Reload(by_env("web", &[]))));
    check_call(
        "initctl emit -- -n A=1",
        &[],
        Answer::Instance(None),
        "",
        ask(Request::Emit(Text::from("-n"), vec![Text::from("A=1")], Wait::Settled)),
    );
    check_call(
        "initctl emit -n ''",
        &[],
        Answer::Instance(None),
        "",
        ask(Request::Emit(Text::default(), Vec::new(), Wait::Accepted)),
    );
    check_call("status web K=V", &[], running(), line, Call::Status(by_env("web", &["K=V"])));
    check_call("initctl -q status web", &[], running(), "", Call::Status(by_env("web", &[])));
    check_call("initctl status --quiet web", &[], running(), "", Call::Status(by_env("web", &[])));
}

#[test]
fn a_job_that_asks_without_a_name_means_itself_and_does_not_wait() {
    let own = Target {
        job: Text::from("web"),
        which: Which::Named(InstanceName::try_from("x").unwrap()),
    };
    let variables = [("UPSTART_JOB", "web"), ("UPSTART_INSTANCE", "x")];
    check_call(
        "initctl stop",
        &variables,
        Answer::Instance(None),
        "",
        Call::Ask(Request::Stop(own.clone(), Wait::Accepted), None),
    );
    let unnamed = Target { which: Which::Named(InstanceName::default()), ..own.clone() };
    check_call(
        "initctl status",
        &[("UPSTART_JOB", "web"), ("UPSTART_INSTANCE", "")],
        Answer::Instance(None),
        "",
        Call::Status(unnamed),
    );
    check_call(
        "initctl start db",
        &variables,
        Answer::Instance(None),
        "",
        Call::Ask(Request::Start(by_env("db", &[]), Wait::Settled), None),
    );
    let missing = "start: missing job name\nTry `start --help' for more information.\n";
    check_alone("start", &[("UPSTART_JOB", "web")], 1, "", missing);
}

#[test]
fn the_other_commands_ask_and_print_what_the_original_does() {
    let views = vec![
        view("a", State::Waiting, &[]),
        view("b", State::PostStart, &[(Role::Main, 7), (Role::PostStart, 8)]),
    ];
    check_call(
        "initctl list",
        &[],
        Answer::Instances(views),
        "a stop/waiting\nb start/post-start, process 7\n\tpost-start process 8\n",
        Call::List(None, Listed::Own),
    );
    let version = Answer::Version(Version::own(1));
    check_call("initctl version", &[], version, "init (upstart 1.13.2)\n", Call::Version);
    let info = Answer::Priority(Level::Info);
    check_call("initctl log-priority", &[], info, "info\n", Call::GetLogPriority);
    let set = Call::SetLogPriority(Level::Debug);
    check_call("initctl log-priority debug", &[], Answer::Done, "", set);
    let usage = |text| Answer::Usage(text);
    let call = || Call::Usage(Text::from("a"));
    check_call("initctl usage a", &[], usage(Some(Text::from("a B=c"))), "Usage: a B=c\n", call());
    check_call("initctl usage a", &[], usage(None), "Usage: \n", call());
    check_call("initctl reload-configuration", &[], Answer::Done, "", Call::ReloadConfiguration);
    check_call("initctl notify-disk-writeable", &[], Answer::Done, "", Call::NotifyDiskWriteable);
}

#[test]
fn commands_of_the_environment_mean_the_job_they_run_in_unless_told_otherwise() {
    let inside = [("UPSTART_JOB", "web"), ("UPSTART_INSTANCE", "")];
    let own = || EnvScope::Instance(Text::from("web"), InstanceName::default());
    let value = Answer::Value(Text::from("v"));
    let name = || Text::from("A");
    check_call("initctl get-env A", &inside, value.clone(), "v\n", Call::GetEnv(own(), name()));
    let global = Call::GetEnv(EnvScope::Global, name());
    check_call("initctl get-env -g A", &inside, value, "v\n", global);
    check_call(
        "initctl set-env -r A=1",
        &[],
        Answer::Done,
        "",
        Call::SetEnv(EnvScope::Global, vec![Text::from("A=1")], Clash::Keep),
    );
    let unset = Call::UnsetEnv(own(), vec![name()]);
    check_call("initctl unset-env A", &inside, Answer::Done, "", unset);
    check_call("initctl reset-env", &inside, Answer::Done, "", Call::ResetEnv(own()));
    check_call(
        "initctl list-env --global",
        &inside,
        Answer::Variables(vec![Text::from("A=1"), Text::from("B=2")]),
        "A=1\nB=2\n",
        Call::ListEnv(EnvScope::Global),
    );
    let missing = "initctl: missing job name\nTry `initctl --help' for more information.\n";
    check_alone("initctl list-env", &[("UPSTART_JOB", "web")], 1, "", missing);
}

#[test]
fn refusals_are_told_in_the_originals_words() {
    let job = || JobName::try_from("hello").unwrap();
    let unnamed = InstanceName::default;
    let running = Refusal::AlreadyRunning(job(), unnamed());
    check_refused("initctl start hello", &running, "initctl: Job is already running: hello\n");
    check_refused("start hello", &running, "start: Job is already running: hello\n");
    let unknown = Refusal::UnknownJob(Text::from("nosuch"));
    check_refused("initctl status nosuch", &unknown, "initctl: Unknown job: nosuch\n");
    check_refused("initctl show-config nosuch", &unknown, "initctl: Unknown job: nosuch\n");
    let instance = Refusal::UnknownInstance(unnamed());
    check_refused("initctl stop hello", &instance, "initctl: Unknown instance: \n");
    let env = Refusal::BadEnv;
    check_refused("initctl start hello B", &env, "initctl: Env must be KEY=VALUE pairs\n");
    let expansion =
        Refusal::Expansion("Unknown parameter: DEV".into(), Some(Text::from("tty DEV=ttyX")));
    check_refused(
        "initctl start tty",
        &expansion,
        "initctl: Unknown parameter: DEV\nUsage: tty DEV=ttyX\n",
    );
    let (code, out, err) = run_with("initctl log-priority nonsense", &[]);
    assert_eq!((code, out.as_str()), (1, ""));
    assert_eq!(err, "initctl: The log priority given was not recognised\n");
}

#[test]
fn show_config_and_check_config_print_and_judge_what_the_daemon_describes() {
    let jobs = vec![JobView {
        name: JobName::try_from("web").unwrap(),
        usage: None,
        description: None,
        author: None,
        version: None,
        emits: vec![Text::from("boing")],
        start_on: None,
        stop_on: None,
    }];
    let answer = || Answer::Jobs(jobs.clone());
    check_call(
        "initctl show-config",
        &[],
        answer(),
        "web\n  emits boing\n",
        Call::ShowConfig(None),
    );
    let one = Call::ShowConfig(Some(Text::from("web")));
    check_call("initctl show-config -e web", &[], answer(), "web\n  emits boing\n", one);
    check_call("initctl check-config", &[], answer(), "", Call::ShowConfig(None));
    let (code, out, err, _) = talk("initctl check-config nosuch", &[], Ok(answer()));
    assert_eq!((code, out.as_str()), (1, ""));
    assert_eq!(err, "initctl: Invalid job class: nosuch\n");
}

#[test]
fn where_there_is_no_daemon_the_address_is_named() {
    let nowhere = [("UPSTART_SESSION", "unix:abstract=/upright-test/nobody")];
    check_alone(
        "initctl list",
        &nowhere,
        1,
        "",
        "initctl: Unable to connect to Upstart: Failed to connect to socket \
         /upright-test/nobody: Connection refused\n",
    );
    check_alone(
        "initctl --user list",
        &[],
        1,
        "",
        "initctl: UPSTART_SESSION isn't set in the environment. Unable to locate the Upstart \
         instance.\n",
    );
    check_alone(
        "initctl --session list",
        &nowhere,
        1,
        "",
        "initctl: Unable to connect to session bus: Unable to autolaunch a dbus-daemon without a \
         $DISPLAY for X11\n",
    );
}

#[test]
fn sessions_that_run_are_listed_and_stale_files_passed_over() {
    let directory = crate::scratch::Scratch::path("sessions");
    let sessions = directory.join("upstart/sessions");
    std::fs::create_dir_all(&sessions).unwrap();
    let own = std::process::id();
    let write = |name: String, text: &str| std::fs::write(sessions.join(name), text).unwrap();
    write(format!("{own}.session"), "UPSTART_SESSION=unix:abstract=/s\n");
    write("4194305.session".into(), "UPSTART_SESSION=unix:abstract=/gone\n");
    write("1.session".into(), "nonsense");
    write("x.session".into(), "UPSTART_SESSION=unix:abstract=/x\n");
    write("2.other".into(), "UPSTART_SESSION=unix:abstract=/x\n");
    let variables = [("XDG_RUNTIME_DIR", directory.to_str().unwrap())];
    let listed = format!("{own} unix:abstract=/s\n");
    check_alone("initctl list-sessions", &variables, 0, &listed, "");
    let stale = sessions.join("4194305.session");
    let (_, out, _) = run_with("initctl -v list-sessions", &variables);
    assert!(out.contains(&format!("Ignoring stale session file: {}\n", stale.display())), "{out}");
    std::fs::remove_dir_all(&sessions).unwrap();
    check_alone(
        "initctl list-sessions",
        &variables,
        1,
        "",
        "initctl: unable to determine sessions\n",
    );
    check_alone(
        "initctl list-sessions",
        &[],
        1,
        "",
        "initctl: Unable to query session directory\n",
    );
}

#[test]
fn addresses_are_passed_on_without_a_word() {
    let address = || Text::from("unix:path=/x");
    let bus = Call::NotifyDbusAddress(address());
    check_call("initctl notify-dbus-address unix:path=/x", &[], Answer::Done, "", bus);
    let manager = Call::NotifyCgroupManagerAddress(address());
    let words = "initctl notify-cgroup-manager-address unix:path=/x";
    check_call(words, &[], Answer::Done, "", manager);
}

#[test]
fn a_failed_answer_of_status_is_told_with_the_links_name() {
    let (code, out, err, calls) =
        talk("status web", &[], Err(Fault::Unavailable("web: not now".into())));
    assert_eq!((code, out.as_str(), err.as_str()), (1, "", "status: web: not now\n"));
    assert_eq!(calls.len(), 1);
    let (code, out, ..) = talk("status web", &[], instance("web", State::Starting, &[]));
    assert_eq!((code, out.as_str()), (0, "web start/starting\n"));
}
