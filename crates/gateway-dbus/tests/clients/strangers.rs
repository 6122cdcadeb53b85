//! A stranger may look and not touch.

use crate::world::{has, is_root, World, ROOT, STRANGER, UPSTART};

#[test]
fn a_stranger_may_look_and_not_touch() {
    if !has("dbus-send") || !is_root() {
        return;
    }
    let world = World::start("dbus-stranger", &[("web", "exec sleep 1000\n")]);
    assert!(world.initctl(&["start", "web"]).status.success());
    let call = |path: &str, method: &str, arguments: &[&str]| {
        world.send_as(Some(STRANGER), path, &format!("{UPSTART}.{method}"), arguments)
    };
    let web = format!("{ROOT}/jobs/web");
    assert_eq!(call(ROOT, "GetJobByName", &["string:web"]), web);
    assert_eq!(call(&web, "Job.GetAllInstances", &[]), format!("array [ {web}/_ ]"));
    let all = ["array:string:", "boolean:true"];
    for (path, method, arguments) in [
        (&web[..], "Job.Stop", &all[..]),
        (&web, "Job.Start", &all),
        (&format!("{web}/_"), "Instance.Stop", &["boolean:true"]),
        (ROOT, "EmitEvent", &["string:x", "array:string:", "boolean:false"]),
        (ROOT, "ReloadConfiguration", &[]),
        (ROOT, "EndSession", &[]),
        (ROOT, "ListEnv", &["array:string:"]),
        (ROOT, "GetState", &[]),
        (ROOT, "Restart", &[]),
        (ROOT, "NotifyDBusAddress", &["string:unix:path=/x"]),
    ] {
        let said = call(path, method, arguments);
        let refused =
            format!("Error {UPSTART}.Error.PermissionDenied: You do not have permission to ");
        assert!(said.starts_with(&refused) && said.contains("you are uid 1 "), "{method}: {said}");
    }
    assert!(world.status("web").starts_with("web start/running"));
    world.end();
}

#[test]
fn who_was_granted_some_jobs_may_operate_those_and_reads_which_line_is_missing_for_others() {
    if !has("dbus-send") || !is_root() {
        return;
    }
    let run = "exec sleep 1000\n";
    let jobs = [("web-1", run), ("web-2", run), ("db", run)];
    let rights = format!("operate user {STRANGER} web-*\n");
    let world = World::start_granting("dbus-granted", &jobs, &rights);
    let call = |uid: u32, job: &str, method: &str| {
        // As D-Bus spells a name.
        let path = format!("{ROOT}/jobs/{}", job.replace('-', "_2d"));
        let all = ["array:string:", "boolean:true"];
        world.send_as(Some(uid), &path, &format!("{UPSTART}.Job.{method}"), &all)
    };
    assert_eq!(call(STRANGER, "web-1", "Start"), format!("{ROOT}/jobs/web_2d1/_"));
    assert!(world.status("web-1").starts_with("web-1 start/running"));
    assert_eq!(call(STRANGER, "web-1", "Restart"), format!("{ROOT}/jobs/web_2d1/_"));
    assert_eq!(call(STRANGER, "web-1", "Stop"), "");
    assert_eq!(world.status("web-1"), "web-1 stop/waiting");

    // The user, the job, and the line that would grant it.
    let said = call(STRANGER, "db", "Start");
    assert!(said.starts_with(&format!("Error {UPSTART}.Error.PermissionDenied: ")), "{said}");
    assert!(said.contains("you are uid 1 "), "{said}");
    assert!(said.contains("operate user") && said.contains(" db"), "{said}");
    assert_eq!(world.status("db"), "db stop/waiting");

    // Another user was granted nothing.
    let said = call(STRANGER + 1, "web-2", "Start");
    assert!(said.starts_with(&format!("Error {UPSTART}.Error.PermissionDenied: ")), "{said}");
    assert_eq!(world.status("web-2"), "web-2 stop/waiting");
    world.end();
}
