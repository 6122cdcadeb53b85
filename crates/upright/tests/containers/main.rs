//! Upright as PID 1 of a container, under the limits that engines set by default.

mod alone;
mod console;
mod container;
mod early;
mod fault;
mod jobs;
mod limits;
#[path = "../machine/mod.rs"]
mod machine;
mod programs;
mod session;

use machine::bench::{self, Test};
use std::process::ExitCode;

const PYTHON: &str = "/usr/bin/python3";

const fn test(name: &'static str, run: fn()) -> Test {
    Test { name, needs: &[PYTHON], run }
}

/// One whose faults are made by a C compiler, as Rust's programs are linked by one.
const fn compiled(name: &'static str, run: fn()) -> Test {
    Test { name, needs: &[PYTHON, "/usr/bin/cc"], run }
}

const TESTS: &[Test] = &[
    test("output_comes_to_the_containers_own_with_the_jobs_name_and_no_file", jobs::output),
    test("where_nothing_starts_it_says_so_and_what_would_start", jobs::nothing),
    test("a_directory_that_is_not_there_is_refused", jobs::missing),
    test("a_read_only_root_and_an_arbitrary_user_are_enough", jobs::arbitrary_user),
    test("without_the_newer_system_calls_it_is_the_same_eperm", jobs::refused_eperm),
    test("without_the_newer_system_calls_it_is_the_same_enosys", jobs::refused_enosys),
    test("init_itself_runs_on_a_read_only_root", jobs::init),
    test("every_orphan_is_reaped_also_a_strangers", jobs::orphans),
    test("term_stops_everything_in_order_and_the_code_is_0", jobs::term),
    test("a_stop_fits_into_the_stop_timeout_and_everybody_is_asked", jobs::budget),
    test("what_jobs_left_is_asked_to_end_too", jobs::strays),
    test("the_essential_jobs_code_is_the_containers", jobs::essential),
    test("an_essential_job_that_a_signal_ended_counts_128_more", jobs::essential_signal),
    test("an_essential_program_that_is_not_there_is_127", jobs::essential_missing),
    test("signals_are_passed_on_to_the_essential_job", jobs::passed_on),
    test("the_stop_signal_of_init_images_is_heard", jobs::halt),
    test("two_containers_that_share_a_network_are_told_apart", jobs::pod),
    test("console_owner_has_the_terminal_its_keys_and_what_is_typed", console::owner),
    test("console_output_writes_to_the_terminal_without_owning_it", console::output),
    test("without_a_console_output_goes_nowhere_and_an_owner_cannot_start", console::none),
    test("what_was_written_before_the_disk_could_be_is_written_when_it_can", early::kept),
    compiled(
        "a_binary_that_would_die_as_pid_1_is_refused",
        fault::a_binary_that_would_die_as_pid_1_is_refused,
    ),
    compiled(
        "a_binary_that_cannot_do_its_work_as_pid_1_gives_its_place_back",
        fault::a_binary_that_cannot_do_its_work_as_pid_1_gives_its_place_back,
    ),
    compiled(
        "a_binary_that_dies_as_pid_1_while_it_is_new_gives_its_place_back",
        fault::a_binary_that_dies_as_pid_1_while_it_is_new_gives_its_place_back,
    ),
    compiled(
        "how_a_process_ended_that_a_new_binary_has_reaped_is_known_to_the_one_before",
        fault::how_a_process_ended_that_a_new_binary_has_reaped_is_known_to_the_one_before,
    ),
    test("a_supervisord_conf_is_all_that_an_image_needs", programs::supervisord),
    test("without_proc_it_works", limits::no_proc),
    test("where_others_processes_are_hidden_it_works", limits::hidden_processes),
    test("without_a_null_device_it_works", limits::no_null),
    test("with_few_descriptors_it_works", limits::few_descriptors),
    test("with_as_many_descriptors_as_there_are_it_works", limits::many_descriptors),
    test("with_few_processes_it_says_what_waits_and_ends_in_order", limits::few_processes),
    test("with_closed_streams_it_works", limits::closed),
    test("with_signals_ignored_and_blocked_it_works", limits::ignored_and_blocked),
    test("with_a_mask_of_its_own_it_works", limits::masked),
    test("without_any_environment_it_works", limits::no_environment),
    test("a_session_makes_its_directories_and_nothing_of_it_survives", session::ends),
    test("run_exits_as_the_program_does", alone::codes),
    test("run_passes_signals_on_and_reaps_orphans", alone::signals),
    test("run_passes_signals_on_to_the_group", alone::group),
    test("run_is_called_tini_too", alone::tini),
    test("run_needs_no_newer_system_call", alone::refused),
];

fn main() -> ExitCode {
    bench::run(TESTS)
}
