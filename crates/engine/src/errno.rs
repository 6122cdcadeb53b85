//! What the kernel's error numbers mean, in its library's words.

use core::fmt;

/// An error number, shown as strerror(3) of glibc does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Errno(pub i32);

impl Errno {
    /// There is no such file.
    pub const NOT_FOUND: Errno = Errno(2);
    /// It may not be done.
    pub const PERMISSION_DENIED: Errno = Errno(13);
    /// It is a directory.
    pub const IS_DIRECTORY: Errno = Errno(21);
}

/// The numbers that the set-up of a process can meet, the same on every architecture that Upright
/// builds for. Source: errno(3), strerror(3).
const WORDS: &[(i32, &str)] = &[
    (1, "Operation not permitted"),
    (2, "No such file or directory"),
    (3, "No such process"),
    (4, "Interrupted system call"),
    (5, "Input/output error"),
    (6, "No such device or address"),
    (7, "Argument list too long"),
    (8, "Exec format error"),
    (9, "Bad file descriptor"),
    (11, "Resource temporarily unavailable"),
    (12, "Cannot allocate memory"),
    (13, "Permission denied"),
    (14, "Bad address"),
    (16, "Device or resource busy"),
    (17, "File exists"),
    (19, "No such device"),
    (20, "Not a directory"),
    (21, "Is a directory"),
    (22, "Invalid argument"),
    (23, "Too many open files in system"),
    (24, "Too many open files"),
    (25, "Inappropriate ioctl for device"),
    (26, "Text file busy"),
    (27, "File too large"),
    (28, "No space left on device"),
    (30, "Read-only file system"),
    (32, "Broken pipe"),
    (36, "File name too long"),
    (38, "Function not implemented"),
    (40, "Too many levels of symbolic links"),
    (95, "Operation not supported"),
    (97, "Address family not supported by protocol"),
    (98, "Address already in use"),
    (104, "Connection reset by peer"),
    (110, "Connection timed out"),
    (111, "Connection refused"),
    (116, "Stale file handle"),
    (122, "Disk quota exceeded"),
];

impl fmt::Display for Errno {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match WORDS.iter().find(|row| row.0 == self.0) {
            Some((_, words)) => f.write_str(words),
            None => write!(f, "Unknown error {}", self.0),
        }
    }
}
