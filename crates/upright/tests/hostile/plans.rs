//! Plans: what files would change is told before anything is done, and telling it changes nothing.

use crate::golden;
use crate::world::{eventually, World, STEADY};
use serde_json::{json, Value};
use std::fs;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

/// Files in a directory beside that of the jobs.
fn proposed(world: &World, files: &[(&str, &str)]) -> PathBuf {
    let directory = world.dir.join("new");
    let _ = fs::remove_dir_all(&directory);
    for (name, text) in files {
        let path = directory.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    directory
}

const STEADY_FILE: (&str, &str) =
    ("steady.conf", "start on startup\nkill timeout 1\nexec sleep 1000\n");

fn plan(world: &World, arguments: &[&str]) -> (i32, Value) {
    let words: Vec<&str> = ["upright", "plan", "--json"].iter().chain(arguments).copied().collect();
    let (code, out, err) = world.run(&words);
    let json = serde_json::from_str(&out).unwrap_or_else(|why| panic!("{why}: {out}{err}"));
    (code, json)
}

/// The jobs of a plan with what becomes of each.
fn fates(plan: &Value) -> Vec<(String, String, String)> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let step = |step: &Value| {
        (text(&step["kind"]), text(&step["job"]), text(&step["instances"][0]["fate"]))
    };
    plan["steps"].as_array().unwrap().iter().map(step).collect()
}

#[test]
fn a_plan_tells_what_comes_goes_and_changes_and_changes_nothing() {
    let world = World::start("planned", |conf| {
        fs::write(conf.join("old.conf"), "start on startup\nexec sleep 1000\n").unwrap();
        fs::write(conf.join("web.conf"), "start on startup\nexec sleep 1000\n").unwrap();
        fs::write(conf.join("idle.conf"), "exec sleep 1000\n").unwrap();
    });
    eventually("the jobs run", || world.main("web").and(world.main("old")));
    let before = world.before();
    assert_eq!(plan(&world, &[]).0, 0);
    let new = proposed(
        &world,
        &[
            STEADY_FILE,
            ("web.conf", "start on startup\nexec sleep 999\n"),
            ("idle.conf", "exec sleep 999\n"),
            ("net/added.conf", "start on startup\nexec sleep 1000\n"),
        ],
    );
    let (code, plan) = plan(&world, &[new.to_str().unwrap()]);
    let step =
        |kind: &str, job: &str, fate: &str| (kind.to_owned(), job.to_owned(), fate.to_owned());
    let expected = [
        step("remove", "old", "stops"),
        step("change", "idle", "rests"),
        step("add", "net/added", "rests"),
        step("change", "web", "restarts"),
    ];
    assert_eq!((code, fates(&plan).as_slice()), (2, expected.as_slice()));
    let change = &plan["steps"][3]["changes"][0];
    let file = new.join("web.conf").display().to_string();
    let (old, new) = ("sleep 1000", "sleep 999");
    let expected =
        json!({"key": "exec", "old": old, "new": new, "takes": "restart", "file": file, "line": 2});
    assert_eq!(*change, expected);
    assert_eq!(plan["steps"][3]["instances"][0]["pid"], world.main("web").unwrap());
    assert_eq!(plan["summary"]["untouched"], 1);
    assert_eq!(world.jobs(), ["idle", "old", STEADY, "web"]);
    world.check(&before);
}

#[test]
fn a_file_that_is_broken_is_told_with_all_its_mistakes_and_others_only_where_they_are_meant() {
    let world = World::start("plan-broken", |conf| {
        fs::write(conf.join("wrong.conf"), "exce sleep 1\n").unwrap();
    });
    let new = proposed(&world, &[STEADY_FILE, ("web.conf", "exce a\nnice 99\n")]);
    let (code, out, _) = world.run(&["upright", "plan", new.to_str().unwrap()]);
    let shown = new.join("web.conf").display().to_string();
    assert_eq!(code, 1, "{out}");
    assert!(out.contains(&format!("{shown}:1:1: error: Unknown stanza\n1 | exce a\n  | ^^^^\n")));
    assert!(out.contains(&format!("{shown}:2:6: error: Illegal nice value, expected -20 to 19\n")));
    // What is wrong already keeps nobody from adding another file.
    fs::write(new.join("web.conf"), "exec a\n").unwrap();
    let file = new.join("web.conf");
    let (code, out, _) = world.run(&["upright", "plan", file.to_str().unwrap()]);
    assert_eq!(code, 2, "{out}");
    assert!(out.contains("it is none of those that are named") && out.contains("+ web\n"), "{out}");
    // Of the directory as it is it is one.
    assert_eq!(plan(&world, &[]).0, 1);
}

