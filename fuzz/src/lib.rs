//! What the targets run: the bodies that the tests of `engine` and `sys` replay, by path.
#![forbid(unsafe_code)]

#[path = "../../crates/engine/tests/replay/bytes.rs"]
pub mod bytes;
#[path = "../../crates/engine/tests/replay/control.rs"]
pub mod control;
#[path = "../../crates/engine/tests/replay/dialect.rs"]
pub mod dialect;
#[path = "../../crates/engine/tests/replay/expand.rs"]
pub mod expand;
#[path = "../../crates/engine/tests/replay/journal.rs"]
pub mod journal;
#[path = "../../crates/engine/tests/replay/keeper.rs"]
pub mod keeper;
#[path = "../../crates/engine/tests/replay/machine.rs"]
pub mod machine;
#[path = "../../crates/sys/tests/replay/plan.rs"]
pub mod plan;
#[path = "../../crates/engine/tests/replay/snapshot.rs"]
pub mod snapshot;
#[path = "../../crates/engine/tests/replay/supervisord.rs"]
pub mod supervisord;
