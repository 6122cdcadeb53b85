//! The command line: `initctl` and its links, the commands of System V's init, and `upright` for
//! people.
//!
//! Everything a command does to the world goes through [`World`], so that a test can give it
//! another one.

pub mod checkconf;
pub mod client;
mod complete;
pub mod connect;
pub mod initctl;
pub mod initctl2dot;
pub mod layout;
pub mod options;
pub mod people;
pub mod shape;
pub mod sysv;

use std::ffi::OsString;
use std::io::{self, IsTerminal, Write};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;

/// What a command is given.
pub struct World<'a> {
    /// The name it was called by, without directories.
    pub program: String,
    /// Its arguments, without that name.
    pub args: Vec<Vec<u8>>,
    /// Looks a variable of the environment up.
    pub env: &'a dyn Fn(&str) -> Option<Vec<u8>>,
    /// The user it runs as.
    pub uid: u32,
    /// Data goes here.
    pub out: &'a mut dyn Write,
    /// Talk goes here.
    pub err: &'a mut dyn Write,
    /// Whether colours may be used on `out`.
    pub look: Look,
}

/// How output is made up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Look {
    /// Text only.
    Plain,
    /// Text with colours, for a terminal.
    Coloured,
}

impl World<'_> {
    /// Returns a variable that is set and not empty.
    pub fn variable(&self, name: &str) -> Option<Vec<u8>> {
        (self.env)(name).filter(|value| !value.is_empty())
    }

    /// Writes data. A reader that is gone is no mistake: the command ends by its own exit code.
    pub fn print(&mut self, text: &str) -> bool {
        self.out.write_all(text.as_bytes()).is_ok()
    }

    /// Writes talk, one line.
    pub fn say(&mut self, text: &str) {
        let _ = writeln!(self.err, "{text}");
    }
}

/// Runs the command that the program's name and arguments ask for; returns the exit code.
pub fn run(world: &mut World<'_>) -> u8 {
    if world.program == "initctl" || initctl::commands::find(world.program.as_bytes()).is_some() {
        initctl::run(world)
    } else if world.program == "init-checkconf" {
        checkconf::run(world)
    } else if world.program == "initctl2dot" {
        initctl2dot::run(world)
    } else if let Some(row) = sysv::find(&world.program) {
        sysv::run(world, row)
    } else if world.program == "tini" {
        world.args.insert(0, b"run".to_vec());
        people::run(world)
    } else {
        people::run(world)
    }
}

/// Runs as the process that was called, with its arguments; returns the exit code.
pub fn main(mut arguments: impl Iterator<Item = OsString>) -> u8 {
    let program = arguments.next().unwrap_or_else(|| OsString::from("upright"));
    let program = Path::new(&program).file_name().unwrap_or(&program);
    let stdout = io::stdout();
    let coloured = stdout.is_terminal() && std::env::var_os("NO_COLOR").is_none();
    let mut out = io::BufWriter::new(stdout.lock());
    let mut world = World {
        program: String::from_utf8_lossy(program.as_bytes()).into_owned(),
        args: arguments.map(OsString::into_vec).collect(),
        env: &|name| std::env::var_os(name).map(OsString::into_vec),
        uid: sys::peer::own_uid(),
        out: &mut out,
        err: &mut io::stderr(),
        look: if coloured { Look::Coloured } else { Look::Plain },
    };
    let code = run(&mut world);
    match out.flush() {
        Ok(()) => code,
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => code,
        Err(_) => code.max(1),
    }
}
