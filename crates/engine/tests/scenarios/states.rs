//! The state graph of the documentation, made from the table that the machine uses.

use engine::machine::state::{next_state, Goal, Main, State};
use std::collections::BTreeMap;
use std::path::Path;

#[test]
fn the_state_graph_in_the_documentation_is_the_table() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/states.md");
    let expected = std::fs::read_to_string(&file).unwrap_or_default();
    if let Err(what) = crate::golden::same(&file, &expected, &page()) {
        panic!("{what}");
    }
}

fn page() -> String {
    let mut page = String::from(
        "# States of an instance\n\n\
         Made from `next_state` in `crates/engine/src/machine/state.rs`, the one table that decides \
         (`UPDATE_EXPECT=1 cargo test -p engine --test scenarios`). An arrow without words is taken \
         whatever the goal and whatever became of main. An instance follows an arrow as soon as \
         nothing holds it. A check (`check exec`) is no state: it is a process beside the others, and \
         while it runs the instance stays where it is or moves as it would without.\n\n```mermaid\nstateDiagram-v2\n    [*] --> waiting\n",
    );
    for state in State::ALL {
        for (next, when) in arrows(state) {
            page += &format!("    {} --> {}{}\n", id(state), id(next), when);
        }
    }
    for state in State::ALL {
        if id(state) != state.name() {
            page += &format!("    state \"{}\" as {}\n", state.name(), id(state));
        }
    }
    page += "```\n\n| state | goal | main | next |\n|---|---|---|---|\n";
    for state in State::ALL {
        for goal in Goal::ALL {
            for (next, mains) in by_next(state, goal) {
                let next = next.map_or("at rest", State::name);
                page += &format!("| {state} | {goal} | {} | {next} |\n", mains_words(&mains));
            }
        }
    }
    page
}

/// Returns the arrows that leave a state, with the words that stand at them.
fn arrows(state: State) -> Vec<(State, String)> {
    let mut conditions: BTreeMap<State, Vec<String>> = BTreeMap::new();
    for goal in Goal::ALL {
        for (next, mains) in by_next(state, goal) {
            let Some(next) = next else { continue };
            let words = match mains_words(&mains).as_str() {
                "any" => format!("goal {goal}"),
                mains => format!("goal {goal} and main {mains}"),
            };
            conditions.entry(next).or_default().push(words);
        }
    }
    conditions
        .into_iter()
        .map(|(next, words)| match words.join(", or ").as_str() {
            "goal start, or goal stop" => (next, String::new()),
            words => (next, format!(": {words}")),
        })
        .collect()
}

/// Returns for each following state the facts about main that lead there.
fn by_next(state: State, goal: Goal) -> Vec<(Option<State>, Vec<Main>)> {
    let mut found: Vec<(Option<State>, Vec<Main>)> = Vec::new();
    for main in Main::ALL {
        let next = next_state(goal, state, main);
        match found.iter_mut().find(|row| row.0 == next) {
            Some(row) => row.1.push(main),
            None => found.push((next, vec![main])),
        }
    }
    found
}

fn mains_words(mains: &[Main]) -> String {
    if mains.len() == Main::ALL.len() {
        return "any".into();
    }
    mains.iter().map(|main| main.name()).collect::<Vec<&str>>().join(" or ")
}

/// Mermaid takes no hyphen in an identifier.
fn id(state: State) -> String {
    state.name().replace('-', "_")
}
