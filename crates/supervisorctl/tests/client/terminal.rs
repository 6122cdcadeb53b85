//! The shell at a terminal: completion, and Ctrl-C.

use crate::processes;
use crate::world::{until, Server, PROGRAM};
use std::fs::File;
use std::io::{Read, Write};
use std::process::{Child, Command};

/// The client at a terminal of its own, and all that it has shown.
struct Terminal {
    child: Child,
    keys: File,
    shown: String,
}

impl Terminal {
    fn new(server: &Server) -> Terminal {
        let uid = sys::peer::own_uid();
        let both = sys::pty::terminal((uid, uid)).unwrap();
        let far = File::from(both.write);
        let child = Command::new(PROGRAM)
            .args(["-c", &server.file().display().to_string()])
            .env("TERM", "xterm")
            .stdin(far.try_clone().unwrap())
            .stdout(far.try_clone().unwrap())
            .stderr(far)
            .spawn()
            .unwrap();
        Terminal { child, keys: File::from(both.read), shown: String::new() }
    }

    #[track_caller]
    fn see(&mut self, text: &str) {
        until(text, || {
            let mut bytes = [0; 4096];
            if let Ok(length) = self.keys.read(&mut bytes) {
                self.shown.push_str(&String::from_utf8_lossy(&bytes[..length]));
            }
            self.shown.contains(text)
        });
        self.shown.clear();
    }

    fn type_keys(&mut self, keys: &str) {
        self.keys.write_all(keys.as_bytes()).unwrap();
    }
}

#[test]
fn names_are_completed_by_tab_and_ctrl_c_ends_the_shell() {
    let server = Server::new(processes);
    let mut terminal = Terminal::new(&server);
    terminal.see("supervisor> ");
    terminal.type_keys("pid ca\t");
    terminal.see("pid cat ");
    terminal.type_keys("\r");
    terminal.see("7\r\n");
    terminal.type_keys("tail -f cat\r");
    terminal.see("line");
    // It is not this terminal's session, for which the kernel would make the signal of the key.
    let pid = i32::try_from(terminal.child.id()).unwrap();
    sys::signals::send(pid, engine::signal::Signal::INT).unwrap();
    terminal.see("supervisor> ");
    terminal.type_keys("\x03");
    until("the shell ends", || terminal.child.try_wait().unwrap().is_some());
    assert_eq!(terminal.child.wait().unwrap().code(), Some(0));
}
