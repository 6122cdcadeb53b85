//! `console owner` and `console output` on a console, which here is the terminal that the test plays.

use crate::container::{Container, Image};
use std::cell::RefCell;
use std::fs::{self, File};
use std::io::{ErrorKind, Read, Write};
use std::os::fd::{AsRawFd, OwnedFd};
use sys::pty;

const INIT: &[&str] = &["init"];

/// A terminal with the one who sits at it.
struct Terminal {
    sits: File,
    line: OwnedFd,
    seen: RefCell<String>,
}

impl Terminal {
    fn new() -> Terminal {
        let ends = pty::terminal(sys::own::ids()).unwrap();
        Terminal { sits: File::from(ends.read), line: ends.write, seen: RefCell::default() }
    }

    /// A container whose console it is.
    fn image(&self) -> Image {
        let own = format!("/proc/self/fd/{}", self.line.as_raw_fd());
        Image::new().console(fs::read_link(own).unwrap())
    }

    fn type_(&self, text: &str) {
        (&self.sits).write_all(text.as_bytes()).unwrap();
    }

    /// Returns everything that was shown so far.
    fn screen(&self) -> String {
        let mut piece = [0; 4096];
        loop {
            match (&self.sits).read(&mut piece) {
                Ok(length) => {
                    self.seen.borrow_mut().push_str(&String::from_utf8_lossy(&piece[..length]));
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    return self.seen.borrow().clone();
                }
                Err(error) => panic!("the terminal: {error}"),
            }
        }
    }

    /// Waits until these words have been shown so often.
    fn shows(&self, container: &Container, words: &str, times: usize) {
        container.until(&format!("the console shows `{words}` {times} times"), || {
            (self.screen().matches(words).count() >= times).then_some(())
        });
    }
}

fn running(container: &Container, job: &str) {
    container.until(&format!("{job} runs"), || {
        let seen = container.exec(&format!("initctl status {job}"));
        String::from_utf8_lossy(&seen.stdout).contains("start/running").then_some(())
    });
}

/// Asks who is there, then waits for Ctrl-C.
const OWNER: &str = r#"
start on startup
console owner
script
    trap 'echo "interrupted" > /dev/tty' INT
    echo "who is there?"
    read -r name
    echo "hello $name"
    while :; do sleep 0.02 || :; done
end script
"#;

pub fn owner() {
    let terminal = Terminal::new();
    let mut container = terminal.image().file("/etc/init/owner.conf", OWNER).run(INIT);
    for (time, name) in [(1, "ann"), (2, "bob")] {
        terminal.shows(&container, "who is there?", time);
        terminal.type_(&format!("{name}\n"));
        terminal.shows(&container, &format!("hello {name}"), 1);
        terminal.type_("\x03");
        terminal.shows(&container, "interrupted", time);
        // The next one takes the terminal over from the one before.
        let done = container.exec("initctl restart owner");
        assert!(done.status.success(), "{done:?}");
    }
    container.signal("TERM");
    assert_eq!(container.end(), 0);
}

/// Says which terminal it belongs to, by its number: 0 is none.
const OUTPUT: &str = r#"
start on startup
console output
script
    read -r pid comm state parent group session terminal rest < /proc/self/stat
    echo "to the console, of terminal $terminal"
    echo "an error" >&2
    [ -t 0 ] && echo "and it is one"
    exec sleep 1000
end script
"#;

pub fn output() {
    let terminal = Terminal::new();
    let mut container = terminal.image().file("/etc/init/output.conf", OUTPUT).run(INIT);
    for words in ["to the console, of terminal 0", "an error", "and it is one"] {
        terminal.shows(&container, words, 1);
    }
    running(&container, "output");
    // Ctrl-C is nobody's who does not own it.
    terminal.type_("\x03");
    terminal.shows(&container, "^C", 1);
    running(&container, "output");
    container.signal("TERM");
    assert_eq!(container.end(), 0);
}

pub fn none() {
    let owner = OWNER.replace("start on startup", "");
    let image = Image::new().file("/etc/init/output.conf", OUTPUT);
    let mut container = image.file("/etc/init/owner.conf", &owner).run(INIT);
    running(&container, "output");
    container.says("unable to open console: not to be had; /dev/null is in its place");
    let done = container.exec("initctl start owner");
    assert!(!done.status.success(), "{done:?}");
    let why = container.exec("upright why owner");
    let why = String::from_utf8_lossy(&why.stdout);
    assert!(why.contains("unable to open console: No such file or directory"), "{why}");
    container.signal("TERM");
    assert_eq!(container.end(), 0);
}