#[test]
fn a_file_stands_in_the_directory_that_is_read_and_into_says_which_of_several() {
    let world = World::start_with("plan-into", &["--append-confdir", "other"], |conf| {
        fs::create_dir(conf.join("../other")).unwrap();
        fs::write(conf.join("../other/there.conf"), "exec sleep 1\n").unwrap();
    });
    let new = proposed(&world, &[("a.conf", "exec a\n"), ("there.conf", "exec b\n")]);
    let file = |name: &str| new.join(name).display().to_string();
    let (conf, other) = (world.conf(), world.dir.join("other"));
    let (code, _, err) = world.run(&["upright", "plan", &file("a.conf")]);
    let (first, second) = (conf.join("a.conf"), other.join("a.conf"));
    let expected = format!("could be {} or {}", first.display(), second.display());
    assert!(code == 1 && err.contains(&expected) && err.contains("--into DIR"), "{err}");
    // The one that has it.
    let (code, json) = plan(&world, &[&file("there.conf")]);
    assert_eq!(
        (code, json["steps"][0]["files"][0].as_str()),
        (2, other.join("there.conf").to_str())
    );
    let (code, json) = plan(&world, &["--into", other.to_str().unwrap(), &file("a.conf")]);
    assert_eq!((code, json["steps"][0]["files"][0].as_str()), (2, second.to_str()));
    let (code, _, err) = world.run(&["upright", "plan", "--into", "/srv", &file("a.conf")]);
    assert!(code == 1 && err.contains("/srv/a.conf: nothing is read from there"), "{err}");
    let (code, _, err) = world.run(&["upright", "plan", &file("none.conf")]);
    assert!(code == 1 && err.contains("No such file"), "{err}");
}

/// What waits since the files were read is told, too: it is not in force.
#[test]
fn a_change_that_waits_for_a_restart_is_told_until_it_is_in_force() {
    let world = World::start("plan-waits", |_| {});
    world.write("steady.conf", "start on startup\nkill timeout 2\nexec sleep 999\n");
    world.run(&["initctl", "reload-configuration"]);
    let (code, json) = plan(&world, &[]);
    assert_eq!(code, 2);
    let keys: Vec<&Value> =
        json["steps"][0]["changes"].as_array().unwrap().iter().map(|one| &one["key"]).collect();
    assert_eq!(keys, ["exec", "kill timeout"]);
    world.run(&["upright", "restart", STEADY]);
    assert_eq!(plan(&world, &[]).0, 0);
}

fn apply(world: &World, arguments: &[&str]) -> (i32, String, String) {
    let words: Vec<&str> = ["upright", "apply"].iter().chain(arguments).copied().collect();
    world.run(&words)
}

#[test]
fn an_apply_does_what_the_plan_says_and_leaves_the_rest_alone() {
    let world = World::start("applied", |conf| {
        fs::write(conf.join("old.conf"), "start on startup\nexec sleep 1000\n").unwrap();
        fs::write(conf.join("web.conf"), "start on startup\nexec sleep 1000\n").unwrap();
        fs::write(conf.join("kept.conf"), "start on startup\nexec sleep 1000\n").unwrap();
        fs::write(conf.join("idle.conf"), "exec sleep 1000\n").unwrap();
    });
    let mains = || (world.main("web"), world.main("old"), world.main("kept"));
    let (web, _, kept) = eventually("the jobs run", || match mains() {
        (Some(web), Some(old), Some(kept)) => Some((web, old, kept)),
        _ => None,
    });
    let before = world.before();
    let new = proposed(
        &world,
        &[
            STEADY_FILE,
            ("web.conf", "start on startup\nexec sleep 999\n"),
            ("kept.conf", "start on startup\nkill timeout 9\nexec sleep 1000\n"),
            ("idle.conf", "exec sleep 999\n"),
            ("net/added.conf", "start on startup\nexec sleep 1000\n"),
        ],
    );
    let (code, out, err) = apply(&world, &[new.to_str().unwrap()]);
    assert_eq!(code, 0, "{out}{err}");
    assert!(
        out.contains("1 to add, 3 to change (1 restarted), 1 to remove (1 stopped), 1 untouched"),
        "{out}"
    );
    assert!(
        out.ends_with("Done: it is in force, and what was started or restarted is up.\n"),
        "{out}"
    );
    // It has another process, or the same command would have been waited for in vain.
    let now = world.main("web").unwrap();
    assert_ne!(now, web);
    assert_eq!(sys::procfs::arguments(now).unwrap()[1], b"999");
    assert_eq!(world.main("kept"), Some(kept));
    assert_eq!(world.main("idle"), None);
    eventually("what is gone has stopped", || {
        (!world.jobs().contains(&"old".into())).then_some(())
    });
    assert_eq!(world.jobs(), ["idle", "kept", "net/added", STEADY, "web"]);
    assert_eq!(plan(&world, &[]).0, 0);
    let names = |directory: PathBuf| {
        let entries = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().file_name());
        entries.collect::<std::collections::BTreeSet<_>>()
    };
    let expected = ["idle.conf", "kept.conf", "net", "steady.conf", "web.conf"];
    assert_eq!(names(world.conf()), expected.map(Into::into).into());
    world.check(&before);
}

