//! Whoever is hostile, or only broken, gets a clear error, and nobody else notices.
//!
//! Each test does something bad to a real Upright and then looks: another client is answered, the
//! job that ran still runs, the daemon is the same process, it has no descriptor more than before,
//! and it sleeps.

mod changes;
mod clients;
mod files;
#[path = "../golden/mod.rs"]
mod golden;
mod plans;
mod rights;
mod strangers;
mod world;
