//! `examples/node-upstart` and `examples/node`.

use crate::machine::{Disk, Machine};

fn get(machine: &Machine, port: u16) -> String {
    machine.until(&format!("port {port} answers"), || {
        let output = machine.run(&format!("curl -s http://127.0.0.1:{port}/page"));
        let page = String::from_utf8_lossy(&output.stdout).into_owned();
        output.status.success().then_some(page)
    })
}

fn id_of(machine: &Machine, user: &str) -> String {
    machine.ok(&format!("id -u {user}")).trim().to_owned()
}

pub fn start_stop_daemon() {
    let disk = Disk::new()
        .example_job("node-upstart/node-upstart.conf")
        .example("node-upstart/apps/node-upstart.js", "/home/node/apps/node-upstart.js")
        .prepare("rm -rf /var/opt/node");
    let machine = Machine::boot(&disk);
    assert!(machine.ok("initctl list").contains("node-upstart stop/waiting\n"));
    let first = pid_of_start(&machine);
    let node = id_of(&machine, "node");
    assert_eq!(get(&machine, 8124), format!("process {first}, user {node}\n"));
    assert_eq!(machine.pid_file("/var/opt/node/run/node-upstart.pid"), first);
    let owner = machine.ok("stat -c %U:%G /var/opt/node /var/opt/node/log /var/opt/node/run");
    assert_eq!(owner, "node:node\n".repeat(3));
    let log = "/var/opt/node/log/node-upstart.log";
    machine.line(log, "GET /page");

    machine.ok(&format!("kill -KILL {first}"));
    let second = machine.another("node-upstart", first);
    assert_eq!(get(&machine, 8124), format!("process {second}, user {node}\n"));
    assert_eq!(machine.pid_file("/var/opt/node/run/node-upstart.pid"), second);
    for pid in [first, second] {
        machine.line(log, &format!("process {pid} listens on port 8124"));
    }

    assert_eq!(machine.ok("stop node-upstart"), "node-upstart stop/waiting\n");
    assert!(!machine.lives(second));
    assert_eq!(machine.ok("status node-upstart"), "node-upstart stop/waiting\n");
    machine.ok("initctl emit runlevel RUNLEVEL=2 PREVLEVEL=N");
    let third = machine.main_of("node-upstart");
    assert!(machine.lives(third));
    machine.ok("initctl emit runlevel RUNLEVEL=0 PREVLEVEL=2");
    assert_eq!(machine.ok("status node-upstart"), "node-upstart stop/waiting\n");
}

fn pid_of_start(machine: &Machine) -> i32 {
    let line = machine.ok("start node-upstart");
    let pid = machine.main_of("node-upstart");
    assert_eq!(line, format!("node-upstart start/running, process {pid}\n"));
    assert_eq!(machine.ok("status node-upstart"), line);
    pid
}

pub fn plain() {
    let disk = Disk::new().example_job("node/node.conf").example("node/app.js", "/srv/node/app.js");
    let machine = Machine::boot(&disk);
    machine.ok("initctl emit runlevel RUNLEVEL=2 PREVLEVEL=N");
    let first = machine.main_of("node");
    let node = id_of(&machine, "node");
    assert_eq!(get(&machine, 8125), format!("process {first}, user {node}\n"));
    // Its own group, and none of root's.
    let group = machine.ok("id -g node").trim().to_owned();
    assert_eq!(machine.status_field(first, "Gid"), [group.as_str(); 4].join(" "));
    assert_eq!(machine.status_field(first, "Groups"), group);

    let log = "/var/log/upstart/node.log";
    machine.line(log, "GET /page");
    machine.ok("reload node");
    machine.line(log, "reads its configuration again");
    assert_eq!(machine.main_of("node"), first);

    machine.ok(&format!("kill -KILL {first}"));
    let second = machine.another("node", first);
    assert_eq!(get(&machine, 8125), format!("process {second}, user {node}\n"));

    assert_eq!(machine.ok("stop node"), "node stop/waiting\n");
    assert!(machine.read(log).ends_with("ends in order\n"));
    assert_eq!(machine.ok("upright log -n 1000 node"), machine.read(log));
}
