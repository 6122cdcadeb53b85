//! What a new process does before it executes its program: a flat list of records.
//!
//! The daemon builds a [`Plan`] and encodes it; the keeper passes the bytes on unread; the child
//! performs the records in their order. The order is fixed by [`Plan::encode`] alone, so that a new
//! daemon can change it under an old keeper. One attribute is one field of `Plan`, one variant of
//! [`Record`] and one arm in `child`.
//!
//! Source of the order: job_process.c of Upstart 1.13.2; the control group comes first, so that
//! everything else is already accounted for, and the OOM score comes before the limits, so that a
//! limit on descriptors cannot keep its file from being opened.

use engine::spec::{Limits, Resource};
use std::ffi::{CStr, CString};

/// The version that begins every encoded plan.
pub const VERSION: u32 = 1;

/// The longest plan in bytes; the kernel takes at most 6 MiB of arguments and environment.
pub const PLAN_MAX: usize = 16 * 1024 * 1024;

/// The greatest number of a descriptor that is given; 9 is a script's.
pub const GIVEN_MAX: u8 = 8;

/// Everything a child is told; users, paths and candidates are resolved already.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// The arguments, the program's name first.
    pub argv: Vec<CString>,
    /// The whole environment, `KEY=VALUE`.
    pub env: Vec<CString>,
    /// The paths to try to execute, in their order.
    pub candidates: Vec<CString>,
    /// The `cgroup.procs` files to join.
    pub cgroups: Vec<CString>,
    /// Where input and output go.
    pub console: Console,
    /// Which descriptors those become that the keeper was given for it, in their order: 0 to 8.
    pub given: Vec<u8>,
    /// The AppArmor profile that the program runs under.
    pub profile: Option<CString>,
    /// oom_score_adj, -1000 to 1000; none: inherited.
    pub oom_score_adj: Option<i16>,
    /// Resource limits; what is not named is inherited.
    pub limits: Vec<(Resource, Limits)>,
    /// File creation mask; none: inherited.
    pub umask: Option<u16>,
    /// Niceness -20 to 19; none: inherited.
    pub nice: Option<i8>,
    /// New root directory; the working directory becomes its root.
    pub chroot: Option<CString>,
    /// Working directory, seen from the new root; none: inherited, or the new root.
    pub chdir: Option<Chdir>,
    /// Who the process becomes.
    pub identity: Identity,
    /// Whether it stops itself before it executes the program.
    pub debug: Debug,
}

/// Where the input and output of a process go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Console {
    /// All three to `/dev/null`.
    Null,
    /// Input from `/dev/null` or a pipe, output into the pipe or terminal that the keeper made.
    Log,
    /// All three to `/dev/console`; where that cannot be opened `/dev/null`, with a warning.
    Output,
    /// All three to `/dev/console`, which becomes the controlling terminal.
    Owner,
}

/// A working directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chdir {
    /// The directory.
    pub path: CString,
    /// What happens when it cannot be entered.
    pub refused: Refused,
}

/// What happens when the kernel refuses a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// The start fails.
    Fails,
    /// The start goes on with a warning, without the step.
    Warns,
}

/// Who a process becomes; what is none stays as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Identity {
    /// Supplementary groups; empty drops them all.
    pub groups: Option<Vec<u32>>,
    /// Group.
    pub gid: Option<u32>,
    /// User.
    pub uid: Option<u32>,
}

/// Whether a process waits for a debugger.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Debug {
    /// It goes on.
    #[default]
    Run,
    /// It raises SIGSTOP before it executes its program. The keeper reports it as spawned, then as
    /// stopped; a program that cannot be executed then shows as exit status 255.
    Stop,
}

impl Plan {
    /// Returns the plan that runs `candidate` with these arguments and nothing else.
    pub fn new(candidate: CString, argv: Vec<CString>) -> Plan {
        Plan {
            argv,
            env: Vec::new(),
            candidates: vec![candidate],
            cgroups: Vec::new(),
            console: Console::Null,
            given: Vec::new(),
            profile: None,
            oom_score_adj: None,
            limits: Vec::new(),
            umask: None,
            nice: None,
            chroot: None,
            chdir: None,
            identity: Identity::default(),
            debug: Debug::Run,
        }
    }

