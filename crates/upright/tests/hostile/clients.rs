//! Clients that send anything, or nothing, or too much, or never listen.

use crate::world::{await_close, eventually, frame, memory, send, World};
use engine::control::answer::Answer;
use engine::control::call::{Call, Follow, Listed};
use engine::control::codec::MESSAGE_MAX;
use engine::machine::request::{Request, Wait};
use engine::text::Text;
use std::net::Shutdown;
use std::os::unix::net::UnixStream;

const STATUS: &[u8] =
    b"{\"method\":\"org.upright.control.Status\",\"parameters\":{\"job\":\"steady\"}}\0";

const LIST: &[u8] = b"{\"method\":\"org.upright.control.List\",\"more\":true}\0";

fn check(name: &str, bytes: &[u8], answer: &str) {
    let world = World::start(name, |_| {});
    let before = world.before();
    let mut stream = world.connect();
    send(&mut stream, bytes);
    let told = frame(&mut stream);
    assert!(told.contains(answer), "{name}: {told:?}");
    world.check_while(&before);
    drop(stream);
    world.check(&before);
}

#[test]
fn bytes_that_are_no_message_are_answered_with_what_a_message_is() {
    check("garbage", b"\xff\xfe not json \x01\0", "BadMessage");
    check("nothing", b"\0", "BadMessage");
    check("number", b"17\0", "BadMessage");
    check("unknown", b"{\"method\":\"org.upright.control.Dance\"}\0", "MethodNotFound");
    check(
        "wrong",
        b"{\"method\":\"org.upright.control.Status\",\"parameters\":{\"job\":7}}\0",
        "job",
    );
}

#[test]
fn a_message_as_deep_as_it_is_long_is_an_error_and_no_recursion() {
    let mut deep = b"{\"method\":\"org.upright.control.Status\",\"parameters\":".to_vec();
    deep.extend(std::iter::repeat_n(b'[', 900_000));
    deep.push(0);
    check("deep", &deep, "error");
    let mut unknown = b"{\"x\":".to_vec();
    unknown.extend(std::iter::repeat_n(b'[', 900_000));
    unknown.push(0);
    check("deeper", &unknown, "error");
}

#[test]
fn a_message_that_is_too_long_is_refused_before_it_ends() {
    let mut long = b"{\"method\":\"".to_vec();
    long.resize(2 * MESSAGE_MAX, b'a');
    check("long", &long, "a message of more than 1048576 bytes");
}

#[test]
fn a_million_empty_messages_end_the_connection_with_the_first() {
    check("nuls", &[0; 1_000_000], "BadMessage");
}

#[test]
fn random_bytes_again_and_again_end_only_their_own_connection() {
    let world = World::start("random", |_| {});
    let before = world.before();
    let mut state: u32 = 1;
    for _ in 0..300 {
        let mut stream = world.connect();
        let bytes: Vec<u8> = std::iter::repeat_with(|| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 24) as u8
        })
        .take(600)
        .collect();
        send(&mut stream, &bytes);
        let _ = stream.shutdown(Shutdown::Write);
        await_close(&mut stream);
    }
    world.check(&before);
}

#[test]
fn a_client_that_goes_away_in_the_middle_of_a_message_or_of_an_answer_is_forgotten() {
    let world = World::start("half", |_| {});
    let before = world.before();
    for cut in 1..STATUS.len() {
        let mut stream = world.connect();
        send(&mut stream, &STATUS[..cut]);
    }
    for _ in 0..200 {
        let mut stream = world.connect();
        send(&mut stream, LIST);
    }
    world.check(&before);
}

#[test]
fn who_has_finished_sending_still_gets_the_answer() {
    let world = World::start("finished", |_| {});
    let before = world.before();
    let mut stream = world.connect();
    send(&mut stream, STATUS);
    stream.shutdown(Shutdown::Write).unwrap();
    assert!(frame(&mut stream).contains("\"running\""));
    await_close(&mut stream);
    world.check(&before);
}

