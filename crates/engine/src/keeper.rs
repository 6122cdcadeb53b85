//! The keeper's protocol: what the daemon may ask of the keeper, what the keeper tells.
//!
//! A message is a head of 32 bytes, little endian, then a payload. One datagram of a SEQPACKET
//! socketpair holds one message or, where they have neither payload nor descriptors, up to
//! [`TOGETHER`]: what happens to a thousand processes is told at once. Descriptors travel beside it
//! (SCM_RIGHTS). The keeper speaks it only with what it
//! started itself; a message it does not understand is dropped and counted, never fatal.
//!
//! Everything is idempotent by slot: a repeated `Spawn` is answered with what became of the first,
//! an exit is told again until it is released. That is what makes a dead daemon harmless.

use crate::process::{Exit, InstanceId, Pid, Role, Slot, Step, Stream};
use crate::signal::Signal;

/// The version every head carries. A keeper outlives upgrades of the daemon, so it stays readable.
pub const VERSION: u8 = 1;

/// The length of a head in bytes.
pub const HEAD: usize = 32;

/// The longest message in bytes, head included. A longer plan travels as a memfd.
pub const MESSAGE_MAX: usize = 64 * 1024;

/// How many messages travel in one datagram at most.
pub const TOGETHER: usize = 64;

/// How many descriptors the keeper holds for the daemon at most (journal, listeners, locks).
pub const HELD_MAX: usize = 256;

/// The code of [`ToKeeper::Quit`] that is none to exit with: everything begins anew, with the same
/// arguments in the same process.
pub const ANEW: i32 = -1;

/// Keys of held descriptors that have a fixed meaning.
pub mod held {
    /// The journal's memfd.
    pub const JOURNAL: u32 = 0;
    /// The control socket that listens in the file system.
    pub const CONTROL: u32 = 1;
    /// The abstract socket of a user session.
    pub const SESSION: u32 = 2;
    /// The lock on the log directory.
    pub const LOG_LOCK: u32 = 3;
    /// The daemon's end of the channel to the D-Bus gateway.
    pub const DBUS: u32 = 8;
    /// The gateway's end, for the next one.
    pub const DBUS_OWN: u32 = 9;
    /// A file with the address of the bus that the gateway is on.
    pub const BUS: u32 = 10;
    /// The writing end of the pipe of the daemon's own log.
    pub const LOG: u32 = 11;
    /// Its reading end, for the next logger.
    pub const LOG_READ: u32 = 12;
    /// What `[supervisord]` said when it began.
    pub const PROGRAMS: u32 = 13;
    /// The configuration's files as root read them, where the daemon may not read them any more.
    pub const READ: u32 = 14;
    /// The daemon's end of the channel to the HTTP gateway.
    pub const HTTP: u32 = 26;
    /// The gateway's end, for the next one.
    pub const HTTP_OWN: u32 = 27;
    /// A file that says which servers there are.
    pub const SERVERS: u32 = 25;
    /// The socket of the first server; those of the others follow.
    pub const SERVER: u32 = 64;
    /// The first of the descriptors that came with events; 3 to 8 are added.
    pub const FILES: u32 = 16;
    /// A file that says which pools of event listeners there are.
    pub const POOLS: u32 = 200;
    /// What the gateway knows of them.
    pub const POOLS_MEMORY: u32 = 201;
    /// The lock that says that logs whose names were made up are of somebody who lives.
    pub const AUTO_LOCK: u32 = 15;
    /// A file that says which sockets jobs share.
    pub const SHARED_NOTE: u32 = 202;
    /// A copy of the file of rights that is in force.
    pub const RIGHTS: u32 = 203;
    /// The writing end of the pipe of who did what, and its reading end.
    pub const AUDIT: u32 = 204;
    pub const AUDIT_READ: u32 = 205;
    /// The tokens that are in force.
    pub const TOKENS: u32 = 206;
    /// The binary that the keeper ran before its last upgrade, while that may be taken back.
    pub const PREVIOUS: u32 = 207;
    /// An empty file that says that the heir which has started this keeper is still there to start another.
    pub const WAITED: u32 = 208;
    /// The first of the sockets that jobs share.
    pub const SHARED: u32 = 128;
    /// How many of those there may be.
    pub const SHARED_MAX: u32 = 64;
    /// The directory of the control group that those of jobs are in, locked.
    pub const GROUPS: u32 = 7;
    /// The lock on the state directory.
    pub const STATE_LOCK: u32 = 4;
    /// What is known of every slot, a message of [`super::HEAD`] bytes for each row of the table,
    /// written by the keeper and by each child. Locked by the one keeper that is.
    pub const FACTS: u32 = 5;
    /// What a keeper was started with, a [`crate::handover`] of its own.
    pub const ORIGIN: u32 = 6;
}

