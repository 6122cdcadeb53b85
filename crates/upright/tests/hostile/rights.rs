//! What the file of rights grants is granted, and nothing else; a broken file changes nothing.

use crate::world::{eventually, World, STEADY};
use engine::signal::Signal;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output};

/// A user and a group that no account has.
const USER: &str = "12345";
const GROUP: &str = "777";

/// Starts Upright with a file of rights and a job `web`; nothing where we cannot become others.
fn start(name: &str, rights: &str) -> Option<World> {
    if sys::peer::own_uid() != 0 {
        println!("skipped, 1 check: only root can become another user");
        return None;
    }
    if Command::new("setpriv").arg("--version").output().is_err() {
        println!("skipped, 1 check: setpriv is not installed");
        return None;
    }
    let arguments = ["--rights", "upright.rights", "--audit", "audit"];
    let world = World::start_with(name, &arguments, |conf| {
        let file = conf.parent().unwrap().join("upright.rights");
        write(&file, rights);
        fs::write(conf.join("web.conf"), "instance $ID\nexec sleep 1000\n").unwrap();
        fs::write(conf.join("db.conf"), "exec sleep 1000\n").unwrap();
    });
    Some(world)
}

fn write(file: &Path, text: &str) {
    fs::write(file, text).unwrap();
    fs::set_permissions(file, fs::Permissions::from_mode(0o644)).unwrap();
}

/// Runs the command line as a user with these other groups.
fn as_user(world: &World, user: &str, groups: &str, arguments: &[&str]) -> Output {
    user_command(world, user, groups, arguments).output().unwrap()
}

fn user_command(world: &World, user: &str, groups: &str, arguments: &[&str]) -> Command {
    let program = world.dir.join("upright");
    if !program.exists() {
        fs::copy(env!("CARGO_BIN_EXE_upright"), &program).unwrap();
    }
    let groups = match groups {
        "" => String::from("--clear-groups"),
        groups => format!("--groups={groups}"),
    };
    let mut command = Command::new("setpriv");
    command
        .args([&format!("--reuid={user}"), &format!("--regid={user}"), &groups])
        .arg(program)
        .args(arguments)
        .current_dir("/")
        .env("UPRIGHT_SOCKET", world.socket())
        .env_remove("UPSTART_SESSION");
    command
}

fn may(world: &World, user: &str, groups: &str, arguments: &[&str]) {
    let ran = as_user(world, user, groups, arguments);
    assert!(ran.status.success(), "{user} {arguments:?}: {ran:?}");
}

/// Returns what the refusal says.
fn may_not(world: &World, user: &str, groups: &str, arguments: &[&str]) -> String {
    let ran = as_user(world, user, groups, arguments);
    let said = String::from_utf8_lossy(&ran.stderr).into_owned();
    assert!(!ran.status.success(), "{user} {arguments:?}: {said}");
    assert!(said.contains("You do not have permission to"), "{user} {arguments:?}: {said}");
    said
}

#[test]
fn users_and_groups_may_do_what_the_file_grants_and_no_more() {
    let lines = format!("operate user {USER} web\noperate group {GROUP} d?\nlook user daemon *\n");
    let Some(world) = start("rights", &lines) else { return };
    let before = world.before();
    may(&world, USER, "", &["start", "web", "ID=1"]);
    may(&world, USER, "", &["restart", "web", "ID=1"]);
    let said = may_not(&world, USER, "", &["start", "web", "ID=2", "LD_PRELOAD=/tmp/x.so"]);
    assert!(said.contains("`administer' over web, which the variable LD_PRELOAD needs"), "{said}");
    let said = may_not(&world, USER, "", &["stop", STEADY]);
    let rule = format!("you are uid {USER} and nothing grants you `operate' over {STEADY}");
    let line = format!("the line `operate user {USER} {STEADY}' in {}", world.dir.display());
    assert!(said.contains(&rule) && said.contains(&line), "{said}");
    assert!(said.contains("or by `allow operate user"), "{said}");
    may_not(&world, USER, "", &["emit", "x"]);
    may_not(&world, USER, "", &["start", "db"]);
    may(&world, "12346", &format!("5,{GROUP}"), &["start", "db"]);
    may(&world, GROUP, "", &["stop", "db"]);
    may_not(&world, "12346", "5", &["start", "db"]);
    // By name, as the accounts have it.
    let path = |user: &str| as_user(&world, user, "", &["log", "web", "ID=1"]);
    assert!(path("1").status.success(), "{:?}", path("1"));
    may_not(&world, "2", "", &["log", "web", "ID=1"]);
    may_not(&world, "1", "", &["stop", "web", "ID=1"]);
    may(&world, USER, "", &["stop", "web", "ID=1"]);
    world.check(&before);
}

