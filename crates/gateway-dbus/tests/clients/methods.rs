//! Every method, peer to peer.

use crate::world::{eventually, has, has_python, python, said, World, ROOT, UPSTART};

const JOBS: &[(&str, &str)] = &[
    (
        "a-b",
        "description \"d\"\nauthor \"au\"\nversion \"v1\"\nusage \"u\"\nemits e1 e2\n\
         start on x A=1 and (y or z)\nstop on q\ninstance $I\nexec sleep 1000\n",
    ),
    ("bare", "exec sleep 1000\nreload signal USR1\n"),
    ("task", "task\nexec false\n"),
    ("hooked", "start on hook\ntask\nexec false\n"),
];

fn job(method: &str) -> String {
    format!("{UPSTART}.Job.{method}")
}

fn instance(method: &str) -> String {
    format!("{UPSTART}.Instance.{method}")
}

fn root(method: &str) -> String {
    format!("{UPSTART}.{method}")
}

#[test]
fn dbus_send_finds_starts_and_stops_jobs() {
    if !has("dbus-send") {
        return;
    }
    let world = World::start("dbus-jobs", JOBS);
    let bare = format!("{ROOT}/jobs/bare");
    let named = format!("{ROOT}/jobs/a_2db");
    let check = |path: &str, method: &str, arguments: &[&str], expected: &str| {
        assert_eq!(world.send(path, method, arguments), expected, "{path} {method} {arguments:?}");
    };
    let all = world.send(ROOT, &root("GetAllJobs"), &[]);
    assert!(all.contains(&bare) && all.contains(&named) && !all.contains("dbus"), "{all}");
    check(ROOT, &root("GetJobByName"), &["string:a-b"], &named);
    let unknown = format!("Error {UPSTART}.Error.UnknownJob: Unknown job: nope");
    check(ROOT, &root("GetJobByName"), &["string:nope"], &unknown);
    let wait = ["array:string:", "boolean:true"];
    check(&bare, &job("Start"), &wait, &format!("{bare}/_"));
    let started = format!("Error {UPSTART}.Error.AlreadyStarted: Job is already running: bare");
    check(&bare, &job("Start"), &wait, &started);
    check(&bare, &job("GetAllInstances"), &[], &format!("array [ {bare}/_ ]"));
    check(&bare, &job("GetInstance"), &["array:string:"], &format!("{bare}/_"));
    check(&bare, &job("GetInstanceByName"), &["string:"], &format!("{bare}/_"));
    let before = world.status("bare");
    check(&bare, &job("Restart"), &wait, &format!("{bare}/_"));
    assert_ne!(world.status("bare"), before, "another process");
    check(&bare, &job("Stop"), &wait, "");
    assert_eq!(world.status("bare"), "bare stop/waiting");
    let unknown = format!("Error {UPSTART}.Error.UnknownInstance: Unknown instance:");
    check(&bare, &job("Stop"), &wait, &unknown);
    check(
        &named,
        &job("Start"),
        &["array:string:I=x/y.z", "boolean:false"],
        &format!("{named}/x_2fy_2ez"),
    );
    let usage = "Error org.freedesktop.DBus.Error.InvalidArgs: Unknown parameter: I Usage: u";
    check(&named, &job("GetInstance"), &["array:string:"], usage);
    let task = format!("{ROOT}/jobs/task");
    let failed = format!("Error {UPSTART}.Error.JobFailed: Job failed to start");
    check(&task, &job("Start"), &wait, &failed);
    let set = "org.freedesktop.DBus.Properties.Set";
    let name = [&*format!("string:{UPSTART}.Job"), "string:name", "variant:string:x"];
    let read_only = "Error org.freedesktop.DBus.Error.AccessDenied: The name property is read-only";
    check(&task, set, &name, read_only);
    let gone = format!("{ROOT}/jobs/gone");
    let unknown = "Error org.freedesktop.DBus.Error.UnknownMethod: Method \"Set\" with signature \
                   \"ssv\" on interface \"org.freedesktop.DBus.Properties\" doesn't exist";
    check(&gone, set, &name, unknown);
    world.end();
}