    /// Returns the plan as the child reads it.
    pub fn encode(&self) -> Vec<u8> {
        let Plan {
            argv,
            env,
            candidates,
            cgroups,
            console,
            given,
            profile,
            oom_score_adj,
            limits,
            umask,
            nice,
            chroot,
            chdir,
            identity,
            debug,
        } = self;
        let mut out = VERSION.to_le_bytes().to_vec();
        strings(&mut out, kind::ARGV, argv);
        strings(&mut out, kind::ENV, env);
        for path in cgroups {
            string(&mut out, kind::CGROUP, path);
        }
        record(&mut out, kind::CONSOLE, &[console_code(*console)]);
        if !given.is_empty() {
            record(&mut out, kind::GIVEN, given);
        }
        if let Some(profile) = profile {
            record(&mut out, kind::PROFILE, &[b"exec ", profile.to_bytes()].concat());
        }
        if let Some(score) = oom_score_adj {
            record(&mut out, kind::OOM, score.to_string().as_bytes());
        }
        for (resource, limits) in limits {
            record(&mut out, kind::LIMIT, &limit(*resource, *limits));
        }
        if let Some(mask) = umask {
            record(&mut out, kind::UMASK, &mask.to_le_bytes());
        }
        if let Some(nice) = nice {
            record(&mut out, kind::NICE, &nice.to_le_bytes());
        }
        if let Some(path) = chroot {
            string(&mut out, kind::CHROOT, path);
        }
        if let Some(Chdir { path, refused }) = chdir {
            let kind = match refused {
                Refused::Fails => kind::CHDIR,
                Refused::Warns => kind::CHDIR_OR_WARN,
            };
            string(&mut out, kind, path);
        }
        identity.encode(&mut out);
        if *debug == Debug::Stop {
            record(&mut out, kind::STOP, &[]);
        }
        strings(&mut out, kind::EXEC, candidates);
        out
    }
}

impl Identity {
    fn encode(&self, out: &mut Vec<u8>) {
        let Identity { groups, gid, uid } = self;
        if gid.is_some() || uid.is_some() {
            let mut bytes = [u32::MAX.to_le_bytes(); 2];
            bytes[0] = uid.unwrap_or(u32::MAX).to_le_bytes();
            bytes[1] = gid.unwrap_or(u32::MAX).to_le_bytes();
            record(out, kind::OWN_SCRIPT, &bytes.concat());
        }
        if let Some(groups) = groups {
            let bytes: Vec<u8> = groups.iter().flat_map(|group| group.to_le_bytes()).collect();
            record(out, kind::GROUPS, &bytes);
        }
        if let Some(gid) = gid {
            record(out, kind::GID, &gid.to_le_bytes());
        }
        if let Some(uid) = uid {
            record(out, kind::UID, &uid.to_le_bytes());
        }
    }
}

