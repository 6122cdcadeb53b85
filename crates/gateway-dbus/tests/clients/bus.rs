//! On a message bus.

use crate::world::{
    eventually, has, is_root, open_to_all, said, Watcher, World, ROOT, STRANGER, UPSTART,
};
use std::fs;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::Command;

/// A bus daemon of the test's own.
struct Bus {
    _daemon: Watcher,
    socket: PathBuf,
}

/// The policy that we install for the machine's bus.
const POLICY: &str = include_str!("../../../../dist/com.ubuntu.Upstart.conf");

impl Bus {
    /// Starts one on which everybody may speak, but for what `policy` says.
    fn start(world: &World, policy: &str) -> Bus {
        open_to_all(&world.dir);
        let socket = world.dir.join("bus");
        let config = format!(
            "<busconfig><type>system</type><listen>unix:path={}</listen><auth>EXTERNAL</auth>\
             <policy context=\"default\"><allow user=\"*\"/><allow send_type=\"signal\"/>\
             <allow send_requested_reply=\"true\" send_type=\"method_return\"/>\
             <allow send_requested_reply=\"true\" send_type=\"error\"/>\
             <allow receive_type=\"*\"/><allow send_destination=\"org.freedesktop.DBus\"/>\
             </policy>{policy}</busconfig>",
            socket.display()
        );
        let path = world.dir.join("bus.conf");
        fs::write(&path, config).unwrap();
        let mut command = Command::new("dbus-daemon");
        command.args(["--nofork", "--nopidfile", "--config-file"]).arg(&path);
        let daemon = Watcher::start(world, "bus.said", command);
        eventually("the bus", || std::os::unix::net::UnixStream::connect(&socket).ok());
        Bus { _daemon: daemon, socket }
    }

    fn address(&self) -> String {
        format!("unix:path={}", self.socket.display())
    }

    fn send(&self, uid: Option<u32>, path: &str, method: &str, arguments: &[&str]) -> String {
        let mut command = Command::new("dbus-send");
        command.arg(format!("--bus={}", self.address()));
        command.args(["--print-reply=literal", "--dest=com.ubuntu.Upstart", path, method]);
        command.args(arguments);
        if let Some(uid) = uid {
            command.uid(uid).gid(uid);
        }
        said(&command.output().unwrap())
    }
}

/// Everybody may own and send everything.
const OPEN: &str = "<policy context=\"default\"><allow own=\"*\"/>\
                    <allow send_destination=\"com.ubuntu.Upstart\"/></policy>";

/// Returns the rules of the policy file.
fn installed_policy() -> &'static str {
    let (_, rules) = POLICY.split_once("<busconfig>").unwrap();
    rules.split_once("</busconfig>").unwrap().0
}

fn joined(world: &World, bus: &Bus) {
    let told = world.initctl(&["notify-dbus-address", &bus.address()]);
    assert!(told.status.success(), "{}", said(&told));
    eventually("the name on the bus", || {
        let jobs = bus.send(None, ROOT, &format!("{UPSTART}.GetAllJobs"), &[]);
        jobs.contains("/jobs/web").then_some(())
    });
}

