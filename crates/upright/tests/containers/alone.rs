//! `upright run`, in place of tini.

use crate::container::Image;

fn code(command: &[&str]) -> i32 {
    Image::new().user(12345).run(command).end()
}

pub fn codes() {
    for (script, expected) in
        [("exit 0", 0), ("exit 3", 3), ("kill -KILL $$", 137), ("kill -TERM $$", 143)]
    {
        assert_eq!(code(&["upright", "run", "--", "sh", "-c", script]), expected, "{script}");
    }
    assert_eq!(code(&["upright", "run", "-e", "143", "--", "sh", "-c", "kill -TERM $$"]), 0);
    assert_eq!(code(&["upright", "run", "--", "not-there"]), 127);
    assert_eq!(code(&["upright", "run", "--", "/etc/passwd"]), 126);
    assert_eq!(code(&["upright", "run", "--bogus"]), 1);
}

const PROGRAM: &str = r#"
trap 'echo got TERM; exit 7' TERM
trap 'echo got USR1' USR1
# Its parent ends at once: an orphan.
( sleep 0.01 & )
echo ready
while :; do sleep 0.02; done
"#;

pub fn signals() {
    let image = Image::new().file("/app/program", PROGRAM).user(12345);
    let mut container = image.run(&["upright", "run", "-w", "--", "sh", "/app/program"]);
    container.line("ready");
    container.says("has been reaped");
    container.signal("USR1");
    container.line("got USR1");
    container.signal("TERM");
    assert_eq!(container.end(), 7);
    container.line("got TERM");
}

pub fn group() {
    // The shell waits for its child and hears nothing before: only the group's signal ends it.
    let program = "sleep 1000; echo woken";
    let image = Image::new();
    let mut container = image.run(&["upright", "run", "-vg", "--", "sh", "-c", program]);
    container.says("runs sh");
    container.until("sleep runs", || {
        let seen = container.exec("cat /proc/[0-9]*/comm").stdout;
        String::from_utf8_lossy(&seen).contains("sleep").then_some(())
    });
    container.signal("TERM");
    assert_eq!(container.end(), 143);
}

pub fn tini() {
    assert_eq!(code(&["tini", "--", "sh", "-c", "exit 5"]), 5);
    let mut container = Image::new().run(&["tini", "-l"]);
    assert_eq!(container.end(), 0);
    container.line("Permission is hereby granted");
}

pub fn refused() {
    for errno in [1, 38] {
        let image = Image::new().refusing(errno).user(12345);
        assert_eq!(image.run(&["upright", "run", "sh", "-c", "exit 9"]).end(), 9);
    }
}
