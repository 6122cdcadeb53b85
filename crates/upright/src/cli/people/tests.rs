//! The commands for people against a server that follows a script.

use super::commands::{Talks, COMMANDS};
use super::*;
use crate::cli::client::fake::{Act, Server};
use crate::scratch::Scratch;

use engine::control::answer::Version;
use engine::control::call::{Back, Follow, Listed};
use engine::control::notice::Notice;
use engine::dialect::upstart;
use engine::machine;
use engine::machine::request::{Asked, Failure, Refusal, Reply, Request, Wait};
use engine::machine::state::{Goal, State};
use engine::names::{EventName, JobName};
use engine::plan::{PlanRow, RowKind};
use engine::process::{Exit as End, Role, Step, Stream};
use engine::spec::{Condition, Node, Operand};
use engine::time::Span;
use engine::view::{
    InstanceView, JobView, LastExit, LogState, LogView, Mark, MarkKind, Need, Remembered, RunView,
    TimelineView, WhyView,
};
use std::fs::File;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// What a command printed.
struct Ran {
    code: u8,
    out: String,
    err: String,
    calls: Vec<Call>,
}

fn run_with(line: &str, variables: &[(&str, &str)], look: Look) -> (u8, String, String) {
    let mut words = line.split(' ');
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let env = |name: &str| {
        variables.iter().find(|row| row.0 == name).map(|row| row.1.as_bytes().to_vec())
    };
    let code = run(&mut World {
        program: words.next().unwrap().to_owned(),
        args: words.map(|word| word.as_bytes().to_vec()).collect(),
        env: &env,
        uid: sys::peer::own_uid(),
        out: &mut out,
        err: &mut err,
        look,
    });
    (code, String::from_utf8(out).unwrap(), String::from_utf8(err).unwrap())
}

fn talk(line: &str, script: Vec<Act>) -> Ran {
    let server = Server::start(script);
    let address = server.address.to_string();
    let (code, out, err) = run_with(line, &[("UPRIGHT_SOCKET", &address)], Look::Plain);
    Ran { code, out, err, calls: server.calls() }
}

fn answered(line: &str, answer: Answer) -> Ran {
    talk(line, vec![Act::Answer(Ok(answer))])
}

fn view(job: &str, state: State) -> InstanceView {
    let goal = if state == State::Waiting { Goal::Stop } else { Goal::Start };
    InstanceView {
        goal,
        state,
        processes: match state {
            State::Running => vec![(Role::Main, 123)],
            _ => Vec::new(),
        },
        since: Span::secs(303),
        ..InstanceView::at_rest(JobName::try_from(job).unwrap(), InstanceName::default())
    }
}

fn some_views() -> Vec<InstanceView> {
    let mut failed = view("db", State::Waiting);
    let not_spawned = LastExit::NotSpawned { process: Role::Main, step: Step::Exec, errno: 2 };
    failed.last_exit = Some((not_spawned, Span::secs(7)));
    let mut starting = view("tty", State::PreStart);
    starting.instance = InstanceName::try_from("tty1").unwrap();
    starting.processes = vec![(Role::PreStart, 99)];
    starting.waits_for = String::from("the pre-start process to end");
    let mut running = view("web", State::Running);
    running.respawns = 3;
    let killed = End::Signal { signal: 9, core: false };
    running.last_exit =
        Some((LastExit::Ended { process: Role::Main, exit: killed }, Span::secs(310)));
    running.warnings = vec![String::from("nice: not permitted")];
    vec![failed, starting, running]
}

#[test]
fn status_shows_a_line_for_each_instance_and_its_warnings() {
    let ran = answered("upright status", Answer::Instances(some_views()));
    let expected = "\
JOB         STATE            PID             FOR    RESTARTS  LAST RUN                                                               WAITS FOR
db          stop/waiting     -               -      0         main process: unable to execute: No such file or directory, 7s ago     -
tty (tty1)  start/pre-start  99 (pre-start)  5m 3s  0         -                                                                      the pre-start process to end
web         start/running    123             5m 3s  3         killed by KILL signal, 5m 10s ago                                      -
web: warning: nice: not permitted
";
    let squeezed = |text: &str| -> Vec<String> {
        text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect()
    };
    assert_eq!(squeezed(&ran.out), squeezed(expected));
    let column = ran.out.lines().next().unwrap().find("WAITS FOR").unwrap();
    let waits = ran.out.lines().nth(2).unwrap().find("the pre-start process to end").unwrap();
    assert_eq!(waits, column, "columns stand below each other:\n{}", ran.out);
    assert_eq!((ran.code, ran.err.as_str()), (0, ""));
    assert_eq!(ran.calls, [Call::List(None, Listed::Own)]);
}

#[test]
fn status_of_one_job_asks_for_that_job() {
    let ran = answered("upright status web --all", Answer::Instances(Vec::new()));
    assert_eq!(ran.calls, [Call::List(Some(Text::from("web")), Listed::All)]);
    assert!(ran.err.starts_with("There is no job."), "{}", ran.err);
}

