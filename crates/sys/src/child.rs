//! The child between fork and exec: system calls only. No allocation, no lock, no panic.
//!
//! It may share its parent's memory, as far as [`may_share`] says: there no call may set `errno`, so
//! they are rustix's and `raw`'s. What libc does here is done by forks only.

use crate::limits::Inherited;
use crate::own;
use crate::plan::{Console, Counts, Groups, Malformed, Record, Records, Refused, Strings};
use crate::port::{self, Hand, Table, FIRST};
use crate::raw;
use crate::report::{self, Gravity};
use crate::seqpacket::FDS_MAX;
use crate::signals::{self, last_error, SignalSet};
use crate::spawn::{above, place, Entry, Joined, Task, Text, PID_AT};
use engine::keeper::HEAD;
use engine::process::{Pid, Step};
use rustix::fs::{FileType, Mode, OFlags};
use rustix::io::Errno;
use rustix::process::{getrlimit, setrlimit, Resource, Rlimit};
use std::ffi::CStr;
use std::os::fd::{BorrowedFd, FromRawFd, IntoRawFd, OwnedFd, RawFd};
use std::{ptr, slice};

/// The descriptor that a script is read from. Source: job_process.c of Upstart 1.13.2.
const SCRIPT: RawFd = 9;

/// How many pointers fit without asking the kernel for memory.
const WORDS: usize = 256;

/// The report of a child that has none, or none any more.
const NOWHERE: RawFd = -1;

/// Why the start fails.
struct Failure(Step, Errno);

type Done = Result<(), Failure>;

trait At<T> {
    fn at(self, step: Step) -> Result<T, Failure>;
}

impl<T> At<T> for Result<T, Errno> {
    fn at(self, step: Step) -> Result<T, Failure> {
        self.map_err(|errno| Failure(step, errno))
    }
}

/// The child's own descriptors, all out of the way of those that its program will have.
struct Child<'a> {
    report: RawFd,
    joined: Joined,
    streams: Streams,
    given: [Option<RawFd>; FDS_MAX],
    has_script: bool,
    inherited: &'a Inherited,
    witness: Option<(Entry, RawFd)>,
    argv: Option<Strings<'a>>,
    env: Option<Strings<'a>>,
}

/// What standard input, output and error may become.
#[derive(Clone, Copy)]
struct Streams {
    null: Option<RawFd>,
    input: Option<RawFd>,
    log: Option<RawFd>,
    errors: Option<RawFd>,
}

/// Performs the plan and executes its program; a failure is reported and ends the process with 255.
pub(crate) fn run(mut task: Task<'_>) -> ! {
    let taken = match task.table {
        Table::Copied => Ok(()),
        Table::Shared(port) => port::take(port, &mut task.hand),
    };
    // Nowhere as long as the table is our parent's: nothing in it is ours to write to.
    let report = task.hand.report;
    let report = report.map_or(NOWHERE, |report| raised(report, &task.hand).unwrap_or(report));
    let mut words = [0usize; WORDS];
    let done = taken.at(Step::Fork).and_then(|()| perform(&task, report, &mut words));
    if let Err(Failure(step, errno)) = done {
        tell(report, Gravity::Failure, step, errno);
    }
    // SAFETY: ends this process at once; nothing of it is to be torn down.
    unsafe { libc::_exit(255) }
}

/// Reports whether a child may perform this plan in its parent's memory. Not where the kernel would
/// change something of all who share it (the OOM score; with another user, whether they can be
/// looked into), where the child stops while it looks as if it had executed, and what is rare.
pub(crate) fn may_share(plan: &[u8], joined: Joined) -> bool {
    let Ok(Counts { argv, env }) = Records::check(plan) else { return false };
    let fits = argv + env + 3 <= WORDS;
    fits && Records::new(plan).flatten().all(|record| match record {
        Record::Argv(_)
        | Record::Env(_)
        | Record::Console(Console::Null | Console::Log)
        | Record::Limit { .. }
        | Record::Umask(_)
        | Record::Nice(_)
        | Record::Chroot(_)
        | Record::Chdir(..)
        | Record::Exec(_) => true,
        Record::Cgroup(_) => joined == Joined::Yes,
        Record::Console(Console::Output | Console::Owner)
        | Record::Given(_)
        | Record::Profile(_)
        | Record::Oom(_)
        | Record::OwnScript(..)
        | Record::Groups(_)
        | Record::Gid(_)
        | Record::Uid(_)
        | Record::Stop => false,
    })
}

