//! The job files of `examples/` on the real software: start, status, kill and respawn, reload, stop,
//! and what is in the logs.

#[path = "../machine/mod.rs"]
mod machine;

mod activity;
mod checked;
mod complaints;
mod directory;
mod events;
mod fourfold;
mod intents;
mod leavings;
mod nagios;
mod node;
mod puma;
mod readme;
mod ssh;
mod why;

use machine::bench::{self, Test};
use std::process::ExitCode;

const SSHD: &str = "/usr/sbin/sshd";
const NAGIOS: &str = "/usr/sbin/nagios4";
const NGINX: &str = "/usr/sbin/nginx";
const BUSYBOX: &str = "/usr/bin/busybox";
const NODE: &str = "/usr/bin/node";
const CURL: &str = "/usr/bin/curl";
const RUN_PARTS: &str = "/usr/bin/run-parts";
const PUMA: &str = "/usr/bin/puma";
const HTTP: &str = concat!(env!("CARGO_BIN_EXE_upright"), "-http");
const THIN: &str = "/usr/bin/thin";
const GUNICORN: &str = "/usr/bin/gunicorn";
const REDIS: &str = "/usr/bin/redis-server";
const RUBY_REDIS: &str = "/usr/share/doc/ruby-redis";
const PYRAMID: &str = "/usr/lib/python3/dist-packages/pyramid";
/// The page that the configurations of `fourfold` are from, in a workplace that has it.
const PAGE: &str =
    concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/seeds/004_d29bcf3b4f1bab10.txt");
const EXTRA_USERS: &str = "/usr/lib/libnss_extrausers.so.2";

const TESTS: &[Test] = &[
    Test { name: "ssh_serves_logins_and_is_back_when_killed", needs: &[SSHD], run: ssh::serves },
    Test { name: "ssh_is_stopped_by_runlevel_s", needs: &[SSHD], run: ssh::runlevel },
    Test { name: "nagios_is_back_when_killed", needs: &[NAGIOS], run: nagios::is_back },
    Test {
        name: "nagios_is_tested_first_and_the_log_says_what_came_of_it",
        needs: &[NAGIOS],
        run: nagios::tested,
    },
    Test {
        name: "nagios_with_a_mistake_in_its_configuration_is_left_alone",
        needs: &[NAGIOS],
        run: checked::nagios,
    },
    Test {
        name: "nginx_with_a_mistake_in_its_configuration_is_left_alone",
        needs: &[NGINX],
        run: checked::nginx,
    },
    Test {
        name: "sshd_with_a_mistake_in_its_configuration_is_left_alone",
        needs: &[SSHD],
        run: checked::sshd,
    },
    Test {
        name: "a_restart_reads_the_file_again_and_a_broken_one_is_refused",
        needs: &[],
        run: checked::read_again,
    },
    Test {
        name: "helloworld_tells_the_system_log_its_event",
        needs: &[BUSYBOX],
        run: events::helloworld,
    },
    Test { name: "alert_tells_of_every_death", needs: &[BUSYBOX], run: events::alert },
    Test {
        name: "on_failure_runs_the_programs_of_its_directory_with_the_evidence",
        needs: &[RUN_PARTS],
        run: events::on_failure,
    },
    Test {
        name: "node_under_start_stop_daemon_keeps_its_pid_file",
        needs: &[NODE, CURL],
        run: node::start_stop_daemon,
    },
    Test { name: "node_runs_as_its_user_with_a_log", needs: &[NODE, CURL], run: node::plain },
    Test {
        name: "puma_is_reloaded_without_a_gap",
        needs: &[PUMA, CURL, BUSYBOX],
        run: puma::serves,
    },
    Test {
        name: "puma_ended_by_term_is_no_failure",
        needs: &[PUMA, CURL, BUSYBOX],
        run: puma::normal_exit,
    },
    Test {
        name: "the_configurations_of_fourfold_stand_on_their_page_word_for_word",
        needs: &[PAGE],
        run: || fourfold::verbatim(PAGE),
    },
    Test {
        name: "a_page_of_supervisors_programs_runs_as_it_stands",
        needs: &[HTTP, NODE, CURL, THIN, GUNICORN, PYRAMID, REDIS, RUBY_REDIS],
        run: fourfold::serves,
    },
    Test {
        name: "the_boot_script_of_that_page_starts_and_stops_them",
        needs: &[HTTP, NODE, CURL, THIN, REDIS, RUBY_REDIS],
        run: fourfold::boots,
    },
    Test {
        name: "the_log_of_supervisord_goes_to_syslog",
        needs: &[BUSYBOX],
        run: activity::to_syslog,
    },
    Test { name: "a_stranger_is_told_the_rule", needs: &[SSHD], run: complaints::stranger },
    Test { name: "events_are_seen_passing", needs: &[SSHD], run: complaints::events },
    Test { name: "rights_are_granted_by_a_line", needs: &[], run: complaints::rights },
    Test {
        name: "what_cannot_come_up_waits_longer_each_time",
        needs: &[],
        run: complaints::slow_start,
    },
    Test { name: "a_failure_is_told_where_it_is_asked_for", needs: &[], run: complaints::failures },
    Test { name: "logs_are_read_by_who_has_to_read_them", needs: &[], run: complaints::logs },
    Test { name: "hundreds_of_restarts_leave_nothing_behind", needs: &[], run: complaints::leaks },
    Test { name: "why_answers_of_jobs_that_are_stuck_or_dead", needs: &[], run: why::answers },
    Test {
        name: "a_failure_is_told_by_mail_and_by_a_webhook",
        needs: &[BUSYBOX, CURL],
        run: events::told_elsewhere,
    },
    Test { name: "the_readme_names_every_example", needs: &[], run: readme::names_every_example },
    Test { name: "upright_up_runs_what_the_readme_says", needs: &[BUSYBOX], run: readme::up },
    Test { name: "a_failing_start_shows_its_output", needs: &[], run: complaints::output },
    Test {
        name: "a_user_that_no_file_names_is_asked_of_the_name_service",
        needs: &[EXTRA_USERS],
        run: directory::asked,
    },
    Test {
        name: "a_user_that_nobody_knows_is_refused",
        needs: &[EXTRA_USERS],
        run: directory::unknown,
    },
    Test {
        name: "a_name_service_that_hangs_holds_up_nobody_else",
        needs: &[EXTRA_USERS],
        run: directory::hangs,
    },
    Test { name: "what_is_decided_of_jobs_holds_over_boots", needs: &[], run: intents::kept },
    Test {
        name: "a_decision_holds_also_where_the_one_before_has_not_quite_gone",
        needs: &["/usr/bin/flock"],
        run: intents::waited_for,
    },
    Test {
        name: "a_decision_that_cannot_be_written_down_holds_and_is_told",
        needs: &[],
        run: intents::refused,
    },
    Test { name: "what_a_stop_leaves_alone_is_named", needs: &[], run: leavings::named },
    Test { name: "kill_mode_tree_ends_what_main_left", needs: &[], run: leavings::ended },
    Test { name: "what_ends_a_moment_later_is_waited_for", needs: &[], run: leavings::awaited },
];

fn main() -> ExitCode {
    bench::run(TESTS)
}
