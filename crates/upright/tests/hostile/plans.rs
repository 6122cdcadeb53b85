//! Plans: what files would change is told before anything is done, and telling it changes nothing.

use crate::world::{eventually, World, STEADY};
use serde_json::{json, Value};
use std::fs;
use std::path::PathBuf;

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
