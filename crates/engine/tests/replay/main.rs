//! Every file of the fuzzer's corpus and every input that once broke something, run again through
//! the bodies that the fuzzer runs.

mod bytes;
mod control;
mod dialect;
mod expand;
mod journal;
mod keeper;
mod machine;
mod snapshot;
mod supervisord;

use std::fs;
use std::path::Path;

/// Runs what is kept of a target. The file that breaks it is the last one printed.
fn replay(target: &str, run: fn(&[u8])) {
    let fuzz = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz");
    let mut files = 0;
    for folder in ["corpus", "crashes"] {
        let Ok(entries) = fs::read_dir(fuzz.join(folder).join(target)) else { continue };
        for entry in entries {
            let path = entry.expect("an entry").path();
            println!("{}", path.display());
            run(&fs::read(path).expect("a file"));
            files += 1;
        }
    }
    assert!(files > 0, "{} has no corpus of {target}", fuzz.display());
    run(b"");
}

#[test]
fn no_job_file_breaks_the_dialect() {
    replay("dialect", dialect::run);
}

#[test]
fn no_configuration_breaks_the_reading_of_programs() {
    replay("supervisord", supervisord::run);
}

#[test]
fn no_bytes_of_a_client_break_the_conversation() {
    replay("control", control::run);
}

#[test]
fn no_message_breaks_the_protocol_of_the_keeper() {
    replay("keeper", keeper::run);
}

#[test]
fn no_journal_breaks_the_recovery() {
    replay("journal", journal::run);
}

#[test]
fn no_sequence_of_news_breaks_the_machine_or_is_lost_by_a_snapshot() {
    replay("snapshot", snapshot::run);
}

#[test]
fn no_text_breaks_expansion_patterns_or_commands() {
    replay("expand", expand::run);
}
