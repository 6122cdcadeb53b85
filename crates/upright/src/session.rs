//! The abstract address at which an Upright that is not the machine's listens.

use engine::process::Pid;
use std::os::unix::fs::MetadataExt;

/// PID 1.
pub const FIRST: Pid = 1;

/// Begins the name of every such socket; the user and the process follow. Source: Upstart 1.13.2,
/// private sockets of user sessions.
pub const NAME: &str = "/com/ubuntu/upstart-session/";

/// Returns the name of the socket of the Upright that this user has started as this process. Source:
/// as above. Containers may share a network, and every Upright in one is PID 1: there the number of
/// the PID namespace follows, which we share with it.
pub fn name(uid: u32, keeper: Pid) -> String {
    let plain = format!("{NAME}{uid}/{keeper}");
    let namespace = std::fs::metadata("/proc/self/ns/pid").map(|of| of.ino()).ok();
    match namespace.filter(|_| keeper == FIRST) {
        Some(namespace) => format!("{plain}-{namespace}"),
        None => plain,
    }
}
