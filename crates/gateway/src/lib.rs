//! What gateways have in common: the channel over which the daemon gives them what they serve, and
//! connections to control.
#![forbid(unsafe_code)]

mod channel;
mod line;

pub use channel::{farewell, Channel};
pub use line::Line;
