//! Upright's own processes are killed over and over while real jobs run; then everything is counted.
//!
//! Not libtest's harness: this program is also what the jobs run (`crash job ...`), so that nothing
//! else has to be built or found. `CRASH_KILLS` is how often daemon and logger are killed each,
//! `CRASH_SEED` repeats a run's moments as far as the kernel lets them be repeated.

mod chance;
mod clients;
mod jobs;
mod kills;
mod program;
mod table;
mod world;

use std::panic::{catch_unwind, AssertUnwindSafe};
use std::process::ExitCode;

/// The tests by their names.
const TESTS: &[(&str, fn())] = &[(
    "nothing_is_lost_and_nothing_doubled_when_daemon_and_logger_are_killed",
    kills::nothing_is_lost_and_nothing_doubled,
)];

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments.first().is_some_and(|first| first == "job") {
        return program::run(arguments.get(1..).unwrap_or_default());
    }
    if arguments.iter().any(|argument| argument == "--list") {
        TESTS.iter().for_each(|(name, _)| println!("{name}: test"));
        return ExitCode::SUCCESS;
    }
    let filters: Vec<&String> = arguments.iter().filter(|one| !one.starts_with('-')).collect();
    let wanted = |name: &str| filters.is_empty() || filters.iter().any(|one| name.contains(*one));
    let (mut count, mut failed) = (0, 0);
    for (name, test) in TESTS.iter().filter(|(name, _)| wanted(name)) {
        let passed = catch_unwind(AssertUnwindSafe(test)).is_ok();
        println!("test {name} ... {}", if passed { "ok" } else { "FAILED" });
        failed += usize::from(!passed);
        count += 1;
    }
    // The words of the usual harness, for who sums up.
    println!("test result: {} passed; {failed} failed; 0 ignored;", count - failed);
    if failed == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}
