//! Upstart's job files.
//!
//! Source of everything not marked otherwise: behaviour of Upstart 1.13.2, init(5).

pub mod check;
mod complaint;
mod condition;
mod lex;
mod parse;
pub mod show;
mod stanzas;
mod value;

pub use complaint::Complaint;
pub use parse::{apply_override, parse, places};
pub use stanzas::{help, Stanza, STANZAS};

#[cfg(test)]
mod tests;
