//! Numbered lines on both outputs of a program while Upright's processes are killed.

use crate::world::{eventually, Role, World};
use engine::signal::Signal;

/// How many lines each output has, and how often daemon and logger are killed meanwhile.
const LINES: usize = 6000;
const KILLS: usize = 12;

const WRITER: &str = "start on startup\nlog stderr writer.err\nlog rotate 0 0\nscript\n\
     i=0; while [ $i -lt 6000 ]; do echo out $i; echo err $i >&2; i=$((i+1)); done\n\
     touch DIR/count/done\nexec sleep 1000\nend script\n";

pub fn both_outputs_lose_and_double_nothing_when_daemon_and_logger_are_killed() {
    let mut world = World::start("outputs", &[(String::from("writer"), String::from(WRITER))]);
    for _ in 0..KILLS {
        for role in [Role::Logger, Role::Daemon] {
            let pid = world.other(role, None);
            world.signal(pid, Signal::KILL);
            world.other(role, Some(pid));
        }
    }
    eventually("everything is said", || world.dir.join("count/done").exists().then_some(()));
    for (file, word) in [("log/writer.log", "out"), ("log/writer.err", "err")] {
        let lines = eventually("every line", || {
            let lines = world.lines(file);
            (lines.len() >= LINES).then_some(lines)
        });
        let wanted: Vec<String> = (0..LINES).map(|number| format!("{word} {number}")).collect();
        assert!(lines == wanted, "{file}: {} lines", lines.len());
    }
    assert_eq!(world.end(), Some(0));
}
