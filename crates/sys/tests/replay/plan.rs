//! Any bytes as the plan of a spawn.

use engine::spec::{Limits, Resource};
use std::ffi::CString;
use sys::plan::{Chdir, Console, Debug, Identity, Plan, Record, Records, Refused};

/// Reads the bytes as an encoded plan, then as choices that make one.
pub fn run(data: &[u8]) {
    read(data);
    let plan = made(data);
    let wire = plan.encode();
    let counts = Records::check(&wire).expect("what is encoded can be read");
    assert_eq!((counts.argv, counts.env), (plan.argv.len(), plan.env.len()));
    read(&wire);
    let Some(Ok(Record::Argv(argv))) = Records::new(&wire).next() else {
        panic!("the arguments come first")
    };
    assert!(argv.eq(plan.argv.iter().map(CString::as_c_str)));
}

/// Checks that a plan that is accepted says everything once, and that no other is gone on with.
fn read(wire: &[u8]) {
    let records: Vec<_> = Records::new(wire).collect();
    assert!(records.len() <= 1 + wire.len() / 8, "a record has eight bytes at least");
    let malformed = records.iter().position(Result::is_err);
    assert!(malformed.is_none_or(|at| at + 1 == records.len()), "nothing follows a bad record");
    let Ok(counts) = Records::check(wire) else { return };
    assert_eq!(malformed, None);
    let (mut argv, mut env, mut consoles) = (0, 0, 0);
    for record in records.iter().flatten() {
        match record {
            Record::Argv(strings) => argv += strings.count(),
            Record::Env(strings) => env += strings.count(),
            Record::Console(_) => consoles += 1,
            Record::Groups(groups) => assert_eq!(groups.iter().count(), groups.iter().len()),
            Record::Exec(paths) => assert!(paths.count() > 0),
            Record::Cgroup(_)
            | Record::Given(_)
            | Record::Profile(_)
            | Record::Oom(_)
            | Record::Limit { .. }
            | Record::Umask(_)
            | Record::Nice(_)
            | Record::Chroot(_)
            | Record::Chdir(..)
            | Record::OwnScript(..)
            | Record::Gid(_)
            | Record::Uid(_)
            | Record::Stop => {}
        }
    }
    assert_eq!((argv, env, consoles), (counts.argv, counts.env, 1));
    assert!(argv > 0 && matches!(records.last(), Some(Ok(Record::Exec(_)))));
}

fn made(data: &[u8]) -> Plan {
    let mut numbers = data.iter().copied();
    let mut next = || numbers.next().unwrap_or(0);
    let choice = next();
    let chosen = |bit: u8| choice >> bit & 1 == 1;
    let mut strings = data.split(|byte| *byte == 0).map(|text| CString::new(text).expect("no NUL"));
    let mut string = || strings.next().unwrap_or_default();
    let mut several = |count: u8| (0..count).map(|_| string()).collect::<Vec<_>>();
    let mut plan = Plan::new(c"/bin/true".to_owned(), vec![c"true".to_owned()]);
    plan.argv.extend(several(next() % 8));
    plan.env = several(next() % 8);
    plan.cgroups = several(next() % 3);
    plan.candidates.extend(several(next() % 3));
    plan.profile = several(u8::from(chosen(0))).pop();
    plan.chroot = several(u8::from(chosen(1))).pop();
    let refused = if chosen(2) { Refused::Fails } else { Refused::Warns };
    plan.chdir = several(u8::from(chosen(3))).pop().map(|path| Chdir { path, refused });
    plan.debug = if chosen(4) { Debug::Stop } else { Debug::Run };
    plan.console = match next() % 4 {
        0 => Console::Null,
        1 => Console::Log,
        2 => Console::Output,
        _ => Console::Owner,
    };
    plan.given = (0..next() % 7).map(|_| next() % 9).collect();
    plan.oom_score_adj = chosen(5).then(|| i16::from_le_bytes([next(), next()]));
    plan.umask = chosen(6).then(|| u16::from_le_bytes([next(), next()]));
    plan.nice = chosen(7).then(|| i8::from_le_bytes([next()]));
    for (resource, _) in Resource::TABLE.iter().take(usize::from(next() % 15)) {
        let mut limit = || (next() % 3 > 0).then(|| u64::from(next()) << (next() % 57));
        plan.limits.push((*resource, Limits { soft: limit(), hard: limit() }));
    }
    let mut id = || (next() % 3 > 0).then(|| u32::from_le_bytes([next(), next(), next(), next()]));
    plan.identity = Identity { groups: id().map(|group| vec![group; 3]), gid: id(), uid: id() };
    plan
}