fn perform(task: &Task<'_>, report: RawFd, words: &mut [usize]) -> Done {
    let Task { plan, hand, table: _, joined, ref inherited, witness } = *task;
    let plan = read_plan(plan, hand.plan).at(Step::Plan)?;
    let counts = Records::check(plan).map_err(|Malformed| Failure(Step::Plan, Errno::INVAL))?;
    let words = enough(words, counts, plan).at(Step::Plan)?;
    rustix::process::setsid().at(Step::Session)?;
    let raise = |fd: Option<RawFd>| fd.map(|fd| raised(fd, &hand)).transpose();
    let null = raise(hand.null).at(Step::Console)?;
    let input = raise(hand.input).at(Step::Console)?;
    let log = raise(hand.log).at(Step::Log)?;
    let errors = raise(hand.errors).at(Step::Log)?;
    if let Some(script) = raise(hand.script).at(Step::Plan)? {
        place(script, SCRIPT).at(Step::Plan)?;
    }
    let mut given = [None; FDS_MAX];
    for (place, fd) in given.iter_mut().zip(hand.given) {
        *place = raise(fd).at(Step::Plan)?;
    }
    let has_script = hand.script.is_some();
    // Without it there is no witness, and the start goes on.
    let witness = witness.and_then(|entry| Some((entry, raised(hand.witness?, &hand).ok()?)));
    let (argv, env) = (None, None);
    let streams = Streams { null, input, log, errors };
    let mut child =
        Child { report, joined, streams, given, has_script, inherited, witness, argv, env };
    for record in Records::new(plan) {
        let record = record.map_err(|Malformed| Failure(Step::Plan, Errno::INVAL))?;
        child.step(record, words)?;
    }
    Ok(())
}

/// Returns the descriptor out of the way of those that the program will have; 0 to 2 are always open.
fn raised(fd: RawFd, hand: &Hand) -> Result<RawFd, Errno> {
    let only_streams = hand.script.is_none() && hand.given.iter().all(Option::is_none);
    match only_streams && fd >= FIRST {
        true => Ok(fd),
        false => above(fd),
    }
}

impl<'a> Child<'a> {
    fn step(&mut self, record: Record<'a>, words: &mut [usize]) -> Done {
        match record {
            Record::Argv(strings) => self.argv = Some(strings),
            Record::Env(strings) => self.env = Some(strings),
            Record::Cgroup(path) => self.join(path),
            Record::Console(console) => {
                self.console(console)?;
                self.restore().at(Step::Limit)?;
            }
            Record::Given(numbers) => self.give(numbers).at(Step::Plan)?,
            Record::Profile(text) => switch_profile(text).at(Step::Profile)?,
            Record::Oom(text) => {
                self.tune(Step::Oom, write_file(c"/proc/self/oom_score_adj", text))?
            }
            Record::Limit { resource, soft, hard } => self.limit(resource, soft, hard)?,
            Record::Umask(mask) => {
                rustix::process::umask(Mode::from_raw_mode(u32::from(mask)));
            }
            Record::Nice(nice) => {
                self.tune(Step::Nice, rustix::process::setpriority_process(None, i32::from(nice)))?;
            }
            Record::Chroot(path) => {
                rustix::process::chroot(path).at(Step::Chroot)?;
                rustix::process::chdir(c"/").at(Step::Chroot)?;
            }
            Record::Chdir(path, Refused::Fails) => {
                rustix::process::chdir(path).at(Step::Chdir)?;
            }
            Record::Chdir(path, Refused::Warns) => {
                if let Err(errno) = rustix::process::chdir(path) {
                    tell(self.report, Gravity::Warning, Step::Chdir, errno);
                }
            }
            Record::OwnScript(uid, gid) => self.own_script(uid, gid).at(Step::Setuid)?,
            Record::Groups(groups) => set_groups(groups, words).at(Step::Groups)?,
            Record::Gid(gid) => set_gid(gid).at(Step::Setgid)?,
            Record::Uid(uid) => set_uid(uid).at(Step::Setuid)?,
            Record::Stop => self.stop(),
            Record::Exec(paths) => self.execute(paths, words).at(Step::Exec)?,
        }
        Ok(())
    }

