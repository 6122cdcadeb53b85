//! Resource limits: the kernel's numbers, our own, and what a child must get back.

use crate::signals;
use engine::spec::Resource;
use rustix::process::{getrlimit, setrlimit, Resource as Kernel, Rlimit};

/// What Upright was started with and has changed for itself; every service gets it back.
#[derive(Clone, Debug)]
pub struct Inherited {
    pub(crate) descriptors: Rlimit,
    pub(crate) ignored: u64,
}

impl Inherited {
    /// Reads what holds now. To be called before anything is changed.
    pub fn capture() -> Inherited {
        Inherited { descriptors: getrlimit(Kernel::Nofile), ignored: signals::ignored() }
    }

    /// Returns what another process of ours captured: soft and hard limit of descriptors, all ones for
    /// none, and the ignored signals.
    pub fn of(soft: u64, hard: u64, ignored: u64) -> Inherited {
        let limit = |value: u64| (value != u64::MAX).then_some(value);
        Inherited { descriptors: Rlimit { current: limit(soft), maximum: limit(hard) }, ignored }
    }

    /// Returns it as [`Inherited::of`] takes it.
    pub fn words(&self) -> (u64, u64, u64) {
        let word = |limit: Option<u64>| limit.unwrap_or(u64::MAX);
        (word(self.descriptors.current), word(self.descriptors.maximum), self.ignored)
    }

    /// Returns the soft limit of descriptors that services get, none for unlimited.
    pub fn descriptors(&self) -> Option<u64> {
        self.descriptors.current
    }
}

/// What came of making sure of a limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ensured {
    /// It was enough.
    Enough,
    /// It has been raised.
    Raised,
    /// It cannot be raised beyond this hard limit.
    Refused(u64),
}

/// Makes sure that a limit is at least that high, raising the hard one too where we may.
pub fn ensure(resource: Resource, least: u64) -> Ensured {
    let kernel = kernel(resource);
    let now = getrlimit(kernel);
    let enough = |limit: Option<u64>| limit.is_none_or(|limit| limit >= least);
    if enough(now.current) {
        return Ensured::Enough;
    }
    let maximum = if enough(now.maximum) { now.maximum } else { Some(least) };
    match setrlimit(kernel, Rlimit { current: Some(least), maximum }) {
        Ok(()) => Ensured::Raised,
        Err(_) => Ensured::Refused(maximum.unwrap_or(u64::MAX)),
    }
}

/// How many descriptors are enough for ten thousand services.
const DESCRIPTORS: u64 = 1 << 17;

/// Raises our own limit of descriptors as far as we may.
pub fn raise_descriptors() {
    let now = getrlimit(Kernel::Nofile);
    let enough = |limit: Option<u64>| limit.is_none_or(|limit| limit >= DESCRIPTORS);
    if enough(now.current) {
        return;
    }
    let wanted = Some(DESCRIPTORS);
    let hard = if enough(now.maximum) { now.maximum } else { wanted };
    if setrlimit(Kernel::Nofile, Rlimit { current: wanted, maximum: hard }).is_err() {
        // Refused: what we already may have has to do, and the keeper says so when it runs out.
        let _ = setrlimit(Kernel::Nofile, Rlimit { current: now.maximum, maximum: now.maximum });
    }
}

/// Returns the kernel's number of a resource.
pub(crate) fn number(resource: Resource) -> u32 {
    kernel(resource) as u32
}

/// Returns the kernel's resource.
pub(crate) fn kernel(resource: Resource) -> Kernel {
    match resource {
        Resource::As => Kernel::As,
        Resource::Core => Kernel::Core,
        Resource::Cpu => Kernel::Cpu,
        Resource::Data => Kernel::Data,
        Resource::Fsize => Kernel::Fsize,
        Resource::Memlock => Kernel::Memlock,
        Resource::Msgqueue => Kernel::Msgqueue,
        Resource::Nice => Kernel::Nice,
        Resource::Nofile => Kernel::Nofile,
        Resource::Nproc => Kernel::Nproc,
        Resource::Rss => Kernel::Rss,
        Resource::Rtprio => Kernel::Rtprio,
        Resource::Sigpending => Kernel::Sigpending,
        Resource::Stack => Kernel::Stack,
    }
}