/// Who a signal is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// The slot's process alone.
    Process,
    /// The process group it is in; the process alone where that is the keeper's own group.
    Group,
}

/// What a spawn wants from the keeper beside the plan.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Wants {
    /// A pipe for standard output and error, handed to the logger with the route.
    pub log: bool,
    /// As `log`, but a pseudo terminal.
    pub pty: bool,
    /// The plan is in the first attached descriptor, `plan` is its length as eight bytes.
    pub plan_in_fd: bool,
    /// The last attached descriptor becomes descriptor 9 of the child (a script's text).
    pub script_fd: bool,
    /// A pipe for standard input, whose writing end is kept as long as the process lives.
    pub input: bool,
    /// With `log`: a second pipe for standard error, with a route of its own.
    pub errors: bool,
    /// With `log`: standard output goes into a pipe whose reading end is kept for whoever the daemon
    /// lends it to, and what that writes into [`End::Spill`] goes to the logger.
    pub tap: bool,
    /// The attached descriptor after the plan's is the control group that the child is born into.
    pub group_fd: bool,
}

/// An end of a pipe of a slot that the keeper keeps open and lends out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum End {
    /// Where its standard input is written to.
    Input,
    /// Where its standard output is read from, of a spawn with [`Wants::tap`].
    Tap,
    /// What is written there goes where its output is to go, of a spawn with [`Wants::tap`].
    Spill,
}

impl End {
    /// Every end, at the place that its number says.
    pub const ALL: [End; 3] = [End::Input, End::Tap, End::Spill];

    /// Returns the number used on the keeper's wire, 0 to 2.
    pub const fn code(self) -> u8 {
        match self {
            End::Input => 0,
            End::Tap => 1,
            End::Spill => 2,
        }
    }

    /// Returns the end with that number.
    pub fn from_code(code: u8) -> Option<End> {
        End::ALL.into_iter().find(|end| end.code() == code)
    }
}

/// What the daemon asks of the keeper.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ToKeeper<'a> {
    /// Fork and execute. Attached are the plan's file, the control group, what the plan says is given
    /// to the child, and the script, as far as there are such. Answered by `Spawned` or `SpawnFailed`, also when repeated.
    Spawn {
        /// The new process's slot.
        slot: Slot,
        /// What the keeper makes for it.
        wants: Wants,
        /// User and group that own the log pipe.
        pipe_owner: (u32, u32),
        /// What the child does, as `sys::plan` encodes it; opaque to the keeper itself.
        plan: &'a [u8],
        /// Where the output goes; opaque to the keeper, read by the logger.
        route: &'a [u8],
        /// Where standard error goes, where it has a pipe of its own.
        errors: &'a [u8],
    },
    /// Send a signal. Nothing happens when the process is gone.
    Signal {
        /// Whom.
        slot: Slot,
        /// Which.
        signal: Signal,
        /// To it or to its group.
        scope: Scope,
    },
    /// The exit or failure of this slot is journalled; forget the row.
    Release {
        /// Which row.
        slot: Slot,
    },
    /// Make a process that the keeper has come to own a slot's process. Answered by `Spawned`, or by
    /// `Exited` where it is gone already.
    Adopt {
        /// The slot it becomes.
        slot: Slot,
        /// Which child.
        pid: Pid,
    },
    /// Send a copy of an end of one of the slot's pipes, in `Lent`.
    Lend {
        /// Whose.
        slot: Slot,
        /// Which.
        end: End,
    },
    /// Hold the attached descriptor under this key in place of the one that is there.
    Hold {
        /// A key from [`held`] or above.
        key: u32,
    },
    /// Close what is held under this key.
    Drop {
        /// The key.
        key: u32,
    },
    /// The daemon has recovered: the count of its early deaths begins anew.
    Ready,
    /// Orphans' exits up to this sequence number are journalled.
    OrphansSeen {
        /// The sequence number of the last one.
        sequence: u64,
    },
    /// This signal is journalled: do not tell a later daemon of it.
    SignalSeen {
        /// The signal.
        signal: Signal,
    },
    /// Go on in the attached binary, with every process, descriptor and row. Answered only where that
    /// cannot be, by `NotUpgraded`: else this daemon is ended and one of that binary is started.
    Upgrade,
    /// End: close everything, end the logger once it has drained, exit with this code.
    Quit {
        /// The exit code.
        code: i32,
    },
}