#[test]
fn a_set_with_a_mistake_or_a_failing_check_touches_nothing() {
    const GOOD: &str = "start on startup\ncheck exec true\nexec sleep 1000\n";
    let world = World::start("apply-refused", |conf| {
        fs::write(conf.join("web.conf"), GOOD).unwrap();
        fs::write(conf.join("db.conf"), "start on startup\nexec sleep 1000\n").unwrap();
    });
    eventually("the jobs run", || world.main("web").and(world.main("db")));
    let before = world.before();
    let mains = (world.main("web"), world.main("db"));
    let db = ("db.conf", "start on startup\nexec sleep 999\n");
    let broken = [STEADY_FILE, db, ("web.conf", "exce true\n")];
    let failing = "start on startup\ncheck exec sh -c 'echo not so; exit 3'\nexec sleep 999\n";
    let failing = [STEADY_FILE, db, ("web.conf", failing)];
    for (files, words) in [(broken, "Unknown stanza"), (failing, "| not so")] {
        let new = proposed(&world, &files);
        let (code, out, err) = apply(&world, &[new.to_str().unwrap()]);
        assert!(code == 1 && format!("{out}{err}").contains(words), "{out}{err}");
        assert_eq!(fs::read_to_string(world.conf().join("web.conf")).unwrap(), GOOD);
        assert_eq!((world.main("web"), world.main("db")), mains);
        assert_eq!(fs::read_dir(world.conf()).unwrap().count(), 3);
        eventually("the old descriptions are wanted", || (plan(&world, &[]).0 == 0).then_some(()));
    }
    world.check(&before);
}

#[test]
fn what_is_not_up_in_time_is_taken_back_with_its_files() {
    const GOOD: &str = "start on startup\nrespawn\nexec sleep 1000\n";
    let world = World::start("rolled-back", |conf| {
        fs::write(conf.join("web.conf"), GOOD).unwrap();
        fs::write(conf.join("db.conf"), "start on startup\nexec sleep 1000\n").unwrap();
        fs::write(conf.join("old.conf"), "instance $N\nexec sleep 1000\n").unwrap();
    });
    eventually("the jobs run", || world.main("web").and(world.main("db")));
    assert_eq!(world.run(&["upright", "start", "old", "N=1"]).0, 0);
    let before = world.before();
    let crashes = "start on startup\nexec sh -c 'echo no such luck; exit 7'\n";
    let db = ("db.conf", "start on startup\nexec sleep 999\n");
    let new = proposed(&world, &[STEADY_FILE, db, ("web.conf", crashes)]);
    let (code, out, err) = apply(&world, &["--rollback-after", "60s", new.to_str().unwrap()]);
    assert_eq!(code, 1, "{out}{err}");
    assert!(err.contains("web: is not ready: ") && err.contains("| no such luck"), "{err}");
    assert!(err.contains("Rolled back: the files are as they were"), "{err}");
    assert_eq!(fs::read_to_string(world.conf().join("web.conf")).unwrap(), GOOD);
    assert_eq!(fs::read_dir(world.conf()).unwrap().count(), 4);
    for job in ["web", "db"] {
        let main = eventually("it runs as before", || world.main(job));
        assert_eq!(sys::procfs::arguments(main).unwrap()[1], b"1000", "{job}");
    }
    // What it was started with has come back with it.
    let (_, out, _) = world.run(&["upright", "status", "old"]);
    assert!(out.contains("old (1)") && out.contains("start/running"), "{out}");
    assert_eq!(plan(&world, &[]).0, 0);
    world.check(&before);
}