    /// What only tunes is not worth a failed start where we are not allowed to do it.
    fn tune(&self, step: Step, outcome: Result<(), Errno>) -> Done {
        match outcome {
            Err(errno @ (Errno::PERM | Errno::ACCESS | Errno::NOENT | Errno::ROFS)) => {
                tell(self.report, Gravity::Warning, step, errno);
                Ok(())
            }
            outcome => outcome.at(step),
        }
    }

    /// Joins a control group. One that cannot be joined bounds and counts nothing, and protects nobody.
    fn join(&self, path: &CStr) {
        let outcome = match self.joined {
            Joined::Yes => Ok(()),
            Joined::No => write_file(path, b"0"),
        };
        if let Err(errno) = outcome {
            tell(self.report, Gravity::Warning, Step::Cgroup, errno);
        }
    }

    fn console(&self, console: Console) -> Done {
        match console {
            Console::Null => self.all_null(),
            Console::Log => {
                let Streams { input, log, errors, .. } = self.streams;
                let log = log.ok_or(Failure(Step::Log, Errno::BADF))?;
                place(input.map_or_else(|| self.null(), Ok)?, 0).at(Step::Console)?;
                place(log, 1).and_then(|()| place(errors.unwrap_or(log), 2)).at(Step::Log)
            }
            Console::Output => match open_console() {
                Ok(console) => all_three(console).at(Step::Console),
                Err(errno) => {
                    tell(self.report, Gravity::Warning, Step::Console, errno);
                    self.all_null()
                }
            },
            Console::Owner => {
                let console = open_console().at(Step::Console)?;
                all_three(console).at(Step::Console)?;
                // SAFETY: plain numbers. One takes it from another session, as root may.
                done(unsafe { libc::ioctl(0, libc::TIOCSCTTY, 1) }.into()).at(Step::Console)
            }
        }
    }

    fn give(&self, numbers: &[u8]) -> Result<(), Errno> {
        for (place, number) in numbers.iter().enumerate() {
            let fd = self.given.get(place).copied().flatten().ok_or(Errno::BADF)?;
            self::place(fd, RawFd::from(*number))?;
        }
        Ok(())
    }

    fn all_null(&self) -> Done {
        all_three(self.null()?).at(Step::Console)
    }

    fn null(&self) -> Result<RawFd, Failure> {
        match self.streams.null {
            Some(null) => Ok(null),
            None => open(c"/dev/null", OFlags::RDWR).at(Step::Console),
        }
    }

    /// Gives back what the keeper changed for itself.
    fn restore(&self) -> Result<(), Errno> {
        if getrlimit(Resource::Nofile) == self.inherited.descriptors {
            return Ok(());
        }
        setrlimit(Resource::Nofile, self.inherited.descriptors)
    }

    /// Sets a limit; where the hard one may not be raised, sets as much as may be and warns.
    fn limit(&self, resource: u32, soft: u64, hard: u64) -> Done {
        let resource = kernel_resource(resource).ok_or(Failure(Step::Limit, Errno::INVAL))?;
        let (soft, hard) = (limited(soft), limited(hard));
        let refused = match setrlimit(resource, Rlimit { current: soft, maximum: hard }) {
            Err(errno @ (Errno::PERM | Errno::ACCESS)) => errno,
            outcome => return outcome.at(Step::Limit),
        };
        tell(self.report, Gravity::Warning, Step::Limit, refused);
        let most = getrlimit(resource).maximum;
        let current = lower(soft, most);
        setrlimit(resource, Rlimit { current, maximum: lower(hard, most) }).at(Step::Limit)
    }

    fn own_script(&self, uid: u32, gid: u32) -> Result<(), Errno> {
        if !self.has_script {
            return Ok(());
        }
        // SAFETY: plain numbers; the descriptor is ours.
        match unsafe { libc::fchown(SCRIPT, uid, gid) } {
            0 => Ok(()),
            _ => Err(last_error()),
        }
    }

    /// Stops for a debugger. The report ends first, or the keeper would wait for the person.
    fn stop(&mut self) {
        // SAFETY: the descriptor is ours and not used again: what is told later goes nowhere.
        unsafe {
            libc::close(self.report);
            libc::kill(libc::getpid(), libc::SIGSTOP);
        }
        self.report = NOWHERE;
    }

