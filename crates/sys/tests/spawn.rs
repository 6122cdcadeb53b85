//! Children against the real kernel: every step, what it reports, what the program then finds.

use engine::keeper::HEAD;
use engine::process::{Exit, Step};
use engine::signal::Signal;
use engine::spec::{Limits, Resource};
use rustix::fs::OFlags;
use rustix::io::Errno;
use std::collections::BTreeSet;
use std::ffi::CString;
use std::io::{Read, Seek, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard};
use sys::ground::Grounds;
use sys::limits::Inherited;
use sys::plan::{Chdir, Console, Debug, Identity, Plan, Refused};
use sys::report::{Progress, Report};
use sys::spawn::{spawn, Launch, Source, Witness};
use sys::wait::{change, Change, Whom};
use sys::{memfd, pty};

/// What became of a child.
#[derive(Debug, PartialEq)]
struct Outcome {
    progress: Progress,
    warnings: u32,
    exit: Exit,
    output: String,
}

fn text(text: &str) -> CString {
    CString::new(text).unwrap()
}

/// A plan that runs a line of shell with its output in the log.
fn shell(line: &str) -> Plan {
    Plan {
        console: Console::Log,
        env: vec![text("PATH=/usr/bin:/bin")],
        ..Plan::new(text("/bin/sh"), vec![text("sh"), text("-c"), text(line)])
    }
}

/// Performs a plan twice, by a fork and in our memory where it may be: it makes no difference.
fn launch_with(plan: Source<'_>, script: Option<BorrowedFd<'_>>) -> Outcome {
    let [forked, shared] =
        [Grounds::none(), Grounds::new()].map(|grounds| launch_on(grounds, plan, script));
    // Outputs may name processes.
    assert_eq!((forked.progress, forked.warnings), (shared.progress, shared.warnings));
    assert_eq!(forked.exit, shared.exit);
    shared
}

fn launch_on(mut grounds: Grounds, plan: Source<'_>, script: Option<BorrowedFd<'_>>) -> Outcome {
    let inherited = Inherited::capture();
    let output = pty::pipe((0, 0)).unwrap();
    let log = Some(output.write.as_fd());
    let launch = Launch {
        plan,
        null: None,
        input: None,
        log,
        errors: None,
        script,
        given: &[],
        group: None,
        inherited: &inherited,
        witness: None,
    };
    let mut spawned = spawn(&launch, &mut grounds).unwrap();
    drop(output.write);
    let exit = sys::wait::exit_of(spawned.pid).unwrap();
    let output = rest_of(output.read);
    let progress = settled(&mut spawned.report);
    Outcome { progress, warnings: spawned.report.warnings(), exit, output }
}

/// Reads a pipe to its end. Children of other tests may have a copy until they execute, so the end
/// may come later than the writer's.
fn rest_of(read: OwnedFd) -> String {
    rustix::fs::fcntl_setfl(&read, OFlags::empty()).unwrap();
    let mut shown = String::new();
    std::fs::File::from(read).read_to_string(&mut shown).unwrap();
    shown
}

/// Reads a report to its end, which may come later for the same reason.
fn settled(report: &mut Report) -> Progress {
    loop {
        match report.read() {
            Progress::Pending => std::thread::yield_now(),
            progress => return progress,
        }
    }
}

/// Held by tests that read or change limits of this whole process.
fn limits_alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}

fn run(plan: &Plan) -> Outcome {
    launch_with(Source::Bytes(&plan.encode()), None)
}

fn output_of(plan: &Plan) -> String {
    let outcome = run(plan);
    assert_eq!((outcome.progress, outcome.exit), (Progress::Runs, Exit::Status(0)), "{outcome:?}");
    assert_eq!(outcome.warnings, 0, "{outcome:?}");
    outcome.output
}

fn fails(plan: &Plan, step: Step, errno: Errno) {
    let outcome = run(plan);
    let errno = errno.raw_os_error();
    assert_eq!(outcome.progress, Progress::Failed { step, errno }, "{outcome:?}");
    assert_eq!(outcome.exit, Exit::Status(255));
}

fn is_root() -> bool {
    let root = rustix::process::geteuid().is_root();
    if !root {
        println!("passed over: needs root");
    }
    root
}

/// A directory of this test's own, gone afterwards.
struct Directory(PathBuf);