/// Its end would end everything, and there would be nothing to take back.
#[test]
fn an_essential_job_that_fails_the_test_ends_nothing() {
    const GOOD: &str = "start on startup\nessential\nexec sleep 1000\n";
    let world = World::start("essential-test", |conf| {
        fs::write(conf.join("web.conf"), GOOD).unwrap();
    });
    eventually("the job runs", || world.main("web"));
    let before = world.before();
    let new = proposed(&world, &[("web.conf", "start on startup\nessential\nexec false\n")]);
    let file = new.join("web.conf");
    let arguments = ["--json", "--rollback-after", "60s", file.to_str().unwrap()];
    let (code, out, err) = apply(&world, &arguments);
    let json: Value = serde_json::from_str(&out).unwrap_or_else(|why| panic!("{why}: {out}{err}"));
    assert_eq!((code, &json["applied"], &json["rolled_back"]), (1, &json!(false), &json!(true)));
    assert_eq!(json["not_ready"][0]["job"], "web");
    let main = eventually("it runs as before", || world.main("web"));
    assert_eq!(sys::procfs::arguments(main).unwrap()[1], b"1000");
    world.check(&before);
}

#[test]
fn files_that_are_held_back_are_not_read_until_that_ends_however_it_ends() {
    use crate::world::target;
    use engine::control::call::Call;
    use engine::machine::request::Request;
    let world = World::start("held", |_| {});
    let before = world.before();
    let mut holder = world.client();
    holder.ask(Call::Hold).unwrap();
    world.write("half.conf", "exec sleep 1000\n");
    fs::remove_file(world.conf().join("steady.conf")).unwrap();
    // Asked for, it waits; a restart reads nothing either; a second one is refused.
    let (code, _, err) = apply(&world, &[proposed(&world, &[STEADY_FILE]).to_str().unwrap()]);
    assert!(code == 1 && err.contains("somebody else is putting files in force"), "{err}");
    let said = world.ask(Call::Ask(Request::Check(target("half")), None));
    assert!(said.is_err());
    assert_eq!(world.jobs(), [STEADY]);
    let fresh = world.conf().join("steady.conf");
    fs::write(fresh, STEADY_FILE.1).unwrap();
    drop(holder);
    eventually("it is read once the client is gone", || {
        (world.jobs() == ["half", STEADY]).then_some(())
    });
    world.check(&before);
}

/// A job that runs and is not ready for an hour.
const NEVER_UP: &str = "start on startup\nexpect up 3600\nexec sleep 999\n";

/// Begins an apply that has no end of its own, and returns its client once the job is on its way.
fn apply_for_ever(world: &World) -> Child {
    let new = proposed(world, &[STEADY_FILE, ("web.conf", NEVER_UP)]);
    let mut client = Command::new(env!("CARGO_BIN_EXE_upright"));
    client.arg0("upright").args(["apply", "--rollback-after", "1h"]).arg(&new);
    client.env("UPRIGHT_SOCKET", world.socket()).stdout(Stdio::null());
    let client = client.spawn().unwrap();
    eventually("it is on its way", || {
        let main = world.main("web").and_then(sys::procfs::arguments)?;
        (main.get(1)? == b"999").then_some(())
    });
    client
}

#[test]
fn what_a_killed_apply_has_left_is_named_by_the_next_and_nothing_hangs() {
    let world = World::start("apply-killed", |conf| {
        fs::write(conf.join("web.conf"), "start on startup\nexec sleep 1000\n").unwrap();
    });
    eventually("the job runs", || world.main("web"));
    let mut client = apply_for_ever(&world);
    client.kill().unwrap();
    client.wait().unwrap();
    assert_eq!(fs::read_to_string(world.conf().join("web.conf")).unwrap(), NEVER_UP);
    let (_, _, err) = world.run(&["upright", "plan"]);
    assert!(err.contains(".web.conf.upright-old: left by an apply"), "{err}");
    // Whoever comes next may do something else at once.
    let good = proposed(&world, &[STEADY_FILE, ("web.conf", "start on startup\nexec sleep 998\n")]);
    let (code, out, err) = apply(&world, &[good.to_str().unwrap()]);
    assert_eq!(code, 0, "{out}{err}");
    assert_eq!(sys::procfs::arguments(world.main("web").unwrap()).unwrap()[1], b"998");
}

