//! Users who are neither root nor the owner may look and not touch.

use crate::world::{World, STEADY};
use std::os::unix::process::CommandExt;
use std::process::{Command, Output};

/// Runs the command line as nobody; nothing where we cannot become nobody.
fn as_nobody(world: &World, arguments: &[&str]) -> Option<Output> {
    if sys::peer::own_uid() != 0 {
        println!("skipped, 1 check: only root can become another user");
        return None;
    }
    // Where nobody may come: a copy beside the socket.
    let program = world.dir.join("upright");
    if !program.exists() {
        std::fs::copy(env!("CARGO_BIN_EXE_upright"), &program).unwrap();
    }
    let ran = Command::new(program)
        .args(arguments)
        .current_dir("/")
        .env("UPRIGHT_SOCKET", world.socket())
        .env_remove("UPSTART_SESSION")
        .uid(65_534)
        .gid(65_534)
        .output();
    Some(ran.unwrap())
}

#[test]
fn a_stranger_may_see_the_state_and_is_told_which_rule_refuses_a_stop_and_who_may() {
    let world = World::start("stranger", |_| {});
    let before = world.before();
    let Some(seen) = as_nobody(&world, &["status", STEADY]) else { return };
    let shown = String::from_utf8_lossy(&seen.stdout).into_owned();
    assert!(seen.status.success() && shown.contains("start/running"), "{seen:?}");
    for command in [&["stop", STEADY][..], &["start", STEADY], &["emit", "x"], &["down"]] {
        let refused = as_nobody(&world, command).unwrap();
        let said = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert!(!refused.status.success(), "{command:?}: {said}");
        assert!(said.contains("You do not have permission to"), "{command:?}: {said}");
        assert!(said.contains("you are uid 65534"), "{command:?}: {said}");
        assert!(said.contains("nothing grants you `"), "{command:?}: {said}");
        assert!(said.contains("Do it as root, for example with sudo"), "{command:?}: {said}");
    }
    world.check(&before);
}