#[test]
fn who_may_look_reads_the_log_of_a_job_though_not_its_file_and_for_as_long_as_they_may() {
    let lines = format!("look user {USER} talker\n");
    let Some(world) = start("rights-log", &lines) else { return };
    let words = world.dir.join("words");
    assert!(Command::new("mkfifo").arg(&words).status().unwrap().success());
    let script = format!("read word; do echo $word; done <> {}", words.display());
    world
        .write("talker.conf", &format!("log mode 0600\nexec sh -c 'echo first; while {script}'\n"));
    assert_eq!(world.run(&["initctl", "reload-configuration"]).0, 0);
    assert_eq!(world.run(&["start", "talker"]).0, 0);
    let log = world.dir.join("log/talker.log");
    eventually("the log", || fs::read_to_string(&log).ok().filter(|text| text == "first\n"));
    assert_eq!(fs::metadata(&log).unwrap().permissions().mode() & 0o7777, 0o600);
    let ran = as_user(&world, USER, "", &["log", "talker"]);
    assert_eq!((ran.stdout.as_slice(), ran.status.code()), (&b"first\n"[..], Some(0)), "{ran:?}");
    let ran = as_user(&world, USER, "", &["why", "talker"]);
    assert!(String::from_utf8_lossy(&ran.stdout).contains("  | first\n"), "{ran:?}");
    let said = may_not(&world, "12346", "", &["log", "talker"]);
    assert!(said.contains("nothing grants you `look' over talker"), "{said}");

    let mut following = user_command(&world, USER, "", &["log", "-f", "talker"]);
    let followed = world.dir.join("followed");
    let file = |path: &Path| fs::File::create(path).unwrap();
    let refusal = world.dir.join("refusal");
    following.stdout(file(&followed)).stderr(file(&refusal));
    let mut following = following.spawn().unwrap();
    let reads = |expected: &str| {
        eventually(&format!("{expected:?} is read"), || {
            fs::read_to_string(&followed).ok().filter(|text| text == expected)
        });
    };
    reads("first\n");
    fs::write(&words, "second\n").unwrap();
    reads("first\nsecond\n");
    fs::rename(&log, world.dir.join("log/talker.old")).unwrap();
    fs::write(&words, "third\n").unwrap();
    reads("first\nsecond\nthird\n");
    // Another daemon is asked then.
    let daemon = world.daemon();
    sys::pidfd::send(sys::pidfd::open(daemon).unwrap(), Signal::KILL).unwrap();
    eventually("another daemon", || (world.daemon() != daemon).then_some(()));
    fs::write(&words, "fourth\n").unwrap();
    reads("first\nsecond\nthird\nfourth\n");
    assert!(following.try_wait().unwrap().is_none(), "it goes on");
    write(&world.dir.join("upright.rights"), "");
    assert_eq!(world.run(&["initctl", "reload-configuration"]).0, 0);
    let ended = eventually("following ends", || following.try_wait().unwrap());
    let said = fs::read_to_string(&refusal).unwrap();
    assert!(said.contains("You do not have permission to read the output of jobs"), "{said}");
    assert_eq!(ended.code(), Some(1));
}

