//! Keepers that end soon after they began, where another takes the place of one that is gone: how many
//! there were in a row, so that whoever starts the next waits longer each time, and goes back to the
//! binary before where they all came after an upgrade.
//!
//! An heir does not end before the keeper that it has started has heirs of its own: each keeper that
//! ends before that would otherwise take everything along.

use super::held::Heirs;
use super::telling::Stage;
use super::Keeper;
use engine::handover::{Item, Items};
use engine::keeper::{held, FromKeeper};
use engine::time::{Mono, Span};
use std::os::fd::OwnedFd;
use sys::own::Heirlooms;

/// How long after an upgrade the binary before may be gone back to.
const PROBATION: Span = Span::secs(30);

/// What a keeper knows of those before it.
#[derive(Clone, Copy, Debug)]
pub struct Lives {
    /// How many in a row ended before they had heirs, or on probation.
    pub short: u32,
    /// When this one began.
    pub began: Mono,
    /// Until when it is on probation.
    pub until: Option<Mono>,
}

impl Lives {
    /// Makes those of one that begins now and has none before it.
    pub fn new() -> Lives {
        Lives { short: 0, began: sys::clock::monotonic(), until: None }
    }
}

/// Returns what the heir that has started this keeper waits at.
pub(super) fn heir(mut items: Items<'_>, heirlooms: &mut Heirlooms) -> Option<OwnedFd> {
    let fd = items.find_map(|item| if let Item::Heir { fd } = item { Some(fd) } else { None });
    fd.and_then(|fd| heirlooms.take(fd))
}

impl Keeper {
    /// Holds the binary before, which heirs go back to; it is known after an upgrade, and left by each
    /// heir to the next. Of PID 1 there are none, and it has a way back of its own.
    pub(super) fn hold_previous(&mut self, mut items: Items<'_>, heirlooms: &mut Heirlooms) {
        if self.heirs == Heirs::None {
            return;
        }
        let fd =
            items.find_map(|item| if let Item::Previous { fd } = item { Some(fd) } else { None });
        if let Some(binary) = fd.and_then(|fd| heirlooms.take(fd)) {
            self.held.hold(held::PREVIOUS, binary);
        }
        if self.held.all().any(|(key, _)| key == held::PREVIOUS) {
            self.identity.lives.until = Some(self.now + PROBATION);
        }
    }

    /// Ends what a probation keeps, where it is over.
    pub(super) fn outlive_probation(&mut self) {
        if self.identity.lives.until.is_some_and(|until| until <= self.now) {
            self.held.drop(held::PREVIOUS);
            self.identity.lives = Lives { short: 0, until: None, ..self.identity.lives };
            if self.heir.is_none() {
                self.say_origin();
            }
        }
    }

    /// Makes the logger the heir, last of all that it is passed, and lets the one go that has started this
    /// keeper.
    pub(super) fn let_heir_go(&mut self) {
        if self.heir.is_none() || !self.logger.is_ready() || self.has_more_to_pass() {
            return;
        }
        if self.held.all().all(|(key, _)| key != held::ORIGIN) {
            self.say_origin();
            self.held.drop(held::WAITED);
            self.pass();
        }
        if !self.has_more_to_pass() {
            self.tell_heir();
        }
    }

    /// Has everybody know that somebody waits, who would start another keeper: nobody else is to.
    pub(super) fn hold_waited(&mut self) {
        if self.heir.is_some() {
            if let Ok(file) = sys::memfd::sealed(c"upright-waited", &[]) {
                self.held.hold(held::WAITED, file);
            }
        }
    }

    fn has_more_to_pass(&mut self) -> bool {
        self.held.next_to_pass().is_some() || self.table.next_to_pass().is_some()
    }

    /// Has both heirs know what stands with this keeper now. A daemon that has not been told of anything
    /// yet is told of this with the rest; one that has no room for it leaves it to the logger.
    fn say_origin(&mut self) {
        self.leave_origin();
        let origin = self.held.all().find(|(key, _)| *key == held::ORIGIN);
        if let (Some((key, fd)), Stage::News) = (origin, self.stage) {
            let _ = self.daemon.send(&[&FromKeeper::Held { key }.encode()], &[fd], self.now);
        }
    }

    /// A daemon goes on: this keeper is none that ends as soon as it has begun, unless it is on probation.
    pub(super) fn last(&mut self) {
        let Lives { short, until, .. } = self.identity.lives;
        if short > 0 && until.is_none() {
            self.identity.lives.short = 0;
            if self.heir.is_none() {
                self.say_origin();
            }
        }
    }

    /// Lets the heir go that waits whether somebody has taken the place.
    pub(super) fn tell_heir(&mut self) {
        if let Some(heir) = self.heir.take() {
            // One that is gone needs no word.
            let _ = sys::pipe::write(&heir, &[1]);
        }
    }
}
