//! Supervisor's client, and two small programs that come with it, by the name it is called by:
//! `supervisorctl`, `pidproxy`, `echo_supervisord_conf`.
#![forbid(unsafe_code)]

mod acts;
mod commands;
mod completion;
mod control;
mod decoder;
mod failure;
mod foreground;
mod input;
mod options;
#[cfg(test)]
mod page;
mod pidproxy;
mod python;
#[cfg(test)]
#[path = "../../sys/src/scratch.rs"]
mod scratch;
mod server;
mod session;
mod settings;
mod shell;
mod watch;

use control::{exit, Control};
use failure::{Failure, Outcome};
use settings::{Instead, Settings, Surroundings};
use std::ffi::OsString;
use std::io::Write;
use std::path::Path;
use std::process::ExitCode;
use std::rc::Rc;

#[global_allocator]
static HEAP: sys::heap::Heap = sys::heap::Heap;

/// The configuration file that `echo_supervisord_conf` prints.
const SAMPLE: &str = include_str!("sample.conf");

fn main() -> ExitCode {
    let mut arguments = std::env::args_os();
    let program = arguments.next().unwrap_or_else(|| OsString::from("supervisorctl"));
    let name = Path::new(&program).file_name().unwrap_or(&program);
    ExitCode::from(if name == "pidproxy" {
        pidproxy::run(&program, &arguments.collect::<Vec<_>>())
    } else if name == "echo_supervisord_conf" {
        print(SAMPLE)
    } else {
        supervisorctl(&program.to_string_lossy(), arguments)
    })
}

fn supervisorctl(program: &str, arguments: impl Iterator<Item = OsString>) -> u8 {
    let text = |word: OsString| word.to_string_lossy().into_owned();
    let arguments: Vec<String> = arguments.map(text).collect();
    let environment: Vec<(String, String)> =
        std::env::vars_os().map(|(name, value)| (text(name), text(value))).collect();
    let around = Surroundings { program, environment: &environment, uid: sys::peer::own_uid() };
    match settings::read(&arguments, &around) {
        Ok(settings) => match act(settings) {
            Ok(code) => code,
            Err(Failure::Interrupted) => exit::INTERRUPTED,
            // Who read has gone: no reason to complain to nobody.
            Err(Failure::OutputGone) => exit::FINE,
            Err(failure) => {
                eprintln!("{}", failure.line());
                exit::GENERIC
            }
        },
        Err(Instead::Help(text)) => print(&text),
        Err(Instead::Mistake(text)) => {
            eprintln!("Error: {text}\nFor help, use {program} -h");
            exit::ARGUMENTS
        }
    }
}

fn act(settings: Settings) -> Outcome<u8> {
    let mut control = Control::new(settings, Rc::default())?;
    let line = control.settings.words.join(" ");
    if control.settings.words.is_empty() {
        shell::run(&mut control)?;
        control.flush()?;
        // What a shell's commands came to is not what it came to.
        return Ok(exit::FINE);
    }
    control.line(&line)?;
    control.flush()?;
    Ok(control.exit)
}

fn print(text: &str) -> u8 {
    let mut out = std::io::stdout();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Ok(()) => exit::FINE,
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => exit::FINE,
        Err(_) => exit::GENERIC,
    }
}