#[test]
fn dbus_send_drives_an_instance_until_it_is_gone() {
    if !has("dbus-send") {
        return;
    }
    let world = World::start("dbus-instance", JOBS);
    assert!(world.initctl(&["start", "bare"]).status.success());
    let path = format!("{ROOT}/jobs/bare/_");
    let started = format!("Error {UPSTART}.Error.AlreadyStarted: Job is already running: bare");
    assert_eq!(world.send(&path, &instance("Start"), &["boolean:true"]), started);
    let before = world.status("bare");
    assert_eq!(world.send(&path, &instance("Restart"), &["boolean:true"]), "");
    assert_ne!(world.status("bare"), before, "another process");
    // USR1 ends a sleep.
    assert_eq!(world.send(&path, &instance("Reload"), &[]), "");
    eventually("the signal's effect", || {
        (world.status("bare") == "bare stop/waiting").then_some(())
    });
    let gone = format!(
        "Error org.freedesktop.DBus.Error.UnknownMethod: Method \"Stop\" with signature \"b\" on \
         interface \"{UPSTART}.Instance\" doesn't exist"
    );
    assert_eq!(world.send(&path, &instance("Stop"), &["boolean:true"]), gone);
    assert!(world.initctl(&["start", "bare"]).status.success());
    assert_eq!(world.send(&path, &instance("Stop"), &["boolean:true"]), "");
    assert_eq!(world.status("bare"), "bare stop/waiting");
    world.end();
}

#[test]
fn dbus_send_changes_variables_and_emits_events() {
    if !has("dbus-send") {
        return;
    }
    let world = World::start("dbus-environment", JOBS);
    assert!(world.initctl(&["start", "bare"]).status.success());
    let call = |method: &str, arguments: &[&str]| world.send(ROOT, &root(method), arguments);
    let (all, own) = ("array:string:", "array:string:bare,");
    assert_eq!(call("SetEnv", &[all, "string:ONE=1", "boolean:true"]), "");
    assert_eq!(call("SetEnvList", &[own, "array:string:TWO=2,ONE=9", "boolean:false"]), "");
    assert_eq!(call("GetEnv", &[all, "string:ONE"]), "1");
    assert_eq!(call("GetEnv", &[own, "string:TWO"]), "2");
    let listed = call("ListEnv", &[own]);
    assert!(listed.contains("ONE=1") && listed.contains("TWO=2"), "{listed}");
    assert_eq!(call("UnsetEnv", &[all, "string:ONE"]), "");
    let none = "Error org.freedesktop.DBus.Error.InvalidArgs: No such variable: ONE";
    assert_eq!(call("GetEnv", &[all, "string:ONE"]), none);
    assert_eq!(call("UnsetEnvList", &[own, "array:string:TWO"]), "");
    assert_eq!(call("SetEnv", &[all, "string:THREE=3", "boolean:true"]), "");
    assert_eq!(call("ResetEnv", &[all]), "");
    assert!(call("GetEnv", &[all, "string:THREE"]).contains("No such variable: THREE"));
    let empty = "Error org.freedesktop.DBus.Error.InvalidArgs: Variable may not be empty string";
    assert_eq!(call("GetEnv", &[all, "string:"]), empty);
    let unknown =
        format!("Error {UPSTART}.Error.UnknownJobInstance: Unknown instance: _ of job bare");
    assert_eq!(call("GetEnv", &["array:string:bare,_", "string:X"]), unknown);
    assert_eq!(call("EmitEvent", &["string:ev", "array:string:A=1", "boolean:true"]), "");
    let failed = format!("Error {UPSTART}.Error.EventFailed: Event failed");
    assert_eq!(call("EmitEvent", &["string:hook", all, "boolean:true"]), failed);
    let bad = "Error org.freedesktop.DBus.Error.InvalidArgs: Env must be KEY=VALUE pairs";
    assert_eq!(call("EmitEvent", &["string:ev", "array:string:A", "boolean:true"]), bad);
    world.end();
}

#[test]
fn dbus_send_speaks_with_upstart_itself() {
    if !has("dbus-send") {
        return;
    }
    let world = World::start("dbus-root", JOBS);
    let call = |method: &str, arguments: &[&str]| world.send(ROOT, &root(method), arguments);
    std::fs::write(world.dir.join("conf/late.conf"), "exec true\n").unwrap();
    assert_eq!(call("ReloadConfiguration", &[]), "");
    assert_eq!(call("GetJobByName", &["string:late"]), format!("{ROOT}/jobs/late"));
    assert_eq!(call("NotifyDiskWriteable", &[]), "");
    assert_eq!(call("NotifyCGroupManagerAddress", &["string:unix:path=/x"]), "");
    let none = "Error org.freedesktop.DBus.Error.NoServer: Failed to connect to socket nope: Connection refused";
    assert_eq!(call("NotifyDBusAddress", &["string:unix:abstract=nope"]), none);
    let state = call("GetState", &[]);
    assert!(state.contains("\"name\":\"a-b\"") && state.contains("upright/dbus"), "{state}");
    let properties = |method: &str, arguments: &[&str]| {
        world.send(ROOT, &format!("org.freedesktop.DBus.Properties.{method}"), arguments)
    };
    let interface = format!("string:{UPSTART}");
    let priority = [&interface[..], "string:log_priority"];
    assert_eq!(properties("Get", &priority), "variant info");
    let set = [&interface[..], "string:log_priority", "variant:string:debug"];
    assert_eq!(properties("Set", &set), "");
    assert_eq!(properties("Get", &priority), "variant debug");
    assert_eq!(world.send("/any/path", "org.freedesktop.DBus.Peer.Ping", &[]), "");
    // The end of the session: its reply comes, then Upright ends.
    assert_eq!(call("EndSession", &[]), "");
    eventually("the end", || (!world.initctl(&["version"]).status.success()).then_some(()));
}

