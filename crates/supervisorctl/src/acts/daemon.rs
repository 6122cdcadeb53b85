//! open, version, reload and shutdown: the server itself.

use super::status;
use crate::control::{exit, Control, Next};
use crate::failure::{Failure, Outcome};
use std::io;
use xmlrpc::Code;

/// `open URL`
pub fn open(control: &mut Control, argument: &str) -> Outcome<Next> {
    let scheme = argument.split_once(':').map(|(scheme, _)| scheme.to_ascii_lowercase());
    if !scheme.is_some_and(|scheme| scheme == "unix" || scheme == "http") {
        return control.mistaken("ERROR: url must be http:// or unix://");
    }
    control.settings.url = argument.to_owned();
    control.settings.guessed = false;
    let before = control.exit;
    status::status(control, "")?;
    control.exit = before;
    Ok(Next::Go)
}

/// `version`
pub fn version(control: &mut Control, argument: &str) -> Outcome<Next> {
    if !argument.is_empty() {
        return control.misused("Error: version accepts no arguments", "version", exit::GENERIC);
    }
    if control.is_up()? {
        let version = control.call("getSupervisorVersion", &[])?;
        control.say(version.text().unwrap_or_default())?;
    }
    Ok(Next::Go)
}

/// `reload`
pub fn reload(control: &mut Control, argument: &str) -> Outcome<Next> {
    if !argument.is_empty() {
        return control.misused("Error: reload accepts no arguments", "reload", exit::GENERIC);
    }
    if !is_sure(control, "Really restart the remote supervisord process y/N? ")? {
        return Ok(Next::Go);
    }
    match control.call("restart", &[]) {
        Ok(_) => control.say("Restarted supervisord")?,
        Err(Failure::Fault(fault)) if fault.code() == Some(Code::ShutdownState) => {
            return control.mistaken("ERROR: already shutting down");
        }
        Err(failure) => return Err(failure),
    }
    Ok(Next::Go)
}

/// `shutdown`
pub fn shutdown(control: &mut Control, argument: &str) -> Outcome<Next> {
    if !argument.is_empty() {
        return control.misused("Error: shutdown accepts no arguments", "shutdown", exit::GENERIC);
    }
    if !is_sure(control, "Really shut the remote supervisord process down y/N? ")? {
        return Ok(Next::Go);
    }
    let url = control.settings.url.clone();
    match control.call("shutdown", &[]) {
        Ok(_) => control.say("Shut down")?,
        Err(Failure::Fault(fault)) if fault.code() == Some(Code::ShutdownState) => {
            control.say("ERROR: already shutting down")?;
        }
        Err(failure) if failure.is_kernel(io::ErrorKind::ConnectionRefused) => {
            let text = format!("ERROR: {url} refused connection (already shut down?)");
            return control.mistaken(&text);
        }
        Err(failure) if failure.is_kernel(io::ErrorKind::NotFound) => {
            return control.mistaken(&format!("ERROR: {url} no such file (already shut down?)"));
        }
        Err(failure) => return Err(failure),
    }
    Ok(Next::Go)
}

fn is_sure(control: &mut Control, question: &str) -> Outcome<bool> {
    if !control.settings.interactive {
        return Ok(true);
    }
    Ok(control.ask(question)?.to_lowercase().starts_with('y'))
}
