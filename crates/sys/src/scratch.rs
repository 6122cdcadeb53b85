//! A place of a test's own for files, gone with the test however that ends.

use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

/// A path below the directory for temporary files that no other test has; what is there at the end, a file
/// or a directory, is removed.
pub struct Scratch(PathBuf);

impl Scratch {
    /// Returns a path at which there is nothing yet.
    pub fn path(name: &str) -> Scratch {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let (id, number) = (std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let scratch = Scratch(std::env::temp_dir().join(format!("upright-{name}-{id}-{number}")));
        // Of a test of that number that was killed.
        scratch.remove();
        scratch
    }

    /// Makes an empty directory.
    pub fn directory(name: &str) -> Scratch {
        let scratch = Scratch::path(name);
        std::fs::create_dir_all(&scratch.0).expect("there is a directory for temporary files");
        scratch
    }

    fn remove(&self) {
        let _ = std::fs::remove_file(&self.0);
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

impl Deref for Scratch {
    type Target = Path;

    fn deref(&self) -> &Path {
        &self.0
    }
}

impl AsRef<Path> for Scratch {
    fn as_ref(&self) -> &Path {
        &self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        self.remove();
    }
}
