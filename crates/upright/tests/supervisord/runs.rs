//! Our `supervisord` with real programs.

use crate::daemon::{eventually, lives, Place};
use engine::control::answer::Answer;
use engine::control::call::Call;
use engine::control::fault::Fault;
use engine::machine::request::{Request, Target, Wait, Which};
use engine::machine::ShutdownKind;
use engine::process::Pid;
use engine::signal::Signal;
use engine::text::Text;
use engine::view::{GroupsView, ProgramState, SupervisorState};
use std::os::unix::fs::PermissionsExt;
use upright::cli::client::Trouble;

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
fn a_program_whose_check_fails_is_neither_restarted_nor_reloaded() {
    let check = "check=sh -c 'echo looked in $PWD; test -e good'\ndirectory=%(here)s\n";
    let place = Place::new(&format!("{WEB}{check}"));
    let supervisord = place.start();
    let first = supervisord.comes_to("web", ProgramState::Running).pid;
    let target = || Target { job: Text::from("web"), which: Which::Env(Vec::new()) };
    let restart = || Call::Ask(Request::Restart(target(), Wait::Settled), None);
    let looked = Some(Text::from(format!("looked in {}\n", place.dir.display())));
    for call in [restart(), Call::Ask(Request::Reload(target()), None)] {
        match supervisord.try_ask(call) {
            Err(Trouble::Fault(Fault::Refused(refused))) => {
                assert_eq!((&*refused.code, refused.output), ("check-failed", looked.clone()));
            }
            other => panic!("{other:?}"),
        }
        assert_eq!(supervisord.program("web").pid, first);
    }
    std::fs::write(place.dir.join("good"), "").unwrap();
    let Answer::Checked(_, output) = supervisord.ask(restart()) else { panic!("nothing checked") };
    assert_eq!(Some(output), looked);
    assert_ne!(supervisord.comes_to("web", ProgramState::Running).pid, first);
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

#[test]
fn hup_stops_everything_reads_again_and_starts_anew_in_the_same_process() {
    let place = Place::new(WEB);
    let supervisord = place.start();
    let web = supervisord.comes_to("web", ProgramState::Running).pid.unwrap();
    place.configure("[program:web]\ncommand=none-of-these\nbroken\n");
    supervisord.signal(Signal::HUP);
    place.says("ERRO cannot restart, everything goes on as it is: Source contains parsing errors");
    assert!(lives(web), "a file that is wrong ends nothing");
    place.configure("[program:other]\ncommand=sleep 1000\nstartsecs=0\n");
    supervisord.signal(Signal::HUP);
    let other = eventually("the other program runs", || {
        let views = supervisord.try_programs()?;
        views.into_iter().find(|view| view.job.to_string() == "other")?.pid
    });
    assert!(!lives(web) && lives(other));
    assert_eq!(place.pid(), Some(supervisord.pid()));
    let log = place.log();
    let starts = log.iter().filter(|line| line.contains("supervisord started with pid")).count();
    assert_eq!(starts, 2, "{log:#?}");
    supervisord.signal(Signal::TERM);
    assert_eq!(supervisord.end().0, Some(0));
    assert!(!lives(other));
}

#[test]
fn term_while_it_restarts_ends_it() {
    let place = Place::new(
        "[program:slow]\ncommand=sh -c 'trap \"\" TERM; echo > up; while :; do sleep 0.05; done'\nstopwaitsecs=2\nstartsecs=0\n",
    );
    let supervisord = place.start();
    eventually("the program is up", || place.dir.join("up").exists().then_some(()));
    supervisord.ask(Call::Shutdown(ShutdownKind::Restart));
    let Answer::Supervisor(view) = supervisord.ask(Call::Supervisor) else { panic!("no view") };
    assert_eq!(view.state, SupervisorState::Restarting);
    supervisord.signal(Signal::TERM);
    place.says("received SIGTERM");
    supervisord.signal(Signal::HUP);
    place.says("ignored SIGHUP indicating restart request (shutdown in progress)");
    assert_eq!(supervisord.end().0, Some(0));
    let log = place.log();
    assert_eq!(log.iter().filter(|line| line.contains("spawned: 'slow'")).count(), 1);
}

#[test]
fn what_outlasts_its_time_is_killed_and_the_log_names_who_is_waited_for() {
    let place = Place::new(
        "[program:slow]\ncommand=sh -c 'trap \"\" TERM; echo > up; while :; do sleep 0.05; done'\n\
         stopwaitsecs=1\nstartsecs=0\n[program:web]\ncommand=sleep 1000\nstartsecs=0\npriority=9\n",
    );
    let supervisord = place.start();
    eventually("the program is up", || place.dir.join("up").exists().then_some(()));
    let slow = supervisord.comes_to("slow", ProgramState::Running).pid.unwrap();
    supervisord.comes_to("web", ProgramState::Running);
    supervisord.signal(Signal::TERM);
    assert_eq!(supervisord.end().0, Some(0));
    let log = place.log();
    let told = log.iter().skip_while(|line| !line.contains("received SIGTERM"));
    let told: Vec<&str> = told.map(String::as_str).collect();
    let wanted = [
        "WARN received SIGTERM indicating exit request",
        "INFO waiting for web, slow to die",
        &format!("WARN killing 'slow' ({slow}) with SIGKILL"),
        "WARN stopped: slow (terminated by SIGKILL)",
        "WARN stopped: web (terminated by SIGTERM)",
    ];
    assert_eq!(told, wanted);
}

#[test]
fn why_a_command_cannot_be_executed_is_told_in_the_originals_words() {
    let place = Place::new(
        "[program:none]\ncommand=/no/such/cmd\nstartretries=0\n\
         [program:nowhere]\ncommand=no-such-cmd\nstartretries=0\n\
         [program:place]\ncommand=%(here)s/run\nstartretries=0\n\
         [program:plain]\ncommand=%(here)s/x.conf\nstartretries=0\n\
         [program:quote]\ncommand=/bin/sh -c 'oops\nstartretries=0\n",
    );
    let supervisord = place.start();
    let dir = place.dir.display();
    for (name, why) in [
        ("none", "can't find command '/no/such/cmd'"),
        ("nowhere", "can't find command 'no-such-cmd'"),
        ("place", &format!("command at '{dir}/run' is a directory")),
        ("plain", &format!("command at '{dir}/x.conf' is not executable")),
        ("quote", "can't parse command \"/bin/sh -c 'oops\": No closing quotation"),
    ] {
        assert_eq!(supervisord.comes_to(name, ProgramState::Fatal).spawn_error, why);
        place.says(&format!("INFO spawnerr: {why}"));
    }
}

#[test]
fn the_log_says_what_of_a_configuration_has_no_effect() {
    let place = Place::new(
        "[rpcinterface:twiddler]\nsupervisor.rpcinterface_factory=supervisor_twiddler.rpcinterface:make\n\
         [program:web]\ncommand=sh -c 'echo out; exec sleep 1000'\nstartsecs=0\n\
         stdout_logfile=/dev/fd/3\n",
    );
    let supervisord = place.start();
    supervisord.comes_to("web", ProgramState::Running);
    place.says("WARN [rpcinterface:twiddler]: supervisor_twiddler.rpcinterface:make does not run");
    place.says("WARN [program:web]: stdout_logfile=/dev/fd/3: nothing is kept there");
}

#[test]
fn usr2_makes_the_log_anew_after_it_was_moved_away() {
    let place = Place::new(WEB);
    let supervisord = place.start();
    place.says("supervisord started");
    std::fs::rename(place.dir.join("log"), place.dir.join("log.old")).unwrap();
    supervisord.signal(Signal::USR2);
    eventually("the old or the new log tells it", || {
        let both = place.read("log.old") + &place.read("log");
        both.contains("received SIGUSR2 indicating log reopen request").then_some(())
    });
    supervisord.signal(Signal::TERM);
    assert_eq!(supervisord.end().0, Some(0));
    assert!(place.read("log").contains("received SIGTERM"), "{}", place.read("log.old"));
}

#[test]
fn what_has_changed_is_named_first_and_put_in_force_by_group() {
    let place = Place::new(
        "[program:same]\ncommand=sleep 1000\nenvironment=A=1,B=\"2\"\n[program:other]\ncommand=sleep 1000\n\
         [program:gone]\ncommand=sleep 1000\n[group:g]\nprograms=gone\n",
    );
    let supervisord = place.start();
    let same = supervisord.comes_to("same", ProgramState::Running).pid;
    let other = supervisord.comes_to("other", ProgramState::Running).pid;
    supervisord.comes_to("g:gone", ProgramState::Running);
    let refused = |call: Call| match supervisord.try_ask(call) {
        Err(Trouble::Fault(Fault::Refused(refused))) => refused.code,
        other => panic!("not refused: {other:?}"),
    };
    place.configure("[program:same]\n");
    assert_eq!(refused(Call::Reread), "unreadable");
    place.configure(
        "[program:new]\ncommand=sleep 1000\n[program:same]\ncommand=sleep 1000\n\
         environment=B=2,A=1\n\
         [program:other]\ncommand=sleep 2000\n",
    );
    let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    let (added, changed, removed) = (names(&["new"]), names(&["other"]), names(&["g"]));
    let expected = GroupsView { added, changed, removed };
    assert_eq!(supervisord.ask(Call::Reread), Answer::Groups(expected));
    assert_eq!(supervisord.program("other").pid, other, "nothing has changed yet");
    let name = Text::from;
    assert_eq!(refused(Call::AddGroup(name("same"))), "already-added");
    assert_eq!(refused(Call::AddGroup(name("none"))), "unknown-group");
    assert_eq!(refused(Call::RemoveGroup(name("none"))), "unknown-group");
    assert_eq!(refused(Call::RemoveGroup(name("g"))), "still-running");
    assert_eq!(supervisord.ask(Call::AddGroup(name("new"))), Answer::Done);
    supervisord.comes_to("new", ProgramState::Running);
    for (job, group) in [("g:gone", "g"), ("other", "other")] {
        supervisord.stop(job);
        assert_eq!(supervisord.ask(Call::RemoveGroup(name(group))), Answer::Done);
    }
    assert_eq!(supervisord.ask(Call::AddGroup(name("other"))), Answer::Done);
    supervisord.comes_to("other", ProgramState::Running);
    assert_eq!(supervisord.ask(Call::Reread), Answer::Groups(GroupsView::default()));
    assert_eq!(supervisord.program("same").pid, same);
    assert!(supervisord.programs().iter().all(|view| view.job.to_string() != "g:gone"));
}

#[test]
fn jobs_and_programs_run_side_by_side_and_are_read_again_together() {
    let place = Place::new("[program:ignored]\ncommand=none\n");
    let jobs = place.dir.join("jobs");
    std::fs::create_dir(&jobs).unwrap();
    std::fs::write(jobs.join("after.conf"), "start on started web\nexec sleep 1000\n").unwrap();
    std::fs::write(jobs.join("taken.conf"), "exec sleep 1000\n").unwrap();
    let web = "[program:web]\ncommand=sleep 1000\nstartsecs=0\n";
    let write = |text: &str| std::fs::write(place.dir.join("web.ini"), text).unwrap();
    write(&format!("{web}[program:taken]\ncommand=false\n"));
    let upright = place.up(&["jobs", "web.ini"]);
    let first = upright.comes_to("web", ProgramState::Running);
    upright.comes_to("after", ProgramState::Running);
    assert_eq!(upright.program("taken").state, ProgramState::Stopped, "the job stays");
    write(&format!("{web}[program:more]\ncommand=sleep 1000\nstartsecs=0\n"));
    upright.ask(Call::ReloadConfiguration);
    upright.comes_to("more", ProgramState::Running);
    assert_eq!(upright.program("web").pid, first.pid);
    write(web);
    upright.signal(Signal::HUP);
    upright.stop("more");
    eventually("it is forgotten", || {
        upright.programs().iter().all(|view| view.job.to_string() != "more").then_some(())
    });
    upright.signal(Signal::TERM);
    let (code, _, err) = upright.end();
    assert_eq!(code, Some(0));
    let said = "program taken: there is a job of that name, which stays; give the program another";
    assert!(err.contains(said), "{err}");
}

#[test]
fn a_program_says_what_a_job_file_can_say() {
    let place = Place::new(
        "[program:db]\ncommand=sleep 1000\nstartsecs=0\nautostart=false\n\
         [program:web]\ncommand=sleep 1000\nstartsecs=0\nautostart=false\n\
         start_on = started db\nstop_on = stopping db\npre_start = touch prepared\nnice = 5\n\
         limit = nofile 100 200\n  core 0 0\nuser = %(ENV_OWN_UID)s\n",
    );
    let uid = sys::peer::own_uid().to_string();
    let supervisord = place.start_in(&[("OWN_UID", &uid)]);
    supervisord.start("db");
    let web = supervisord.comes_to("web", ProgramState::Running).pid.unwrap();
    assert!(place.dir.join("prepared").exists());
    let stat = std::fs::read_to_string(format!("/proc/{web}/stat")).unwrap();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
    assert_eq!(fields[16], "5", "its priority");
    let limits = std::fs::read_to_string(format!("/proc/{web}/limits")).unwrap();
    let files = limits.lines().find(|line| line.starts_with("Max open files")).unwrap();
    assert!(files.contains("100") && files.contains("200"), "{files}");
    supervisord.stop("db");
    supervisord.comes_to("web", ProgramState::Stopped);
    place.configure("[program:web]\ncommand=web\nnice = 40\n");
    let (code, _, err) = place.refuses(&["-n", "-c", "x.conf"]);
    assert_eq!(code, Some(2));
    assert!(err.starts_with("Error: `nice 40`: Illegal nice value, expected -20 to 19"), "{err}");
}

#[test]
fn it_is_found_by_its_name_where_it_was_told_to_be() {
    let place = Place::new(&format!("directory=%(here)s/run\n{WEB}"));
    let (code, _, err) = place.refuses(&["-c", "x.conf"]);
    assert_eq!((code, err.as_str()), (Some(0), ""));
    let pid = place.pid().expect("a pid file");
    let read = |file: &str| std::fs::read_to_string(format!("/proc/{pid}/{file}")).unwrap();
    assert_eq!(read("comm"), "supervisord\n");
    assert!(read("cmdline").starts_with("supervisord\0"));
    let here = std::fs::read_link(format!("/proc/{pid}/cwd")).unwrap();
    assert_eq!(here, std::fs::canonicalize(place.dir.join("run")).unwrap());
    place.says("INFO set current directory: '");
    place.signal(pid, Signal::TERM);
    eventually("it ends", || (!lives(pid)).then_some(()));
}

#[test]
fn a_log_at_standard_output_is_there_once() {
    let place = Place::new(&format!("logfile=/dev/stdout\nlogfile_maxbytes=0\n{WEB}"));
    let supervisord = place.start();
    supervisord.comes_to("web", ProgramState::Running);
    supervisord.signal(Signal::TERM);
    let (code, out, _) = supervisord.end();
    assert_eq!(code, Some(0));
    assert_eq!(out.matches("supervisord started with pid").count(), 1, "{out}");
    assert!(!place.dir.join("log").exists());
}

/// Says what it was given, then serves.
const RECORD: &str =
    "#!/bin/sh\nprintf '%s\\n' \"$@\" \"egg=$PYTHON_EGG_CACHE\" \"in=$PWD\" > \"$0.$SUPERVISOR_PROCESS_NAME\"\nexec sleep 1000\n";

/// Configurations as people have them: a directory of included files without a suffix, groups of programs,
/// commands over several lines, escaped percent signs, `True`.
#[test]
fn configurations_of_the_wild_run_as_they_are() {
    let place = Place::new(
        "logfile_maxbytes=50MB\nlogfile_backups=10\nloglevel=info\n\
         nodaemon=false               ; (start in foreground if true;default false)\n\
         minfds=1024\nminprocs=200\n\n\
         [rpcinterface:supervisor]\n\
         supervisor.rpcinterface_factory = supervisor.rpcinterface:make_main_rpcinterface\n\n\
         [include]\nfiles = %(here)s/programs.d/*\n",
    );
    let programs = place.dir.join("programs.d");
    std::fs::create_dir(&programs).unwrap();
    let record = place.dir.join("record");
    std::fs::write(&record, RECORD).unwrap();
    std::fs::set_permissions(&record, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let record = record.display();
    let here = place.dir.display();
    let write = |name: &str, text: String| std::fs::write(programs.join(name), text).unwrap();
    write(
        "fourfold",
        format!(
            "[program:fourfold-queue-worker]\ndirectory={here}/run\ncommand={record} redis_queue_worker\nautorestart=true\n\n\
             [program:fourfold-rails-8001]\ndirectory={here}/run\ncommand={record} start -p 8001 -e production\n\n\
             [program:fourfold-rails-8002]\ndirectory={here}/run\ncommand={record} start -p 8002 -e production\n\n\
             [group:fourfold-rails]\nprograms=fourfold-queue-worker,fourfold-rails-8001,fourfold-rails-8002\n\n\n\
             [program:fourfold-node]\ndirectory={here}/run\ncommand={record} server.js\n\n\
             [group:fourfold-public]\nprograms=fourfold-node\n\n"
        ),
    );
    write(
        "confrm.org",
        format!(
            "[program:confrm.org]\ndirectory={here}/run\ncommand={record} /www/confrm.org gunicorn\n    -c gunicorn-prod.py --log-level=DEBUG app-prod\n\
             autorestart=true\nredirect_stderr=True\nenvironment=PYTHON_EGG_CACHE=/www/confrm.org/tmp\n"
        ),
    );
    write(
        "twitter",
        format!(
            "[program:saidnooneever]\ncommand={record}\n    --filter \"track=saidnooneever,%%F0%%9F%%91%%8F,butiam\"\n    --timeout 86400\n    --ttv2\n"
        ),
    );
    let supervisord = place.start();
    let jobs = [
        "fourfold-rails:fourfold-queue-worker",
        "fourfold-rails:fourfold-rails-8001",
        "fourfold-rails:fourfold-rails-8002",
        "fourfold-public:fourfold-node",
        "confrm.org",
        "saidnooneever",
    ];
    for job in jobs {
        supervisord.comes_to(job, ProgramState::Running);
    }
    assert_eq!(supervisord.programs().len(), jobs.len());
    assert_eq!(
        place.read("record.saidnooneever").lines().take(5).collect::<Vec<_>>(),
        ["--filter", "track=saidnooneever,%F0%9F%91%8F,butiam", "--timeout", "86400", "--ttv2"]
    );
    let confrm = place.read("record.confrm.org");
    assert!(confrm.starts_with("/www/confrm.org\ngunicorn\n-c\ngunicorn-prod.py\n"), "{confrm}");
    assert!(confrm.contains("egg=/www/confrm.org/tmp\n"), "{confrm}");
    assert!(place.read("record.fourfold-rails-8002").contains("start\n-p\n8002\n"));
    place.says("INFO Included extra file");
    supervisord.signal(Signal::TERM);
    assert_eq!(supervisord.end().0, Some(0));
}

#[test]
fn a_restart_reads_the_section_of_its_program_again_and_no_other() {
    let both = |a: &str, b: &str| {
        format!("[program:a]\ncommand=/bin/sleep {a}\n[program:b]\ncommand=/bin/sleep {b}\n")
    };
    let place = Place::new(&both("1000", "1000"));
    let supervisord = place.start();
    let before = supervisord.comes_to("a", ProgramState::Running).pid;
    supervisord.comes_to("b", ProgramState::Running);
    let restart = |job: &str| {
        let target = Target { job: Text::from(job), which: Which::Env(Vec::new()) };
        supervisord.try_ask(Call::Ask(Request::Restart(target, Wait::Settled), None))
    };
    let runs = |pid: Option<Pid>| {
        std::fs::read_to_string(format!("/proc/{}/cmdline", pid.unwrap())).unwrap()
    };
    place.configure("[program:a]\ncommand=/bin/sleep 2000\nautorestart=perhaps\n");
    let Err(Trouble::Fault(fault)) = restart("a") else { panic!("a restart by a broken file") };
    let said = fault.to_string();
    assert!(said.starts_with("Configuration cannot be used: a; it was not restarted"), "{said}");
    assert!(said.contains("autorestart") && said.contains("perhaps"), "{said}");
    assert_eq!(supervisord.program("a").pid, before);

    place.configure(&both("2000", "2000"));
    restart("a").unwrap();
    assert_eq!(runs(supervisord.comes_to("a", ProgramState::Running).pid), "/bin/sleep\x002000\0");
    restart("a").unwrap();
    assert_eq!(runs(supervisord.program("b").pid), "/bin/sleep\x001000\0");
    let Answer::Groups(changed) = supervisord.ask(Call::Reread) else { panic!("no groups") };
    assert_eq!(changed.changed, ["b"]);
    supervisord.signal(Signal::TERM);
    assert_eq!(supervisord.end().0, Some(0));
}

/// Runs `upright` against a running one: its code and what it wrote.
fn upright(place: &Place, arguments: &[&str]) -> (Option<i32>, String) {
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_upright"))
        .args(arguments)
        .args(["--socket", "run/upright/control"])
        .current_dir(&place.dir)
        .stdin(std::process::Stdio::null())
        .output()
        .unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code(), text(&output.stdout) + &text(&output.stderr))
}

#[test]
fn a_changed_configuration_is_planned_and_applied_as_a_whole_and_taken_back_where_it_is_not_up() {
    let keep = "[program:keep]\ncommand=/bin/sleep 1000\n";
    let old = format!(
        "{keep}[program:web]\ncommand=/bin/sleep 1000\n[program:gone]\ncommand=/bin/sleep 1000\n\
         [program:off]\ncommand=/bin/sleep 1000\nautostart=false\n"
    );
    let place = Place::new(&old);
    let supervisord = place.start();
    for name in ["keep", "web", "gone"] {
        supervisord.comes_to(name, ProgramState::Running);
    }
    let pid = |name: &str| supervisord.program(name).pid;
    let runs = |name: &str| {
        let pid = supervisord.comes_to(name, ProgramState::Running).pid.unwrap();
        std::fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap()
    };
    let (kept, web) = (pid("keep"), pid("web"));
    let whole = place.read("x.conf");
    let head = whole.strip_suffix(old.as_str()).unwrap();
    std::fs::create_dir(place.dir.join("new")).unwrap();
    let propose = |text: &str| {
        std::fs::write(place.dir.join("new/x.conf"), format!("{head}{keep}{text}")).unwrap();
    };
    let off = "[program:off]\ncommand=/bin/sleep 1000\nautostart=false\nstartsecs=3\n";
    let more = "[program:more]\ncommand=/bin/sleep 1000\n";
    propose(&format!("[program:web]\ncommand=/bin/sleep 2000\n{off}{more}"));
    let (code, told) = upright(&place, &["plan", "new/x.conf"]);
    assert_eq!(code, Some(2), "{told}");
    for line in [
        "- gone\n    stop main",
        "~ off\n    startsecs:",
        "    stays stopped\n",
        "+ more\n    starts\n",
        "~ web\n    command: /bin/sleep 1000 -> /bin/sleep 2000",
        "    restart main (pid ",
        "1 to add (1 started), 2 to change (1 restarted), 1 to remove (1 stopped), 1 untouched",
    ] {
        assert!(told.contains(line), "{line}: {told}");
    }
    assert_eq!((pid("web"), place.read("x.conf")), (web, whole.clone()), "a plan changes nothing");

    let (code, told) = upright(&place, &["apply", "--yes", "new/x.conf"]);
    assert_eq!(code, Some(0), "{told}");
    assert_eq!((runs("web"), pid("keep")), (String::from("/bin/sleep\x002000\0"), kept));
    assert_eq!(runs("more"), "/bin/sleep\x001000\0");
    let names: Vec<String> =
        supervisord.programs().iter().map(|program| program.job.to_string()).collect();
    assert!(!names.contains(&String::from("gone")), "{names:?}");
    assert_eq!(supervisord.program("off").state, ProgramState::Stopped);

    let applied = place.read("x.conf");
    let fails = "[program:web]\ncommand=/bin/sh -c 'echo no such port; exit 7'\nstartretries=0\n";
    propose(&format!("{fails}{off}{more}"));
    let (code, told) =
        upright(&place, &["apply", "--yes", "--rollback-after", "60s", "new/x.conf"]);
    assert_eq!(code, Some(1), "{told}");
    assert!(told.contains("web: is not ready") && told.contains("Rolled back"), "{told}");
    assert_eq!((runs("web"), pid("keep")), (String::from("/bin/sleep\x002000\0"), kept));
    assert_eq!(place.read("x.conf"), applied);
    supervisord.signal(Signal::TERM);
    assert_eq!(supervisord.end().0, Some(0));
}

#[test]
fn a_plan_of_programs_prints_what_it_printed_also_of_what_listeners_are_told() {
    let run = "command=/bin/sleep 1000\n";
    let listener = |told: &str| format!("[eventlistener:ear]\ncommand=/bin/cat\n{told}");
    let old = format!("[program:web]\n{run}[program:gone]\n{run}{}", listener("events=TICK_60\n"));
    let place = Place::new(&old);
    let supervisord = place.start();
    for name in ["web", "gone", "ear"] {
        supervisord.comes_to(name, ProgramState::Running);
    }
    let ear = supervisord.program("ear").pid;
    let whole = place.read("x.conf");
    let head = whole.strip_suffix(old.as_str()).unwrap();
    let told = "events=TICK_5,PROCESS_STATE\nbuffer_size=77\n";
    let new = format!(
        "{head}[program:web]\ncommand=/bin/sleep 2000\n[program:more]\n{run}{}",
        listener(told)
    );
    std::fs::create_dir(place.dir.join("new")).unwrap();
    std::fs::write(place.dir.join("new/x.conf"), new).unwrap();
    let mut transcript = String::new();
    for arguments in [
        &["plan", "new/x.conf"][..],
        &["plan", "--json", "new/x.conf"],
        &["apply", "--yes", "new/x.conf"],
        &["plan"],
    ] {
        let (code, said) = upright(&place, arguments);
        let code = code.unwrap_or(-1);
        transcript += &format!("$ upright {}\n{said}[{code}]\n\n", arguments.join(" "));
    }
    let transcript = transcript.replace(&place.dir.display().to_string(), "DIR");
    crate::golden::check("plan-of-programs.txt", &transcript);
    assert_eq!(supervisord.program("ear").pid, ear, "it is told more, and goes on");
    supervisord.signal(Signal::TERM);
    assert_eq!(supervisord.end().0, Some(0));
}

#[test]
fn restarts_over_the_budget_of_the_file_wait_their_turn_and_why_says_so() {
    let failing = "command=/bin/false\nstartretries=1000000\nbackoff_delay=0\nrestart_pace=0\n";
    let place =
        Place::new(&format!("restart_budget=1:1\n[program:a]\n{failing}[program:b]\n{failing}"));
    let supervisord = place.start();
    for name in ["a", "b"] {
        let job = Target { job: Text::from(name), which: Which::Env(Vec::new()) };
        eventually("one has waited for its turn", || {
            let Answer::Why(why) = supervisord.ask(Call::Why(job.clone())) else { return None };
            // Where that is said: the file, and the section in it.
            assert_eq!(why.section, Some(format!("program:{name}")));
            assert!(why.files[0].lossy().ends_with(".conf"), "{:?}", why.files);
            let mut past = why.history.iter();
            past.any(|row| row.cause == "too many restarts on this host").then_some(())
        });
    }
    // Those who ask for something are served at once, however much fails.
    supervisord.stop("a");
    supervisord.stop("b");
    supervisord.signal(Signal::TERM);
    assert_eq!(supervisord.end().0, Some(0));
}

#[test]
fn a_configuration_that_only_root_may_read_is_read_before_its_user_is_become() {
    if sys::own::ids().0 != 0 {
        println!("passed over: only root becomes somebody else");
        return;
    }
    let place = Place::new(
        "user=daemon\n[include]\nfiles=more/*.conf\n\
         [program:main]\ncommand=sh -c 'id -un > main; exec sleep 1000'\nstartsecs=0\n\
         directory=%(here)s\nstdout_logfile=NONE\nstderr_logfile=NONE\n",
    );
    let more = place.dir.join("more");
    std::fs::create_dir(&more).unwrap();
    let program = "[program:more]\ncommand=sleep 1000\nstartsecs=0\n\
        stdout_logfile=NONE\nstderr_logfile=NONE\n";
    std::fs::write(more.join("x.conf"), program).unwrap();
    let closed = |path: &std::path::Path, mode| {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    };
    closed(&place.dir.join("x.conf"), 0o600);
    closed(&more, 0o700);
    let uid = sys::users::user(std::path::Path::new("/"), b"daemon").unwrap().uid;
    for path in [place.dir.clone(), place.dir.join("run")] {
        std::os::unix::fs::chown(path, Some(uid), None).unwrap();
    }
    let supervisord = place.start_unasked();
    eventually("it tells who it is", || (place.read("main") == "daemon\n").then_some(()));
    for program in ["main", "more"] {
        place.says(&format!("INFO success: {program} entered RUNNING state"));
    }
    // From then on it is read by who may not, and nothing is ended for that.
    supervisord.signal(Signal::HUP);
    place.says("could not read config file x.conf");
    supervisord.signal(Signal::TERM);
    assert_eq!(supervisord.end().0, Some(0));
}

#[test]
fn in_the_foreground_files_are_made_with_the_mask_that_it_was_started_with() {
    for mask in ["077", "000"] {
        let place = Place::new(&format!(
            "umask={mask}\n[program:web]\ncommand=sh -c 'umask; exec sleep 1000'\nstartsecs=0\n\
             stdout_logfile=%(here)s/out\n"
        ));
        std::fs::write(place.dir.join("ours"), "").unwrap();
        let supervisord = place.start();
        eventually("it has told its mask", || (!place.read("out").is_empty()).then_some(()));
        let mode = |file: &str| {
            std::fs::metadata(place.dir.join(file)).unwrap().permissions().mode() & 0o777
        };
        place.says("entered RUNNING state");
        for file in ["log", "out", "pid"] {
            assert_eq!(mode(file), mode("ours"), "{file}, umask={mask}");
        }
        let told = u32::from_str_radix(place.read("out").trim(), 8).unwrap();
        assert_eq!(0o666 & !told, mode("ours"));
        supervisord.signal(Signal::TERM);
        assert_eq!(supervisord.end().0, Some(0));
    }
}