#[test]
fn ctrl_c_takes_everything_back() {
    use engine::signal::Signal;
    const GOOD: &str = "start on startup\nexec sleep 1000\n";
    let world = World::start("apply-interrupted", |conf| {
        fs::write(conf.join("web.conf"), GOOD).unwrap();
    });
    eventually("the job runs", || world.main("web"));
    let mut client = apply_for_ever(&world);
    let pid = engine::process::Pid::try_from(client.id()).unwrap();
    sys::pidfd::send(sys::pidfd::open(pid).unwrap(), Signal::INT).unwrap();
    assert_eq!(client.wait().unwrap().code(), Some(1));
    assert_eq!(fs::read_to_string(world.conf().join("web.conf")).unwrap(), GOOD);
    assert_eq!(sys::procfs::arguments(world.main("web").unwrap()).unwrap()[1], b"1000");
}

/// Runs a command and writes down what came of it, with the directory of this test as DIR.
fn shown(world: &World, transcript: &mut String, arguments: &[&str]) {
    let words: Vec<&str> = ["upright"].iter().chain(arguments).copied().collect();
    let (code, out, err) = world.run(&words);
    let lines = format!("$ {}\n{out}{err}[{code}]\n\n", words.join(" "));
    *transcript += &lines.replace(&world.dir.display().to_string(), "DIR");
}

#[test]
fn plans_and_applies_print_what_they_printed() {
    let world = World::start("printed", |conf| {
        let run = "start on startup\nexec sleep 1000\n";
        fs::write(conf.join("old.conf"), run).unwrap();
        fs::write(conf.join("web.conf"), run).unwrap();
        fs::write(
            conf.join("db.conf"),
            "start on startup\nscript\n  exec sleep 1000\nend script\n",
        )
        .unwrap();
        fs::write(conf.join("idle.conf"), "exec sleep 1000\n").unwrap();
        fs::write(conf.join("shop.conf"), "instance $TOWN\nexec sleep 1000\n").unwrap();
    });
    eventually("the jobs run", || world.main("web").and(world.main("old")).and(world.main("db")));
    assert_eq!(world.run(&["upright", "start", "shop", "TOWN=ulm"]).0, 0);
    assert_eq!(world.run(&["upright", "start", "shop", "TOWN=bonn"]).0, 0);
    let mut transcript = String::new();
    shown(&world, &mut transcript, &["plan"]);
    let good = [
        STEADY_FILE,
        ("web.conf", "start on startup\nkill timeout 9\nenv KEY=secret\nexec sleep 1000\n"),
        ("db.conf", "start on startup\nscript\n  umask 077\n  exec sleep 1000\nend script\n"),
        ("idle.conf", "nice 3\nexec sleep 1000\n"),
        ("shop.conf", "instance $TOWN\nkill timeout 7\nexec sleep 1000\n"),
        ("queue.conf", "start on db-up\nexec sleep 1000\n"),
    ];
    let new = proposed(&world, &good).display().to_string();
    shown(&world, &mut transcript, &["plan", &new]);
    shown(&world, &mut transcript, &["plan", "--json", &new]);
    shown(&world, &mut transcript, &["apply", "--yes", &new]);
    eventually("what is gone is forgotten", || (plan(&world, &[]).0 == 0).then_some(()));
    shown(&world, &mut transcript, &["plan", &new]);
    shown(&world, &mut transcript, &["apply", "--yes", &new]);
    let broken: Vec<(&str, &str)> =
        good.into_iter().chain([("queue.conf", "start on\nexce sleep\n")]).collect();
    let new = proposed(&world, &broken).display().to_string();
    shown(&world, &mut transcript, &["plan", &new]);
    shown(&world, &mut transcript, &["apply", "--yes", &new]);
    let crashes = "start on startup\nexec sh -c 'echo no such luck; exit 7'\n";
    let crashing: Vec<(&str, &str)> = good.into_iter().chain([("web.conf", crashes)]).collect();
    let new = proposed(&world, &crashing).display().to_string();
    shown(&world, &mut transcript, &["apply", "--yes", "--rollback-after", "60s", &new]);
    shown(&world, &mut transcript, &["apply", "--yes", "--json", "--rollback-after", "60s", &new]);
    golden::check("plan-of-jobs.txt", &transcript);
}
