//! The status line of Upstart.

use engine::process::Role;
use engine::view::InstanceView;
use std::fmt::Write;

/// Returns the status of an instance as `initctl status` prints it, without the last line's end:
/// `web (x) start/running, process 7`, further processes on lines of their own.
/// Source: initctl of Upstart 1.13.2, recorded.
pub fn status_line(view: &InstanceView) -> String {
    let mut line =
        format!("{} {}/{}", view.job.with_instance(&view.instance), view.goal, view.state);
    for (place, (role, pid)) in view.processes.iter().enumerate() {
        let plain = matches!(role, Role::Main | Role::PreStart | Role::PostStop);
        let _ = match (place, plain) {
            (0, true) => write!(line, ", process {pid}"),
            (0, false) => write!(line, ", ({role}) process {pid}"),
            (_, _) => write!(line, "\n\t{role} process {pid}"),
        };
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;
    use engine::machine::state::{Goal, State};
    use engine::names::{InstanceName, JobName};

    #[track_caller]
    fn check(instance: &str, state: State, processes: &[(Role, i32)], expected: &str) {
        let view = InstanceView {
            goal: Goal::Start,
            state,
            processes: processes.to_vec(),
            ..InstanceView::at_rest(
                JobName::try_from("job").unwrap(),
                InstanceName::try_from(instance).unwrap(),
            )
        };
        assert_eq!(status_line(&view), expected);
    }

    #[test]
    fn the_status_line_is_the_originals() {
        check("", State::Running, &[], "job start/running");
        check("tty1", State::Running, &[(Role::Main, 7)], "job (tty1) start/running, process 7");
        check("", State::PreStart, &[(Role::PreStart, 7)], "job start/pre-start, process 7");
        check(
            "",
            State::PostStart,
            &[(Role::PostStart, 7)],
            "job start/post-start, (post-start) process 7",
        );
        check(
            "",
            State::PreStop,
            &[(Role::Main, 7), (Role::PreStop, 8)],
            "job start/pre-stop, process 7\n\tpre-stop process 8",
        );
    }
}