/// One step of a plan, read in place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Record<'a> {
    /// The arguments.
    Argv(Strings<'a>),
    /// The environment.
    Env(Strings<'a>),
    /// Join the group of this `cgroup.procs` file.
    Cgroup(&'a CStr),
    /// Set up descriptors 0 to 2.
    Console(Console),
    /// Make the descriptors that were given for it these.
    Given(&'a [u8]),
    /// Write this to the process's own `attr/exec`.
    Profile(&'a [u8]),
    /// Write this to the process's own `oom_score_adj`.
    Oom(&'a [u8]),
    /// Set a resource limit.
    Limit {
        /// The kernel's number of the resource.
        resource: u32,
        /// What holds; `u64::MAX` is unlimited.
        soft: u64,
        /// What it may be raised to; `u64::MAX` is unlimited.
        hard: u64,
    },
    /// Set the file creation mask.
    Umask(u16),
    /// Set the niceness.
    Nice(i8),
    /// Change the root directory, and the working directory to it.
    Chroot(&'a CStr),
    /// Change the working directory.
    Chdir(&'a CStr, Refused),
    /// Give the script's descriptor to this user and group; `u32::MAX` leaves one as it is.
    OwnScript(u32, u32),
    /// Set the supplementary groups.
    Groups(Groups<'a>),
    /// Become this group.
    Gid(u32),
    /// Become this user.
    Uid(u32),
    /// Stop for a debugger.
    Stop,
    /// Execute the first of these that can be executed.
    Exec(Strings<'a>),
}

/// The numbers of the records on the wire. A number is never used again for something else.
mod kind {
    pub const ARGV: u32 = 1;
    pub const ENV: u32 = 2;
    pub const CGROUP: u32 = 3;
    pub const CONSOLE: u32 = 4;
    pub const PROFILE: u32 = 5;
    pub const OOM: u32 = 6;
    pub const LIMIT: u32 = 7;
    pub const UMASK: u32 = 8;
    pub const NICE: u32 = 9;
    pub const CHROOT: u32 = 10;
    pub const CHDIR: u32 = 11;
    pub const CHDIR_OR_WARN: u32 = 12;
    pub const OWN_SCRIPT: u32 = 13;
    pub const GROUPS: u32 = 14;
    pub const GID: u32 = 15;
    pub const UID: u32 = 16;
    pub const STOP: u32 = 17;
    pub const EXEC: u32 = 18;
    pub const GIVEN: u32 = 19;
}

/// A plan that is not one: of another version, cut short, or with a record nobody here knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed;

/// The records of an encoded plan, in their order; ends after the first malformed one.
#[derive(Clone, Copy, Debug)]
pub struct Records<'a> {
    rest: &'a [u8],
    version: Result<(), Malformed>,
}

/// How much room the arguments and the environment of a plan need.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counts {
    /// How many arguments there are.
    pub argv: usize,
    /// How many variables there are.
    pub env: usize,
}

impl<'a> Records<'a> {
    /// Begins to read a plan.
    pub fn new(plan: &'a [u8]) -> Records<'a> {
        match plan.split_first_chunk::<4>() {
            Some((version, rest)) if u32::from_le_bytes(*version) == VERSION => {
                Records { rest, version: Ok(()) }
            }
            Some(_) | None => Records { rest: &[], version: Err(Malformed) },
        }
    }

    /// Checks the whole plan before anything of it is done: every record known, one console, the
    /// program last.
    pub fn check(plan: &'a [u8]) -> Result<Counts, Malformed> {
        let (mut argv, mut env, mut consoles, mut done) = (None, None, 0, false);
        for record in Records::new(plan) {
            if done {
                return Err(Malformed);
            }
            match record? {
                Record::Argv(strings) if argv.is_none() => argv = Some(strings.count()),
                Record::Env(strings) if env.is_none() => env = Some(strings.count()),
                Record::Console(_) => consoles += 1,
                Record::Exec(paths) if paths.count() > 0 => done = true,
                Record::Argv(_) | Record::Env(_) | Record::Exec(_) => return Err(Malformed),
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
                | Record::Groups(_)
                | Record::Gid(_)
                | Record::Uid(_)
                | Record::Stop => {}
            }
        }
        match (argv, env) {
            (Some(argv @ 1..), Some(env)) if done && consoles == 1 => Ok(Counts { argv, env }),
            _ => Err(Malformed),
        }
    }
}

impl<'a> Iterator for Records<'a> {
    type Item = Result<Record<'a>, Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.version.is_err() {
            self.version = Ok(());
            return Some(Err(Malformed));
        }
        if self.rest.is_empty() {
            return None;
        }
        let read = read(self.rest);
        self.rest = read.map_or(&[], |(_, rest)| rest);
        Some(read.map(|(record, _)| record).ok_or(Malformed))
    }
}

/// A list of strings, each ended by a NUL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Strings<'a>(&'a [u8]);

impl<'a> Iterator for Strings<'a> {
    type Item = &'a CStr;

    fn next(&mut self) -> Option<&'a CStr> {
        let string = CStr::from_bytes_until_nul(self.0).ok()?;
        self.0 = self.0.get(string.count_bytes() + 1..)?;
        Some(string)
    }
}

/// A list of group numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Groups<'a>(&'a [u8]);

impl<'a> Groups<'a> {
    /// Returns the numbers in their order.
    pub fn iter(self) -> impl ExactSizeIterator<Item = u32> + 'a {
        self.0.chunks_exact(4).map(|group| match *group {
            [a, b, c, d] => u32::from_le_bytes([a, b, c, d]),
            _ => u32::MAX,
        })
    }
}

fn read(bytes: &[u8]) -> Option<(Record<'_>, &[u8])> {
    let (kind, rest) = bytes.split_first_chunk::<4>()?;
    let (length, rest) = rest.split_first_chunk::<4>()?;
    let length = usize::try_from(u32::from_le_bytes(*length)).ok()?;
    let (body, rest) = rest.split_at_checked(length)?;
    Some((body_of(u32::from_le_bytes(*kind), body)?, rest))
}

fn body_of(kind: u32, body: &[u8]) -> Option<Record<'_>> {
    let path = || CStr::from_bytes_with_nul(body).ok();
    let word = || body.try_into().ok().map(u32::from_le_bytes);
    let strings = || body.last().is_none_or(|last| *last == 0).then_some(Strings(body));
    Some(match kind {
        kind::ARGV => Record::Argv(strings()?),
        kind::ENV => Record::Env(strings()?),
        kind::CGROUP => Record::Cgroup(path()?),
        kind::CONSOLE => Record::Console(console_of(body)?),
        kind::GIVEN => {
            body.iter().all(|number| *number <= GIVEN_MAX).then_some(Record::Given(body))?
        }
        kind::PROFILE => Record::Profile(body),
        kind::OOM => Record::Oom(body),
        kind::LIMIT => {
            let (resource, rest) = body.split_first_chunk::<4>()?;
            let (soft, hard) = rest.split_first_chunk::<8>()?;
            Record::Limit {
                resource: u32::from_le_bytes(*resource),
                soft: u64::from_le_bytes(*soft),
                hard: u64::from_le_bytes(hard.try_into().ok()?),
            }
        }
        kind::UMASK => Record::Umask(u16::from_le_bytes(body.try_into().ok()?)),
        kind::NICE => Record::Nice(i8::from_le_bytes(body.try_into().ok()?)),
        kind::CHROOT => Record::Chroot(path()?),
        kind::CHDIR => Record::Chdir(path()?, Refused::Fails),
        kind::CHDIR_OR_WARN => Record::Chdir(path()?, Refused::Warns),
        kind::OWN_SCRIPT => {
            let (uid, gid) = body.split_first_chunk::<4>()?;
            let gid = u32::from_le_bytes(gid.try_into().ok()?);
            Record::OwnScript(u32::from_le_bytes(*uid), gid)
        }
        kind::GROUPS => body.len().is_multiple_of(4).then_some(Record::Groups(Groups(body)))?,
        kind::GID => Record::Gid(word()?),
        kind::UID => Record::Uid(word()?),
        kind::STOP => body.is_empty().then_some(Record::Stop)?,
        kind::EXEC => Record::Exec(strings()?),
        _ => return None,
    })
}

fn record(out: &mut Vec<u8>, kind: u32, body: &[u8]) {
    out.extend_from_slice(&kind.to_le_bytes());
    out.extend_from_slice(&u32::try_from(body.len()).unwrap_or(u32::MAX).to_le_bytes());
    out.extend_from_slice(body);
}

fn string(out: &mut Vec<u8>, kind: u32, text: &CStr) {
    record(out, kind, text.to_bytes_with_nul());
}

fn strings(out: &mut Vec<u8>, kind: u32, all: &[CString]) {
    let body: Vec<u8> = all.iter().flat_map(|text| text.to_bytes_with_nul()).copied().collect();
    record(out, kind, &body);
}

fn limit(resource: Resource, limits: Limits) -> Vec<u8> {
    let soft = limits.soft.unwrap_or(u64::MAX).to_le_bytes();
    let hard = limits.hard.unwrap_or(u64::MAX).to_le_bytes();
    [&crate::limits::number(resource).to_le_bytes()[..], &soft, &hard].concat()
}

fn console_code(console: Console) -> u8 {
    match console {
        Console::Null => 0,
        Console::Log => 1,
        Console::Output => 2,
        Console::Owner => 3,
    }
}

fn console_of(body: &[u8]) -> Option<Console> {
    Some(match body {
        [0] => Console::Null,
        [1] => Console::Log,
        [2] => Console::Output,
        [3] => Console::Owner,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn full() -> Plan {
        Plan {
            argv: vec![c"web".to_owned(), c"".to_owned(), c"-x y".to_owned()],
            env: vec![c"A=1".to_owned(), c"B=".to_owned()],
            candidates: vec![c"/sbin/web".to_owned(), c"web".to_owned()],
            cgroups: vec![c"/cg/a".to_owned(), c"/cg/b".to_owned()],
            console: Console::Owner,
            given: vec![3, 4],
            profile: Some(c"web".to_owned()),
            oom_score_adj: Some(-1000),
            limits: vec![(Resource::Nofile, Limits { soft: Some(64), hard: None })],
            umask: Some(0o27),
            nice: Some(-20),
            chroot: Some(c"/srv".to_owned()),
            chdir: Some(Chdir { path: c"/www".to_owned(), refused: Refused::Warns }),
            identity: Identity { groups: Some(vec![7, 8]), gid: Some(7), uid: Some(9) },
            debug: Debug::Stop,
        }
    }

    fn records(plan: &[u8]) -> Vec<Result<Record<'_>, Malformed>> {
        Records::new(plan).collect()
    }

    #[test]
    fn every_attribute_reaches_the_child_in_the_order_of_set_up() {
        let plan = full().encode();
        let nofile = crate::limits::number(Resource::Nofile);
        let groups = [7u32.to_le_bytes(), 8u32.to_le_bytes()].concat();
        let expected = [
            Record::Argv(Strings(b"web\0\0-x y\0")),
            Record::Env(Strings(b"A=1\0B=\0")),
            Record::Cgroup(c"/cg/a"),
            Record::Cgroup(c"/cg/b"),
            Record::Console(Console::Owner),
            Record::Given(&[3, 4]),
            Record::Profile(b"exec web"),
            Record::Oom(b"-1000"),
            Record::Limit { resource: nofile, soft: 64, hard: u64::MAX },
            Record::Umask(0o27),
            Record::Nice(-20),
            Record::Chroot(c"/srv"),
            Record::Chdir(c"/www", Refused::Warns),
            Record::OwnScript(9, 7),
            Record::Groups(Groups(&groups)),
            Record::Gid(7),
            Record::Uid(9),
            Record::Stop,
            Record::Exec(Strings(b"/sbin/web\0web\0")),
        ];
        assert_eq!(records(&plan), expected.map(Ok));
        assert_eq!(Records::check(&plan), Ok(Counts { argv: 3, env: 2 }));
        let Record::Argv(argv) = expected[0] else { panic!("the arguments come first") };
        assert_eq!(argv.collect::<Vec<_>>(), [c"web", c"", c"-x y"]);
    }

    #[test]
    fn what_is_not_said_is_no_step() {
        let plan = Plan::new(c"/bin/true".to_owned(), vec![c"true".to_owned()]).encode();
        let steps = records(&plan);
        assert_eq!(steps.len(), 4, "{steps:?}");
        assert_eq!(Records::check(&plan), Ok(Counts { argv: 1, env: 0 }));
    }

    #[test]
    fn a_plan_that_is_cut_short_at_any_place_is_malformed() {
        let plan = full().encode();
        for length in 0..plan.len() {
            assert_eq!(Records::check(&plan[..length]), Err(Malformed), "first {length} bytes");
        }
    }

    #[test]
    fn a_plan_of_another_version_or_with_an_unknown_record_is_malformed() {
        let mut other = full().encode();
        other[0] += 1;
        assert_eq!(Records::check(&other), Err(Malformed));
        let mut plan = VERSION.to_le_bytes().to_vec();
        record(&mut plan, 4711, b"");
        plan.extend_from_slice(&full().encode()[4..]);
        assert_eq!(Records::check(&plan), Err(Malformed));
    }

    #[test]
    fn a_plan_without_arguments_without_candidates_or_with_two_consoles_is_malformed() {
        let good = full();
        let bad = Plan { argv: Vec::new(), ..good.clone() };
        assert_eq!(Records::check(&bad.encode()), Err(Malformed));
        let bad = Plan { candidates: Vec::new(), ..good.clone() };
        assert_eq!(Records::check(&bad.encode()), Err(Malformed));
        let mut twice = VERSION.to_le_bytes().to_vec();
        record(&mut twice, kind::CONSOLE, &[0]);
        twice.extend_from_slice(&good.encode()[4..]);
        assert_eq!(Records::check(&twice), Err(Malformed));
        let mut more = good.encode();
        record(&mut more, kind::UID, &0u32.to_le_bytes());
        assert_eq!(Records::check(&more), Err(Malformed), "nothing follows the program");
    }

    /// A generator of numbers that are the same in every run (xorshift64*).
    struct Numbers(u64);

    impl Numbers {
        fn next(&mut self) -> u64 {
            self.0 ^= self.0 >> 12;
            self.0 ^= self.0 << 25;
            self.0 ^= self.0 >> 27;
            self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
        }

        fn below(&mut self, end: usize) -> usize {
            (self.next() >> 16) as usize % end.max(1)
        }
    }

    #[test]
    fn no_bytes_make_reading_panic_or_go_on_for_ever() {
        let (good, mut numbers) = (full().encode(), Numbers(0x5eed));
        for _ in 0..100_000 {
            let mut plan = good.clone();
            for _ in 0..=numbers.below(4) {
                let at = numbers.below(plan.len());
                plan[at] = numbers.next() as u8;
            }
            plan.truncate(plan.len() - numbers.below(8) * numbers.below(plan.len() / 8));
            assert!(Records::new(&plan).count() <= plan.len());
            if let Ok(counts) = Records::check(&plan) {
                for record in Records::new(&plan).flatten() {
                    if let Record::Argv(strings) = record {
                        assert_eq!(strings.count(), counts.argv);
                    }
                }
            }
        }
    }
}
