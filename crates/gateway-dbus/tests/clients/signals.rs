//! Every signal, peer to peer.

use crate::world::{has_python, python, Watcher, World};

#[test]
fn python_is_told_of_everything_that_happens() {
    if !has_python() {
        return;
    }
    let jobs = [("web", "exec sleep 1000\n"), ("bad", "task\nexec sh -c 'exit 3'\n")];
    let world = World::start("dbus-signals", &jobs);
    let program = r#"
import dbus, os
from dbus.mainloop.glib import DBusGMainLoop
from gi.repository import GLib
DBusGMainLoop(set_as_default=True)
c = dbus.connection.Connection(os.environ['UPSTART_SESSION'])
def told(*values, path, interface, member):
    values = [[str(v) for v in x] if isinstance(x, dbus.Array) else x for x in values]
    shown = ' '.join(str(value) for value in values)
    print(path, interface + '.' + member, shown, flush=True)
c.add_signal_receiver(told, path_keyword='path', interface_keyword='interface', member_keyword='member')
GLib.MainLoop().run()
"#;
    let mut command = python(program);
    command.env("UPSTART_SESSION", world.address());
    let monitor = Watcher::start(&world, "monitor", command);
    crate::world::eventually("the monitor listens", || {
        assert!(world.initctl(&["emit", "knock"]).status.success());
        std::fs::read_to_string(world.dir.join("monitor")).unwrap().contains("knock").then_some(())
    });
    assert!(world.initctl(&["start", "web"]).status.success());
    assert!(world.initctl(&["stop", "web"]).status.success());
    assert!(!world.initctl(&["start", "bad"]).status.success());
    std::fs::write(world.dir.join("conf/late.conf"), "exec true\n").unwrap();
    assert!(world.initctl(&["reload-configuration"]).status.success());
    std::fs::remove_file(world.dir.join("conf/late.conf")).unwrap();
    assert!(world.initctl(&["reload-configuration"]).status.success());
    assert!(world.initctl(&["emit", "done", "A=1", "B=x y"]).status.success());
    let told = monitor.wait_for(&["EventEmitted done ['A=1', 'B=x y']"]);
    let web = "/com/ubuntu/Upstart/jobs/web";
    let upstart = "com.ubuntu.Upstart0_6";
    let root = format!("/com/ubuntu/Upstart {upstart}");
    let order = [
        format!("{web} {upstart}.Job.InstanceAdded {web}/_\n"),
        format!("{web}/_ {upstart}.Instance.GoalChanged start\n"),
        format!("{web}/_ {upstart}.Instance.StateChanged starting\n"),
        format!("{web}/_ {upstart}.Instance.StateChanged running\n"),
        format!("{root}.EventEmitted started ['JOB=web', 'INSTANCE=']\n"),
        format!("{web}/_ {upstart}.Instance.GoalChanged stop\n"),
        format!("{web}/_ {upstart}.Instance.StateChanged waiting\n"),
        format!("{web} {upstart}.Job.InstanceRemoved {web}/_\n"),
        format!("/com/ubuntu/Upstart/jobs/bad/_ {upstart}.Instance.Failed 3\n"),
        format!("{root}.JobAdded /com/ubuntu/Upstart/jobs/late\n"),
        format!("{root}.JobRemoved /com/ubuntu/Upstart/jobs/late\n"),
    ];
    let mut rest = told.as_str();
    for wanted in order {
        let Some(place) = rest.find(&wanted) else {
            panic!("{wanted} is not where it should be in\n{told}")
        };
        rest = &rest[place + wanted.len()..];
    }
    assert!(!told.contains("upright_2fdbus"), "Upright's own jobs are nobody's affair:\n{told}");
    world.end();
}