/// Whether a keeper took the place of one that was killed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Replaced {
    /// It did not, or a daemon has been ready since.
    #[default]
    No,
    /// It did: what the one before had been told last may not have been done.
    Yes,
}

/// What the keeper tells the daemon.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FromKeeper {
    /// First message to a new daemon. Held descriptors, rows and orphans follow, then `Told`.
    Welcome {
        /// How many daemons before this one died without becoming ready.
        attempt: u32,
        /// The pid of the process that the user started; the keeper's own unless that was killed.
        keeper: Pid,
        /// How often the keeper has gone on in another binary.
        upgrades: u32,
        /// Whether it took the place of one that was killed.
        replaced: Replaced,
    },
    /// A held descriptor, attached.
    Held {
        /// Its key.
        key: u32,
    },
    /// A new channel to the logger, attached; an older one is dead.
    Logger,
    /// The whole table has been told.
    Told,
    /// The process runs what it was meant to.
    Spawned {
        /// The slot.
        slot: Slot,
        /// Its process.
        pid: Pid,
        /// Steps that were refused but only tune: bit n is the step of code n.
        warnings: u32,
    },
    /// There is no process.
    SpawnFailed {
        /// The slot.
        slot: Slot,
        /// Where it failed.
        step: Step,
        /// Why, as the kernel said it.
        errno: i32,
    },
    /// The process was stopped by a signal.
    Stopped {
        /// The slot.
        slot: Slot,
        /// Which signal.
        signal: u8,
    },
    /// The process ended; told again after a restart until it is released.
    Exited {
        /// The slot.
        slot: Slot,
        /// Its process.
        pid: Pid,
        /// How.
        exit: Exit,
    },
    /// A process that belongs to no slot ended.
    OrphanExited {
        /// Its number in the order of such exits.
        sequence: u64,
        /// Its process.
        pid: Pid,
        /// How.
        exit: Exit,
    },
    /// The keeper got a signal that is the daemon's to answer; told again after a restart until it
    /// is seen (`SignalSeen`).
    Signalled {
        /// The signal.
        signal: u8,
    },
    /// The binary of `Upgrade` is not gone on in; everything is as it was.
    NotUpgraded {
        /// Why.
        why: NotUpgraded,
    },
    /// What `Lend` asked for, attached; with nothing attached there is no such end, or no more.
    Lent {
        /// Whose.
        slot: Slot,
        /// Which.
        end: End,
    },
}

/// What the keeper tells the logger and is told by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogWire<'a> {
    /// Keeper to logger: the read end of a pipe is attached; write what comes to `route`.
    Pipe {
        /// Whose output it is.
        slot: Slot,
        /// Which.
        stream: Stream,
        /// A [`crate::logroute::LogRoute`], encoded.
        route: &'a [u8],
    },
    /// Keeper to logger: a copy of an end that the keeper keeps is attached, to be kept beside it;
    /// with nothing attached it is not kept any more.
    End {
        /// Whose.
        slot: Slot,
        /// Which.
        end: End,
    },
    /// Keeper to logger: a new channel to the daemon is attached.
    Daemon,
    /// Keeper to logger: a descriptor that the keeper holds is attached, to be kept beside it.
    Held {
        /// Its key.
        key: u32,
    },
    /// Keeper to logger: the keeper holds nothing under this key any more.
    Drop {
        /// The key.
        key: u32,
    },
    /// Keeper to logger: read what is left and end.
    Finish,
    /// Logger to keeper: the pipe is at its end; drop the copy.
    Eof {
        /// Whose output it was.
        slot: Slot,
        /// Which.
        stream: Stream,
    },
    /// Logger to keeper: no descriptor was free for this pipe; it is to be passed once more.
    Again {
        /// Whose output it is.
        slot: Slot,
        /// Which.
        stream: Stream,
    },
    /// Logger to keeper: it has taken what there was to take and serves it. The count of its early
    /// deaths begins anew.
    Ready,
}