#[test]
fn busctl_drives_jobs_over_a_bus_that_upright_was_told_of() {
    if !has("dbus-daemon") || !has("busctl") || !has("dbus-send") {
        return;
    }
    let world = World::start("dbus-bus", &[("web", "emits e1 e2\nexec sleep 1000\n")]);
    let bus = Bus::start(&world, OPEN);
    joined(&world, &bus);
    let busctl = |words: &[&str]| {
        let mut command = Command::new("busctl");
        command.arg(format!("--address={}", bus.address())).args(words);
        said(&command.output().unwrap())
    };
    let web = format!("{ROOT}/jobs/web");
    let name = "com.ubuntu.Upstart";
    let start = ["call", name, &web, "com.ubuntu.Upstart0_6.Job", "Start", "asb", "0", "true"];
    assert_eq!(busctl(&start), format!("o \"{web}/_\""));
    assert!(world.status("web").starts_with("web start/running"));
    let state =
        ["get-property", name, &format!("{web}/_"), "com.ubuntu.Upstart0_6.Instance", "state"];
    assert_eq!(busctl(&state), "s \"running\"");
    let tree = busctl(&["tree", "--list", name]);
    assert!(tree.contains(&format!("{web}/_")), "{tree}");
    if has("gdbus") {
        let mut command = Command::new("gdbus");
        command.args(["introspect", "--recurse", "--address", &bus.address()]);
        let tree = said(&command.args(["--dest", name, "--object-path", ROOT]).output().unwrap());
        for wanted in [
            "EmitEvent(in s name, in as env, in b wait);",
            "readonly as emits = ['e1', 'e2'];",
            "readonly s state = 'running';",
            "readonly a(si) processes = [('main', ",
        ] {
            assert!(tree.contains(wanted), "{wanted} is not in {tree}");
        }
    }
    // Another gateway goes on the bus again.
    let gateway = world.gateway();
    crate::world::kill(gateway, rustix::process::Signal::KILL);
    eventually("the name on the bus again", || (busctl(&state) == "s \"running\"").then_some(()));
    assert_ne!(world.gateway(), gateway);
    world.end();
}

#[test]
fn over_a_bus_everybody_has_their_own_rights() {
    if !has("dbus-daemon") || !has("dbus-send") || !is_root() {
        return;
    }
    let world = World::start("dbus-bus-rights", &[("web", "exec sleep 1000\n")]);
    let bus = Bus::start(&world, OPEN);
    joined(&world, &bus);
    let web = format!("{ROOT}/jobs/web");
    let get = format!("{UPSTART}.GetJobByName");
    let start = format!("{UPSTART}.Job.Start");
    let wait = ["array:string:", "boolean:true"];
    assert_eq!(bus.send(Some(STRANGER), ROOT, &get, &["string:web"]), web);
    let refused = bus.send(Some(STRANGER), &web, &start, &wait);
    assert!(refused.starts_with(&format!("Error {UPSTART}.Error.PermissionDenied")), "{refused}");
    assert_eq!(world.status("web"), "web stop/waiting");
    assert_eq!(bus.send(None, &web, &start, &wait), format!("{web}/_"));
    world.end();
}

#[test]
fn the_policy_that_is_installed_lets_strangers_look_only() {
    if !has("dbus-daemon") || !has("dbus-send") || !is_root() {
        return;
    }
    let world = World::start("dbus-bus-policy", &[("web", "exec sleep 1000\n")]);
    let bus = Bus::start(&world, installed_policy());
    joined(&world, &bus);
    let web = format!("{ROOT}/jobs/web");
    let call = |path: &str, method: &str, arguments: &[&str]| {
        bus.send(Some(STRANGER), path, method, arguments)
    };
    let properties = "org.freedesktop.DBus.Properties";
    let shown = call(&web, &format!("{properties}.GetAll"), &[&format!("string:{UPSTART}.Job")]);
    assert!(shown.contains("name"), "{shown}");
    assert_eq!(call(ROOT, &format!("{UPSTART}.GetJobByName"), &["string:web"]), web);
    for (path, method, arguments) in [
        (&web[..], format!("{UPSTART}.Job.Start"), &["array:string:", "boolean:true"][..]),
        (ROOT, format!("{UPSTART}.GetState"), &[]),
        (ROOT, format!("{UPSTART}.EmitEvent"), &["string:x", "array:string:", "boolean:true"]),
    ] {
        let said = call(path, &method, arguments);
        assert!(
            said.starts_with("Error org.freedesktop.DBus.Error.AccessDenied"),
            "{method}: {said}"
        );
    }
    let stopped =
        bus.send(None, &web, &format!("{UPSTART}.Job.Start"), &["array:string:", "boolean:true"]);
    assert_eq!(stopped, format!("{web}/_"));
    world.end();
}