#[test]
fn restart_goes_on_in_the_binary_that_is_there_and_no_job_notices() {
    if !has("dbus-send") {
        return;
    }
    let world = World::start("dbus-restart", JOBS);
    assert!(world.initctl(&["start", "bare"]).status.success());
    let before = world.status("bare");
    let daemon = world.daemon();
    assert_eq!(world.send(ROOT, &root("Restart"), &[]), "");
    let after = world.daemon();
    assert_ne!(after, daemon);
    let found = world.send(ROOT, &root("GetJobByName"), &["string:bare"]);
    assert_eq!(found, format!("{ROOT}/jobs/bare"));
    assert_eq!(world.status("bare"), before);
    assert_eq!(world.daemon(), after, "once");
    world.end();
}

#[test]
fn python_calls_and_waits_for_several_answers_at_once() {
    if !has_python() {
        return;
    }
    let slow = ("slow", "pre-start exec sleep 1\nexec sleep 1000\n");
    let world = World::start("dbus-python", &[JOBS, &[slow]].concat());
    let program = r#"
import dbus, os
from dbus.mainloop.glib import DBusGMainLoop
from gi.repository import GLib
DBusGMainLoop(set_as_default=True)
c = dbus.connection.Connection(os.environ['UPSTART_SESSION'])
of = lambda path, name: dbus.Interface(c.get_object(object_path=path, bus_name=None), name)
root = of('/com/ubuntu/Upstart', 'com.ubuntu.Upstart0_6')
slow = of(root.GetJobByName('slow'), 'com.ubuntu.Upstart0_6.Job')
order = []
loop = GLib.MainLoop()
def came(what, last=False):
    order.append(what)
    if last: loop.quit()
none = dbus.Array([], 's')
slow.Start(none, True, reply_handler=lambda path: came('slow ' + path, True), error_handler=print)
root.GetAllJobs(reply_handler=lambda jobs: came('jobs %d' % len(jobs)), error_handler=print)
root.EmitEvent('nobody', none, True, reply_handler=lambda: came('event'), error_handler=print)
GLib.timeout_add_seconds(50, loop.quit)
loop.run()
print(sorted(order[:2]), order[2:])
p = dbus.Interface(c.get_object(object_path='/com/ubuntu/Upstart/jobs/slow/_', bus_name=None),
                   'org.freedesktop.DBus.Properties')
print(p.Get('com.ubuntu.Upstart0_6.Instance', 'state'))
p = dbus.Interface(c.get_object(object_path='/com/ubuntu/Upstart/jobs/a_2db', bus_name=None),
                   'org.freedesktop.DBus.Properties')
print([[str(word) for word in words] for words in p.Get('com.ubuntu.Upstart0_6.Job', 'start_on')])
"#;
    let output = python(program).env("UPSTART_SESSION", world.address()).output().unwrap();
    let expected = "['event', 'jobs 5'] ['slow /com/ubuntu/Upstart/jobs/slow/_'] running \
                    [['x', 'A=1'], ['y'], ['z'], ['/OR'], ['/AND']]";
    assert_eq!(said(&output), expected);
    world.end();
}

#[test]
fn an_event_brings_a_descriptor_to_the_job_that_it_starts() {
    if !has_python() {
        return;
    }
    let reader = "start on socket\nexec sh -c 'echo got $(cat <&$UPSTART_FDS); exec sleep 1000'\n";
    let world = World::start("dbus-file", &[("reader", reader)]);
    let program = r#"
import dbus, os
c = dbus.connection.Connection(os.environ['UPSTART_SESSION'])
o = dbus.Interface(c.get_object(object_path='/com/ubuntu/Upstart', bus_name=None), 'com.ubuntu.Upstart0_6')
r, w = os.pipe()
os.write(w, b'what was written'); os.close(w)
o.EmitEventWithFile('socket', dbus.Array(['PROTO=inet'], 's'), True, dbus.types.UnixFd(r))
print('emitted')
"#;
    let emit = || said(&python(program).env("UPSTART_SESSION", world.address()).output().unwrap());
    let log = || std::fs::read_to_string(world.dir.join("log/reader.log")).unwrap_or_default();
    for round in 1..=8 {
        assert_eq!(emit(), "emitted");
        eventually("the job's line", || {
            (log().matches("got what was written\n").count() == round).then_some(())
        });
        // The descriptor is given back with the job's end: more rounds than there are numbers.
        assert!(world.initctl(&["stop", "reader"]).status.success());
    }
    world.end();
}