#[test]
fn who_may_see_less_than_when_they_began_to_follow_events_is_told() {
    let lines = format!("administer user {USER} *\n");
    let Some(world) = start("rights-events", &lines) else { return };
    let (followed, refusal) = (world.dir.join("followed"), world.dir.join("refusal"));
    let file = |path: &Path| fs::File::create(path).unwrap();
    let mut following = user_command(&world, USER, "", &["events", "-f"]);
    following.stdout(file(&followed)).stderr(file(&refusal));
    let mut following = following.spawn().unwrap();
    let read = || fs::read_to_string(&followed).unwrap();
    eventually("the stream has begun", || {
        assert_eq!(world.run(&["initctl", "emit", "seen", "A=value"]).0, 0);
        read().contains("A=value").then_some(())
    });
    write(&world.dir.join("upright.rights"), &format!("look user {USER} *\n"));
    assert_eq!(world.run(&["initctl", "reload-configuration"]).0, 0);
    let ended = eventually("following ends", || following.try_wait().unwrap());
    let said = fs::read_to_string(&refusal).unwrap();
    assert!(said.contains("permission to see the values of events any more"), "{said}");
    assert_eq!(ended.code(), Some(1));
    // Asked again, they are shown without.
    assert_eq!(world.run(&["initctl", "emit", "unseen", "A=secret"]).0, 0);
    let again = as_user(&world, USER, "", &["events"]);
    let again = String::from_utf8_lossy(&again.stdout).into_owned();
    assert!(again.contains("event unseen A") && !again.contains("secret"), "{again}");
}

#[test]
fn a_broken_file_leaves_the_rights_in_force_also_for_the_next_daemon() {
    let Some(world) = start("rights-broken", &format!("operate user {USER} db\n")) else { return };
    let file = world.dir.join("upright.rights");
    let reload = || {
        let (code, _, said) = world.run(&["initctl", "reload-configuration"]);
        assert_eq!(code, 0, "{said}");
    };
    may(&world, USER, "", &["start", "db"]);
    write(&file, &format!("oprate user {USER} db\noperate usr {USER} db\n"));
    reload();
    let shown = file.display();
    world.await_said(&format!("{shown}:1: no such role; did you mean `operate`?"));
    world.await_said(&format!("{shown}:2: nobody is named; did you mean `user`?"));
    world.await_said("it is not put in force: the 1 lines that were in force before stay so");
    may(&world, USER, "", &["restart", "db"]);
    let before = world.daemon();
    sys::pidfd::send(sys::pidfd::open(before).unwrap(), Signal::KILL).unwrap();
    eventually("another daemon", || (world.daemon() != before).then_some(()));
    may(&world, USER, "", &["restart", "db"]);
    write(&file, &format!("look user {USER} db\n"));
    reload();
    may_not(&world, USER, "", &["restart", "db"]);
    fs::remove_file(&file).unwrap();
    reload();
    world.await_said("--rights or UPRIGHT_RIGHTS names it, and it is not there");
    let (_, checked, _) = {
        let file = world.dir.join("bad.rights");
        write(&file, "look user nosuchuserhere *\nlok everybody *\n");
        world.run(&["upright", "check", &file.display().to_string()])
    };
    assert!(checked.contains("bad.rights:1:11: warning: no such user here"), "{checked}");
    assert!(checked.contains("bad.rights:2:1: error: no such role\n2 | lok everybody *\n  | ^^^\n"));
}

