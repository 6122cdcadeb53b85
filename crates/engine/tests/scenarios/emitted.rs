//! The page about the events that the machine emits, made from their table.

use engine::machine::{CHAIN_MAX, EMITTED};
use std::path::Path;

/// What `upright events -f` prints.
const WATCHED: &str = "\
17 job web goal start (in waiting)  <- uid 0 (upright, process 812) asked for a start
19 event starting JOB=web INSTANCE=  <- uid 0 (upright, process 812) asked for a start
25 event started JOB=web INSTANCE=  <- uid 0 (upright, process 812) asked for a start
26 job log goal start (in waiting)  <- start on came true by started web
39 event exited JOB=web INSTANCE= PROCESS=main PID=814 EXIT_SIGNAL=KILL CORE=0 RUNTIME=4.012
42 event starting JOB=web INSTANCE=  <- main process (814) killed by KILL signal
";

#[test]
fn the_page_about_events_is_the_table() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/events.md");
    let expected = std::fs::read_to_string(&file).unwrap_or_default();
    if let Err(what) = crate::golden::same(&file, &expected, &page()) {
        panic!("{what}");
    }
}

/// Each event stands in a transcript with at least its first variables.
#[test]
fn every_event_of_the_table_is_emitted_in_a_transcript() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scenarios");
    let mut files = Vec::new();
    crate::find(&folder, &mut files);
    let texts: Vec<String> =
        files.iter().map(|file| std::fs::read_to_string(file).unwrap()).collect();
    for event in EMITTED {
        let line = format!("  event {} JOB=", event.name);
        let given = format!("    UPSTART_EVENTS={}\n", event.name);
        let told = texts.iter().any(|text| text.contains(&line) || text.contains(&given));
        assert!(told, "no transcript tells of {}", event.name);
    }
}

fn page() -> String {
    let mut page = String::from(
        "# Events that Upright emits about jobs\n\n\
         Made from `EMITTED` in `crates/engine/src/machine/event.rs` (`UPDATE_EXPECT=1 cargo test -p \
         engine --test scenarios`). Variables in parentheses may be missing. Programs of a \
         `supervisord.conf` are jobs, too: `JOB=GROUP:PROCESS`.\n\n\
         | event | when | variables | waits for it to finish |\n|---|---|---|---|\n"
    );
    for event in EMITTED {
        let (name, when, waits) = (event.name, event.when, event.waits);
        page += &format!("| `{name}` | {when} | {} | {waits} |\n", event.variables);
    }
    page += &format!(
        "\nThe first four are Upstart's. `exited` and those below it report: none of them is delivered to \
         the job that it reports, nor along a chain of more than {CHAIN_MAX} jobs that start each other by \
         them. Those below `exited` are emitted only where a `start on` or `stop on` names them, and at most \
         five of a kind for each instance within a minute (`flapping`: when the third restart of a minute \
         comes, and not again before it was quieter).\n\n\
         A job of three lines that tells of every failure:\n\n\
         ```\nstart on failed\ninstance $JOB:$INSTANCE\nexec logger -t alert \"$JOB: $REASON\"\n```\n\n\
         As a mail, a webhook, or programs of a directory: `examples/on-failure-mail`, \
         `examples/on-failure-webhook`, `examples/on-failure`.\n\n\
         ## Watching\n\n\
         `upright events -f` shows what happens, each event and each change of a goal with what caused it: who \
         asked, which events came, how a process ended.\n\n\
         ```\n{WATCHED}```\n\n\
         `--job PATTERN`, `--event PATTERN` and `--kind KIND` choose, `--since 5m` begins with what happened \
         within that time, without `-f` it ends with what is kept: the last 256, at most a mebibyte. The \
         number that a line begins with is where one goes on: `--after NUMBER`; a daemon that is killed or \
         upgraded meanwhile counts on, and who reads too slowly is told how many were lost. `--json` gives \
         one object a line.\n"
    );
    page
}