struct Head {
    kind: u8,
    flags: u8,
    slot: Option<Slot>,
    a: i32,
    b: i32,
    c: u64,
}

impl Head {
    fn of(kind: u8) -> Head {
        Head { kind, flags: 0, slot: None, a: 0, b: 0, c: 0 }
    }

    fn write(&self, out: &mut [u8; HEAD]) {
        let none = Slot { instance: InstanceId(0), role: Role::Main, generation: 0 };
        let slot = self.slot.unwrap_or(none);
        out[0] = VERSION;
        out[1] = self.kind;
        out[2] = slot.role.code();
        out[3] = self.flags;
        out[4..8].copy_from_slice(&slot.instance.0.to_le_bytes());
        out[8..16].copy_from_slice(&slot.generation.to_le_bytes());
        out[16..20].copy_from_slice(&self.a.to_le_bytes());
        out[20..24].copy_from_slice(&self.b.to_le_bytes());
        out[24..32].copy_from_slice(&self.c.to_le_bytes());
    }

    fn read(message: &[u8]) -> Option<(Head, Slot, &[u8])> {
        let (head, payload) = message.split_at_checked(HEAD)?;
        if head[0] != VERSION {
            return None;
        }
        let word = |at: usize| [head[at], head[at + 1], head[at + 2], head[at + 3]];
        let long = |at: usize| u64::from_le_bytes(head[at..at + 8].try_into().unwrap_or([0; 8]));
        let slot = Slot {
            instance: InstanceId(u32::from_le_bytes(word(4))),
            role: Role::from_code(head[2])?,
            generation: long(8),
        };
        let a = i32::from_le_bytes(word(16));
        let b = i32::from_le_bytes(word(20));
        let head = Head { kind: head[1], flags: head[3], slot: Some(slot), a, b, c: long(24) };
        Some((head, slot, payload))
    }
}

/// Why another binary is not gone on in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotUpgraded {
    /// The kernel refused something, with this errno.
    Refused(i32),
    /// It was to show that it can take the keeper's place, and ended like this.
    Died(Exit),
    /// It had taken the keeper's place and would have ended like this; the binary before is the keeper
    /// again. Told to every daemon until another binary is gone on in.
    GivenUp(Exit),
}

fn exit_words(exit: Exit) -> (i32, u8) {
    match exit {
        Exit::Status(status) => (i32::from(status), 0),
        Exit::Signal { signal, core: false } => (i32::from(signal), 1),
        Exit::Signal { signal, core: true } => (i32::from(signal), 2),
        Exit::Unknown => (0, 3),
        Exit::OutOfMemory => (0, 4),
    }
}

fn exit_of(b: i32, flags: u8) -> Option<Exit> {
    let number = u8::try_from(b).ok()?;
    match flags {
        0 => Some(Exit::Status(number)),
        1 => Some(Exit::Signal { signal: number, core: false }),
        2 => Some(Exit::Signal { signal: number, core: true }),
        3 => Some(Exit::Unknown),
        4 => Some(Exit::OutOfMemory),
        _ => None,
    }
}

impl Wants {
    fn bits(self) -> u8 {
        u8::from(self.log)
            | u8::from(self.pty) << 1
            | u8::from(self.plan_in_fd) << 2
            | u8::from(self.script_fd) << 3
            | u8::from(self.input) << 4
            | u8::from(self.tap) << 5
            | u8::from(self.group_fd) << 6
            | u8::from(self.errors) << 7
    }

    fn of(bits: u8) -> Wants {
        Wants {
            log: bits & 1 != 0,
            pty: bits & 2 != 0,
            plan_in_fd: bits & 4 != 0,
            script_fd: bits & 8 != 0,
            input: bits & 16 != 0,
            tap: bits & 32 != 0,
            group_fd: bits & 64 != 0,
            errors: bits & 128 != 0,
        }
    }
}

/// How many parts a message has at most.
const PARTS: usize = 3;

/// Room for the lengths of a message's parts.
pub type Lengths = [[u8; 4]; PARTS];

/// Splits off a part that says its own length in four bytes.
fn part(payload: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = payload.split_at_checked(4)?;
    let length = u32::from_le_bytes(length.try_into().ok()?);
    rest.split_at_checked(usize::try_from(length).ok()?)
}

