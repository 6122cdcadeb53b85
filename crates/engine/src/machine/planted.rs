//! Bugs on purpose, one at a time, that the simulation must find. Only built with the feature
//! `planted`, which nothing but the simulation's own test turns on.

use super::Engine;

/// A bug that can be planted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bug {
    /// The end of a post-start does not let its instance go on.
    LostWakeUp,
    /// A main that does not end is given up, and another one started.
    DoubleMain,
    /// A request with a token is answered twice.
    ReplyTwice,
    /// Who is overtaken by another request is not told.
    ReplyNever,
    /// Late news of an old process is taken for that of the present one.
    StaleExit,
    /// One respawn too many is allowed.
    RespawnOverLimit,
    /// A failed event does not finish.
    EventNeverFinishes,
    /// A stop condition that comes true while the job stops keeps its events.
    BlockersLeak,
    /// The polite signal is sent without a deadline.
    KillTimerNotArmed,
    /// Deadlines are forgotten with a daemon.
    DeadlineNotRestored,
    /// The keeper may forget an exit before the journal has it.
    ReleasedTooEarly,
    /// A new daemon takes a spawn that is under way for failed and asks for another.
    SpawnedAgain,
    /// The wall clock is taken for the time.
    WallClock,
    /// A restart while the job stops is forgotten.
    RestartLost,
    /// A start after main ended goes on without one.
    RunsWithoutMain,
    /// A changed description leaves its old stop condition in the index.
    StaleIndex,
    /// A change is missing in the journal.
    NotJournalled,
    /// A stop while what main left is looked for ends nobody.
    HeirsForgotten,
    /// What a dead keeper had not read is not said to the new one.
    SignalLost,
    /// A client that comes back has its request carried out a second time.
    AskedTwice,
    /// Why has no words for a start that waits for its back-off.
    WhySilent,
    /// Restarts that the host's budget has no room for all come at the same turn.
    TurnShared,
    /// A new daemon begins with a whole budget of restarts.
    BudgetRefilled,
    /// What goes on by a new description leaves its old stop condition in the index.
    RevisedInPart,
    /// Nobody is told what became of a restart that a description which is put in force needs.
    ReplacedSilently,
    /// The end of an essential job is the end of everything also while descriptions are put to the test.
    TestEndsAll,
}

impl Bug {
    /// Every bug with its words for the table of what the simulation finds.
    pub const TABLE: [(Bug, &'static str); 26] = [
        (Bug::LostWakeUp, "the end of post-start lets nobody go on"),
        (Bug::DoubleMain, "a main that KILL does not end is given up and another one started"),
        (Bug::ReplyTwice, "a request with a token is answered twice"),
        (Bug::ReplyNever, "a client that is overtaken is not told"),
        (Bug::StaleExit, "late news of an old process is taken for news of the present one"),
        (Bug::RespawnOverLimit, "one respawn over the limit"),
        (Bug::EventNeverFinishes, "a failed event never finishes"),
        (Bug::BlockersLeak, "a stop condition met while stopping keeps its events"),
        (Bug::KillTimerNotArmed, "no deadline after the polite signal"),
        (Bug::DeadlineNotRestored, "deadlines are not restored"),
        (Bug::ReleasedTooEarly, "an exit is released before it is journalled"),
        (Bug::SpawnedAgain, "a spawn is repeated under a new slot after a crash"),
        (Bug::WallClock, "the wall clock decides"),
        (Bug::RestartLost, "a restart while stopping is forgotten"),
        (Bug::RunsWithoutMain, "a start after main ended goes on without main"),
        (Bug::StaleIndex, "the index keeps the stop condition of a changed file"),
        (Bug::NotJournalled, "a change is not journalled"),
        (Bug::HeirsForgotten, "a stop during expect forgets what the original left"),
        (Bug::SignalLost, "a signal that died with the keeper is not sent again"),
        (Bug::AskedTwice, "a client that comes back is served twice"),
        (Bug::WhySilent, "why says nothing of a back-off"),
        (Bug::TurnShared, "restarts over the host's budget all have the same turn"),
        (Bug::BudgetRefilled, "a new daemon has a whole budget of restarts"),
        (Bug::RevisedInPart, "what goes on by a new description keeps the old stop condition"),
        (Bug::ReplacedSilently, "a restart for a new description is never answered"),
        (Bug::TestEndsAll, "an essential job that ends in a test ends everything"),
    ];
}

impl Engine {
    /// Reports whether this bug is planted.
    pub(crate) fn planted(&self, bug: Bug) -> bool {
        self.config.planted == Some(bug)
    }
}