#[test]
fn a_client_that_never_finishes_its_message_costs_nothing_while_it_waits() {
    let world = World::start("slow", |_| {});
    let before = world.before();
    let mut streams: Vec<UnixStream> = (0..50).map(|_| world.connect()).collect();
    streams.iter_mut().for_each(|stream| assert!(send(stream, &STATUS[..20])));
    // Also one that has been answered before, and one whose answer nobody of the daemon's makes.
    let mut answered = world.connect();
    assert!(send(&mut answered, STATUS) && send(&mut answered, &STATUS[..20]));
    assert!(frame(&mut answered).contains("\"running\""));
    world.check_while(&before);
    drop(streams);
    drop(answered);
    world.check(&before);
}

#[test]
fn a_client_that_never_reads_is_let_wait_and_costs_little() {
    let text = "description \"a job\"\nexec sleep 1\n";
    let world = World::start("deaf", |conf| {
        for number in 0..5_000 {
            std::fs::write(conf.join(format!("job-of-a-long-name-{number}.conf")), text).unwrap();
        }
    });
    let before = world.before();
    let had = memory(world.daemon());
    let mut streams: Vec<UnixStream> = (0..100).map(|_| world.connect()).collect();
    for stream in &mut streams {
        let asked = LIST.repeat(50);
        assert!(send(stream, &asked));
    }
    world.check_while(&before);
    let grown = memory(world.daemon()).saturating_sub(had);
    assert!(grown < 48 * 1024, "the daemon grew by {grown} KiB");
    drop(streams);
    world.check(&before);
}

#[test]
fn a_client_that_sends_ahead_while_it_waits_and_then_goes_does_not_make_the_daemon_spin() {
    let world = World::start("ahead", |conf| {
        let text = "pre-start exec sleep 1000\nkill timeout 1\nexec sleep 1000\n";
        std::fs::write(conf.join("slow.conf"), text).unwrap();
    });
    let mut stream = world.connect();
    let mut bytes = Vec::new();
    let start = Request::Start(crate::world::target("slow"), Wait::Settled);
    Call::Ask(start, None).encode(&mut bytes);
    assert!(send(&mut stream, &bytes));
    eventually("it starts", || world.status("slow").filter(|view| !view.processes.is_empty()));
    let before = world.before();
    // More than is read ahead.
    stream.set_nonblocking(true).unwrap();
    let mut ahead = 0;
    eventually("the daemon reads no further", || {
        let more = std::io::Write::write(&mut &stream, &[b'x'; 65_536]).unwrap_or(0);
        ahead += more;
        (more == 0 && ahead > MESSAGE_MAX).then_some(())
    });
    world.check_while(&before);
    drop(stream);
    world.check_while(&before);
}

#[test]
fn two_thousand_connections_at_once_keep_nobody_else_out() {
    let world = World::start("crowd", |_| {});
    let before = world.before();
    raise_descriptors();
    let mut streams: Vec<UnixStream> = (0..2_000).map(|_| world.connect()).collect();
    world.check_while(&before);
    // Those that were let go were told why.
    let told = frame(&mut streams[0]);
    assert!(told.contains("Unavailable") && told.contains("connections"), "{told:?}");
    drop(streams);
    world.check(&before);
}

#[test]
fn two_thousand_clients_that_wait_keep_nobody_else_out() {
    let world = World::start("waiting", |_| {});
    let before = world.before();
    raise_descriptors();
    let mut call = Vec::new();
    Call::Events(None, Follow::On).encode(&mut call);
    let mut streams: Vec<UnixStream> = Vec::new();
    for _ in 0..2_000 {
        let mut stream = world.connect();
        send(&mut stream, &call);
        streams.push(stream);
    }
    world.check_while(&before);
    let told = frame(streams.last_mut().unwrap());
    assert!(told.contains("Unavailable"), "{told:?}");
    drop(streams);
    world.check(&before);
}

fn raise_descriptors() {
    sys::limits::raise_descriptors();
}

