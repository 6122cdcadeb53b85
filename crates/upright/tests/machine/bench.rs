//! Runs the tests of a target and counts what could not be run. Rust's own harness knows no test
//! that is skipped while it runs, and what is silently left out is taken for tested.

use std::any::Any;
use std::cell::RefCell;
use std::panic;
use std::path::Path;
use std::process::{Command, ExitCode};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::Mutex;
use std::time::Instant;

/// A test: a sentence, the programs it is about, and what it does.
pub struct Test {
    pub name: &'static str,
    pub needs: &'static [&'static str],
    pub run: fn(),
}

enum Outcome {
    Passed,
    Failed(String),
    Skipped(String),
}

thread_local! {
    static SAID: RefCell<String> = const { RefCell::new(String::new()) };
}

/// Runs the tests that the arguments name, two at a time; returns how it went.
pub fn run(tests: &[Test]) -> ExitCode {
    let began = Instant::now();
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments.iter().any(|argument| argument == "--list") {
        tests.iter().for_each(|test| println!("{}: test", test.name));
        return ExitCode::SUCCESS;
    }
    let wanted: Vec<&String> = arguments.iter().filter(|a| !a.starts_with('-')).collect();
    let chosen: Vec<&Test> = tests
        .iter()
        .filter(|test| wanted.is_empty() || wanted.iter().any(|part| test.name.contains(*part)))
        .collect();
    panic::set_hook(Box::new(|info| {
        let at = info.location().map(|at| format!("{at}: ")).unwrap_or_default();
        SAID.with_borrow_mut(|said| *said = format!("{at}{}", words(info.payload())));
    }));
    println!("\nrunning {} tests", chosen.len());
    let no_machine = no_machine();
    let (next, counts) = (AtomicUsize::new(0), Mutex::new([0; 3]));
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while let Some(test) = chosen.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let began = Instant::now();
                    let outcome = attempt(test, no_machine.as_deref());
                    let mut counts = counts.lock().unwrap();
                    let seconds = began.elapsed().as_secs_f32();
                    counts[report(test, &outcome, seconds)] += 1;
                }
            });
        }
    });
    let [passed, failed, skipped] = counts.into_inner().unwrap();
    let (verdict, code) = match failed {
        0 => ("ok", ExitCode::SUCCESS),
        _ => ("FAILED", ExitCode::FAILURE),
    };
    // As libtest writes it, for whoever adds the results of several programs up.
    println!(
        "test result: {verdict}. {passed} passed; {failed} failed; {skipped} ignored; 0 measured; \
         {} filtered out; finished in {:.2}s\n",
        tests.len() - chosen.len(),
        began.elapsed().as_secs_f32()
    );
    code
}

fn attempt(test: &Test, no_machine: Option<&str>) -> Outcome {
    if let Some(why) = no_machine {
        return Outcome::Skipped(String::from(why));
    }
    let missing = test.needs.iter().find(|program| !Path::new(program).exists());
    if let Some(missing) = missing {
        return Outcome::Skipped(format!("{missing} is not installed"));
    }
    match panic::catch_unwind(test.run) {
        Ok(()) => Outcome::Passed,
        Err(_) => Outcome::Failed(SAID.take()),
    }
}

fn report(test: &Test, outcome: &Outcome, seconds: f32) -> usize {
    let name = test.name;
    match outcome {
        Outcome::Passed => {
            println!("test {name} ... ok ({seconds:.1} s)");
            0
        }
        Outcome::Failed(why) => {
            println!("test {name} ... FAILED\n{why}");
            1
        }
        Outcome::Skipped(why) => {
            println!("skipped: {name}: {why}");
            2
        }
    }
}

/// Says why a machine cannot be made here.
fn no_machine() -> Option<String> {
    let probe = r#"mount -t tmpfs t /mnt && mkdir /mnt/u /mnt/w /mnt/r &&
        mount -t overlay o -o lowerdir=/,upperdir=/mnt/u,workdir=/mnt/w /mnt/r"#;
    let spaces = ["--mount", "--net", "--pid", "--ipc", "--uts", "--fork"];
    let output = Command::new("unshare").args(spaces).args(["sh", "-c", probe]).output();
    let why = match output {
        Ok(output) if output.status.success() => return None,
        Ok(output) => String::from_utf8_lossy(&output.stderr).trim().replace('\n', "; "),
        Err(error) => format!("unshare: {error}"),
    };
    Some(format!("needs root and namespaces for a machine of its own ({why})"))
}

fn words(payload: &dyn Any) -> String {
    let text = payload.downcast_ref::<&str>().map(ToString::to_string);
    text.or_else(|| payload.downcast_ref::<String>().cloned()).unwrap_or_default()
}
