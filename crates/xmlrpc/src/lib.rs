//! XML-RPC as Supervisor speaks it: [`Value`]s to XML and back, and the numbers of its interface.
//!
//! Used by both sides, the client `supervisorctl` and the http gateway. Reading is bounded in depth
//! and number of values, knows no entity but XML's own five, and never panics; the length of what
//! is read is the caller's to bound. Source: xmlrpc.com/spec; Supervisor 4.3.0, xmlrpc.py.
#![forbid(unsafe_code)]

pub mod faults;
pub mod read;
pub mod states;
pub mod value;
pub mod write;

pub use faults::{Code, Fault};
pub use value::Value;
