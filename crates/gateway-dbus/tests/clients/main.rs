//! The gateway as clients see it that others have written: dbus-send, gdbus, busctl, python-dbus.

mod bus;
mod crashes;
mod hostile;
mod methods;
#[path = "../../../sys/src/scratch.rs"]
mod scratch;
mod signals;
mod strangers;
mod system;
mod world;
