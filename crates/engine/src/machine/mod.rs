//! The machine: instances, events and requests, and what becomes of them.

pub mod request;
pub mod state;
