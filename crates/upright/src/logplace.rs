//! Where logs are: known to the daemon, which names them, and to who looks for them while there is none.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

/// Where the machine's Upright has its logs. Source: init(5), spec 9.
pub const SYSTEM: &str = "/var/log/upstart";

/// Where a session has them, below the user's cache. Source: as above.
pub const SESSION: &str = "upstart";

/// Where `upright up` has them, below the user's cache.
pub const UP: &str = "upright/log";

/// Returns the file of an instance's output. Source: spec 9: slashes become `_`. A name that the
/// file system would not take is cut, and told apart by a checksum of the whole.
pub fn file(directory: &Path, job: &[u8], instance: &[u8]) -> PathBuf {
    const LONGEST: usize = 255;
    let mut name: Vec<u8> = job.to_vec();
    if !instance.is_empty() {
        name.push(b'-');
        name.extend_from_slice(instance);
    }
    for byte in &mut name {
        if *byte == b'/' {
            *byte = b'_';
        }
    }
    // Room for ".log", and for ".NN" of rotated files.
    if name.len() + 4 + 6 > LONGEST {
        let sum = name.iter().fold(0xcbf2_9ce4_8422_2325_u64, |sum, byte| {
            (sum ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
        });
        name.truncate(LONGEST - 4 - 6 - 17);
        name.extend_from_slice(format!("-{sum:016x}").as_bytes());
    }
    name.extend_from_slice(b".log");
    directory.join(OsString::from_vec(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn log_files_are_named_as_upstart_named_them_and_long_names_are_cut() {
        let name =
            |job: &str, instance: &str| file(Path::new("/l"), job.as_bytes(), instance.as_bytes());
        assert_eq!(name("web", ""), Path::new("/l/web.log"));
        assert_eq!(name("sub/l", "a/b"), Path::new("/l/sub_l-a_b.log"));
        let (a, b) = (name("x", &"a".repeat(4000)), name("x", &("a".repeat(3999) + "b")));
        assert_ne!(a, b);
        assert!(a.file_name().is_some_and(|name| name.len() <= 249));
    }
}
