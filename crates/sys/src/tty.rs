//! The terminal, while a password is typed.

use rustix::termios::{tcgetattr, tcsetattr, LocalModes, OptionalActions, Termios};
use std::io::Stdin;

/// A terminal that does not show what is typed, until this is dropped.
pub struct Silent {
    terminal: Stdin,
    before: Termios,
}

impl Silent {
    /// Makes standard input silent; nothing where it is no terminal.
    pub fn new() -> Option<Silent> {
        let terminal = std::io::stdin();
        let before = tcgetattr(&terminal).ok()?;
        let mut now = before.clone();
        now.local_modes.remove(LocalModes::ECHO);
        tcsetattr(&terminal, OptionalActions::Flush, &now).ok()?;
        Some(Silent { terminal, before })
    }
}

impl Drop for Silent {
    fn drop(&mut self) {
        // A terminal that has gone away shows nothing anyway.
        let _ = tcsetattr(&self.terminal, OptionalActions::Flush, &self.before);
    }
}