impl Directory {
    fn new(name: &str) -> Directory {
        let path = std::env::temp_dir().join(format!("upright-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Directory(path)
    }

    fn file(&self, name: &str, content: &str, mode: u32) -> CString {
        let path = self.0.join(name);
        std::fs::write(&path, content).unwrap();
        std::fs::set_permissions(&path, PermissionsExt::from_mode(mode)).unwrap();
        text(path.to_str().unwrap())
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[test]
fn a_child_has_the_arguments_and_exactly_the_environment_of_its_plan() {
    let argv = ["env", "-u", "GONE"].map(text).to_vec();
    let env = ["B=2", "A=1 x", "GONE=1"].map(text).to_vec();
    let plan = Plan { env, console: Console::Log, ..Plan::new(text("/usr/bin/env"), argv) };
    assert_eq!(output_of(&plan), "B=2\nA=1 x\n");
}

#[test]
fn more_arguments_than_fit_on_the_stack_reach_the_program() {
    let mut plan = shell("echo $# $5000");
    plan.argv[2] = text("shift 4999; echo $# $1");
    plan.argv.push(text("sh"));
    plan.argv.extend((1..=6000).map(|n| text(&n.to_string())));
    assert_eq!(output_of(&plan), "1001 5000\n");
}

#[test]
fn a_child_leads_a_session_of_its_own_and_has_no_terminal() {
    let session = output_of(&shell("cut -d' ' -f1,5,6,7 /proc/$$/stat"));
    let fields: Vec<&str> = session.split_whitespace().collect();
    assert_eq!(fields.len(), 4);
    assert!(fields[..3].iter().all(|field| *field == fields[0]), "{session}");
    assert_eq!(fields[3], "0", "no controlling terminal");
}

/// What this test was itself started with beyond 0 to 3; the keeper closes that at its start.
fn inherited_descriptors() -> Vec<u32> {
    let listed = std::fs::read_dir("/proc/self/fd").unwrap().flatten();
    let flags = listed.filter_map(|entry| {
        let number = entry.file_name().into_string().unwrap();
        let info = std::fs::read_to_string(format!("/proc/self/fdinfo/{number}")).ok()?;
        let flags = info.lines().find_map(|line| line.strip_prefix("flags:")).unwrap().trim();
        let closed = u32::from_str_radix(flags, 8).unwrap() & OFlags::CLOEXEC.bits() != 0;
        number.parse().ok().filter(|number| !closed && *number > 3)
    });
    flags.collect()
}

/// The numbers in `ls -l` of a directory of descriptors.
fn numbers(listed: &str) -> Vec<u32> {
    let names = listed.lines().filter_map(|line| line.split_once(" -> "));
    let mut numbers: Vec<u32> =
        names.filter_map(|(name, _)| name.split_whitespace().last()?.parse().ok()).collect();
    numbers.sort_unstable();
    numbers
}

#[test]
fn a_program_has_exactly_its_descriptors_however_it_is_born_and_ours_stay_what_they_are() {
    let held: Vec<OwnedFd> =
        (0..200).map(|n: u32| memfd::sealed(c"held", &n.to_le_bytes()).unwrap()).collect();
    let inherited = inherited_descriptors();
    // The shell itself lists, so there is no descriptor but the directory's.
    let listing = shell("exec ls -l /proc/self/fd");
    let missing = Plan { candidates: vec![text("/nonexistent")], ..listing.clone() };
    let errno = Errno::NOENT.raw_os_error();
    let failed = Progress::Failed { step: Step::Exec, errno };
    // The OOM score makes it a fork.
    for oom_score_adj in [None, Some(5)] {
        for copied in [true, false] {
            let grounds = || match copied {
                true => Grounds::new().with_copied_tables(),
                false => Grounds::new(),
            };
            let plan = Plan { oom_score_adj, ..listing.clone() }.encode();
            let outcome = launch_on(grounds(), Source::Bytes(&plan), None);
            let more = inherited.iter().copied();
            let all: BTreeSet<u32> = (0..=3).chain(more).collect();
            let found: BTreeSet<u32> = numbers(&outcome.output).into_iter().collect();
            // Where the table cannot be shared it is copied.
            let as_few = !copied && found == BTreeSet::from([0, 1, 2, 3]);
            assert!(as_few || found == all, "{outcome:?}");
            assert!(outcome.output.contains("0 -> /dev/null"), "{outcome:?}");
            assert!(outcome.output.contains("3 -> /proc/"), "{outcome:?}");
            let plan = Plan { oom_score_adj, ..missing.clone() }.encode();
            let outcome = launch_on(grounds(), Source::Bytes(&plan), None);
            assert_eq!((outcome.progress, outcome.exit), (failed, Exit::Status(255)));
        }
    }
    for (n, fd) in (0u32..).zip(&held) {
        assert_eq!(memfd::read_all(fd).unwrap(), n.to_le_bytes(), "{fd:?}");
    }
}

#[test]
fn more_children_than_have_room_at_once_all_have_what_they_were_given() {
    let (mut grounds, inherited) = (Grounds::new(), Inherited::capture());
    let mut children = Vec::new();
    for n in 0..100 {
        let output = pty::pipe((0, 0)).unwrap();
        let score = (n % 3 == 0).then_some(5);
        let plan = Plan { oom_score_adj: score, ..shell(&format!("echo {n}; cat")) }.encode();
        let input = pty::input((0, 0)).unwrap();
        let launch = Launch {
            plan: Source::Bytes(&plan),
            null: None,
            input: Some(input.read.as_fd()),
            log: Some(output.write.as_fd()),
            errors: None,
            script: None,
            given: &[],
            group: None,
            inherited: &inherited,
            witness: None,
        };
        let spawned = spawn(&launch, &mut grounds).unwrap();
        assert_eq!(sys::pipe::write(&input.write, b"said\n"), Ok(5));
        children.push((n, spawned.pid, output.read));
    }
    for (n, pid, read) in children {
        assert_eq!(sys::wait::exit_of(pid), Some(Exit::Status(0)));
        assert_eq!(rest_of(read), format!("{n}\nsaid\n"));
    }
}

#[test]
fn a_child_blocks_and_ignores_no_signal() {
    // The test runner ignores SIGPIPE, and this thread blocks more.
    let before = sys::signals::blocked();
    sys::signals::block(sys::signals::SignalSet::ALL);
    let masks = output_of(&shell("grep -E '^Sig(Blk|Ign)' /proc/self/status"));
    sys::signals::block(before);
    assert_eq!(masks, "SigBlk:\t0000000000000000\nSigIgn:\t0000000000000000\n");
}

#[test]
fn a_missing_program_is_no_such_file() {
    let plan = Plan::new(text("/nonexistent/x"), vec![text("x")]);
    fails(&plan, Step::Exec, Errno::NOENT);
}

#[test]
fn a_program_is_written_down_before_it_is_executed_and_nothing_that_never_was_one() {
    const AT: u64 = 64;
    let us = sys::own::pid();
    let output = pty::pipe((0, 0)).unwrap();
    // The plan, the parent it believes in, its exit, whether it is written down.
    let missing = Plan::new(text("/nonexistent/x"), vec![text("x")]);
    let cases =
        [(shell("exit 3"), us, 3, true), (missing, us, 255, false), (shell(""), 1, 255, false)];
    for (plan, parent, status, is_written) in cases {
        for mut grounds in [Grounds::none(), Grounds::new()] {
            let file = memfd::create(c"upright-test-facts").unwrap();
            let inherited = Inherited::capture();
            let witness = Witness { fd: file.as_fd(), at: AT, record: [7; HEAD], parent };
            let launch = Launch {
                plan: Source::Bytes(&plan.encode()),
                null: None,
                input: None,
                log: Some(output.write.as_fd()),
                errors: None,
                script: None,
                given: &[],
                group: None,
                inherited: &inherited,
                witness: Some(witness),
            };
            // Its report is open: told nowhere, a failure would end it by a signal.
            let spawned = spawn(&launch, &mut grounds).unwrap();
            assert_eq!(sys::wait::exit_of(spawned.pid), Some(Exit::Status(status)));
            let all = memfd::read_all(&file).unwrap();
            let mut wanted = [7; HEAD];
            wanted[16..20].copy_from_slice(&spawned.pid.to_le_bytes());
            let written = all.get(64..).unwrap_or(&[]);
            match is_written {
                true => assert_eq!(written, wanted),
                false => assert!(written.iter().all(|byte| *byte == 0), "{written:?}"),
            }
        }
    }
}

#[test]
fn candidates_are_tried_in_their_order_and_one_that_is_denied_is_what_counts() {
    let directory = Directory::new("candidates");
    let denied = directory.file("denied", "#!/bin/sh\n", 0o644);
    let good = directory.file("good", "#!/bin/sh\necho \"$0 $*\"\n", 0o755);
    let missing = text("/nonexistent/x");
    let mut plan = shell("");
    plan.argv = vec![text("x"), text("a b")];
    plan.candidates = vec![missing.clone(), denied.clone(), good.clone()];
    assert_eq!(output_of(&plan), format!("{} a b\n", good.to_str().unwrap()));
    plan.candidates = vec![denied, missing];
    fails(&plan, Step::Exec, Errno::ACCESS);
    plan.candidates = vec![text("/"), text("/nonexistent/x")];
    fails(&plan, Step::Exec, Errno::ISDIR);
}

#[test]
fn a_file_without_a_known_format_is_a_script_of_the_shells() {
    let directory = Directory::new("noexec");
    let script = directory.file("script", "echo \"$0|$1|$2\"\n", 0o755);
    let mut plan = shell("");
    plan.argv = ["ignored", "one", "two"].map(text).to_vec();
    plan.candidates = vec![text("/nonexistent"), script.clone()];
    assert_eq!(output_of(&plan), format!("{}|one|two\n", script.to_str().unwrap()));
}

#[test]
fn a_working_directory_that_is_not_there_fails_the_start_or_warns() {
    let path = text("/nonexistent");
    let chdir = |refused| Some(Chdir { path: path.clone(), refused });
    fails(&Plan { chdir: chdir(Refused::Fails), ..shell("true") }, Step::Chdir, Errno::NOENT);
    let outcome = run(&Plan { chdir: chdir(Refused::Warns), ..shell("pwd") });
    assert_eq!((outcome.progress, outcome.exit), (Progress::Runs, Exit::Status(0)));
    assert_eq!(outcome.warnings, 1 << Step::Chdir.code());
    let plan =
        Plan { chdir: Some(Chdir { path: text("/usr"), refused: Refused::Fails }), ..shell("pwd") };
    assert_eq!(output_of(&plan), "/usr\n");
}

#[test]
fn a_root_directory_that_is_not_there_fails_the_start() {
    let expected = if is_root() { Errno::NOENT } else { Errno::PERM };
    fails(&Plan { chroot: Some(text("/nonexistent")), ..shell("true") }, Step::Chroot, expected);
}

#[test]
fn a_new_root_directory_leaves_no_working_directory_outside() {
    if !is_root() {
        return;
    }
    let directory = Directory::new("chroot");
    let root = text(directory.0.to_str().unwrap());
    // Nothing can be executed in there, which tells that the program is looked for in there.
    let plan = Plan { chroot: Some(root), ..shell("true") };
    fails(&plan, Step::Exec, Errno::NOENT);
    // A relative path is looked for in the working directory, which is the new root.
    let directory = Directory::new("chroot-relative");
    directory.file("denied", "", 0o644);
    let root = Some(text(directory.0.to_str().unwrap()));
    let plan = Plan { chroot: root, candidates: vec![text("./denied")], ..shell("true") };
    fails(&plan, Step::Exec, Errno::ACCESS);
}

#[test]
fn a_user_and_its_groups_are_taken_and_no_group_of_roots_stays() {
    if !is_root() {
        return;
    }
    let identity = Identity { groups: Some(vec![70, 71]), gid: Some(70), uid: Some(69) };
    let plan =
        Plan { identity, ..shell("id -u; id -ru; id -g; id -G; cat /proc/self/oom_score_adj") };
    assert_eq!(output_of(&plan), "69\n69\n70\n70 71\n0\n");
    let none = Identity { groups: Some(Vec::new()), gid: Some(70), uid: Some(69) };
    assert_eq!(output_of(&Plan { identity: none, ..shell("id -G") }), "70\n");
    let many: Vec<u32> = (1000..2000).collect();
    let identity = Identity { groups: Some(many), gid: Some(70), uid: Some(69) };
    let plan = Plan { identity, ..shell("set -- $(id -G); echo $#") };
    assert_eq!(output_of(&plan), "1001\n");
}

/// Runs a plan as nobody: the kernel's credentials are a thread's, so one of its own is enough.
fn as_nobody(plan: &Plan) -> Outcome {
    let plan = plan.clone();
    std::thread::spawn(move || {
        let id = rustix::fs::Uid::from_raw(65534);
        rustix::thread::set_thread_res_uid(id, id, id).unwrap();
        run(&plan)
    })
    .join()
    .unwrap()
}

#[test]
fn becoming_somebody_else_without_the_right_to_is_fatal() {
    if !is_root() {
        return;
    }
    let failed = |step: Step| Progress::Failed { step, errno: Errno::PERM.raw_os_error() };
    let uid = Identity { uid: Some(1), ..Identity::default() };
    let outcome = as_nobody(&Plan { identity: uid, ..shell("true") });
    assert_eq!(outcome.progress, failed(Step::Setuid));
    let gid = Identity { gid: Some(1), ..Identity::default() };
    let outcome = as_nobody(&Plan { identity: gid, ..shell("true") });
    assert_eq!(outcome.progress, failed(Step::Setgid));
    let groups = Identity { groups: Some(vec![1]), ..Identity::default() };
    let outcome = as_nobody(&Plan { identity: groups, ..shell("true") });
    assert_eq!(outcome.progress, failed(Step::Groups));
}

#[test]
fn what_only_tunes_is_a_warning_without_the_right_to() {
    if !is_root() {
        return;
    }
    let plan = Plan {
        nice: Some(-5),
        oom_score_adj: Some(-500),
        limits: vec![(Resource::Core, Limits { soft: Some(0), hard: Some(0) })],
        ..shell("ulimit -c; cat /proc/self/oom_score_adj")
    };
    let outcome = as_nobody(&plan);
    let warnings = 1 << Step::Nice.code() | 1 << Step::Oom.code();
    assert_eq!((outcome.progress, outcome.warnings), (Progress::Runs, warnings), "{outcome:?}");
    assert_eq!(outcome.output, "0\n0\n");
}

#[test]
fn a_hard_limit_that_may_not_be_raised_warns_and_sets_what_may_be() {
    if !is_root() {
        return;
    }
    let _alone = limits_alone();
    let most = rustix::process::getrlimit(rustix::process::Resource::Nofile).maximum.unwrap();
    let limits = Limits { soft: Some(77), hard: Some(most + 1) };
    let plan = Plan { limits: vec![(Resource::Nofile, limits)], ..shell("ulimit -Sn; ulimit -Hn") };
    let outcome = as_nobody(&plan);
    assert_eq!((outcome.progress, outcome.warnings), (Progress::Runs, 1 << Step::Limit.code()));
    assert_eq!(outcome.output, format!("77\n{most}\n"));
}

#[test]
fn limits_niceness_umask_and_oom_score_are_set() {
    let plan = Plan {
        nice: Some(7),
        oom_score_adj: Some(321),
        umask: Some(0o37),
        limits: vec![
            (Resource::Nofile, Limits { soft: Some(55), hard: Some(66) }),
            (Resource::Core, Limits { soft: Some(0), hard: None }),
        ],
        ..shell("ulimit -Sn; ulimit -Hn; ulimit -c; umask; nice; cat /proc/self/oom_score_adj")
    };
    let unlimited = rustix::process::getrlimit(rustix::process::Resource::Core).maximum.is_none();
    if unlimited || is_root() {
        assert_eq!(output_of(&plan), "55\n66\n0\n0037\n7\n321\n");
    }
    let bad = Limits { soft: Some(66), hard: Some(55) };
    fails(&Plan { limits: vec![(Resource::Nofile, bad)], ..plan }, Step::Limit, Errno::INVAL);
}

#[test]
fn a_limit_of_descriptors_that_is_tiny_does_not_hinder_the_set_up() {
    // The dynamic loader needs one beside 0 to 2.
    let limits = vec![(Resource::Nofile, Limits { soft: Some(4), hard: Some(4) })];
    let plan = Plan { oom_score_adj: Some(5), nice: Some(1), limits, ..shell("ulimit -n") };
    assert_eq!(output_of(&plan), "4\n");
}

#[test]
fn a_child_gets_back_the_limit_that_we_raised_for_ourselves() {
    let _alone = limits_alone();
    let inherited = Inherited::capture();
    let soft = inherited.descriptors();
    sys::limits::raise_descriptors();
    let plan = shell("ulimit -Sn").encode();
    let output = pty::pipe((0, 0)).unwrap();
    let log = Some(output.write.as_fd());
    let plan = Source::Bytes(&plan);
    let launch = Launch {
        plan,
        null: None,
        input: None,
        log,
        errors: None,
        script: None,
        given: &[],
        group: None,
        inherited: &inherited,
        witness: None,
    };
    let spawned = spawn(&launch, &mut Grounds::new()).unwrap();
    drop(output.write);
    assert_eq!(sys::wait::exit_of(spawned.pid), Some(Exit::Status(0)));
    let shown = rest_of(output.read);
    let expected = soft.map_or("unlimited".to_owned(), |soft| soft.to_string());
    assert_eq!(shown.trim(), expected);
}

#[test]
fn descriptors_that_are_given_become_those_that_the_plan_names() {
    let plan = Plan {
        given: vec![0, 8],
        ..shell("cat; cat <&8; if (: <&7) 2>/dev/null; then echo seven; fi")
    };
    let said = |text: &[u8]| memfd::sealed(c"given", text).unwrap();
    let given = [None, Some(said(b"one\n")), Some(said(b"two\n")), None];
    let inherited = Inherited::capture();
    let output = pty::pipe((0, 0)).unwrap();
    let launch = Launch {
        plan: Source::Bytes(&plan.encode()),
        null: None,
        input: None,
        log: Some(output.write.as_fd()),
        errors: None,
        script: None,
        given: &given,
        group: None,
        inherited: &inherited,
        witness: None,
    };
    let spawned = spawn(&launch, &mut Grounds::new()).unwrap();
    drop(output.write);
    sys::wait::exit_of(spawned.pid).unwrap();
    assert_eq!(rest_of(output.read), "one\ntwo\n");
    fails(&Plan { given: vec![3], ..shell("true") }, Step::Plan, Errno::BADF);
}

#[test]
fn input_comes_from_its_pipe_and_errors_go_into_their_own() {
    let (input, output) = (pty::input((0, 0)).unwrap(), pty::pipe((0, 0)).unwrap());
    let errors = pty::pipe((0, 0)).unwrap();
    let inherited = Inherited::capture();
    let plan = shell("cat; echo wrong >&2").encode();
    let launch = Launch {
        plan: Source::Bytes(&plan),
        null: None,
        input: Some(input.read.as_fd()),
        log: Some(output.write.as_fd()),
        errors: Some(errors.write.as_fd()),
        script: None,
        given: &[],
        group: None,
        inherited: &inherited,
        witness: None,
    };
    let spawned = spawn(&launch, &mut Grounds::new()).unwrap();
    drop((input.read, output.write, errors.write));
    assert_eq!(sys::pipe::write(&input.write, b"a line\n"), Ok(7));
    drop(input.write);
    sys::wait::exit_of(spawned.pid).unwrap();
    assert_eq!(rest_of(output.read), "a line\n");
    assert_eq!(rest_of(errors.read), "wrong\n");
}

#[test]
fn a_script_is_descriptor_9_and_readable_by_the_user_who_runs_it() {
    let script = memfd::sealed(c"script", b"exec 9<&-; echo \"$0\" $(id -u)\n").unwrap();
    let mut plan = shell("");
    plan.argv = ["sh", "-e", "/proc/self/fd/9"].map(text).to_vec();
    let mut expected = format!("/proc/self/fd/9 {}\n", rustix::process::geteuid().as_raw());
    if is_root() {
        plan.identity = Identity { groups: Some(Vec::new()), gid: Some(70), uid: Some(69) };
        expected = "/proc/self/fd/9 69\n".to_owned();
    }
    // Twice: every reader begins at the start.
    for _ in 0..2 {
        let outcome = launch_with(Source::Bytes(&plan.encode()), Some(script.as_fd()));
        assert_eq!(outcome.output, expected, "{outcome:?}");
    }
}

#[test]
fn the_pipe_of_a_user_is_opened_again_as_dev_stderr() {
    if !is_root() {
        return;
    }
    let identity = Identity { groups: Some(Vec::new()), gid: Some(70), uid: Some(69) };
    let plan = Plan { identity, ..shell("echo again > /dev/stderr") }.encode();
    let inherited = Inherited::capture();
    let output = pty::pipe((69, 70)).unwrap();
    let log = Some(output.write.as_fd());
    let launch = Launch {
        plan: Source::Bytes(&plan),
        null: None,
        input: None,
        log,
        errors: None,
        script: None,
        given: &[],
        group: None,
        inherited: &inherited,
        witness: None,
    };
    let spawned = spawn(&launch, &mut Grounds::new()).unwrap();
    drop(output.write);
    assert_eq!(sys::wait::exit_of(spawned.pid), Some(Exit::Status(0)));
    let shown = rest_of(output.read);
    assert_eq!(shown, "again\n");
}

#[test]
fn a_pseudo_terminal_ends_lines_as_upstart_did() {
    let plan = shell("test -t 1 && echo out").encode();
    let inherited = Inherited::capture();
    let output = pty::terminal((0, 0)).unwrap();
    let log = Some(output.write.as_fd());
    let launch = Launch {
        plan: Source::Bytes(&plan),
        null: None,
        input: None,
        log,
        errors: None,
        script: None,
        given: &[],
        group: None,
        inherited: &inherited,
        witness: None,
    };
    let spawned = spawn(&launch, &mut Grounds::new()).unwrap();
    drop(output.write);
    assert_eq!(sys::wait::exit_of(spawned.pid), Some(Exit::Status(0)));
    let mut shown = [0; 64];
    let length = rustix::io::read(&output.read, &mut shown).unwrap();
    assert_eq!(&shown[..length], b"out\r\n");
}

#[test]
fn a_plan_in_a_file_is_read_by_the_child() {
    let plan = shell("echo from a file").encode();
    let file = memfd::sealed(c"plan", &plan).unwrap();
    let source = Source::File { fd: file.as_fd(), length: plan.len() };
    assert_eq!(launch_with(source, None).output, "from a file\n");
    let source = Source::File { fd: file.as_fd(), length: plan.len() + 1 };
    let failed = |errno: Errno| Progress::Failed { step: Step::Plan, errno: errno.raw_os_error() };
    assert_eq!(launch_with(source, None).progress, failed(Errno::NODATA), "shorter than said");
    let source = Source::File { fd: file.as_fd(), length: usize::MAX };
    assert_eq!(launch_with(source, None).progress, failed(Errno::INVAL), "longer than any plan");
}

#[test]
fn a_malformed_plan_fails_before_anything_is_done() {
    let mut plan = shell("echo never").encode();
    plan.push(1);
    let outcome = launch_with(Source::Bytes(&plan), None);
    let errno = Errno::INVAL.raw_os_error();
    assert_eq!(outcome.progress, Progress::Failed { step: Step::Plan, errno });
    assert_eq!(outcome.output, "");
}

#[test]
fn a_control_group_is_joined_first_and_a_missing_one_is_a_warning() {
    let missing = vec![text("/nonexistent/cgroup.procs")];
    let outcome = run(&Plan { cgroups: missing, ..shell("true") });
    let warned = 1 << Step::Cgroup.code();
    assert_eq!((outcome.progress, outcome.warnings), (Progress::Runs, warned), "{outcome:?}");
    let directory = Directory::new("cgroup");
    let procs = directory.file("cgroup.procs", "", 0o644);
    output_of(&Plan { cgroups: vec![procs], ..shell("true") });
    let written = std::fs::read(directory.0.join("cgroup.procs")).unwrap();
    assert_eq!(written, b"0", "the writing process itself");
}

#[test]
fn a_security_profile_that_cannot_be_switched_to_is_fatal() {
    if std::path::Path::new("/proc/self/attr/apparmor/exec").exists() {
        println!("passed over: this kernel has AppArmor");
        return;
    }
    let outcome = run(&Plan { profile: Some(text("x")), ..shell("true") });
    let Progress::Failed { step: Step::Profile, .. } = outcome.progress else {
        panic!("{outcome:?}");
    };
}

#[test]
fn a_system_console_that_is_missing_is_null_with_a_warning_or_fatal_for_its_owner() {
    // Close-on-exec, or children of other tests would have it.
    let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
    let there = rustix::fs::open(c"/dev/console", flags, rustix::fs::Mode::empty());
    let Err(errno) = there else {
        let outcome = run(&Plan { console: Console::Output, ..shell("true") });
        assert_eq!((outcome.progress, outcome.warnings), (Progress::Runs, 0), "{outcome:?}");
        return;
    };
    fails(&Plan { console: Console::Owner, ..shell("true") }, Step::Console, errno);
    let outcome = run(&Plan { console: Console::Output, ..shell("true") });
    let warned = 1 << Step::Console.code();
    assert_eq!((outcome.progress, outcome.warnings), (Progress::Runs, warned), "{outcome:?}");
}

#[test]
fn a_process_that_is_debugged_stops_before_it_executes() {
    let plan = Plan { debug: Debug::Stop, ..shell("true") }.encode();
    let inherited = Inherited::capture();
    let plan = Source::Bytes(&plan);
    let output = pty::pipe((0, 0)).unwrap();
    let log = Some(output.write.as_fd());
    let launch = Launch {
        plan,
        null: None,
        input: None,
        log,
        errors: None,
        script: None,
        given: &[],
        group: None,
        inherited: &inherited,
        witness: None,
    };
    let mut spawned = spawn(&launch, &mut Grounds::new()).unwrap();
    let stopped = loop {
        match change(Whom::Pid(spawned.pid)) {
            Some((_, change)) => break change,
            None => std::thread::yield_now(),
        }
    };
    assert_eq!(stopped, Change::Stopped(19));
    assert_eq!(
        settled(&mut spawned.report),
        Progress::Runs,
        "the debugger needs to know its number"
    );
    let name = sys::procfs::stat(spawned.pid).unwrap().comm;
    assert_ne!(name, b"sh", "not executed yet");
    sys::signals::send(spawned.pid, Signal::CONT).unwrap();
    assert_eq!(sys::wait::exit_of(spawned.pid), Some(Exit::Status(0)));
}

#[test]
fn an_end_by_a_signal_is_told_from_an_exit() {
    let outcome = run(&shell("ulimit -c 0; kill -9 $$"));
    assert_eq!(outcome.exit, Exit::Signal { signal: 9, core: false });
    assert_eq!(run(&shell("exit 200")).exit, Exit::Status(200));
}

#[test]
fn a_sealed_file_in_memory_cannot_be_changed() {
    let file = memfd::sealed(c"x", b"content").unwrap();
    assert_eq!(memfd::write_all_at(&file, b"y", 0), Err(Errno::PERM));
    assert_eq!(memfd::set_length(&file, 0), Err(Errno::PERM));
    assert_eq!(memfd::read_all(&file).unwrap(), b"content");
    let mut file = std::fs::File::from(memfd::create(c"y").unwrap());
    file.write_all(b"abc").unwrap();
    file.rewind().unwrap();
    assert_eq!(memfd::length(&file).unwrap(), 3);
    assert_eq!(file.metadata().unwrap().nlink(), 0);
}

#[test]
fn a_child_that_fails_in_our_memory_leaves_errno_and_what_it_was_told_alone() {
    let mut grounds = Grounds::new();
    let inherited = Inherited::capture();
    for round in 0..200 {
        let missing = Plan::new(text("/nonexistent"), vec![text("x")]);
        let mut plan = missing.encode();
        let source = Source::Bytes(&plan);
        let launch = Launch {
            plan: source,
            null: None,
            input: None,
            log: None,
            errors: None,
            script: None,
            given: &[],
            group: None,
            inherited: &inherited,
            witness: None,
        };
        let errno = std::fs::read("/").unwrap_err().raw_os_error();
        let mut spawned = spawn(&launch, &mut grounds).unwrap();
        // The next message comes into the same buffer, at once.
        plan.fill(0xff);
        assert_eq!(sys::wait::exit_of(spawned.pid), Some(Exit::Status(255)), "round {round}");
        assert_eq!(std::io::Error::last_os_error().raw_os_error(), errno, "round {round}");
        let failed = Progress::Failed { step: Step::Exec, errno: Errno::NOENT.raw_os_error() };
        assert_eq!(settled(&mut spawned.report), failed, "round {round}");
        grounds.trim();
    }
}
