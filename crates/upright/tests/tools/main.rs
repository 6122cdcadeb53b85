//! telinit, runlevel, shutdown, halt, poweroff and reboot in a machine with records, terminals and a
//! `/run` of its own; what they write is read by the programs of coreutils and util-linux.

#[path = "../machine/mod.rs"]
mod machine;

mod levels;
mod power;
mod shutdown;

use machine::bench::{self, Test};
use machine::{Disk, Machine};
use std::process::ExitCode;

const LAST: &str = "/usr/bin/last";
const PYTHON: &str = "/usr/bin/python3";
const SCRIPT: &str = "/usr/bin/script";

const TESTS: &[Test] = &[
    Test {
        name: "a_runlevel_is_told_to_jobs_and_recorded_for_who_and_last",
        needs: &[LAST],
        run: levels::recorded,
    },
    Test { name: "telinit_q_reads_the_job_files_again", needs: &[], run: levels::reload },
    Test {
        name: "without_upright_another_init_is_asked_and_else_it_is_said",
        needs: &[PYTHON],
        run: levels::another_init,
    },
    Test { name: "shutdown_now_says_how_to_jobs", needs: &[LAST], run: shutdown::now },
    Test {
        name: "a_shutdown_that_waits_warns_keeps_logins_out_and_is_cancelled",
        needs: &[PYTHON, SCRIPT],
        run: shutdown::waits,
    },
    Test { name: "a_stale_pid_file_is_no_shutdown", needs: &[], run: shutdown::stale },
    Test {
        name: "halt_poweroff_and_reboot_have_shutdown_do_it",
        needs: &[],
        run: power::by_shutdown,
    },
    Test { name: "a_record_alone_ends_nothing", needs: &[LAST], run: power::record },
    Test { name: "poweroff_by_force_ends_the_machine", needs: &[], run: power::off },
    Test { name: "reboot_where_it_is_down_already_starts_it_again", needs: &[], run: power::again },
];

fn main() -> ExitCode {
    bench::run(TESTS)
}

/// A machine with empty records, a terminal, and a job that writes down what it is told.
fn disk() -> Disk {
    Disk::new()
        .job(
            "witness",
            "start on runlevel\n\
             task\n\
             script\n\
             echo \"$RUNLEVEL from $PREVLEVEL halt=$INIT_HALT word=$WORD\" >> /tmp/levels\n\
             end script\n",
        )
        .prepare(
            "rm -f /var/log/wtmp /etc/nologin; : > /var/log/wtmp; : > /run/utmp
             ln -sf /usr/local/bin/upright /usr/sbin/shutdown
             [ /var/run -ef /run ]
             mkdir -p /dev/pts
             mount -t devpts -o newinstance,ptmxmode=666 devpts /dev/pts
             ln -sf pts/ptmx /dev/ptmx",
        )
}

/// Runs a command and waits until the job has written what it was told, and has ended: a task that
/// runs is not started by another event.
fn told(machine: &Machine, command: &str, expected: &str) {
    machine.ok(command);
    machine.line("/tmp/levels", expected);
    machine.until("the job has ended", || {
        machine.ok("initctl status witness").contains("stop/waiting").then_some(())
    });
}
