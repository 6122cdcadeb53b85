//! What a job's main leaves behind when it is stopped: named, or ended under `kill mode tree`.

use crate::machine::{Disk, Machine};

/// A main that ends when told to, with a child that does not; each says its number.
const STUBBORN: &str = r#"
script
  (trap '' TERM; while :; do sleep 0.05; done) &
  echo $! > /run/child.pid
  wait
end script
kill timeout 2
"#;

/// The same with a child that ends a moment later than main.
const SLOW: &str = r#"
script
  (trap 'sleep 0.02; exit 0' TERM; while :; do sleep 0.01; done) &
  echo $! > /run/child.pid
  wait
end script
"#;

pub fn named() {
    let machine = Machine::boot(&Disk::new().job("web", STUBBORN));
    machine.ok("upright start web");
    let child = machine.pid_file("/run/child.pid");
    let out = machine.run("upright stop web");
    let said = String::from_utf8_lossy(&out.stdout) + String::from_utf8_lossy(&out.stderr);
    assert!(said.contains("live") && said.contains(&child.to_string()), "{said}");
    assert!(said.contains("kill mode tree"), "{said}");
    assert!(machine.lives(child), "it was ended all the same");
    let why = machine.ok("upright why web");
    assert!(why.contains(&child.to_string()), "{why}");
    machine.ok(&format!("kill -KILL {child}"));
}

pub fn ended() {
    let machine = Machine::boot(&Disk::new().job("web", &format!("kill mode tree\n{STUBBORN}")));
    machine.ok("upright start web");
    let child = machine.pid_file("/run/child.pid");
    machine.ok("upright stop web");
    assert!(!machine.lives(child), "it lives on");
}

pub fn awaited() {
    let machine = Machine::boot(&Disk::new().job("web", SLOW));
    machine.ok("upright start web");
    let child = machine.pid_file("/run/child.pid");
    machine.ok("upright stop web");
    machine.until("the child has ended", || (!machine.lives(child)).then_some(()));
    assert_eq!(machine.ok("initctl status web"), "web stop/waiting\n");
}