#[test]
fn a_file_that_others_could_have_written_grants_nothing() {
    let Some(world) = start("rights-others", "") else { return };
    let file = world.dir.join("upright.rights");
    let reload = || assert_eq!(world.run(&["initctl", "reload-configuration"]).0, 0);
    write(&file, &format!("operate user {USER} db\n"));
    fs::set_permissions(&file, fs::Permissions::from_mode(0o666)).unwrap();
    reload();
    world.await_said("others may write to it (mode 0666); chmod go-w it");
    world.await_said("it is not put in force: only root and the owner have rights");
    may_not(&world, USER, "", &["start", "db"]);
    write(&file, &format!("operate user {USER} db\n"));
    std::os::unix::fs::chown(&file, Some(12345), None).unwrap();
    reload();
    world.await_said(&format!("belongs to uid {USER}; chown it to 0"));
    may_not(&world, USER, "", &["start", "db"]);
    std::os::unix::fs::chown(&file, Some(0), None).unwrap();
    reload();
    may(&world, USER, "", &["start", "db"]);
}

#[test]
fn who_did_what_with_which_result_is_written_down_whoever_dies() {
    let Some(world) = start("rights-audit", &format!("operate user {USER} web\n")) else { return };
    let lines = || fs::read_to_string(world.dir.join("audit")).unwrap_or_default();
    let line = |words: &[&str]| {
        eventually(&format!("a line with {words:?} in:\n{}", lines()), || {
            let text = lines();
            let found = text.lines().find(|line| words.iter().all(|word| line.contains(word)));
            found.map(str::to_owned)
        })
    };
    let uid = format!("uid={USER}");
    may(&world, USER, "", &["start", "web", "ID=1"]);
    line(&[
        &uid,
        "pid=",
        "program=upright",
        "command=Start",
        "job=web",
        "variables=ID result=done",
    ]);
    may_not(&world, USER, "", &["start", "web", "ID=1", "PASSWORD=secret"]);
    line(&[&uid, "variables=ID,PASSWORD result=denied rule=", "`administer' over web, which"]);
    assert_ne!(world.run(&["start", "web", "ID=1"]).0, 0);
    line(&["uid=0 user=root", "command=Start", "result=failed why=already-running"]);
    // What only reads is nobody's business.
    assert_eq!(world.run(&["status", "web", "ID=1"]).0, 0);
    let (daemon, children) = (world.daemon(), world.keeper_children());
    for pid in children {
        sys::pidfd::send(sys::pidfd::open(pid).unwrap(), Signal::KILL).unwrap();
    }
    eventually("another daemon", || (world.daemon() != daemon).then_some(()));
    may(&world, USER, "", &["stop", "web", "ID=1"]);
    line(&[&uid, "command=Stop", "job=web", "result=done"]);
    let text = lines();
    assert!(!text.contains("secret") && !text.contains("command=Status"), "{text}");
    let mode = fs::metadata(world.dir.join("audit")).unwrap().permissions().mode();
    assert_eq!(mode & 0o7777, 0o640);
}

#[test]
fn who_may_look_sees_a_plan_without_values_of_variables_and_strangers_see_none() {
    let Some(world) = start("rights-plan", "look user 12345 *\n") else { return };
    let file = world.dir.join("db.conf");
    write(&file, "env SECRET=xyzzy\nexec sleep 999\n");
    let plan = |user: &str| {
        let ran = as_user(&world, user, "", &["plan", file.to_str().unwrap()]);
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (ran.status.code(), text(&ran.stdout), text(&ran.stderr))
    };
    let (code, out, _) = plan("0");
    assert_eq!(code, Some(2));
    assert!(out.contains("env SECRET: none -> xyzzy"), "{out}");
    let (code, out, _) = plan(USER);
    assert_eq!(code, Some(2));
    assert!(out.contains("exec: sleep 1000 -> sleep 999"), "{out}");
    assert!(out.contains("env SECRET: another value") && !out.contains("xyzzy"), "{out}");
    let (code, out, err) = plan("12346");
    assert_eq!((code, out.as_str()), (Some(1), ""));
    assert!(err.contains("nothing grants you `look' over everything"), "{err}");
}