impl<'a> ToKeeper<'a> {
    /// Writes the head into `head` and returns the payload's parts, which follow it in order.
    pub fn encode(&self, head: &mut [u8; HEAD], lengths: &'a mut Lengths) -> [&'a [u8]; 2 * PARTS] {
        let mut parts: [&[u8]; 2 * PARTS] = [&[]; 2 * PARTS];
        let mut h = Head::of(0);
        match *self {
            ToKeeper::Spawn { slot, wants, pipe_owner, plan, route, errors } => {
                h = Head { slot: Some(slot), flags: wants.bits(), ..Head::of(1) };
                h.c = u64::from(pipe_owner.0) | u64::from(pipe_owner.1) << 32;
                for (length, part) in lengths.iter_mut().zip([plan, route, errors]) {
                    *length = u32::try_from(part.len()).unwrap_or(u32::MAX).to_le_bytes();
                }
                let [of_plan, of_route, of_errors] = &*lengths;
                parts = [of_plan, plan, of_route, route, of_errors, errors];
            }
            ToKeeper::Signal { slot, signal, scope } => {
                h = Head { slot: Some(slot), a: i32::from(signal.number()), ..Head::of(2) };
                h.flags = u8::from(scope == Scope::Group);
            }
            ToKeeper::Release { slot } => h = Head { slot: Some(slot), ..Head::of(3) },
            ToKeeper::Adopt { slot, pid } => h = Head { slot: Some(slot), a: pid, ..Head::of(4) },
            ToKeeper::Hold { key } => h = Head { c: u64::from(key), ..Head::of(5) },
            ToKeeper::Drop { key } => h = Head { c: u64::from(key), ..Head::of(6) },
            ToKeeper::Ready => h.kind = 7,
            ToKeeper::OrphansSeen { sequence } => h = Head { c: sequence, ..Head::of(8) },
            ToKeeper::Quit { code } => h = Head { a: code, ..Head::of(9) },
            ToKeeper::SignalSeen { signal } => {
                h = Head { a: i32::from(signal.number()), ..Head::of(10) };
            }
            ToKeeper::Upgrade => h.kind = 11,
            ToKeeper::Lend { slot, end } => {
                h = Head { slot: Some(slot), flags: end.code(), ..Head::of(12) };
            }
        }
        h.write(head);
        parts
    }

    /// Splits a datagram into its first message and the rest. What has a payload is all of it.
    pub fn split(datagram: &[u8]) -> (&[u8], &[u8]) {
        match datagram.get(1) {
            Some(1) => (datagram, &[]),
            Some(_) | None => datagram.split_at(datagram.len().min(HEAD)),
        }
    }

    /// Reports whether it may travel with others: it has no payload, no descriptors, and nothing that
    /// the keeper does about it can be refused.
    pub fn travels_with_others(&self) -> bool {
        match self {
            ToKeeper::Signal { .. } | ToKeeper::Release { .. } => true,
            ToKeeper::Spawn { .. }
            | ToKeeper::Adopt { .. }
            | ToKeeper::Hold { .. }
            | ToKeeper::Drop { .. }
            | ToKeeper::Ready
            | ToKeeper::OrphansSeen { .. }
            | ToKeeper::SignalSeen { .. }
            | ToKeeper::Upgrade
            | ToKeeper::Lend { .. }
            | ToKeeper::Quit { .. } => false,
        }
    }

