//! The kernel's side of Upright: the only crate with `unsafe`, each block with its reason.
//!
//! Small wrappers that do what they say and decide nothing. They know data types of the engine and
//! never the engine itself.

pub mod epoll;
pub mod peer;
pub mod seqpacket;
