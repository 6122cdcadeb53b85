//! Files in memory that outlive the process which made them, as long as somebody holds them.

use rustix::fs::{fcntl_add_seals, fstat, ftruncate, memfd_create, MemfdFlags, SealFlags};
use rustix::io::{pread, pwrite, Errno};
use std::ffi::CStr;
use std::os::fd::{AsFd, OwnedFd};

/// Makes an empty file, close-on-exec, that can be sealed. The name is for people who look.
pub fn create(name: &CStr) -> Result<OwnedFd, Errno> {
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    match memfd_create(name, flags | MemfdFlags::NOEXEC_SEAL) {
        // Kernels before 6.3 do not know the flag.
        Err(Errno::INVAL) => memfd_create(name, flags),
        outcome => outcome,
    }
}

/// Makes a file with this content that nobody can change any more.
pub fn sealed(name: &CStr, content: &[u8]) -> Result<OwnedFd, Errno> {
    let fd = create(name)?;
    write_all_at(&fd, content, 0)?;
    let seals = SealFlags::WRITE | SealFlags::GROW | SealFlags::SHRINK | SealFlags::SEAL;
    fcntl_add_seals(&fd, seals)?;
    Ok(fd)
}

/// Locks the file for this process alone, as long as it lives and closes no descriptor of the file;
/// kept over an exec, not by a child. Reports whether nobody else has it.
pub fn lock(fd: impl AsFd) -> bool {
    rustix::fs::fcntl_lock(fd, rustix::fs::FlockOperation::NonBlockingLockExclusive).is_ok()
}

/// Returns the length in bytes.
pub fn length(fd: impl AsFd) -> Result<u64, Errno> {
    Ok(u64::try_from(fstat(fd)?.st_size).unwrap_or(0))
}

/// Cuts the file off, or makes it longer by zeroes.
pub fn set_length(fd: impl AsFd, length: u64) -> Result<(), Errno> {
    ftruncate(fd, length)
}

/// Writes all of `bytes` at an offset.
pub fn write_all_at(fd: impl AsFd, mut bytes: &[u8], mut offset: u64) -> Result<(), Errno> {
    while !bytes.is_empty() {
        match pwrite(&fd, bytes, offset) {
            Ok(0) => return Err(Errno::IO),
            Ok(written) => {
                bytes = bytes.get(written..).unwrap_or(&[]);
                offset += written as u64;
            }
            Err(Errno::INTR) => {}
            Err(errno) => return Err(errno),
        }
    }
    Ok(())
}

/// Reads at an offset until the buffer is full or the file ends; returns how much was read.
pub fn read_at(fd: impl AsFd, buffer: &mut [u8], offset: u64) -> Result<usize, Errno> {
    let mut read = 0;
    while let Some(rest) = buffer.get_mut(read..).filter(|rest| !rest.is_empty()) {
        match pread(&fd, rest, offset + read as u64) {
            Ok(0) => break,
            Ok(more) => read += more,
            Err(Errno::INTR) => {}
            Err(errno) => return Err(errno),
        }
    }
    Ok(read)
}

/// Reads the whole file.
pub fn read_all(fd: impl AsFd) -> Result<Vec<u8>, Errno> {
    let length = usize::try_from(length(&fd)?).map_err(|_| Errno::FBIG)?;
    let mut content = Vec::new();
    content.try_reserve_exact(length).map_err(|_| Errno::NOMEM)?;
    content.resize(length, 0);
    let read = read_at(fd, &mut content, 0)?;
    content.truncate(read);
    Ok(content)
}
