//! The Supervisor half: verdicts and specs.

use crate::original::as_original;
use crate::{read, Outcome};
use engine::dialect::supervisord::{self, Config, Facts, User, Want};
use engine::dialect::Severity;
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::path::Path;

/// How often missing facts are added before it is given up.
const ROUNDS_MAX: usize = 8;

/// What differed from run to run when the original was recorded, and what was put in its place in
/// all texts (so that a program `hhvm` of a machine `vm` is `hh<HOST>`).
const STANDINS: [(&str, &str); 3] = [("/HERE", "<HERE>"), ("/CWD", "<CWD>"), ("vm", "<HOST>")];

/// Compares every file of the corpus.
pub fn compare(corpus: &Path) -> Result<Outcome, String> {
    let mut outcome = Outcome::default();
    let index = read(&corpus.join("INDEX.tsv"))?;
    let mut oracle = BTreeMap::new();
    for line in read(&corpus.join("oracle.jsonl"))?.lines() {
        let object: Map<String, Value> =
            serde_json::from_str(line).map_err(|error| format!("oracle.jsonl: {error}: {line}"))?;
        oracle.insert(object.get("file").and_then(Value::as_str).unwrap_or("").to_owned(), object);
    }
    let (mut verdicts, mut same, mut files) = (0, 0, 0);
    for line in index.lines().skip(1) {
        let fields: Vec<&str> = line.split('\t').collect();
        let [file, valid, mode, reason] = fields[..] else {
            return Err(format!("INDEX.tsv: not a row: {line}"));
        };
        files += 1;
        outcome.files.insert(file.to_owned());
        let path = corpus.join("files").join(file);
        let bytes = std::fs::read(&path).map_err(|error| format!("{}: {error}", path.display()))?;
        let config = configuration(&bytes, mode, &environment(&bytes))?;
        match verdict(&config, valid, reason) {
            Ok(()) => verdicts += 1,
            Err(reason) => outcome.differ(file, "verdict", reason),
        }
        if let Some(expected) = oracle.get(file) {
            match differing(expected, &config) {
                fields if fields.is_empty() => same += 1,
                fields => outcome.differ(file, "spec", fields.join("; ")),
            }
        }
    }
    outcome.totals.push(format!("{verdicts}/{files} verdicts identical"));
    outcome.totals.push(format!("{same}/{} specs identical", oracle.len()));
    Ok(outcome)
}

/// Returns the variables that the original was given: every one that the file names.
fn environment(bytes: &[u8]) -> Vec<(String, String)> {
    let text = String::from_utf8_lossy(bytes);
    let names = text.split("%(ENV_").skip(1).filter_map(|rest| rest.split_once(')'));
    let mut all = BTreeMap::new();
    for (name, _) in names {
        let value = if name.contains("LEVEL") { "info" } else { "1" };
        all.insert(name.to_owned(), value.to_owned());
    }
    all.into_iter().collect()
}

/// Reads a file as the original did: directories, users and included files are there.
fn configuration(
    bytes: &[u8],
    mode: &str,
    environment: &[(String, String)],
) -> Result<Config, String> {
    let fragment = mode == "fragment";
    let mut file = bytes.to_vec();
    if fragment {
        file.extend_from_slice(b"\n[supervisord]\n");
    }
    let path = if fragment { "/frag.conf" } else { "/supervisord.conf" };
    let mut facts = Facts {
        path: path.to_owned(),
        here: STANDINS[0].0.to_owned(),
        directory: STANDINS[1].0.to_owned(),
        temporary: String::from("/tmp"),
        host: STANDINS[2].0.to_owned(),
        environment: environment.to_vec(),
        ..Facts::default()
    };
    for _ in 0..ROUNDS_MAX {
        let config = supervisord::read(&file, &facts);
        if config.wants.is_empty() {
            return Ok(config);
        }
        for want in config.wants {
            match want {
                Want::Files(pattern) => drop(facts.files.insert(pattern, Vec::new())),
                Want::Directory(path) => drop(facts.directories.insert(path, true)),
                Want::Group(name) => drop(facts.groups.insert(name, Some(1000))),
                Want::User(name) => {
                    let home = String::from("/root");
                    facts.users.insert(name, Some(User { uid: 1000, gid: 1000, home }));
                }
            }
        }
    }
    Err(format!("{path}: after {ROUNDS_MAX} rounds facts are still missing"))
}

fn verdict(config: &Config, valid: &str, reason: &str) -> Result<(), String> {
    let errors = config.remarks.iter().filter(|one| one.diagnostic.severity == Severity::Error);
    let ours = config.refusal.as_deref();
    if ours.is_some() != (errors.count() > 0) {
        return Err(format!("the refusal is {ours:?}, the errors are {:?}", config.remarks));
    }
    match (ours, valid) {
        (None, "yes") => Ok(()),
        (Some(ours), "no") if same_words(ours, reason) => Ok(()),
        // The group names programs of another file.
        (Some(ours), "unknown") if reason.ends_with(ours) => Ok(()),
        (ours, _) => Err(format!("ours {ours:?}; the original {valid}: {reason}")),
    }
}

/// The list of names was shortened to three dots, and the whole perhaps cut.
fn same_words(ours: &str, reason: &str) -> bool {
    let mut rest = ours;
    for piece in reason.split("...") {
        let Some(at) = rest.find(piece) else { return ours.starts_with(reason) };
        rest = &rest[at + piece.len()..];
    }
    true
}

/// Returns the fields in which a configuration differs from the original's reading.
fn differing(expected: &Map<String, Value>, config: &Config) -> Vec<String> {
    let ours = as_original(config);
    let mut fields = Vec::new();
    let none = Value::Array(Vec::new());
    for (key, got) in &ours {
        compare_values(key, expected.get(key).unwrap_or(&none), got, &mut fields);
    }
    for key in expected.keys().filter(|key| !ours.contains_key(*key)) {
        if !matches!(key.as_str(), "file" | "mode" | "env_supplied") {
            fields.push(format!("{key}: not compared"));
        }
    }
    fields
}

fn compare_values(path: &str, wanted: &Value, got: &Value, fields: &mut Vec<String>) {
    match (wanted, got) {
        (Value::Object(wanted), Value::Object(got)) => {
            for (key, value) in wanted {
                let got = got.get(key).unwrap_or(&Value::Null);
                compare_values(&format!("{path}.{key}"), value, got, fields);
            }
            for key in got.keys().filter(|key| !wanted.contains_key(*key)) {
                fields.push(format!("{path}.{key}: only ours"));
            }
        }
        (Value::Array(wanted), Value::Array(got)) if wanted.len() == got.len() => {
            let mut wanted: Vec<&Value> = wanted.iter().collect();
            if path.ends_with(".pool_events") {
                // A set, in the order of this moment.
                wanted.sort_by_key(|name| name.to_string());
            }
            for (at, (wanted, got)) in wanted.into_iter().zip(got).enumerate() {
                compare_values(&format!("{path}[{at}]"), wanted, got, fields);
            }
        }
        (Value::String(wanted), Value::String(got)) if *wanted == recorded(got) => {}
        (wanted, got) if wanted == got => {}
        (wanted, got) => fields.push(format!("{path}: the original {wanted}, ours {got}")),
    }
}

/// Returns a text as it was recorded.
fn recorded(text: &str) -> String {
    STANDINS.iter().fold(text.to_owned(), |text, (ours, theirs)| text.replace(ours, theirs))
}
