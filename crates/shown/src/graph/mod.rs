//! Jobs, the events that start and stop them, and their states, as a picture.

pub mod dot;
pub mod layout;
pub mod model;
pub mod svg;

pub use model::Graph;

#[cfg(test)]
mod tests;