#[test]
fn a_pattern_means_all_jobs_that_it_matches() {
    let ran = answered("upright status t*", Answer::Instances(some_views()));
    assert_eq!(ran.calls, [Call::List(None, Listed::Own)]);
    let jobs: Vec<&str> = ran.out.lines().filter_map(|line| line.split(' ').next()).collect();
    assert_eq!(jobs, ["JOB", "tty"]);

    let ran = answered("upright stop nope-*", Answer::Instances(some_views()));
    let said = "upright: no job has a name like `nope-*`.\n`upright status` shows all jobs.\n";
    assert_eq!((ran.code, ran.err.as_str()), (1, said));

    // Each instance that runs; what does not run is left alone.
    let stopped = Answer::Instance(Some(Box::new(view("web", State::Waiting))));
    let script = [Answer::Instances(some_views()), stopped.clone(), stopped];
    let ran = talk("upright stop *", script.map(|answer| Act::Answer(Ok(answer))).into());
    let stop = |job: &str, instance: &str| {
        let which = Which::Named(InstanceName::try_from(instance).unwrap());
        Request::Stop(Target { job: Text::from(job), which }, Wait::Settled)
    };
    let asked: Vec<Request> = ran.calls[1..]
        .iter()
        .map(|call| match call {
            Call::Ask(request, _) => request.clone(),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(asked, [stop("tty", "tty1"), stop("web", "")]);
    assert_eq!((ran.code, ran.out.as_str()), (0, "web stop/waiting\nweb stop/waiting\n"));
}

#[test]
fn a_groups_name_means_its_programs() {
    let unknown =
        || Act::Answer(Err(Fault::refused(&Refusal::UnknownJob(Text::from("worker")), None)));
    let programs = || {
        let (one, two) = (view("worker:1", State::Running), view("worker:2", State::Waiting));
        Act::Answer(Ok(Answer::Instances(vec![one, two, view("workers", State::Running)])))
    };
    let ran = talk("upright status worker", vec![unknown(), programs()]);
    let jobs: Vec<&str> = ran.out.lines().filter_map(|line| line.split(' ').next()).collect();
    assert_eq!((ran.code, jobs), (0, vec!["JOB", "worker:1", "worker:2"]));

    let started =
        Act::Answer(Ok(Answer::Instance(Some(Box::new(view("worker:2", State::Running))))));
    let ran = talk("upright start worker", vec![unknown(), programs(), started]);
    assert_eq!(ran.out, "worker:2 start/running, process 123\n");

    let ran = talk("upright start workers2", vec![unknown(), programs()]);
    assert!(ran.err.starts_with("upright: Unknown job: worker"), "{}", ran.err);
    assert_eq!(ran.code, 1);
}

#[test]
fn down_says_whether_a_login_ends() {
    for (line, kind) in [
        ("upright down -n", machine::ShutdownKind::Shutdown),
        ("upright down -n --logout", machine::ShutdownKind::Logout),
    ] {
        assert_eq!(answered(line, Answer::Done).calls, [Call::Shutdown(kind)], "{line}");
    }
}

#[test]
fn colours_are_for_terminals_only() {
    for (look, colours) in [(Look::Plain, false), (Look::Coloured, true)] {
        let server = Server::start(vec![Act::Answer(Ok(Answer::Instances(some_views())))]);
        let address = server.address.to_string();
        let (_, out, _) = run_with("upright status", &[("UPRIGHT_SOCKET", &address)], look);
        assert_eq!(out.contains("\u{1b}[32mstart/running\u{1b}[0m"), colours, "{out}");
        assert_eq!(out.contains('\u{1b}'), colours, "{out}");
        server.calls();
    }
}

#[test]
fn a_start_shows_the_state_it_came_to() {
    let done = Answer::Instance(Some(Box::new(view("web", State::Running))));
    let ran = answered("upright start web PORT=80", done);
    assert_eq!((ran.code, ran.out.as_str()), (0, "web start/running, process 123\n"));
    let Call::Ask(Request::Start(target, Wait::Settled), Some(_)) = &ran.calls[0] else {
        panic!("{:?}", ran.calls);
    };
    assert_eq!(target.which, Which::Env(vec![Text::from("PORT=80")]));
}

#[test]
fn an_instance_is_named_or_described_but_not_both() {
    let done = || Answer::Instance(None);
    let ran = answered("upright stop tty --instance tty1 -n", done());
    let Call::Ask(Request::Stop(target, Wait::Accepted), _) = &ran.calls[0] else {
        panic!("{:?}", ran.calls);
    };
    assert_eq!(target.which, Which::Named(InstanceName::try_from("tty1").unwrap()));
    let (code, _, err) = run_with("upright stop tty --instance tty1 A=1", &[], Look::Plain);
    assert_eq!(code, 2);
    assert!(err.contains("cannot be used with"), "{err}");
}

#[test]
fn a_start_that_fails_says_why_and_what_the_job_wrote_and_what_to_type_next() {
    let failure = Failure::NotSpawned(Role::Main, Step::Chdir, 2);
    let name = JobName::try_from("db").unwrap();
    let refusal = Refusal::Failed(Asked::Start, name, InstanceName::default(), failure);
    let fault = || {
        let output = Some(Text::from("reading config\nbind: \u{1b}[31mno\n"));
        Answer::of_reply(Reply::Refused(refusal.clone()), output, Some("/srv/db".into()))
            .unwrap_err()
    };
    let ran = talk("upright start db", vec![Act::Answer(Err(fault()))]);
    let expected = "\
db: cannot start: main process: unable to change working directory /srv/db: No such file or directory
The last that it wrote:
  | reading config
  | bind: \\u{1b}[31mno
Look at `upright why db` and `upright log db`.
";
    assert_eq!((ran.code, ran.out.as_str(), ran.err.as_str()), (1, "", expected));
    let ran = talk("upright start db --json", vec![Act::Answer(Err(fault()))]);
    assert_eq!((ran.code, ran.err.as_str()), (1, ""));
    let json: serde_json::Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!(json["error"], "org.upright.control.Refused");
    assert_eq!(json["parameters"]["failure"]["ending"]["step"], "chdir");
}

/// Asks for a job that there is not, where the files come to this and these jobs are known.
fn ask_unknown(rows: Vec<PlanRow>, names: &[&str]) -> Ran {
    let refusal = Refusal::UnknownJob(Text::from("web"));
    let jobs = names.iter().map(|name| {
        let name = JobName::try_from(*name).unwrap();
        JobView { name, ..web_on(Vec::new()) }
    });
    let asked_for_names = rows.is_empty();
    let mut script =
        vec![Act::Answer(Err(Fault::refused(&refusal, None))), Act::Answer(Ok(Answer::Plan(rows)))];
    if asked_for_names {
        script.push(Act::Answer(Ok(Answer::Jobs(jobs.collect()))));
        script.push(Act::Answer(Ok(Answer::Instances(Vec::new()))));
    }
    let ran = talk("upright history web", script);
    assert_eq!((ran.code, ran.out.as_str()), (1, ""));
    ran
}

#[test]
fn a_name_that_no_job_has_is_looked_for_in_the_files_and_among_those_that_are_near() {
    let head = "upright: Unknown job: web\n";
    let tail = "`upright status` shows all jobs.\n";
    let row = |kind| PlanRow { job: Some(Text::from("web")), ..PlanRow::new(kind) };
    let files = vec![Text::from("/etc/init/web.conf")];
    let mistakes = upstart::parse(JobName::try_from("web").unwrap(), b"exce x\n").diagnostics;
    let broken = PlanRow { files: files.clone(), mistakes, ..row(RowKind::Broken) };
    let said = "Its file cannot be used, so there is no such job:\n  \
        /etc/init/web.conf:1:1: Unknown stanza\n\
        `upright check /etc/init/web.conf` shows the places; it is read once it is right.\n";
    assert_eq!(ask_unknown(vec![broken], &[]).err, format!("{head}{said}{tail}"));
    let section = Some(String::from("program:web"));
    let added = PlanRow { files: files.clone(), section, ..row(RowKind::Add) };
    let said = "[program:web] of /etc/init/web.conf is not in force yet: \
        `supervisorctl update` or `upright apply` does that.\n";
    assert_eq!(ask_unknown(vec![added], &[]).err, format!("{head}{said}{tail}"));
    let group = ask_unknown(Vec::new(), &["web:a", "web:b", "wab"]).err;
    let said = "web is a group: web:a, web:b; each is asked for by itself, as `web:a`.\n";
    assert_eq!(group, format!("{head}{said}{tail}"));
    let near = ask_unknown(Vec::new(), &["wb", "database"]).err;
    assert_eq!(near, format!("{head}There is none of that name; did you mean `wb`?\n{tail}"));
    assert_eq!(ask_unknown(Vec::new(), &["database"]).err, format!("{head}{tail}"));
}

#[test]
fn what_a_job_needs_to_be_told_which_instance_is_said_with_the_variable() {
    let refusal = Refusal::Expansion(String::from("Unknown parameter: X"), None);
    let ran = talk("upright start web", vec![Act::Answer(Err(Fault::refused(&refusal, None)))]);
    let expected = "web: cannot start: Unknown parameter: X\n\
        It has instances, told apart by variables: `upright start web X=VALUE`.\n";
    assert_eq!((ran.code, ran.err.as_str()), (1, expected));
}

#[test]
fn why_of_a_job_with_named_instances_is_that_of_the_only_one_or_names_them() {
    let blank = |name: &str| WhyView {
        runs: Vec::new(),
        history: Vec::new(),
        status: InstanceView {
            instance: InstanceName::try_from(name).unwrap(),
            ..view("web", State::Waiting)
        },
        ..whole_story(Path::new("/nonexistent/web.conf"))
    };
    let why = |name: &str| Act::Answer(Ok(Answer::Why(Box::new(blank(name)))));
    let list = |names: &[&str]| {
        let views = names.iter().map(|name| InstanceView {
            instance: InstanceName::try_from(*name).unwrap(),
            ..view("web", State::Running)
        });
        Act::Answer(Ok(Answer::Instances(views.collect())))
    };
    let one = talk("upright why web", vec![why(""), list(&["a"]), why("a")]);
    assert!(one.out.starts_with("web (a) "), "{}", one.out);
    let two = talk("upright why web", vec![why(""), list(&["a", "b"])]);
    let expected = "web has 2 instances, each with its own answer:\n  \
        web (a) start/running, process 123: `upright why web --instance a`\n  \
        web (b) start/running, process 123: `upright why web --instance b`\n";
    assert!(two.out.starts_with(expected), "{}", two.out);
    let none = talk("upright why web", vec![why(""), list(&[])]);
    assert!(none.out.starts_with("web "), "{}", none.out);
}

#[test]
fn lines_that_are_older_than_the_last_run_are_said_to_be() {
    let directory = Scratch::directory("older");
    let log = directory.join("web.log");
    std::fs::write(&log, "of old\n").unwrap();
    let file = File::options().write(true).open(&log).unwrap();
    let hours = std::time::Duration::from_secs(5 * 3600);
    file.set_modified(std::time::SystemTime::now() - hours).unwrap();
    let why = Answer::Why(Box::new(whole_story(Path::new("/nonexistent/web.conf"))));
    let no_errors = Fault::refusal("no-log", String::from("it has none"));
    let script = vec![Act::Answer(Ok(why)), lent(&log), no_log(&log), Act::Answer(Err(no_errors))];
    let ran = talk("upright why web", script);
    let expected = "The last that it wrote, 5h ago, which is before its last run:\n  | of old\n";
    assert!(ran.out.contains(expected), "{}", ran.out);
}

#[test]
fn what_the_disk_says_of_a_program_that_cannot_be_run_is_told() {
    let directory = Scratch::directory("disk");
    let at = |name: &str| directory.join(name).display().to_string();
    let make = |name: &str, text: &str, mode: u32| {
        std::fs::write(at(name), text).unwrap();
        std::fs::set_permissions(at(name), PermissionsExt::from_mode(mode)).unwrap();
    };
    make("script", "#!/usr/bin/pyhton3 -u\nx\n", 0o755);
    make("dos", "#!/bin/sh\r\nx\r\n", 0o755);
    make("closed", "#!/bin/sh\n", 0o644);
    let said = |verdict: String| {
        let view = WhyView { verdict, ..whole_story(Path::new("/nonexistent/web.conf")) };
        ondisk::tell(&view).unwrap_or_default()
    };
    let missing = |name: &str| {
        said(format!(
            "it failed: main process: unable to execute {}: No such file or directory",
            at(name)
        ))
    };
    let script = "script is there; its first line asks for `/usr/bin/pyhton3`, which is not";
    assert!(missing("script").ends_with(script), "{}", missing("script"));
    let dos = "asks for `/bin/sh\\r`, which is not, whose lines end as on Windows (CR LF)";
    assert!(missing("dos").ends_with(dos), "{}", missing("dos"));
    let above = format!("there is not even {}", at("bin"));
    assert_eq!(missing("bin/app"), above);
    assert_eq!(missing("app"), "", "what the kernel says is all of it");
    let closed = said(format!(
        "it failed: main process: unable to execute {}: Permission denied",
        at("closed")
    ));
    let expected = format!(
        "{0} may be executed by nobody (mode 644); `chmod +x {0}` mends that",
        at("closed")
    );
    assert_eq!(closed, expected);
    let chroot = "unable to execute /x: No such file or directory (within its chroot /srv)";
    assert_eq!(said(String::from(chroot)), "");
}

#[test]
fn json_may_be_asked_for_before_the_command() {
    let views = || Act::Answer(Ok(Answer::Instances(vec![view("web", State::Running)])));
    let (after, before) = (
        talk("upright status web --json", vec![views()]),
        talk("upright --json status web", vec![views()]),
    );
    assert_eq!((before.code, before.out), (0, after.out));
}

#[test]
fn other_refusals_are_told_with_the_way_on() {
    let unknown = Refusal::UnknownJob(Text::from("nosuch"));
    let ran =
        talk("upright history nosuch", vec![Act::Answer(Err(Fault::refused(&unknown, None)))]);
    let expected = "upright: Unknown job: nosuch\n`upright status` shows all jobs.\n";
    assert_eq!((ran.code, ran.err.as_str()), (1, expected));
    let gone = Refusal::UnknownInstance(InstanceName::default());
    let ran = talk("upright stop web", vec![Act::Answer(Err(Fault::refused(&gone, None)))]);
    assert_eq!(ran.err, "web: cannot stop: it does not run.\n");
    let tty = "upright stop tty --instance tty9";
    let gone = Refusal::UnknownInstance(InstanceName::try_from("tty9").unwrap());
    let ran = talk(tty, vec![Act::Answer(Err(Fault::refused(&gone, None)))]);
    let expected =
        "upright: Unknown instance: tty9\n`upright status tty` shows what there is of it.\n";
    assert_eq!(ran.err, expected);
}

/// What a daemon tells of a job that has been through something, its description in that file.
fn whole_story(file: &std::path::Path) -> WhyView {
    let mut status = view("web", State::Running);
    status.respawns = 1;
    let exit = End::Status(1);
    status.last_exit = Some((LastExit::Ended { process: Role::Main, exit }, Span::secs(310)));
    status.warnings = vec![String::from("its file has changed")];
    let remembered = |ago: u64, cause: &str, decision: &str| Remembered {
        ago: Span::secs(ago),
        cause: String::from(cause),
        decision: String::from(decision),
    };
    let need = |depth, words: &str, by: Option<&str>, note: &str| Need {
        depth,
        words: String::from(words),
        met: by.is_some(),
        by: by.map(String::from),
        note: String::from(note),
    };
    let ended = |secs, lasted, exit, note: &str| RunView {
        ago: Span::secs(secs),
        lasted: Some(Span::secs(lasted)),
        exit: LastExit::Ended { process: Role::Main, exit },
        note: String::from(note),
    };
    WhyView {
        status,
        verdict: String::from("its main process terminated with status 1: respawn, number 1"),
        due: None,
        ring: vec![String::from("a waits for b"), String::from("b waits for a")],
        start_on: vec![
            need(0, "all of", None, ""),
            need(1, "net-up", Some("net-up IFACE=lo"), ""),
            need(1, "started db", None, "db does not run"),
        ],
        stop_on: Vec::new(),
        waiters: vec![String::from("event startup")],
        runs: vec![
            ended(7000, 3, End::Signal { signal: 11, core: true }, "it crashed and left a core"),
            ended(310, 6690, exit, ""),
        ],
        history: vec![
            remembered(7200, "a client asked", "start"),
            remembered(310, "main process terminated with status 1", "respawn"),
        ],
        files: vec![Text::from(file.to_str().unwrap())],
        section: None,
    }
}

const WHOLE_STORY: &str = "\
web has been running for 5m 3s. Its main process is 123.
Why: its main process terminated with status 1: respawn, number 1.
These wait for each other, and none of them goes on by itself:
  a waits for b
  b waits for a
It was started again once.
Warning: its file has changed.
Its last runs ended:
  1h 56m ago: killed by SEGV signal after 3s (it crashed and left a core)
  5m 10s ago: terminated with status 1 after 1h 51m
It starts by itself on:
  [ ] all of
    [x] net-up (by net-up IFACE=lo)
    [ ] started db (db does not run)
Waiting for it:
  event startup
What happened:
      2h ago  a client asked: start
  5m 10s ago  main process terminated with status 1: respawn
The last that it wrote:
  | one
  | cannot bind
Where that is said:
  FILE:3: start on (net-up
  FILE:5: respawn
  FILE:6: exec x
";

#[test]
fn why_tells_the_whole_story() {
    let directory = Scratch::directory("why");
    let (file, log) = (directory.join("web.conf"), directory.join("web.log"));
    std::fs::write(&file, "description x\n\nstart on (net-up\n  and db)\nrespawn\nexec x\n")
        .unwrap();
    std::fs::write(&log, "one\ncannot bind\n").unwrap();
    let why = whole_story(&file);
    let script = || {
        let why = Answer::Why(Box::new(why.clone()));
        vec![Act::Answer(Ok(why)), lent(&log), no_log(&log)]
    };
    let ran = talk("upright why web", script());
    let expected = WHOLE_STORY.replace("FILE", file.to_str().unwrap());
    assert_eq!((ran.code, ran.out.as_str(), ran.err.as_str()), (0, expected.as_str(), ""));
    let ran = talk("upright why web --json", script());
    let json: serde_json::Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!(json["output"], "one\ncannot bind\n");
    assert_eq!(json["start_on"][1]["by"], "net-up IFACE=lo");
}

#[test]
fn why_of_a_program_shows_the_lines_of_its_section() {
    let directory = Scratch::directory("section");
    let file = directory.join("web.ini");
    let text = "[program:web]\ncommand = web\nautostart = false\nnumprocs = 1\nAutoRestart: true\n\
                [program:other]\ncommand = other\n";
    std::fs::write(&file, text).unwrap();
    let mut why = whole_story(&file);
    why.verdict = String::from("main process ended: respawn, number 1 in its window");
    why.section = Some(String::from("program:web"));
    let script = vec![Act::Answer(Ok(Answer::Why(Box::new(why))))];
    let ran = talk("upright why-not web", script);
    let shown = file.to_str().unwrap();
    let expected = format!(
        "Where that is said:\n  {shown}:1: [program:web]\n  {shown}:2: command = web\n  \
         {shown}:3: autostart = false\n  {shown}:5: AutoRestart: true\n"
    );
    assert!(ran.out.ends_with(&expected), "{}", ran.out);
}

#[test]
fn a_start_up_is_told_as_blame_as_a_chain_and_as_a_picture() {
    let mark = |ago, what, by: &str| Mark { ago: Span::millis(ago), what, by: String::from(by) };
    let times = |by| {
        let marks = vec![mark(900, MarkKind::Wanted, by), mark(500, MarkKind::Runs, "")];
        let (job, instance) = (JobName::try_from("web").unwrap(), InstanceName::default());
        Answer::Timeline(vec![TimelineView { job, instance, marks }])
    };
    let once = |line, by| answered(line, times(by));
    let ask = |line, by| {
        talk(line, vec![Act::Answer(Ok(times(by))), Act::Answer(Ok(Answer::Jobs(Vec::new())))])
    };
    let event = "event startup";
    assert!(ask("upright blame", event).out.ends_with("   400.0ms    400.0ms  web\n"));
    assert!(ask("upright critical-chain", event)
        .out
        .ends_with("web @400.0ms +400.0ms\n└─ event startup @0.0ms\n"));
    assert!(ask("upright plot", event).out.starts_with("<svg"));
    assert!(once("upright plot --json", event).out.starts_with("{\"times\":[{\"job\":\"web\""));
    let unknown = ask("upright critical-chain db", event);
    assert_eq!(unknown.code, 1);
    assert!(unknown.err.starts_with("db: had no part in the start-up"), "{}", unknown.err);
    let by_hand = ask("upright blame", "uid 0 (upright, process 7)");
    assert_eq!((by_hand.code, by_hand.out.as_str()), (0, ""));
    assert!(ask("upright blame -a", "uid 0").out.contains("web"), "--all has it");
}

fn happened(sequence: u64, age: u64, name: &str, row: &str) -> Notice {
    let name = EventName::try_from(name).unwrap();
    let what = machine::Notice::Event {
        name,
        env: vec![Text::from(row)],
        failed: false,
        cause: String::new(),
    };
    Notice { sequence, missed: 0, age: Some(Span::secs(age)), what }
}

fn operand(name: &str) -> Node {
    Node::Event(Operand { event: EventName::try_from(name).unwrap(), args: Vec::new() })
}

/// A job that starts on this.
fn web_on(nodes: Vec<Node>) -> JobView {
    JobView {
        name: JobName::try_from("web").unwrap(),
        usage: None,
        description: None,
        author: None,
        version: None,
        emits: Vec::new(),
        start_on: Some(Condition { nodes }),
        stop_on: None,
    }
}

#[test]
fn why_of_an_event_tells_whom_it_starts_who_waits_and_when_it_last_came() {
    let job = web_on(vec![operand("net-up")]);
    let mut held = view("db", State::Starting);
    held.waits_for = String::from("event net-up, which waits for x");
    let unknown = || {
        let refusal = Refusal::UnknownJob(Text::from("net-up"));
        Act::Answer(Err(Fault::refused(&refusal, None)))
    };
    let mut web = whole_story(Path::new("/etc/init/web.conf"));
    (web.start_on, web.waiters) = (Vec::new(), vec![String::from("event net-up IFACE=lo")]);
    let script = |jobs, views| {
        vec![
            unknown(),
            Act::Answer(Ok(Answer::Jobs(jobs))),
            Act::Answer(Ok(Answer::Instances(views))),
            Act::Answer(Ok(Answer::Why(Box::new(web.clone())))),
            Act::Tell(vec![happened(7, 3, "net-up", "IFACE=lo"), happened(8, 2, "other", "A=1")]),
            Act::Answer(Ok(Answer::Done)),
        ]
    };
    let views = vec![held, view("web", State::Running)];
    let ran = talk("upright why net-up", script(vec![job.clone()], views.clone()));
    let expected = "net-up is an event, and no job.\n\
        It last came to its end 3s ago: IFACE=lo.\n\
        It is on its way:\n  db waits for event net-up, which waits for x\n  \
        it waits for web to end (start/running)\n\
        It starts, alone or with others:\n  web (start/running): on net-up\n";
    assert_eq!((ran.code, ran.out.as_str(), ran.err.as_str()), (0, expected, ""));
    let ran = talk("upright why net-up --json", script(vec![job], views));
    let json: serde_json::Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!((&json["last"]["age"], &json["starts"][0]["on"]), (&3000.into(), &"net-up".into()));
    let mut nobodys = script(Vec::new(), Vec::new());
    // No job is asked.
    nobodys.remove(3);
    let ran = talk("upright why nobody", nobodys);
    assert_eq!((ran.code, ran.out.as_str()), (1, ""));
    assert!(ran.err.contains("Unknown job"), "{}", ran.err);
}

#[test]
fn why_of_an_event_names_the_jobs_that_keep_it_as_they_lack_another() {
    let job = web_on(vec![operand("go"), operand("ready"), Node::And]);
    let need = |depth, words: &str, by: Option<&str>| Need {
        depth,
        words: String::from(words),
        met: by.is_some(),
        by: by.map(String::from),
        note: String::new(),
    };
    let mut why = whole_story(std::path::Path::new("web.conf"));
    why.start_on =
        vec![need(0, "all of", None), need(1, "go", Some("go A=1")), need(1, "ready", None)];
    let refusal = Refusal::UnknownJob(Text::from("go"));
    let script = vec![
        Act::Answer(Err(Fault::refused(&refusal, None))),
        Act::Answer(Ok(Answer::Jobs(vec![job]))),
        Act::Answer(Ok(Answer::Instances(vec![view("web", State::Waiting)]))),
        Act::Answer(Ok(Answer::Why(Box::new(why)))),
        Act::Answer(Ok(Answer::Done)),
    ];
    let expected = "go is an event, and no job.\n\
        It is on its way:\n  web keeps it, as its `start on` lacks ready\n\
        It starts, alone or with others:\n  web (stop/waiting): on (go and ready)\n";
    let ran = talk("upright why go", script);
    assert_eq!((ran.code, ran.out.as_str(), ran.err.as_str()), (0, expected, ""));
}

#[test]
fn events_are_shown_by_age_job_and_kind() {
    let told = || {
        let all = vec![
            happened(1, 500, "old", "JOB=web"),
            happened(2, 50, "young", "JOB=web"),
            happened(3, 40, "other", "JOB=db"),
        ];
        vec![Act::Tell(all), Act::Answer(Ok(Answer::Done))]
    };
    let ask = |line| talk(line, told()).out;
    assert_eq!(ask("upright events --since 1m --job w*"), "2 event young JOB=web\n");
    assert_eq!(ask("upright events --since 1h --kind event").lines().count(), 3);
    assert_eq!(ask("upright events --kind state"), "");
    for wrong in
        ["upright events --since soon", "upright events --kind x", "upright events --since 9y"]
    {
        let (code, _, err) = run_with(wrong, &[], Look::Plain);
        assert_eq!(code, 2, "{err}");
    }
}

#[test]
fn why_not_says_what_is_missing_and_what_starts_the_job_all_the_same() {
    let need = Need {
        depth: 0,
        words: String::from("started db"),
        met: false,
        by: None,
        note: String::from("there is no job db"),
    };
    let why = |state, needs| WhyView {
        status: view("web", state),
        verdict: String::from("it has not been started"),
        due: None,
        ring: Vec::new(),
        start_on: needs,
        stop_on: Vec::new(),
        waiters: Vec::new(),
        runs: Vec::new(),
        history: Vec::new(),
        files: Vec::new(),
        section: None,
    };
    let ask = |why| answered("upright why-not web", Answer::Why(Box::new(why))).out;
    assert_eq!(
        ask(why(State::Waiting, vec![need])),
        "web does not run: it has not been started.\n\
         It starts by itself when this has come true:\n  [ ] started db (there is no job db)\n\
         `upright start web` starts it now.\n"
    );
    assert_eq!(ask(why(State::Running, Vec::new())), "web runs.\n");
}

#[test]
fn why_of_a_job_that_has_instances_names_them() {
    let why = |name: &str| WhyView {
        status: view(name, State::Waiting),
        verdict: String::from("it has not been started"),
        due: None,
        ring: Vec::new(),
        start_on: Vec::new(),
        stop_on: Vec::new(),
        waiters: Vec::new(),
        runs: Vec::new(),
        history: Vec::new(),
        files: Vec::new(),
        section: None,
    };
    let named = |name: &str| InstanceView {
        instance: InstanceName::try_from(Text::from(name)).unwrap(),
        ..view("tty", State::Running)
    };
    let script = || {
        vec![
            Act::Answer(Ok(Answer::Why(Box::new(why("tty"))))),
            Act::Answer(Ok(Answer::Instances(vec![named("tty1"), named("tty2")]))),
        ]
    };
    for line in ["upright why tty", "upright history tty"] {
        assert_eq!(
            talk(line, script()).out,
            "tty has 2 instances, each with its own answer:\n  \
             tty (tty1) start/running, process 123: `upright why tty --instance tty1`\n  \
             tty (tty2) start/running, process 123: `upright why tty --instance tty2`\n"
        );
    }
}

#[test]
fn events_are_shown_one_line_each_with_what_was_missed() {
    let event = machine::Notice::Event {
        name: EventName::try_from("net-up").unwrap(),
        env: vec![Text::from("IFACE=eth0")],
        failed: true,
        cause: String::from("uid 0 (initctl, process 7) emitted it"),
    };
    let state = machine::Notice::State {
        job: JobName::try_from("web").unwrap(),
        instance: InstanceName::default(),
        goal: Goal::Start,
        from: State::PostStart,
        to: State::Running,
    };
    let notices = || {
        vec![
            Notice { sequence: 7, missed: 6, age: None, what: event.clone() },
            Notice { sequence: 8, missed: 0, age: None, what: state.clone() },
        ]
    };
    let script = || vec![Act::Tell(notices()), Act::Answer(Ok(Answer::Done))];
    let ran = talk("upright events", script());
    let expected = "(6 missed)\n7 event net-up IFACE=eth0 (failed)  <- uid 0 (initctl, process 7) emitted it\n8 job web start/running (was post-start)\n";
    assert_eq!((ran.code, ran.out.as_str(), ran.err.as_str()), (0, expected, ""));
    assert_eq!(ran.calls, [Call::Events(Some(0), Follow::Off)]);
    let ran = talk("upright events --json -f --after 6", script());
    assert_eq!(ran.calls, [Call::Events(Some(6), Follow::On)]);
    let lines: Vec<serde_json::Value> =
        ran.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines[1]["state"]["to"], "running");
    assert_eq!(lines[0]["event"]["cause"], "uid 0 (initctl, process 7) emitted it");
    let lines_of = |options: &str| talk(&format!("upright events {options}"), script()).out;
    assert!(lines_of("--event net-*").ends_with("emitted it\n"));
    assert_eq!(lines_of("--event started"), "");
}

/// The daemon sends this file as a log.
fn lent(path: &Path) -> Act {
    let view = LogView { path: Text::from(path.to_str().unwrap()), state: LogState::Open };
    Act::Lend(Answer::Log(view), File::open(path).unwrap())
}

/// The daemon has no such log.
fn no_log(path: &Path) -> Act {
    let view = LogView { path: Text::from(path.to_str().unwrap()), state: LogState::Missing };
    Act::Answer(Ok(Answer::Log(view)))
}

#[test]
fn log_reads_the_file_that_the_daemon_opens() {
    let directory = Scratch::directory("log");
    let path = directory.join("web.log");
    std::fs::write(&path, "a\nb\nc\n").unwrap();
    let ran = talk("upright log web -n 2", vec![lent(&path)]);
    assert_eq!((ran.code, ran.out.as_str(), ran.err.as_str()), (0, "b\nc\n", ""));
    let log =
        || Log::Of(Target { job: Text::from("web"), which: Which::Env(vec![]) }, Stream::Stdout);
    assert_eq!(ran.calls, [Call::OpenLog(log(), Back(0))]);
    let ran = talk("upright log web -n 1 --json", vec![lent(&path)]);
    assert_eq!(ran.out, "{\"line\":\"c\"}\n");
    let earlier = path.with_extension("log.1");
    std::fs::write(&earlier, "x\ny\n").unwrap();
    let ran = talk("upright log web -n 4", vec![lent(&path), lent(&earlier)]);
    assert_eq!(ran.out, "y\na\nb\nc\n");
    assert_eq!(ran.calls[1], Call::OpenLog(log(), Back(1)));
    std::fs::remove_file(&earlier).unwrap();
    let ran = talk("upright log web", vec![no_log(&path)]);
    assert_eq!(ran.code, 0);
    assert!(ran.err.starts_with("web: has written nothing yet ("), "{}", ran.err);
    let may_not = Fault::NotPermitted {
        command: String::from("OpenLog"),
        rule: String::new(),
        message: String::from("You do not have permission to read the output of jobs"),
    };
    let ran = talk("upright log web", vec![Act::Answer(Err(may_not))]);
    let expected = "upright: You do not have permission to read the output of jobs\n";
    assert_eq!((ran.code, ran.err.as_str()), (1, expected));
    // What the logger cannot open now is opened here, as far as that is possible.
    let busy = || Act::Answer(Err(Fault::Unavailable(String::from("the logger is busy"))));
    let named = |path: &Path| Act::Answer(Ok(Answer::Path(Text::from(path.to_str().unwrap()))));
    let ran = talk("upright log web -n 1", vec![busy(), named(&path)]);
    assert_eq!((ran.code, ran.out.as_str()), (0, "c\n"), "{}", ran.err);
    let ran = talk("upright log web", vec![busy(), named(Path::new("/usr"))]);
    let expected = "web: cannot read /usr: Is a directory\n";
    assert_eq!((ran.code, ran.err.as_str()), (1, expected));
}

#[test]
fn answers_in_json_are_those_of_the_interface() {
    let ran = answered("upright status --json", Answer::Instances(some_views()));
    let json: serde_json::Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!(json["instances"][2]["processes"][0]["pid"], 123);
    assert_eq!(json["instances"][0]["last_exit"]["errno"], 2);
    let ran = answered("upright version --json", Answer::Version(Version::own(1)));
    let json: serde_json::Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!(json["compatible"], "init (upstart 1.13.2)");
    let ran = answered("upright reload-configuration --json", Answer::Done);
    assert_eq!(ran.out, "{}\n");
}

#[test]
fn where_nobody_answers_all_addresses_are_named_with_what_to_type_next() {
    let (code, out, err) =
        run_with("upright status --socket @upright-test/nobody", &[], Look::Plain);
    let expected = "\
upright: no Upright answers. Tried:
  unix:abstract=upright-test/nobody (--socket): Connection refused
Start one with `upright up DIRECTORY`, or name another with --socket.
";
    assert_eq!((code, out.as_str(), err.as_str()), (3, "", expected));
    let (code, _, err) = run_with("upright status --socket unix:tmpdir=/x", &[], Look::Plain);
    assert_eq!(code, 2);
    assert!(err.contains("--socket: \"unix:tmpdir=/x\" is no address"), "{err}");
}

#[test]
fn wrong_usage_is_told_with_exit_code_2_and_help_with_0() {
    for line in ["upright bogus", "upright start", "upright status --bogus", "upright log -n x web"]
    {
        let (code, out, err) = run_with(line, &[], Look::Plain);
        assert_eq!((code, out.as_str()), (2, ""), "{line}");
        assert!(err.starts_with("error: "), "{err}");
    }
    let (code, out, _) = run_with("upright --help", &[], Look::Plain);
    assert_eq!(code, 0);
    for row in COMMANDS {
        assert!(out.contains(row.about), "{} is not in help:\n{out}", row.name);
        if row.talks == Talks::Hands {
            continue;
        }
        let (code, out, _) = run_with(&format!("upright {} --help", row.name), &[], Look::Plain);
        assert!(code == 0 && out.contains(row.about), "{out}");
    }
}

#[test]
fn the_command_line_is_one_that_clap_takes() {
    commands::cli().debug_assert();
    for row in COMMANDS {
        assert_eq!(COMMANDS.iter().filter(|other| other.name == row.name).count(), 1);
        assert!(!row.about.ends_with('.'), "{}", row.about);
    }
}

#[test]
fn check_tells_programs_from_jobs_and_follows_what_they_include() {
    let directory = Scratch::path("programs");
    std::fs::create_dir_all(directory.join("more")).unwrap();
    let write = |name: &str, text: &str| std::fs::write(directory.join(name), text).unwrap();
    write("s.conf", "; all of it\n\n[supervisord]\nnodaemon=maybe\n[include]\nfiles=more/*.ini\n");
    write("more/web.ini", "[program:web]\ncommand=web\nnumproc=3\n");
    let at = directory.display().to_string();
    let (code, out, err) = run_with(&format!("upright check {at}/s.conf"), &[], Look::Plain);
    let expected = format!(
        "{at}/s.conf:4:10: error: not a valid boolean value: 'maybe'\n4 | nodaemon=maybe\n  |          ^^^^^\n\
         {at}/more/web.ini:3:1: warning: key numproc has no effect in [program:web]\n3 | numproc=3\n  | ^^^^^^^\n  \
         = help: did you mean `numprocs`?\n"
    );
    assert_eq!((code, out, err.as_str()), (1, expected, ""));
    let (code, out, _) = run_with(&format!("upright check {at}/more"), &[], Look::Plain);
    assert_eq!(code, 0, "alone it lacks [supervisord], and needs none: {out}");
}

#[test]
fn check_says_what_is_wrong_with_files_and_directories_of_them() {
    let directory = Scratch::path("check");
    std::fs::create_dir_all(directory.join("sub")).unwrap();
    let write = |name: &str, text: &str| std::fs::write(directory.join(name), text).unwrap();
    write("good.conf", "exec sleep 1\n");
    write("sub/bad.conf", "exec sleep 1\nnonsense\n");
    write("readme.txt", "not a job");
    let at = directory.display().to_string();
    let (code, out, err) = run_with(&format!("upright check {at}/good.conf"), &[], Look::Plain);
    assert_eq!((code, out, err.as_str()), (0, format!("{at}/good.conf: ok\n"), ""));
    let (code, out, _) = run_with(&format!("upright check {at}"), &[], Look::Plain);
    assert_eq!(code, 1);
    assert!(
        out.starts_with(&format!("{at}/good.conf: ok\n{at}/sub/bad.conf:2:1: error: ")),
        "{out}"
    );
    let (code, out, _) = run_with(&format!("upright check --json {at}/sub"), &[], Look::Plain);
    let json: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!((code, &json["diagnostics"][0]["severity"]), (1, &serde_json::json!("error")));
    let (code, _, err) =
        run_with(&format!("upright check {at}/readme.txt {at}/no"), &[], Look::Plain);
    let expected = format!(
        "{at}/readme.txt: is no job file: its name must end in .conf or .override, in .ini for \
         programs, or in .rights\n\
         {at}/no: cannot be read: No such file or directory\n"
    );
    assert_eq!((code, err), (1, expected));
}

/// Every line of up to four of these words: what is read without the parser is what it would read.
#[test]
fn a_status_that_is_read_plainly_is_read_as_the_whole_command_line_reads_it() {
    const WORDS: [&str; 9] =
        ["--json", "-a", "--all", "--socket", "/run/x", "web", "--", "-h", "--socket=/y"];
    let mut lines = vec![vec!["status"]];
    let mut plain = 0;
    for at in 0.. {
        let Some(line) = lines.get(at).cloned() else { break };
        if line.len() < 5 {
            lines.extend(WORDS.map(|word| [line.as_slice(), &[word]].concat()));
        }
        let args: Vec<Vec<u8>> = line.iter().map(|word| word.as_bytes().to_vec()).collect();
        let Some(asked) = status::asked_plainly(&args) else { continue };
        plain += 1;
        let whole = ["upright"].iter().chain(&line);
        let matches = commands::cli().try_get_matches_from(whole).expect("plainly right");
        let Some(("status", matches)) = matches.subcommand() else { panic!("{line:?}") };
        let form = if matches.get_flag("json") { Form::Json } else { Form::Words };
        let listed = if matches.get_flag("all") { Listed::All } else { Listed::Own };
        let socket = text(matches, "socket").map(|socket| socket.bytes().to_vec());
        let job = text(matches, "job");
        assert_eq!(asked, status::Asked { job, listed, form, socket }, "{line:?}");
    }
    assert!(plain > 50, "{plain}");
    let other = [b"stat".to_vec()];
    assert_eq!(status::asked_plainly(&other), None);
    assert_eq!(status::asked_plainly(&[]), None);
    assert_eq!(status::asked_plainly(&[b"status".to_vec(), Vec::new()]), None);
}
