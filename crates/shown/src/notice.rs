//! What happened, in a line.

use engine::machine::request::Ended;
use engine::machine::{JobChange, Notice, ProgramNews};

/// Returns a notice as `upright events` prints it. What comes from outside may have any letter in it.
pub fn words(what: &Notice) -> String {
    match what {
        Notice::Event { name, env, failed, cause } => {
            let mut line = format!("event {name}");
            for row in env {
                line += &format!(" {row}");
            }
            if *failed {
                line += " (failed)";
            }
            line + &because(cause)
        }
        Notice::State { job, instance, goal, from, to } => {
            format!("job {} {goal}/{to} (was {from})", job.with_instance(instance))
        }
        Notice::Goal { job, instance, goal, state, cause } => {
            let shown = job.with_instance(instance);
            format!("job {shown} goal {goal} (in {state}){}", because(cause))
        }
        Notice::Failed { job, instance, failure } => {
            format!("job {} failed: {failure}", job.with_instance(instance))
        }
        Notice::Job { job, change: JobChange::Added } => format!("job {job} added"),
        Notice::Job { job, change: JobChange::Removed } => format!("job {job} removed"),
        Notice::Program(news) => {
            let ProgramNews { job, from, to, pid, tries, exit, expected } = news;
            let mut line = format!("program {job} {} (was {})", to.name(), from.name());
            if let Some(pid) = pid {
                line += &format!(", process {pid}");
            }
            if let Some(exit) = exit {
                let how = if *expected { "expected" } else { "not expected" };
                line += &format!(": {}; {how}", Ended(*exit));
            }
            if *tries > 0 {
                line += &format!(", {tries} failed so far");
            }
            line
        }
        Notice::Restarted => String::from("restarted"),
    }
}

fn because(cause: &str) -> String {
    match cause {
        "" => String::new(),
        cause => format!("  <- {cause}"),
    }
}
