//! Bugs planted on purpose, so that the simulation can be seen to find them.

use engine::machine::Config;

/// The bug of a world; none unless the crate was built with `planted`.
#[derive(Clone, Copy, Debug, Default)]
pub struct Plant {
    /// Which.
    #[cfg(feature = "planted")]
    pub bug: Option<engine::machine::Bug>,
}

#[cfg(not(feature = "planted"))]
impl Plant {
    /// Makes the machine have the bug.
    pub fn sow(self, _: &mut Config) {}

    /// Reports whether the daemon takes the wall clock for the time.
    pub fn uses_wall_clock(self) -> bool {
        false
    }

    /// Reports whether the daemon lets the keeper forget an exit before the journal has it.
    pub fn releases_early(self) -> bool {
        false
    }
}

#[cfg(feature = "planted")]
impl Plant {
    /// Makes the machine have the bug.
    pub fn sow(self, config: &mut Config) {
        config.planted = self.bug;
    }

    /// Reports whether the daemon takes the wall clock for the time.
    pub fn uses_wall_clock(self) -> bool {
        self.bug == Some(engine::machine::Bug::WallClock)
    }

    /// Reports whether the daemon lets the keeper forget an exit before the journal has it.
    pub fn releases_early(self) -> bool {
        self.bug == Some(engine::machine::Bug::ReleasedTooEarly)
    }
}
