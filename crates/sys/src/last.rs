//! For tests: what comes of reading once the last writer is gone.

use rustix::io::Errno;
use std::time::{Duration, Instant};

/// Reads until there is something else to tell than that there is nothing yet: a child of another test
/// may have a copy of the writing end until it executes. Gives up after a minute.
pub(crate) fn last<T>(mut read: impl FnMut() -> Result<T, Errno>) -> Result<T, Errno> {
    let begun = Instant::now();
    loop {
        match read() {
            Err(Errno::AGAIN) if begun.elapsed() < Duration::from_secs(60) => {
                std::thread::sleep(Duration::from_millis(1));
            }
            outcome => return outcome,
        }
    }
}
