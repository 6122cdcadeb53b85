//! Whether this binary can go on with what a running Upright has: asked before the keeper becomes it.

use crate::options::{self, Asked};
use engine::{handover, journal};
use std::ffi::CString;
use sys::memfd;

/// What a binary is started with to be asked, before the arguments of the keeper. The journal is its
/// standard input.
pub const ROLE: &str = "--role=try";

/// What it says where it can: then the versions of `engine::handover` that it reads.
const READS: &str = "upright reads handover";

/// Reports whether an answer says that the file of this binary's keeper is read.
pub fn reads_ours(said: &str) -> bool {
    let versions = said.lines().last().and_then(|line| line.strip_prefix(READS));
    let ours = handover::VERSION.to_string();
    versions.is_some_and(|versions| versions.split_whitespace().any(|version| version == ours))
}

/// Tries; says on standard output whether it can, or why not, and returns the exit status.
pub fn run(arguments: Vec<CString>) -> i32 {
    match try_all(arguments) {
        Ok(()) => {
            sys::say::text(&format!("{READS} {}", handover::VERSION));
            0
        }
        Err(why) => {
            sys::say::text(&why);
            1
        }
    }
}

fn try_all(arguments: Vec<CString>) -> Result<(), String> {
    match options::read(&options::words(arguments)) {
        Ok(Asked::Run(_)) => {}
        Ok(Asked::Print(_)) => return Err(String::from("the options do not start it")),
        Err(mistake) => return Err(mistake),
    }
    let bytes = memfd::read_all(std::io::stdin()).map_err(|errno| format!("journal: {errno}"))?;
    let (_, decoded) = journal::read(&bytes).map_err(|fault| fault.to_string())?;
    match (decoded.fault, decoded.records.is_empty()) {
        (Some(fault), _) => Err(fault.to_string()),
        (None, true) => Err(String::from("journal: it is empty")),
        (None, false) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_names_every_version_that_is_read_and_ours_must_be_among_them() {
        let ours = handover::VERSION;
        assert!(reads_ours(&format!("{READS} {ours}")));
        assert!(reads_ours(&format!("{READS} {ours} {}\n", ours + 1)));
        assert!(!reads_ours(&format!("{READS} {}", ours + 1)));
        assert!(!reads_ours(""));
        assert!(!reads_ours("upright: option --x: unknown"));
    }
}
