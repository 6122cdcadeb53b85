//! A request to System V's init, through its named pipe: for a machine that runs another init until
//! its next boot. Source: initreq.h of sysvinit, which systemd reads too; spec 11.6.

use super::level::Level;
use super::How;
use std::fs::OpenOptions;
use std::io::{self, Write};
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};

/// Where the pipe is, the newer place first.
const PLACES: [&str; 2] = ["/run/initctl", "/dev/initctl"];

const SIZE: usize = 384;
const MAGIC: u32 = 0x0309_1969;

/// Change the runlevel, set a variable.
const RUNLEVEL: u32 = 1;
const SETENV: u32 = 6;

/// O_NONBLOCK: nobody may be reading.
const NONBLOCK: i32 = 0o4000;

/// Asks for a runlevel; fails where no such init listens.
pub(super) fn send(to: Level, how: Option<How>) -> io::Result<()> {
    let mut refused = io::Error::from(io::ErrorKind::NotFound);
    for place in PLACES {
        let opened = OpenOptions::new().write(true).custom_flags(NONBLOCK).open(place);
        match opened.and_then(|pipe| Ok((pipe.metadata()?.file_type().is_fifo(), pipe))) {
            Ok((true, mut pipe)) => return pipe.write_all(&wire(to, how)),
            Ok((false, _)) => {}
            Err(error) => refused = error,
        }
    }
    Err(refused)
}

/// Returns the requests as they are sent.
fn wire(to: Level, how: Option<How>) -> Vec<u8> {
    let halt = how.map(|how| {
        let variable = format!("INIT_HALT={}\0", how.word());
        one(SETENV, 0, variable.as_bytes())
    });
    let level = one(RUNLEVEL, u32::from(to.letter()), &[]);
    halt.into_iter().chain([level]).flatten().collect()
}

/// One request: magic, command, runlevel, time between signals, then what belongs to it.
fn one(command: u32, level: u32, more: &[u8]) -> [u8; SIZE] {
    let mut bytes = [0; SIZE];
    let words = [MAGIC, command, level, 0];
    let head = words.iter().flat_map(|word| word.to_ne_bytes());
    for (place, byte) in bytes.iter_mut().zip(head.chain(more.iter().copied())) {
        *place = byte;
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_says_how_the_machine_ends_before_it_says_that_it_does() {
        let wire = wire(Level::HALT, Some(How::Off));
        assert_eq!(wire.len(), 2 * SIZE);
        let word = |at: usize| u32::from_ne_bytes(wire[at..at + 4].try_into().unwrap());
        assert_eq!([word(0), word(4)], [MAGIC, SETENV]);
        assert_eq!(&wire[16..35], b"INIT_HALT=POWEROFF\0");
        assert_eq!([word(SIZE), word(SIZE + 4), word(SIZE + 8)], [MAGIC, RUNLEVEL, 48]);
        assert_eq!(super::wire(Level::REBOOT, None).len(), SIZE);
    }
}