    /// Reads a message; nothing where it is not one of this version.
    pub fn decode(message: &'a [u8]) -> Option<ToKeeper<'a>> {
        let (h, slot, payload) = Head::read(message)?;
        let key = u32::try_from(h.c);
        Some(match h.kind {
            1 => {
                let (plan, rest) = part(payload)?;
                let (route, rest) = part(rest)?;
                let (errors, rest) = part(rest)?;
                if !rest.is_empty() {
                    return None;
                }
                let pipe_owner = (h.c as u32, (h.c >> 32) as u32);
                let wants = Wants::of(h.flags);
                ToKeeper::Spawn { slot, wants, pipe_owner, plan, route, errors }
            }
            2 => ToKeeper::Signal {
                slot,
                signal: Signal::new(u8::try_from(h.a).ok()?)?,
                scope: if h.flags & 1 != 0 { Scope::Group } else { Scope::Process },
            },
            3 => ToKeeper::Release { slot },
            4 => ToKeeper::Adopt { slot, pid: h.a },
            5 => ToKeeper::Hold { key: key.ok()? },
            6 => ToKeeper::Drop { key: key.ok()? },
            7 => ToKeeper::Ready,
            8 => ToKeeper::OrphansSeen { sequence: h.c },
            9 => ToKeeper::Quit { code: h.a },
            10 => ToKeeper::SignalSeen { signal: Signal::new(u8::try_from(h.a).ok()?)? },
            11 => ToKeeper::Upgrade,
            12 => ToKeeper::Lend { slot, end: End::from_code(h.flags)? },
            _ => return None,
        })
    }
}

impl FromKeeper {
    /// Returns the message; it never has a payload.
    pub fn encode(&self) -> [u8; HEAD] {
        let head = match *self {
            FromKeeper::Welcome { attempt, keeper, upgrades, replaced } => {
                let flags = u8::from(replaced == Replaced::Yes);
                let b = i32::try_from(upgrades).unwrap_or(i32::MAX);
                Head { a: keeper, b, c: u64::from(attempt), flags, ..Head::of(64) }
            }
            FromKeeper::Held { key } => Head { c: u64::from(key), ..Head::of(65) },
            FromKeeper::Logger => Head::of(66),
            FromKeeper::Told => Head::of(67),
            FromKeeper::Spawned { slot, pid, warnings } => {
                Head { slot: Some(slot), a: pid, c: u64::from(warnings), ..Head::of(68) }
            }
            FromKeeper::SpawnFailed { slot, step, errno } => {
                Head { slot: Some(slot), a: i32::from(step.code()), b: errno, ..Head::of(69) }
            }
            FromKeeper::Stopped { slot, signal } => {
                Head { slot: Some(slot), a: i32::from(signal), ..Head::of(70) }
            }
            FromKeeper::Exited { slot, pid, exit } => {
                let (b, flags) = exit_words(exit);
                Head { slot: Some(slot), a: pid, b, flags, ..Head::of(71) }
            }
            FromKeeper::OrphanExited { sequence, pid, exit } => {
                let (b, flags) = exit_words(exit);
                Head { a: pid, b, c: sequence, flags, ..Head::of(72) }
            }
            FromKeeper::Signalled { signal } => Head { a: i32::from(signal), ..Head::of(73) },
            FromKeeper::NotUpgraded { why: NotUpgraded::Refused(errno) } => {
                Head { b: errno, ..Head::of(74) }
            }
            FromKeeper::NotUpgraded { why: NotUpgraded::Died(exit) } => {
                let (b, flags) = exit_words(exit);
                Head { b, flags, ..Head::of(76) }
            }
            FromKeeper::NotUpgraded { why: NotUpgraded::GivenUp(exit) } => {
                let (b, flags) = exit_words(exit);
                Head { b, flags, ..Head::of(77) }
            }
            FromKeeper::Lent { slot, end } => {
                Head { slot: Some(slot), flags: end.code(), ..Head::of(75) }
            }
        };
        let mut out = [0; HEAD];
        head.write(&mut out);
        out
    }

    /// Splits a datagram into its first message and the rest.
    pub fn split(datagram: &[u8]) -> (&[u8], &[u8]) {
        datagram.split_at(datagram.len().min(HEAD))
    }

