//! The gateway, or the daemon, is killed.

use crate::world::{eventually, has, kill, said, World, ROOT, UPSTART};
use rustix::process::Signal;
use std::process::{Command, Stdio};

#[test]
fn a_gateway_that_is_killed_is_started_again_and_serves_the_next_client() {
    if !has("dbus-send") {
        return;
    }
    let world = World::start("dbus-killed", &[("web", "exec sleep 1000\n")]);
    let method = format!("{UPSTART}.GetAllJobs");
    let all = format!("array [ {ROOT}/jobs/web ]");
    let mut before = 0;
    for _ in 0..5 {
        assert_eq!(world.send(ROOT, &method, &[]), all);
        let gateway = world.gateway();
        assert_ne!(gateway, before, "it is another");
        before = gateway;
        kill(gateway, Signal::KILL);
        eventually("its end", || {
            (world.status("upright/dbus").split(' ').next_back() != Some(&gateway.to_string()))
                .then_some(())
        });
    }
    let listed = said(&world.initctl(&["list"]));
    assert_eq!(listed, "web stop/waiting", "its own jobs are shown with --all only");
    world.end();
}

#[test]
fn a_call_that_waits_is_answered_though_the_daemon_is_killed() {
    if !has("dbus-send") {
        return;
    }
    let slow = "pre-start script\n  while [ ! -e gate ]; do sleep 0.02; done\nend script\nexec sleep 1000\n";
    let world = World::start("dbus-daemon-killed", &[("slow", slow)]);
    let mut command = Command::new("dbus-send");
    command.arg(format!("--address={}", world.address()));
    command.args(["--print-reply=literal", "--reply-timeout=60000", "--type=method_call"]);
    command.args([&format!("{ROOT}/jobs/slow"), &format!("{UPSTART}.Job.Start")]);
    command.args(["array:string:", "boolean:true"]).stdout(Stdio::piped()).stderr(Stdio::piped());
    let waiting = command.spawn().unwrap();
    eventually("the start", || {
        world.status("slow").starts_with("slow start/pre-start").then_some(())
    });
    let gateway = world.gateway();
    for _ in 0..3 {
        let daemon = world.daemon();
        kill(daemon, Signal::KILL);
        eventually("another daemon", || {
            (world.status("slow").starts_with("slow start") && world.daemon() != daemon)
                .then_some(())
        });
    }
    assert_eq!(world.gateway(), gateway, "it is still the same");
    std::fs::write(world.dir.join("gate"), "").unwrap();
    let output = waiting.wait_with_output().unwrap();
    assert_eq!(said(&output), format!("{ROOT}/jobs/slow/_"));
    assert!(world.status("slow").starts_with("slow start/running"));
    world.end();
}

#[test]
fn without_the_gateways_program_clients_are_refused_in_one_line_and_the_rest_works() {
    let world = World::start_alone("dbus-absent", &[("web", "exec sleep 1000\n")]);
    for _ in 0..3 {
        assert_eq!(crate::world::talk(&world.connect(), b"\0AUTH EXTERNAL\r\n"), b"");
    }
    let refusals = || world.said().matches("D-Bus clients are refused: ").count();
    assert_eq!(refusals(), 1, "{}", world.said());
    assert!(world.said().contains("upright-dbus is not installed"), "{}", world.said());
    assert!(world.initctl(&["start", "web"]).status.success());
    world.end();
}