#[test]
fn a_subscriber_that_is_too_slow_is_told_how_many_notices_it_lost() {
    let world = World::start("lost", |_| {});
    let before = world.before();
    let mut slow = world.connect();
    let mut call = Vec::new();
    Call::Events(None, Follow::On).encode(&mut call);
    assert!(send(&mut slow, &call));
    // Whatever comes first shows that the stream has begun.
    let emit = |number: usize| {
        let env = vec![Text::from(format!("NUMBER={number}")), Text::from("X=".repeat(300))];
        let emit = Request::Emit(Text::from("noise"), env, Wait::Settled);
        let told = world.ask(Call::Ask(emit, None));
        assert!(matches!(told, Ok(Answer::Instance(None))), "{told:?}");
    };
    emit(0);
    let first: serde_json::Value = serde_json::from_str(&frame(&mut slow)).unwrap();
    let mut seen = first["parameters"]["sequence"].as_u64().unwrap();
    (1..4_000).for_each(emit);
    let mut lost = 0;
    while !is_last(&mut slow, &mut seen, &mut lost) {}
    assert!(lost > 0, "nothing was lost");
    drop(slow);
    world.check(&before);
}

/// Reads one notice; every number is either told or counted as lost.
fn is_last(stream: &mut UnixStream, seen: &mut u64, lost: &mut u64) -> bool {
    let notice: serde_json::Value = serde_json::from_str(&frame(stream)).unwrap();
    let (sequence, missed) = (&notice["parameters"]["sequence"], &notice["parameters"]["missed"]);
    let (sequence, missed) = (sequence.as_u64().unwrap(), missed.as_u64().unwrap_or(0));
    assert_eq!(sequence, *seen + missed + 1, "a notice is neither told nor counted as lost");
    *seen = sequence;
    *lost += missed;
    notice.to_string().contains("NUMBER=3999")
}

#[test]
fn a_list_goes_on_where_it_was_for_a_client_that_reads_slowly() {
    let world = World::start("pages", |conf| {
        for number in 0..20_000 {
            let file = conf.join(format!("job-of-a-long-name-{number:05}.conf"));
            std::fs::write(file, "exec sleep 1\n").unwrap();
        }
    });
    let before = world.before();
    let mut stream = world.connect();
    assert!(send(&mut stream, LIST));
    world.check_while(&before);
    let (mut count, mut more) = (0, true);
    while more {
        let page: serde_json::Value = serde_json::from_str(&frame(&mut stream)).unwrap();
        count += page["parameters"]["instances"].as_array().unwrap().len();
        more = page["continues"] == true;
    }
    assert_eq!(count, 20_001);
    assert!(
        matches!(world.ask(Call::List(None, Listed::Own)), Ok(Answer::Instances(all)) if all.len() == count)
    );
    drop(stream);
    world.check(&before);
}

#[test]
fn calls_that_are_sent_ahead_are_all_answered() {
    let world = World::start("pipelined", |conf| {
        std::fs::write(conf.join("quick.conf"), "task\nexec true\n").unwrap();
    });
    let before = world.before();
    let mut stream = world.connect();
    let mut bytes = STATUS.repeat(300);
    // One that waits, and those behind it.
    let start = Request::Start(crate::world::target("quick"), Wait::Settled);
    Call::Ask(start, None).encode(&mut bytes);
    bytes.extend_from_slice(&STATUS.repeat(300));
    assert!(send(&mut stream, &bytes));
    for number in 0..601 {
        let told = frame(&mut stream);
        assert!(told.contains("\"instance\""), "answer {number}: {told}");
    }
    drop(stream);
    world.check(&before);
}

#[test]
fn a_daemon_without_a_descriptor_for_one_more_client_sleeps_and_goes_on_later() {
    let world = World::start_limited("descriptors", 64, |_| {});
    let before = world.before();
    let streams: Vec<UnixStream> = (0..60).map(|_| world.connect()).collect();
    world.check_while(&before);
    drop(streams);
    world.check(&before);
}