    /// Reads a message; nothing where it is not one of this version.
    pub fn decode(message: &[u8]) -> Option<FromKeeper> {
        let (h, slot, payload) = Head::read(message)?;
        if !payload.is_empty() {
            return None;
        }
        Some(match h.kind {
            64 => FromKeeper::Welcome {
                attempt: u32::try_from(h.c).ok()?,
                keeper: h.a,
                upgrades: u32::try_from(h.b).ok()?,
                replaced: if h.flags & 1 != 0 { Replaced::Yes } else { Replaced::No },
            },
            65 => FromKeeper::Held { key: u32::try_from(h.c).ok()? },
            66 => FromKeeper::Logger,
            67 => FromKeeper::Told,
            68 => FromKeeper::Spawned { slot, pid: h.a, warnings: u32::try_from(h.c).ok()? },
            69 => FromKeeper::SpawnFailed {
                slot,
                step: Step::from_code(u8::try_from(h.a).ok()?)?,
                errno: h.b,
            },
            70 => FromKeeper::Stopped { slot, signal: u8::try_from(h.a).ok()? },
            71 => FromKeeper::Exited { slot, pid: h.a, exit: exit_of(h.b, h.flags)? },
            72 => {
                FromKeeper::OrphanExited { sequence: h.c, pid: h.a, exit: exit_of(h.b, h.flags)? }
            }
            73 => FromKeeper::Signalled { signal: u8::try_from(h.a).ok()? },
            74 => FromKeeper::NotUpgraded { why: NotUpgraded::Refused(h.b) },
            76 => FromKeeper::NotUpgraded { why: NotUpgraded::Died(exit_of(h.b, h.flags)?) },
            77 => FromKeeper::NotUpgraded { why: NotUpgraded::GivenUp(exit_of(h.b, h.flags)?) },
            75 => FromKeeper::Lent { slot, end: End::from_code(h.flags)? },
            _ => return None,
        })
    }
}

impl<'a> LogWire<'a> {
    /// Writes the head into `head` and returns the payload that follows it.
    pub fn encode(&self, head: &mut [u8; HEAD]) -> &'a [u8] {
        let (h, payload): (Head, &[u8]) = match *self {
            LogWire::Pipe { slot, stream, route } => {
                (Head { slot: Some(slot), flags: stream.code(), ..Head::of(128) }, route)
            }
            LogWire::Daemon => (Head::of(129), &[]),
            LogWire::Finish => (Head::of(130), &[]),
            LogWire::Eof { slot, stream } => {
                (Head { slot: Some(slot), flags: stream.code(), ..Head::of(131) }, &[])
            }
            LogWire::Ready => (Head::of(132), &[]),
            LogWire::Held { key } => (Head { c: u64::from(key), ..Head::of(133) }, &[]),
            LogWire::Drop { key } => (Head { c: u64::from(key), ..Head::of(134) }, &[]),
            LogWire::End { slot, end } => {
                (Head { slot: Some(slot), flags: end.code(), ..Head::of(135) }, &[])
            }
            LogWire::Again { slot, stream } => {
                (Head { slot: Some(slot), flags: stream.code(), ..Head::of(136) }, &[])
            }
        };
        h.write(head);
        payload
    }

