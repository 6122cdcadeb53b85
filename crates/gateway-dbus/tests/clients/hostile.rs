//! Peers that mean harm, or know no better, harm nobody else.

use crate::world::{descriptors, eventually, has_ended, talk, World};
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;

/// Authenticates as this process's user.
fn authenticated(world: &World) -> UnixStream {
    let mut stream = world.connect();
    let uid = rustix::process::geteuid().as_raw().to_string();
    let hex: String = uid.bytes().map(|byte| format!("{byte:02x}")).collect();
    stream.write_all(format!("\0AUTH EXTERNAL {hex}\r\n").as_bytes()).unwrap();
    let mut answer = Vec::new();
    while !answer.ends_with(b"\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        answer.push(byte[0]);
    }
    assert!(answer.starts_with(b"OK "), "{}", String::from_utf8_lossy(&answer));
    stream.write_all(b"BEGIN\r\n").unwrap();
    stream
}

/// The call `GetAllJobs`, by hand: the client is ours so that nothing need be installed.
fn get_all_jobs(serial: u32) -> Vec<u8> {
    let mut fields = Vec::new();
    let mut field = |code: u8, kind: u8, text: &str| {
        while fields.len() % 8 != 0 {
            fields.push(0);
        }
        fields.extend_from_slice(&[code, 1, kind, 0]);
        fields.extend_from_slice(&(text.len() as u32).to_le_bytes());
        fields.extend_from_slice(text.as_bytes());
        fields.push(0);
    };
    field(1, b'o', "/com/ubuntu/Upstart");
    field(2, b's', "com.ubuntu.Upstart0_6");
    field(3, b's', "GetAllJobs");
    let mut message = vec![b'l', 1, 0, 1, 0, 0, 0, 0];
    message.extend_from_slice(&serial.to_le_bytes());
    message.extend_from_slice(&(fields.len() as u32).to_le_bytes());
    message.extend_from_slice(&fields);
    while message.len() % 8 != 0 {
        message.push(0);
    }
    message
}

/// Calls and expects an answer that names the job.
fn works(world: &World) {
    let mut stream = authenticated(world);
    stream.write_all(&get_all_jobs(1)).unwrap();
    let mut answer = Vec::new();
    while !answer.windows(4).any(|four| four == b"/web") {
        let mut buffer = [0; 4096];
        let length = stream.read(&mut buffer).unwrap();
        assert!(length > 0, "the connection ended: {}", String::from_utf8_lossy(&answer));
        answer.extend_from_slice(&buffer[..length]);
    }
}

#[test]
fn peers_that_talk_nonsense_are_let_go_and_nobody_else_notices() {
    let world = World::start("dbus-hostile", &[("web", "exec sleep 1000\n")]);
    works(&world);
    let gateway = world.gateway();
    let before = descriptors(gateway);
    let huge = [&b"l\x01\x00\x01\xff\xff\xff\x07\x01\x00\x00\x00\x00\x00\x00\x00"[..], &[0; 4096]]
        .concat();
    let rubbish: Vec<u8> =
        (0..4096_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    for nonsense in [&huge[..], &rubbish, b"l\x01\x00\x02", &[0xff; 64]] {
        let stream = authenticated(&world);
        // A short one waits for its rest: then it is this side that ends.
        let _ = (&stream).write_all(nonsense);
        let _ = stream.shutdown(std::net::Shutdown::Write);
        talk(&stream, b"");
    }
    for greeting in [
        &b"\0"[..],
        b"\0\0\0\0",
        b"\0AUTH ANONYMOUS\r\n",
        b"\0AUTH EXTERNAL 31323334\r\n",
        b"\0BEGIN\r\n",
        b"\0DATA\r\nCANCEL\r\nERROR\r\n",
    ] {
        let stream = world.connect();
        let _ = (&stream).write_all(greeting);
        let _ = stream.shutdown(std::net::Shutdown::Write);
        talk(&stream, b"");
    }
    let endless = [&b"\0"[..], &[b'x'; 8192]].concat();
    talk(&world.connect(), &endless);
    works(&world);
    assert_eq!(world.gateway(), gateway, "it was not disturbed");
    eventually("its descriptors are given back", || (descriptors(gateway) <= before).then_some(()));
    world.end();
}

#[test]
fn peers_that_say_half_or_never_read_hold_nobody_up() {
    let world = World::start("dbus-silent", &[("web", "exec sleep 1000\n")]);
    let half: Vec<UnixStream> = (0..20)
        .map(|_| {
            let stream = world.connect();
            (&stream).write_all(b"\0AUTH EXTER").unwrap();
            stream
        })
        .collect();
    let deaf: Vec<UnixStream> = (0..5).map(|_| authenticated(&world)).collect();
    for stream in &deaf {
        stream.set_nonblocking(true).unwrap();
        // More than the sockets on the way take; what is not taken any more is not sent.
        for serial in 1..20_000 {
            if (&*stream).write(&get_all_jobs(serial)).is_err() {
                break;
            }
        }
    }
    for number in 0..200 {
        let value = format!("N={number}{}", "x".repeat(4000));
        assert!(world.initctl(&["emit", "--no-wait", "noise", &value]).status.success());
    }
    works(&world);
    assert!(half.iter().all(|stream| !has_ended(stream)), "they have time to go on");
    assert!(world.initctl(&["start", "web"]).status.success());
    drop((half, deaf));
    works(&world);
    world.end();
}
