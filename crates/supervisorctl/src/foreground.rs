//! fg and the following tails: output as it comes, until Ctrl-C.

use crate::acts::names;
use crate::control::{exit, Control, Next};
use crate::decoder::Decoder;
use crate::failure::{Failure, Outcome};
use crate::python::os_error;
use crate::server::Connection;
use std::io;
use std::os::fd::AsFd;
use std::rc::Rc;
use sys::ready::Want;
use xmlrpc::states::State;
use xmlrpc::{Code, Value};

/// What is written at once: as much as a pipe that can be written at all takes without blocking.
const PIECE: usize = 4096;

/// A log that is followed.
struct Stream {
    /// What messages call it.
    url: String,
    /// The connection; none where it has ended.
    connection: Option<Connection>,
    decoder: Decoder,
}

/// Follows a log until Ctrl-C or its end.
pub fn follow(control: &mut Control, path: &str) -> Outcome<Next> {
    catch(control)?;
    control.say("==> Press Ctrl-C to exit <==")?;
    control.flush()?;
    let mut stream = Stream::open(control, path)?;
    let watch = Rc::clone(&control.watch);
    while let Some(connection) = &stream.connection {
        let came = watch.wait(&[Want::Read(connection.as_fd())]);
        let came = came.and_then(|_| stream.pass(control));
        match came {
            Ok(()) => {}
            Err(Failure::Interrupted) => {
                control.say("")?;
                break;
            }
            Err(failure) => return Err(failure),
        }
    }
    Ok(Next::Go)
}

/// `fg NAME`: shows both logs of a process and sends it what is typed.
pub fn fg(control: &mut Control, argument: &str) -> Outcome<Next> {
    if !control.is_up()? {
        return Ok(Next::Go);
    }
    let words: Vec<&str> = argument.split_whitespace().collect();
    let name = match words.as_slice() {
        [] => return control.misused("ERROR: no process name supplied", "fg", exit::GENERIC),
        [name] => *name,
        [_, _, ..] => return control.mistaken("ERROR: too many process names supplied"),
    };
    match is_running(control, name) {
        Ok(true) => {}
        Ok(false) => return control.mistaken("ERROR: process not running"),
        Err(Failure::Fault(fault)) if fault.code() == Some(Code::BadName) => {
            return control.mistaken("ERROR: bad process name supplied");
        }
        Err(failure) => return Err(failure),
    }
    catch(control)?;
    control.say("==> Press Ctrl-C to exit <==")?;
    control.flush()?;
    let mut streams = Vec::new();
    for channel in ["stdout", "stderr"] {
        streams.push(Stream::open(control, &format!("/logtail/{name}/{channel}"))?);
    }
    match attend(control, name, &mut streams) {
        Ok(()) | Err(Failure::Interrupted) => control.say("Exiting foreground")?,
        Err(failure) => return Err(failure),
    }
    Ok(Next::Go)
}

/// Carries output one way and lines the other, until input ends or the process has.
fn attend(control: &mut Control, name: &str, streams: &mut [Stream]) -> Outcome<()> {
    let watch = Rc::clone(&control.watch);
    loop {
        while let Some(line) = control.input.take() {
            let sent = control.call("sendProcessStdin", &[name.into(), format!("{line}\n").into()]);
            match sent {
                Ok(_) => {}
                Err(Failure::Fault(fault)) if fault.code() == Some(Code::NotRunning) => {
                    return control.say("Process got killed");
                }
                Err(Failure::Fault(fault)) => {
                    let text = format!("ERROR: <Fault {}: '{}'>", fault.number, fault.text);
                    return control.say(&text);
                }
                Err(failure) => return Err(failure),
            }
            if !is_running(control, name)? {
                return control.say("Process got killed");
            }
        }
        if control.input.is_over() {
            return Ok(());
        }
        let mut wants = vec![Want::Read(control.input.as_fd())];
        wants.extend(streams.iter().filter_map(Stream::want));
        let ready = watch.wait(&wants)?;
        let typed = ready.first() == Some(&true);
        let open = streams.iter_mut().filter(|stream| stream.connection.is_some());
        for (stream, _) in open.zip(ready.iter().skip(1)).filter(|(_, ready)| **ready) {
            stream.pass(control)?;
        }
        if typed {
            control.input.read()?;
        }
    }
}

fn is_running(control: &mut Control, name: &str) -> Outcome<bool> {
    let told = control.call("getProcessInfo", &[Value::from(name)])?;
    Ok(names::int(&told, "state")? == State::Running.number())
}

/// From here on Ctrl-C is ours to hear. The shell has asked for it already.
fn catch(control: &mut Control) -> Outcome<()> {
    match Rc::get_mut(&mut control.watch) {
        Some(watch) => watch.catch(),
        None => Ok(()),
    }
}

impl Stream {
    fn open(control: &mut Control, path: &str) -> Outcome<Stream> {
        let url = format!("{}{path}", control.settings.url);
        let connection = match control.session()?.stream(path) {
            Ok(connection) => Some(connection),
            Err(Failure::Kernel(error)) => {
                let (class, text) = os_error(&error);
                eprintln!("{url} Cannot connect, error: <class '{class}'> ({text})");
                None
            }
            Err(failure) => return Err(failure),
        };
        Ok(Stream { url, connection, decoder: Decoder::default() })
    }

    fn want(&self) -> Option<Want<'_>> {
        self.connection.as_ref().map(|connection| Want::Read(connection.as_fd()))
    }

    /// Prints what has come.
    fn pass(&mut self, control: &mut Control) -> Outcome<()> {
        let Some(connection) = &mut self.connection else { return Ok(()) };
        let bytes = connection.read()?;
        let mut text = Vec::new();
        self.decoder.feed(&bytes, &mut text).map_err(Failure::Unreadable)?;
        let status = self.decoder.head().map(|head| head.status);
        if let Some(status) = status.filter(|status| *status != 200) {
            control.flush()?;
            eprintln!("{} Cannot read, status code {status}", self.url);
            self.connection = None;
            return Ok(());
        }
        if bytes.is_empty() || self.decoder.is_done() {
            self.connection = None;
        }
        let watch = Rc::clone(&control.watch);
        for piece in text.chunks(PIECE) {
            // Not to be stuck, deaf to Ctrl-C, behind a reader that has stopped.
            watch.wait(&[Want::Write(io::stdout().as_fd())])?;
            control.print(piece)?;
            control.flush()?;
        }
        Ok(())
    }
}