    /// Reads a message; nothing where it is not one of this version.
    pub fn decode(message: &'a [u8]) -> Option<LogWire<'a>> {
        let (h, slot, payload) = Head::read(message)?;
        Some(match h.kind {
            128 => LogWire::Pipe { slot, stream: Stream::from_code(h.flags)?, route: payload },
            129 => LogWire::Daemon,
            130 => LogWire::Finish,
            131 => LogWire::Eof { slot, stream: Stream::from_code(h.flags)? },
            132 => LogWire::Ready,
            133 => LogWire::Held { key: u32::try_from(h.c).ok()? },
            134 => LogWire::Drop { key: u32::try_from(h.c).ok()? },
            135 => LogWire::End { slot, end: End::from_code(h.flags)? },
            136 => LogWire::Again { slot, stream: Stream::from_code(h.flags)? },
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;

    const SLOT: Slot =
        Slot { instance: InstanceId(7), role: Role::PreStop, generation: u64::MAX - 3 };

    fn joined(message: &ToKeeper<'_>) -> Vec<u8> {
        let (mut head, mut lengths) = ([0; HEAD], Lengths::default());
        let parts = message.encode(&mut head, &mut lengths);
        let mut all = head.to_vec();
        parts.iter().for_each(|part| all.extend_from_slice(part));
        all
    }

    #[test]
    fn every_request_to_the_keeper_survives_the_wire() {
        let wants = Wants { log: true, plan_in_fd: true, script_fd: true, ..Wants::default() };
        let tapped = Wants {
            log: true,
            input: true,
            errors: true,
            tap: true,
            group_fd: true,
            ..Wants::default()
        };
        for message in [
            ToKeeper::Spawn {
                slot: SLOT,
                wants,
                pipe_owner: (3, u32::MAX),
                plan: b"ab",
                route: b"",
                errors: b"",
            },
            ToKeeper::Spawn {
                slot: SLOT,
                wants: tapped,
                pipe_owner: (0, 0),
                plan: b"",
                route: b"r",
                errors: b"errors",
            },
            ToKeeper::Lend { slot: SLOT, end: End::Input },
            ToKeeper::Lend { slot: SLOT, end: End::Tap },
            ToKeeper::Signal { slot: SLOT, signal: Signal::TERM, scope: Scope::Group },
            ToKeeper::Release { slot: SLOT },
            ToKeeper::Adopt { slot: SLOT, pid: 4711 },
            ToKeeper::Hold { key: 3 },
            ToKeeper::Drop { key: u32::MAX },
            ToKeeper::Ready,
            ToKeeper::OrphansSeen { sequence: 1 << 40 },
            ToKeeper::Upgrade,
            ToKeeper::Quit { code: 137 },
            ToKeeper::SignalSeen { signal: Signal::HUP },
        ] {
            let wire = joined(&message);
            assert_eq!(ToKeeper::decode(&wire), Some(message));
            assert_eq!(ToKeeper::decode(&wire[..HEAD - 1]), None, "a short head is no message");
        }
    }

    #[test]
    fn a_datagram_of_several_messages_is_split_into_them_and_one_with_a_payload_is_whole() {
        let release = ToKeeper::Release { slot: SLOT };
        let signal = ToKeeper::Signal { slot: SLOT, signal: Signal::TERM, scope: Scope::Process };
        let mut datagram = joined(&release);
        datagram.extend(joined(&signal));
        datagram.extend([0; 5]);
        let (first, rest) = ToKeeper::split(&datagram);
        let (second, torn) = ToKeeper::split(rest);
        assert_eq!(ToKeeper::decode(first), Some(release));
        assert_eq!(ToKeeper::decode(second), Some(signal));
        assert_eq!(ToKeeper::split(torn), (torn, &[][..]));
        assert_eq!(ToKeeper::decode(torn), None);
        let (wants, plan) = (Wants::default(), [7; 3 * HEAD]);
        let spawn = ToKeeper::Spawn {
            slot: SLOT,
            wants,
            pipe_owner: (0, 0),
            plan: &plan,
            route: b"",
            errors: b"",
        };
        let datagram = joined(&spawn);
        assert_eq!(ToKeeper::split(&datagram), (&datagram[..], &[][..]));
        assert!(release.travels_with_others() && !spawn.travels_with_others());
    }

    #[test]
    fn every_notice_of_the_keeper_survives_the_wire() {
        for message in [
            FromKeeper::Welcome { attempt: 3, keeper: 1, upgrades: 0, replaced: Replaced::No },
            FromKeeper::Welcome { attempt: 0, keeper: 9, upgrades: 4, replaced: Replaced::Yes },
            FromKeeper::Held { key: held::SESSION },
            FromKeeper::Logger,
            FromKeeper::Told,
            FromKeeper::Spawned { slot: SLOT, pid: 12, warnings: 1 << 9 },
            FromKeeper::SpawnFailed { slot: SLOT, step: Step::Chdir, errno: 2 },
            FromKeeper::Stopped { slot: SLOT, signal: 19 },
            FromKeeper::Exited { slot: SLOT, pid: 12, exit: Exit::Status(255) },
            FromKeeper::Exited {
                slot: SLOT,
                pid: 12,
                exit: Exit::Signal { signal: 11, core: true },
            },
            FromKeeper::Exited { slot: SLOT, pid: 12, exit: Exit::Unknown },
            FromKeeper::OrphanExited {
                sequence: 9,
                pid: 3,
                exit: Exit::Signal { signal: 9, core: false },
            },
            FromKeeper::Signalled { signal: 15 },
            FromKeeper::NotUpgraded { why: NotUpgraded::Refused(8) },
            FromKeeper::NotUpgraded { why: NotUpgraded::Died(Exit::Status(83)) },
            FromKeeper::NotUpgraded { why: NotUpgraded::GivenUp(Exit::Unknown) },
            FromKeeper::Lent { slot: SLOT, end: End::Spill },
        ] {
            assert_eq!(FromKeeper::decode(&message.encode()), Some(message));
        }
    }

    #[test]
    fn a_message_of_another_version_or_with_a_false_length_is_none() {
        let mut wire = joined(&ToKeeper::Ready);
        wire[0] = VERSION + 1;
        assert_eq!(ToKeeper::decode(&wire), None);
        let wants = Wants::default();
        let spawn = ToKeeper::Spawn {
            slot: SLOT,
            wants,
            pipe_owner: (0, 0),
            plan: b"abc",
            route: b"r",
            errors: b"e",
        };
        let wire = joined(&spawn);
        for cut in HEAD..wire.len() {
            assert_eq!(ToKeeper::decode(&wire[..cut]), None);
        }
        let mut longer = wire.clone();
        longer.push(0);
        assert_eq!(ToKeeper::decode(&longer), None);
    }
}
