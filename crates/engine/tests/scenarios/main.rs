//! Scenarios: transcripts of what the machine is told and what it then wants done.
//!
//! A file holds one or more scenarios. Each begins with its title, sentences after `# `, then come
//! headers, job files between `job NAME` and `end`, programs of Supervisor between `programs` and
//! `end`, and inputs `@TIME WORDS`. What is indented below
//! an input is what followed; `UPDATE_EXPECT=1 cargo test -p engine --test scenarios` writes it.
//! Which headers and inputs there are stands in the two tables of `world`.

mod bounds;
mod defects;
mod emitted;
mod golden;
mod states;
mod transcript;
mod words;
mod world;

use std::path::{Path, PathBuf};
use transcript::{Line, Scenario};
use world::World;

/// Everything is played a second time with a machine that is made again from its records after
/// every turn: nothing of it may be lost on the way.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Memory {
    /// One machine lives from the first line to the last.
    Kept,
    /// A new one is restored from the records after every turn.
    Restored,
}

#[test]
fn every_transcript_is_what_the_machine_does() {
    let mut files = Vec::new();
    find(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scenarios"), &mut files);
    files.sort();
    assert!(files.len() > 30, "the transcripts are there");
    let wrong: Vec<String> = files.iter().filter_map(|file| check(file).err()).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn find(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).expect("the folder can be read") {
        let path = entry.expect("the folder can be read").path();
        if path.is_dir() {
            find(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "txt") {
            files.push(path);
        }
    }
}

fn check(file: &Path) -> Result<(), String> {
    let text = std::fs::read_to_string(file).map_err(|error| format!("{file:?}: {error}"))?;
    let scenarios =
        transcript::read(&text).map_err(|what| format!("{}: {what}", file.display()))?;
    let [kept, restored] = [Memory::Kept, Memory::Restored].map(|memory| {
        scenarios.iter().map(|scenario| play(scenario, memory)).collect::<Result<String, String>>()
    });
    let kept = kept.map_err(|what| format!("{}: {what}", file.display()))?;
    let restored = restored.map_err(|what| format!("{}, restored: {what}", file.display()))?;
    if let Some(line) = golden::first_difference(&kept, &restored) {
        return Err(format!("{}: restored from its records it differs\n{line}", file.display()));
    }
    golden::same(file, &text, &kept)
}

/// Returns the scenario's text with what the machine really does below each input.
fn play(scenario: &Scenario, memory: Memory) -> Result<String, String> {
    let mut world = World::new(&scenario.headers, memory);
    let mut text = String::new();
    for line in &scenario.lines {
        let followed = match line {
            Line::Kept(words) => {
                text += &format!("{words}\n");
                continue;
            }
            Line::Job { name, file, words } => {
                text += words;
                world.define(name, file)
            }
            Line::Programs { file, words } => {
                text += words;
                world.programs(file)
            }
            Line::Input { at, words, number } => {
                text += &format!("@{at} {words}\n");
                world.input(*at, words).map_err(|what| format!("line {number}: `{words}`: {what}"))
            }
        };
        for effect in followed? {
            text += &format!("  {effect}\n");
        }
    }
    Ok(text)
}
