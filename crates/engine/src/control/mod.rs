//! Control: what clients may ask, in which words, and who may ask it. Sockets are the caller's.
//!
//! The protocol is Varlink: JSON messages ended by NUL. [`command::COMMANDS`] is the table of all
//! commands; the codec, the check of rights, introspection and help are read from its rows.
//!
//! A server keeps one [`conversation::Conversation`] per connection: bytes go in, [`call::Call`]s
//! come out, answers go back. A client encodes a [`call::Call`] and decodes the
//! [`answer::Answer`] or [`fault::Fault`] that comes back. Neither side can be made to panic, to
//! recurse or to hold more than its bounds by what it receives.

pub mod answer;
pub mod audit;
pub mod call;
pub mod codec;
pub mod command;
pub mod conversation;
pub mod fault;
pub mod gateway;
pub mod notice;
mod params;
pub mod priority;
pub mod rights;
#[cfg(test)]
mod tests;
mod wire;

// What calls are made of and answers are read as: a gateway needs nothing else of this crate.
pub use crate::machine::request::{Failure, Request, Target, Wait, Which};
pub use crate::machine::state::{Goal, State};
pub use crate::machine::{JobChange, Level, Notice as What, ShutdownKind};
pub use crate::names::{InstanceName, JobName};
pub use crate::process::Exit;
pub use crate::text::Text;
pub use crate::view::{InstanceView, JobView};

/// The name of the interface.
pub const INTERFACE: &str = "org.upright.control";

/// The interface description that is published, in Varlink's language.
pub const DESCRIPTION: &str = include_str!("upright.varlink");

/// The interface that every Varlink service has.
pub const SERVICE: &str = "org.varlink.service";

/// The description of the interface that every Varlink service has.
/// Source: varlink.org, Service.
pub const SERVICE_DESCRIPTION: &str = include_str!("service.varlink");
