//! The states of a process as Supervisor counts them.

/// A state of a process. Source: Supervisor 4.3.0, states.py.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum State {
    /// Stopped by somebody, or never started.
    Stopped,
    /// Started, and not yet up long enough.
    Starting,
    /// It runs.
    Running,
    /// It ended too soon and will be tried again.
    Backoff,
    /// It was told to stop.
    Stopping,
    /// It ended after it had run.
    Exited,
    /// It ended too soon, too often.
    Fatal,
    /// Nobody knows.
    Unknown,
}

/// Every state with its number and its name.
const STATES: [(State, i64, &str); 8] = [
    (State::Stopped, 0, "STOPPED"),
    (State::Starting, 10, "STARTING"),
    (State::Running, 20, "RUNNING"),
    (State::Backoff, 30, "BACKOFF"),
    (State::Stopping, 40, "STOPPING"),
    (State::Exited, 100, "EXITED"),
    (State::Fatal, 200, "FATAL"),
    (State::Unknown, 1000, "UNKNOWN"),
];

impl State {
    /// Returns the state of a number.
    pub fn from_number(number: i64) -> Option<State> {
        STATES.iter().find(|(_, known, _)| *known == number).map(|(state, _, _)| *state)
    }

    /// Returns its number on the wire.
    pub fn number(self) -> i64 {
        STATES[self as usize].1
    }

    /// Returns its name.
    pub fn name(self) -> &'static str {
        STATES[self as usize].2
    }

    /// Reports whether nothing runs and nothing will by itself.
    pub fn is_stopped(self) -> bool {
        match self {
            State::Stopped | State::Exited | State::Fatal | State::Unknown => true,
            State::Starting | State::Running | State::Backoff | State::Stopping => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_state_stands_at_its_own_place_and_is_found_by_its_number() {
        for (place, (state, number, name)) in STATES.iter().enumerate() {
            assert_eq!(*state as usize, place, "{name}");
            assert_eq!(State::from_number(*number), Some(*state));
            assert_eq!((state.number(), state.name()), (*number, *name));
        }
        assert_eq!(State::from_number(7), None);
        assert!(State::Exited.is_stopped() && !State::Backoff.is_stopped());
    }
}
