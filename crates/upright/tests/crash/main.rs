//! Upright's own processes are killed over and over while real jobs run; then everything is counted.
//!
//! Not libtest's harness: this program is also what the jobs run (`crash job ...`), so that nothing
//! else has to be built or found. `CRASH_KILLS` is how often daemon and logger are killed each,
//! `CRASH_SEED` repeats a run's moments as far as the kernel lets them be repeated.

mod chance;
mod clients;
mod heirs;
mod input;
mod jobs;
mod kills;
mod outputs;
mod poison;
mod program;
mod sockets;
mod table;
mod upgrades;
mod world;

use std::process::ExitCode;

/// The tests by their names.
const TESTS: &[(&str, fn())] = &[
    (
        "nothing_is_lost_and_nothing_doubled_when_daemon_and_logger_are_killed",
        kills::nothing_is_lost_and_nothing_doubled,
    ),
    (
        "no_service_and_no_line_is_lost_when_the_keeper_is_killed",
        kills::no_service_and_no_line_is_lost_when_the_keeper_is_killed,
    ),
    (
        "nothing_is_lost_and_nothing_doubled_by_upgrades",
        kills::nothing_is_lost_and_nothing_doubled_by_upgrades,
    ),
    (
        "a_binary_that_cannot_go_on_is_refused_and_the_old_one_goes_on",
        upgrades::a_binary_that_cannot_go_on_is_refused_and_the_old_one_goes_on,
    ),
    (
        "a_binary_whose_keepers_do_not_last_is_given_up_for_the_one_before",
        upgrades::a_binary_whose_keepers_do_not_last_is_given_up_for_the_one_before,
    ),
    (
        "a_journal_damaged_at_its_beginning_is_said_and_everything_begins_anew",
        poison::a_journal_damaged_at_its_beginning_is_said_and_everything_begins_anew,
    ),
    (
        "a_journal_damaged_later_keeps_what_came_before",
        poison::a_journal_damaged_later_keeps_what_came_before,
    ),
    (
        "after_three_daemons_the_snapshot_is_believed_and_after_six_nothing",
        poison::after_three_daemons_the_snapshot_is_believed_and_after_six_nothing,
    ),
    ("a_journal_stays_short", poison::a_journal_stays_short),
    (
        "where_descriptors_run_out_the_journal_is_still_handed_over",
        poison::where_descriptors_run_out_the_journal_is_still_handed_over,
    ),
    (
        "another_keeper_takes_the_place_of_one_that_is_killed",
        heirs::another_keeper_takes_the_place_of_one_that_is_killed,
    ),
    (
        "keeper_and_daemon_killed_at_once_are_both_replaced",
        heirs::keeper_and_daemon_killed_at_once_are_both_replaced,
    ),
    (
        "keeper_and_daemon_killed_while_nothing_is_logged_are_both_replaced",
        heirs::keeper_and_daemon_killed_while_nothing_is_logged_are_both_replaced,
    ),
    (
        "keeper_and_logger_killed_at_once_are_both_replaced",
        heirs::keeper_and_logger_killed_at_once_are_both_replaced,
    ),
    (
        "a_start_under_way_when_the_keeper_is_killed_is_finished",
        heirs::a_start_under_way_when_the_keeper_is_killed_is_finished,
    ),
    (
        "keepers_killed_before_they_have_heirs_are_replaced",
        heirs::keepers_killed_before_they_have_heirs_are_replaced,
    ),
    (
        "a_shared_socket_outlives_everybody_but_the_last_job",
        sockets::a_shared_socket_outlives_everybody_but_the_last_job,
    ),
    (
        "both_outputs_lose_and_double_nothing_when_daemon_and_logger_are_killed",
        outputs::both_outputs_lose_and_double_nothing_when_daemon_and_logger_are_killed,
    ),
    (
        "a_standard_input_stays_open_whoever_is_killed_and_gets_each_line_once",
        input::a_standard_input_stays_open_whoever_is_killed_and_gets_each_line_once,
    ),
    (
        "a_standard_input_that_cannot_be_written_to_is_refused_with_the_reason",
        input::a_standard_input_that_cannot_be_written_to_is_refused_with_the_reason,
    ),
    (
        "a_turn_that_uses_up_its_processor_time_is_ended",
        poison::a_turn_that_uses_up_its_processor_time_is_ended,
    ),
];

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments.first().is_some_and(|first| first == "job") {
        return program::run(arguments.get(1..).unwrap_or_default());
    }
    if arguments.first().is_some_and(|first| first.starts_with("--role=")) {
        upgrades::play(&arguments);
    }
    if arguments.iter().any(|argument| argument == "--list") {
        TESTS.iter().for_each(|(name, _)| println!("{name}: test"));
        return ExitCode::SUCCESS;
    }
    let filters: Vec<&String> = arguments.iter().filter(|one| !one.starts_with('-')).collect();
    let wanted = |name: &str| filters.is_empty() || filters.iter().any(|one| name.contains(*one));
    // All at once: they wait for Upright most of the time.
    let tests = TESTS.iter().filter(|(name, _)| wanted(name));
    let running = tests.map(|(name, test)| (*name, std::thread::spawn(*test)));
    let running: Vec<_> = running.collect();
    let (count, mut failed) = (running.len(), 0);
    for (name, thread) in running {
        let passed = thread.join().is_ok();
        println!("test {name} ... {}", if passed { "ok" } else { "FAILED" });
        failed += usize::from(!passed);
    }
    // The words of the usual harness, for who sums up.
    println!("test result: {} passed; {failed} failed; 0 ignored;", count - failed);
    if failed == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}
