//! Text in, specs and diagnostics out. Reading a file never fails: what is wrong with it is said.

mod diagnostic;
pub(crate) mod meant;
pub mod rights;
pub mod supervisord;
pub mod upstart;

pub use diagnostic::{render, Diagnostic, Place, Severity};
pub use meant::did_you_mean;

use crate::spec::JobSpec;
use alloc::vec::Vec;

/// How many diagnostics are kept of one file. The first error is always among them.
pub const DIAGNOSTICS_MAX: usize = 100;

/// What a file says and what is to be said about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parsed {
    /// The job. Only what was understood where there is an error.
    pub spec: JobSpec,
    /// At most [`DIAGNOSTICS_MAX`], in the order of the file.
    pub diagnostics: Vec<Diagnostic>,
}

impl Parsed {
    /// Returns the error that the original would have stopped at; none: the job may be loaded.
    pub fn error(&self) -> Option<&Diagnostic> {
        self.errors().next()
    }

    /// Returns all errors in the order of the file.
    pub fn errors(&self) -> impl Iterator<Item = &Diagnostic> {
        self.diagnostics.iter().filter(|diagnostic| diagnostic.severity == Severity::Error)
    }
}