    /// Writes down that it is there, and executes nothing where its parent is gone. In this order:
    /// whoever takes our parent's place after the last look finds the record, and before it there will
    /// be no program. The first look spares most of those the record of what never ran.
    fn bear_witness(&self) {
        let Some((witness, _)) = self.witness else { return };
        let mut record = witness.record;
        if let Some(place) = record.get_mut(PID_AT..PID_AT + 4) {
            place.copy_from_slice(&own::pid().to_le_bytes());
        }
        if has_parent(witness.parent) {
            self.write_down(&record);
            if has_parent(witness.parent) {
                return;
            }
            self.withdraw();
        }
        // SAFETY: ends this process at once; nothing of it is to be torn down.
        unsafe { libc::_exit(255) }
    }

    /// Takes the record back: an end that is seen later is not that of a program.
    fn withdraw(&self) {
        self.write_down(&[0; HEAD]);
    }

    fn write_down(&self, record: &[u8; HEAD]) {
        let Some((witness, fd)) = self.witness else { return };
        // SAFETY: our own copy of the descriptor, which stays open.
        let file = unsafe { BorrowedFd::borrow_raw(fd) };
        // Where it cannot be written the death of our parent at this very moment would lose us.
        let _ = rustix::io::pwrite(file, record, witness.at);
    }

    /// Executes the first of the paths that can be; returns why none can be.
    fn execute(&self, paths: Strings<'_>, words: &mut [usize]) -> Result<(), Errno> {
        let (argv, env) = (self.argv.ok_or(Errno::INVAL)?, self.env.ok_or(Errno::INVAL)?);
        // One word before the arguments stays free for the shell's name.
        let after = pointers(words, 1, argv)?;
        pointers(words, after, env)?;
        self.bear_witness();
        signals::reset(self.inherited.ignored);
        signals::block(SignalSet::NONE);
        let why = try_each(paths, words, after);
        self.withdraw();
        Err(why)
    }
}

/// Tries each path in turn as execvp does: a program that is not there or must not be executed gives way
/// to the next, one without a known format is a script of the shell's. `words` has the arguments from its
/// second word on, the environment from `after` on.
fn try_each(paths: Strings<'_>, words: &mut [usize], after: usize) -> Errno {
    let (start, rest) = words.split_at(after);
    let (mut last, mut denied) = (Errno::NOENT, None);
    for path in paths {
        last = exec(path, start.get(1..).unwrap_or(&[]), rest);
        if last == Errno::NOEXEC {
            let shell = c"/bin/sh";
            if let Some([first, second, ..]) = words.get_mut(..after) {
                *first = shell.as_ptr() as usize;
                *second = path.as_ptr() as usize;
            }
            let (start, rest) = words.split_at(after);
            return exec(shell, start, rest);
        }
        match last {
            Errno::ACCESS => denied = Some(why_denied(path)),
            Errno::NOENT | Errno::NOTDIR | Errno::STALE | Errno::NODEV | Errno::TIMEDOUT => {}
            _ => return last,
        }
    }
    denied.unwrap_or(last)
}

/// The kernel calls a directory what must not be executed.
fn why_denied(path: &CStr) -> Errno {
    let found = rustix::fs::stat(path);
    let is_directory = found.is_ok_and(|it| FileType::from_raw_mode(it.st_mode).is_dir());
    if is_directory {
        Errno::ISDIR
    } else {
        Errno::ACCESS
    }
}

fn has_parent(parent: Pid) -> bool {
    // SAFETY: no arguments.
    unsafe { libc::getppid() == parent }
}

fn tell(report: RawFd, gravity: Gravity, step: Step, errno: Errno) {
    if report == NOWHERE {
        return;
    }
    // SAFETY: the report is open as long as this process.
    let report = unsafe { BorrowedFd::borrow_raw(report) };
    // Nobody is left to tell that it could not be written.
    let _ = rustix::io::write(report, &report::encode(gravity, step, errno));
}

