//! Addresses of D-Bus daemons. Source: D-Bus specification, Server Addresses.

use engine::errno::Errno;
use std::os::unix::net::UnixStream;
use sys::peer::{self, Place};

/// Where the machine's bus is, unless somebody says otherwise.
pub const SYSTEM: &str = "unix:path=/var/run/dbus/system_bus_socket";

/// Connects to the first of the addresses that can be reached. An error in the words of libdbus, of
/// the last.
pub fn connect(addresses: &str) -> Result<UnixStream, String> {
    let mut last = String::from("Empty address ''");
    for address in addresses.split(';').filter(|address| !address.is_empty()) {
        match connect_one(address) {
            Ok(stream) => return Ok(stream),
            Err(why) => last = why,
        }
    }
    Err(last)
}

fn connect_one(address: &str) -> Result<UnixStream, String> {
    let Some((transport, rest)) = address.split_once(':') else {
        return Err(format!("Address does not contain a colon: {address}"));
    };
    if transport != "unix" {
        return Err(format!("Only unix sockets can be connected to, not {transport}: {address}"));
    }
    for pair in rest.split(',') {
        let Some((key, value)) = pair.split_once('=') else { continue };
        let name = unescaped(value).ok_or_else(|| format!("Bad escapes in address {address}"))?;
        let place = match key {
            "path" => Place::Path(&name),
            "abstract" => Place::Abstract(&name),
            _ => continue,
        };
        return peer::connect(&place).map(UnixStream::from).map_err(|errno| {
            let (shown, why) = (String::from_utf8_lossy(&name), Errno(errno.raw_os_error()));
            format!("Failed to connect to socket {shown}: {why}")
        });
    }
    Err(format!("Neither path= nor abstract= in address {address}"))
}

/// Reads `%2f` and the like.
fn unescaped(value: &str) -> Option<Vec<u8>> {
    let mut bytes = value.bytes();
    let mut out = Vec::with_capacity(value.len());
    while let Some(byte) = bytes.next() {
        if byte != b'%' {
            out.push(byte);
            continue;
        }
        let mut digit = || char::from(bytes.next()?).to_digit(16);
        let (high, low) = (digit()?, digit()?);
        out.push((high * 16 + low) as u8);
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::linux::net::SocketAddrExt;
    use std::os::unix::net::{SocketAddr, UnixListener};

    #[test]
    fn the_first_address_that_answers_is_taken_and_the_last_refusal_is_told() {
        let name = format!("upright bus {}", std::process::id());
        let at = SocketAddr::from_abstract_name(&name).unwrap();
        let _listener = UnixListener::bind_addr(&at).unwrap();
        let escaped = name.replace(' ', "%20");
        let address = format!("unix:path=/nowhere;unix:abstract={escaped},guid=00");
        assert!(connect(&address).is_ok());
        let refused = |address: &str| connect(address).unwrap_err();
        assert_eq!(
            refused("unix:abstract=nope"),
            "Failed to connect to socket nope: Connection refused"
        );
        assert_eq!(
            refused("unix:path=/nowhere"),
            "Failed to connect to socket /nowhere: No such file or directory"
        );
        assert_eq!(refused(""), "Empty address ''");
        assert_eq!(refused("x"), "Address does not contain a colon: x");
        assert!(refused("tcp:host=localhost").contains("Only unix sockets"));
        assert!(refused("unix:path=%4").contains("Bad escapes"));
        assert!(refused("unix:guid=1").contains("Neither"));
        assert!(refused(&format!("unix:path={}", "x".repeat(200))).contains("name too long"));
    }
}
