//! Event listeners: programs that are told what happens, one event at a time. Source: Supervisor
//! 4.3.0, events.
//!
//! ```text
//! event   what is told                  talk   the protocol, without sockets
//! pool    who is told next              desk   all of it, as it is written down
//! memory  where it is written down      wires  pipes, the stream of what happens, the clock
//! ```

mod desk;
mod event;
mod memory;
mod pool;
mod talk;
mod wires;

pub use pool::Terms;
pub use wires::Listeners;