fn read_plan<'a>(text: Text<'a>, file: Option<RawFd>) -> Result<&'a [u8], Errno> {
    let length = match text {
        Text::Bytes(plan) => return Ok(plan),
        Text::File(length) => length,
    };
    // SAFETY: our own copy of the descriptor, which stays open.
    let fd = unsafe { BorrowedFd::borrow_raw(file.ok_or(Errno::BADF)?) };
    let plan = map(length)?;
    let mut read = 0;
    while let Some(rest) = plan.get_mut(read..).filter(|rest| !rest.is_empty()) {
        match rustix::io::pread(fd, rest, read as u64) {
            Ok(0) => return Err(Errno::NODATA),
            Ok(more) => read += more,
            Err(Errno::INTR) => {}
            Err(errno) => return Err(errno),
        }
    }
    Ok(plan)
}

/// Returns fresh zeroed memory that is never given back: the process executes or ends soon.
fn map(length: usize) -> Result<&'static mut [u8], Errno> {
    if length == 0 || length > crate::plan::PLAN_MAX {
        return Err(Errno::INVAL);
    }
    let (access, kind) =
        (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS);
    // SAFETY: a new private mapping of that length, aligned to a page, that nobody else knows.
    unsafe {
        let memory = libc::mmap(ptr::null_mut(), length, access, kind, -1, 0);
        if memory == libc::MAP_FAILED {
            return Err(last_error());
        }
        Ok(slice::from_raw_parts_mut(memory.cast::<u8>(), length))
    }
}

/// Returns `words`, or memory with room for all pointers of the plan and for all its groups.
fn enough<'a>(
    words: &'a mut [usize],
    counts: Counts,
    plan: &[u8],
) -> Result<&'a mut [usize], Errno> {
    let groups = Records::new(plan).filter_map(|record| match record {
        Ok(Record::Groups(groups)) => Some(groups.iter().len()),
        Ok(_) | Err(Malformed) => None,
    });
    let needed = (counts.argv + counts.env + 3).max(groups.max().unwrap_or(0));
    if needed <= words.len() {
        return Ok(words);
    }
    let memory = map(needed * size_of::<usize>())?;
    // SAFETY: a mapping is aligned to a page, zeroes are numbers, and the length is `needed` words.
    Ok(unsafe { slice::from_raw_parts_mut(memory.as_mut_ptr().cast::<usize>(), needed) })
}

/// Writes the strings' addresses from `at` on, then a null; returns the place after it.
fn pointers(words: &mut [usize], at: usize, strings: Strings<'_>) -> Result<usize, Errno> {
    let mut place = at;
    for string in strings {
        *words.get_mut(place).ok_or(Errno::TOOBIG)? = string.as_ptr() as usize;
        place += 1;
    }
    *words.get_mut(place).ok_or(Errno::TOOBIG)? = 0;
    Ok(place + 1)
}

/// Executes; returns only why not. Both lists come from [`pointers`].
fn exec(path: &CStr, argv: &[usize], env: &[usize]) -> Errno {
    let lists = [argv, env].map(|list| list.as_ptr().expose_provenance());
    let arguments = [path.as_ptr().expose_provenance(), lists[0], lists[1], 0, 0];
    // SAFETY: both are lists of addresses of strings that outlive the call, ended by a null.
    unsafe { raw::call(libc::SYS_execve, arguments) }.err().unwrap_or(Errno::IO)
}

fn open(path: &CStr, flags: OFlags) -> Result<RawFd, Errno> {
    let fd = rustix::fs::open(path, flags | OFlags::CLOEXEC, Mode::empty())?;
    above(fd.into_raw_fd())
}

fn open_console() -> Result<RawFd, Errno> {
    open(c"/dev/console", OFlags::RDWR | OFlags::NOCTTY)
}

fn all_three(fd: RawFd) -> Result<(), Errno> {
    (0..3).try_for_each(|number| place(fd, number))
}

fn write_file(path: &CStr, text: &[u8]) -> Result<(), Errno> {
    let fd = open(path, OFlags::WRONLY)?;
    // SAFETY: opened just now, owned by nobody else.
    let fd = unsafe { OwnedFd::from_raw_fd(fd) };
    match rustix::io::write(&fd, text) {
        Ok(length) if length == text.len() => Ok(()),
        Ok(_) => Err(Errno::IO),
        Err(errno) => Err(errno),
    }
}

/// Newer kernels have one file per security module; the older common one is the first module's.
fn switch_profile(text: &[u8]) -> Result<(), Errno> {
    match write_file(c"/proc/self/attr/apparmor/exec", text) {
        Err(Errno::NOENT) => write_file(c"/proc/self/attr/exec", text),
        outcome => outcome,
    }
}

