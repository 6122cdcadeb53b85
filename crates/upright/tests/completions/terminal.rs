//! A terminal with a program at it, at which the test sits.

use std::fs::File;
use std::io::{ErrorKind, Read, Write};
use std::os::fd::OwnedFd;
use std::process::{Child, Command};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use sys::pty;

pub struct Terminal {
    sits: File,
    /// Kept open, so that what is shown last can be read when the program is gone.
    _line: OwnedFd,
    program: Child,
    seen: Arc<Mutex<String>>,
    over: Arc<AtomicBool>,
}

impl Terminal {
    /// Starts a program whose input and output it is. What it shows is read all the time: nobody waits
    /// for room on the screen.
    pub fn start(mut command: Command) -> Terminal {
        let ends = pty::terminal(sys::own::ids()).unwrap();
        let line = || ends.write.try_clone().unwrap();
        let program = command.stdin(line()).stdout(line()).stderr(line()).spawn().unwrap();
        let sits = File::from(ends.read);
        let (seen, over) = (Arc::new(Mutex::default()), Arc::new(AtomicBool::new(false)));
        let (from, to, end) = (sits.try_clone().unwrap(), Arc::clone(&seen), Arc::clone(&over));
        std::thread::spawn(move || watch(from, &to, &end));
        Terminal { sits, _line: ends.write, program, seen, over }
    }

    pub fn type_(&self, text: &str) {
        (&self.sits).write_all(text.as_bytes()).unwrap();
    }

    /// Reports whether these words have been shown.
    pub fn shows(&self, words: &str) -> bool {
        self.seen.lock().unwrap().contains(words)
    }
}

fn watch(mut from: File, to: &Mutex<String>, end: &AtomicBool) {
    let mut piece = [0; 4096];
    while !end.load(Ordering::Relaxed) {
        match from.read(&mut piece) {
            Ok(length) => to.lock().unwrap().push_str(&String::from_utf8_lossy(&piece[..length])),
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                std::thread::sleep(Duration::from_millis(2));
            }
            Err(_) => return,
        }
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        if std::thread::panicking() {
            println!("---- the terminal\n{}\n----", self.seen.lock().unwrap());
        }
        self.over.store(true, Ordering::Relaxed);
        // Its session's leader is the shell: who is left hears that it hangs up.
        let _ = self.program.kill();
        let _ = self.program.wait();
    }
}
