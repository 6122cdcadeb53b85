//! Goals, states and the one table that says which state follows.

use core::fmt;
use serde::{Deserialize, Serialize};

/// What is wanted of an instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Goal {
    /// It shall run.
    Start,
    /// It shall be gone.
    Stop,
}

/// Where an instance is. Upstart's classic states; what is being waited for is its hold, not a
/// state of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// At rest, nothing runs.
    Waiting,
    /// The event `starting` is being waited for, or a back-off.
    Starting,
    /// The security profile is being loaded.
    Security,
    /// pre-start runs.
    PreStart,
    /// Main is executed or becomes ready.
    Spawned,
    /// post-start runs.
    PostStart,
    /// At rest, main serves.
    Running,
    /// pre-stop runs.
    PreStop,
    /// The event `stopping` is being waited for.
    Stopping,
    /// Main has been told to end.
    Killed,
    /// post-stop runs.
    PostStop,
}

/// What is known of the main process. A fact, not a wish.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Main {
    /// There is none, or it has ended.
    #[default]
    Absent,
    /// It lives.
    Alive,
    /// It ended by itself and shall be replaced: the instance has to pass through a stop.
    Lost,
}

impl Goal {
    /// Both goals.
    pub const ALL: [Goal; 2] = [Goal::Start, Goal::Stop];

    /// Returns the word of status lines.
    pub const fn name(self) -> &'static str {
        match self {
            Goal::Start => "start",
            Goal::Stop => "stop",
        }
    }
}

impl State {
    /// Every state in the order of a whole life.
    pub const ALL: [State; 11] = [
        State::Waiting,
        State::Starting,
        State::Security,
        State::PreStart,
        State::Spawned,
        State::PostStart,
        State::Running,
        State::PreStop,
        State::Stopping,
        State::Killed,
        State::PostStop,
    ];

    /// Returns the word of status lines.
    pub const fn name(self) -> &'static str {
        match self {
            State::Waiting => "waiting",
            State::Starting => "starting",
            State::Security => "security",
            State::PreStart => "pre-start",
            State::Spawned => "spawned",
            State::PostStart => "post-start",
            State::Running => "running",
            State::PreStop => "pre-stop",
            State::Stopping => "stopping",
            State::Killed => "killed",
            State::PostStop => "post-stop",
        }
    }
}

impl Main {
    /// Every fact.
    pub const ALL: [Main; 3] = [Main::Absent, Main::Alive, Main::Lost];

    /// Returns the word for the table and for `why`.
    pub const fn name(self) -> &'static str {
        match self {
            Main::Absent => "absent",
            Main::Alive => "alive",
            Main::Lost => "lost",
        }
    }
}

impl fmt::Display for Goal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// Returns the state that follows, or nothing where the instance is at rest.
///
/// Source: job_next_state of Upstart 1.13.2, without its third goal: that main shall be replaced is
/// the fact [`Main::Lost`], and no caller changes the goal by asking for the next state.
pub const fn next_state(goal: Goal, state: State, main: Main) -> Option<State> {
    match (state, goal, main) {
        (State::Waiting, Goal::Start, _) => Some(State::Starting),
        (State::Waiting, Goal::Stop, _) => None,

        (State::Starting, Goal::Start, _) => Some(State::Security),
        (State::Security, Goal::Start, _) => Some(State::PreStart),
        (State::PreStart, Goal::Start, _) => Some(State::Spawned),
        (State::Spawned, Goal::Start, Main::Absent | Main::Alive) => Some(State::PostStart),
        (State::PostStart, Goal::Start, Main::Absent | Main::Alive) => Some(State::Running),
        (State::Spawned | State::PostStart, Goal::Start, Main::Lost) => Some(State::Stopping),
        (
            State::Starting | State::Security | State::PreStart | State::Spawned | State::PostStart,
            Goal::Stop,
            _,
        ) => Some(State::Stopping),

        (State::Running, Goal::Start, Main::Absent | Main::Alive) => None,
        (State::Running, Goal::Start, Main::Lost) => Some(State::Stopping),
        (State::Running, Goal::Stop, Main::Alive) => Some(State::PreStop),
        (State::Running, Goal::Stop, Main::Absent | Main::Lost) => Some(State::Stopping),

        (State::PreStop, Goal::Start, Main::Absent | Main::Alive) => Some(State::Running),
        (State::PreStop, Goal::Start, Main::Lost) => Some(State::Stopping),
        (State::PreStop, Goal::Stop, _) => Some(State::Stopping),

        (State::Stopping, _, _) => Some(State::Killed),
        (State::Killed, _, _) => Some(State::PostStop),
        (State::PostStop, Goal::Start, _) => Some(State::Starting),
        (State::PostStop, Goal::Stop, _) => Some(State::Waiting),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::format;
    use alloc::string::String;

    #[test]
    fn the_whole_state_table_is_the_one_that_was_agreed() {
        let mut table = String::from("state       goal   main    -> next\n");
        for state in State::ALL {
            for goal in Goal::ALL {
                for main in Main::ALL {
                    let next = next_state(goal, state, main).map_or("at rest", State::name);
                    let main = main.name();
                    table += &format!("{state:<11} {goal:<6} {main:<7} -> {next}\n");
                }
            }
        }
        crate::expect::same("tests/state-table.txt", &table);
    }
}