fn kernel_resource(number: u32) -> Option<Resource> {
    engine::spec::Resource::TABLE
        .iter()
        .find(|row| crate::limits::number(row.0) == number)
        .map(|row| crate::limits::kernel(row.0))
}

fn limited(limit: u64) -> Option<u64> {
    (limit != u64::MAX).then_some(limit)
}

fn lower(a: Option<u64>, b: Option<u64>) -> Option<u64> {
    limited(a.unwrap_or(u64::MAX).min(b.unwrap_or(u64::MAX)))
}

#[cfg(not(any(target_arch = "x86", target_arch = "arm")))]
use libc::{SYS_setgroups as SETGROUPS, SYS_setresgid as SETRESGID, SYS_setresuid as SETRESUID};
#[cfg(any(target_arch = "x86", target_arch = "arm"))]
use libc::{
    SYS_setgroups32 as SETGROUPS, SYS_setresgid32 as SETRESGID, SYS_setresuid32 as SETRESUID,
};

/// Sets the supplementary groups. Raw, as libc would want to tell threads that are not here.
fn set_groups(groups: Groups<'_>, words: &mut [usize]) -> Result<(), Errno> {
    let count = groups.iter().len();
    // SAFETY: a word is at least as long and as aligned as a group; `enough` made one per group.
    let room = unsafe { slice::from_raw_parts_mut(words.as_mut_ptr().cast::<u32>(), words.len()) };
    let room = room.get_mut(..count).ok_or(Errno::TOOBIG)?;
    room.iter_mut().zip(groups.iter()).for_each(|(place, group)| *place = group);
    // SAFETY: the kernel reads `count` numbers, which live in `room`.
    done(unsafe { libc::syscall(SETGROUPS, count, room.as_ptr()) })
}

fn set_gid(gid: u32) -> Result<(), Errno> {
    // SAFETY: plain numbers.
    done(unsafe { libc::syscall(SETRESGID, gid, gid, gid) })
}

fn set_uid(uid: u32) -> Result<(), Errno> {
    // SAFETY: plain numbers.
    done(unsafe { libc::syscall(SETRESUID, uid, uid, uid) })
}

fn done(returned: libc::c_long) -> Result<(), Errno> {
    match returned {
        0 => Ok(()),
        _ => Err(last_error()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::{Chdir, Debug, Identity, Plan};
    use engine::spec::Limits;

    #[test]
    fn what_would_change_the_parent_too_is_not_done_in_its_memory() {
        let plain = Plan::new(c"/bin/true".to_owned(), vec![c"true".to_owned()]);
        let directory = Chdir { path: c"/".to_owned(), refused: Refused::Fails };
        let shares = |change: fn(&mut Plan)| {
            let mut plan = plain.clone();
            change(&mut plan);
            may_share(&plan.encode(), Joined::No)
        };
        let full = Plan {
            console: Console::Log,
            limits: vec![(engine::spec::Resource::Core, Limits { soft: None, hard: None })],
            umask: Some(0o22),
            nice: Some(1),
            chroot: Some(c"/".to_owned()),
            chdir: Some(directory),
            ..plain.clone()
        };
        assert!(shares(|_| {}) && may_share(&full.encode(), Joined::No));
        assert!(!shares(|plan| plan.oom_score_adj = Some(0)));
        assert!(!shares(|plan| plan.identity = Identity { uid: Some(0), ..Identity::default() }));
        assert!(!shares(|plan| plan.identity = Identity { gid: Some(0), ..Identity::default() }));
        assert!(!shares(|plan| plan.identity.groups = Some(Vec::new())));
        assert!(!shares(|plan| plan.debug = Debug::Stop));
        assert!(!shares(|plan| plan.console = Console::Owner));
        assert!(!shares(|plan| plan.cgroups.push(c"/x".to_owned())));
        let grouped = Plan { cgroups: vec![c"/x".to_owned()], ..plain.clone() };
        assert!(may_share(&grouped.encode(), Joined::Yes), "it is there already");
        assert!(!shares(|plan| plan.profile = Some(c"x".to_owned())));
        assert!(
            !shares(|plan| plan.env = vec![c"A=1".to_owned(); WORDS]),
            "more than its stack has"
        );
        assert!(!may_share(b"", Joined::No), "none at all");
    }
}
