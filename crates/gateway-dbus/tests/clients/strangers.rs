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
