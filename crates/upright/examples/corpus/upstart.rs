//! The Upstart half: verdicts, specs, show-config and check-config.

use crate::{read, Outcome};
use engine::dialect::upstart::{apply_override, check, parse, show};
use engine::dialect::{render, Parsed};
use engine::few::Few;
use engine::names::JobName;
use engine::process::Role;
use engine::spec::{
    Command, Condition, Console, EnvRow, Expect, JobSpec, Limits, Node, NormalExit, Resource,
    Respawn, RespawnLimit,
};
use engine::text::Text;
use serde_json::{json, Map, Value};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// One line of the index.
struct Row {
    file: String,
    valid: bool,
    mode: String,
    reason: String,
}

/// Compares every file of the corpus.
pub fn compare(corpus: &Path) -> Result<Outcome, String> {
    let mut outcome = Outcome::default();
    let rows = index(&read(&corpus.join("INDEX.tsv"))?)?;
    let oracle = oracle(&read(&corpus.join("oracle.jsonl"))?)?;
    let mut specs = BTreeMap::new();
    let (mut verdicts, mut same_specs, mut all_specs) = (0, 0, 0);
    for row in &rows {
        outcome.files.insert(row.file.clone());
        let path = corpus.join("files").join(&row.file);
        let bytes = std::fs::read(&path).map_err(|error| format!("{}: {error}", path.display()))?;
        let name = row.file.trim_end_matches(".conf");
        let name = JobName::try_from(name).map_err(|error| format!("{}: {error}", row.file))?;
        let parsed = match row.mode.as_str() {
            "override" => apply_override(&JobSpec::new(name.clone()), &bytes),
            _ => parse(name.clone(), &bytes),
        };
        match verdict(row, &parsed, &bytes) {
            Ok(()) => verdicts += 1,
            Err(reason) => {
                let kind = by_design(row, &parsed).unwrap_or("verdict");
                outcome.differ(&row.file, kind, reason);
            }
        }
        if let Some(expected) = oracle.get(&row.file) {
            all_specs += 1;
            match differing(expected, &parsed.spec) {
                fields if fields.is_empty() => same_specs += 1,
                fields => outcome.differ(&row.file, "spec", fields.join("; ")),
            }
        }
        if row.valid {
            specs.insert(name, parsed.spec);
        }
    }
    outcome.totals.push(format!("{verdicts}/{} verdicts identical", rows.len()));
    outcome.totals.push(format!("{same_specs}/{all_specs} specs identical"));
    let shown: Vec<(String, String)> = specs.values().map(shown).collect();
    outcome.blocks("show-config", &read(&corpus.join("oracle-show-config.txt"))?, &shown);
    let specs: Vec<&JobSpec> = specs.values().collect();
    let expected = read(&corpus.join("oracle-check-config.txt"))?;
    let options = foreign_events(&mut outcome, &specs, &expected);
    let checked = check::config(&specs, &specs, &options);
    let checked: Vec<(String, String)> = checked.iter().map(|one| split(&one.lossy())).collect();
    outcome.blocks("check-config", &expected, &checked);
    Ok(outcome)
}

impl Outcome {
    /// Compares blocks of a job's name and indented lines, in any order of jobs.
    fn blocks(&mut self, kind: &'static str, expected: &str, got: &[(String, String)]) {
        let mut blocks: BTreeMap<String, String> = BTreeMap::new();
        let mut name = String::new();
        for line in expected.lines() {
            if line.starts_with(' ') {
                blocks.entry(name.clone()).or_default().push_str(&format!("{line}\n"));
            } else {
                name = line.to_owned();
                blocks.entry(name.clone()).or_default();
            }
        }
        let total = blocks.len();
        let mut same = 0;
        for (name, lines) in got {
            match blocks.remove(name) {
                Some(expected) if expected == *lines => same += 1,
                expected => {
                    let reason = format!("expected {expected:?}, got {lines:?}");
                    self.differ(&format!("{name}.conf"), kind, reason);
                }
            }
        }
        for (name, lines) in blocks {
            self.differ(&format!("{name}.conf"), kind, format!("missing {lines:?}"));
        }
        self.totals.push(format!("{same}/{total} jobs identical in {kind}"));
    }
}

/// The original had more jobs loaded than this corpus has, so it knew more events: those that it
/// complains of nowhere though no job here emits them. They are said and taken for known.
fn foreign_events(outcome: &mut Outcome, specs: &[&JobSpec], expected: &str) -> check::Options {
    fn unknown(text: &str) -> BTreeSet<&str> {
        text.lines().filter_map(|line| Some(line.split_once(": unknown event ")?.1)).collect()
    }
    let strict = check::Options { strict: true, ..check::Options::default() };
    let ours = check::config(specs, specs, &strict);
    let ours: Vec<_> = ours.iter().map(Text::lossy).collect();
    let ours: BTreeSet<&str> = ours.iter().flat_map(|block| unknown(block)).collect();
    let foreign: Vec<&str> = ours.difference(&unknown(expected)).copied().collect();
    if !foreign.is_empty() {
        let names = foreign.join(", ");
        outcome.totals.push(format!("events of jobs outside this corpus taken for known: {names}"));
    }
    check::Options {
        ignored: foreign.into_iter().map(Text::from).collect(),
        ..check::Options::default()
    }
}

fn shown(spec: &JobSpec) -> (String, String) {
    split(&show::config(spec).lossy())
}

fn split(block: &str) -> (String, String) {
    let (name, lines) = block.split_once('\n').unwrap_or((block, ""));
    (name.to_owned(), lines.to_owned())
}

fn index(text: &str) -> Result<Vec<Row>, String> {
    let rows = text.lines().skip(1).map(|line| {
        let mut fields = line.split('\t').map(str::to_owned);
        let (Some(file), Some(valid), Some(mode)) = (fields.next(), fields.next(), fields.next())
        else {
            return Err(format!("INDEX.tsv: not a row: {line}"));
        };
        Ok(Row { file, valid: valid == "yes", mode, reason: fields.next().unwrap_or_default() })
    });
    rows.collect()
}

fn oracle(text: &str) -> Result<BTreeMap<String, Map<String, Value>>, String> {
    let mut objects = BTreeMap::new();
    for line in text.lines() {
        let object: Map<String, Value> =
            serde_json::from_str(line).map_err(|error| format!("oracle.jsonl: {error}: {line}"))?;
        let file = object.get("file").and_then(Value::as_str).unwrap_or_default().to_owned();
        objects.insert(file, object);
    }
    Ok(objects)
}

/// Compares whether the file is valid and, where it is not, the line and words of the first error.
fn verdict(row: &Row, parsed: &Parsed, bytes: &[u8]) -> Result<(), String> {
    let chromeos = !row.valid && row.reason.starts_with("chromeos-ext");
    let ours = parsed.error().map(|error| {
        let place = error.line.map_or(String::new(), |line| format!("line {line}: "));
        format!("{place}{}", error.message)
    });
    let only_chromeos =
        ours.is_some() && parsed.errors().all(|error| error.code == "chromeos-stanza");
    match (&ours, row.valid) {
        (None, true) => Ok(()),
        (None, false) => Err(format!("ours: valid; the original: {}", row.reason)),
        (Some(_), true) => {
            let error = parsed.error().map(|error| render(error, &row.file, bytes));
            Err(format!("ours: {}; the original: valid", error.unwrap_or_default().trim_end()))
        }
        (Some(_), false) if only_chromeos != chromeos => {
            Err(format!("ours: chromeos-ext {only_chromeos}; the original: {}", row.reason))
        }
        (Some(error), false) => {
            let reason = row.reason.rsplit_once("removed); ").map_or(&*row.reason, |parts| parts.1);
            match reason.starts_with(&format!("{error}: ")) {
                true => Ok(()),
                false => Err(format!("ours: {error}; the original: {}", row.reason)),
            }
        }
    }
}

/// Returns the rule by which ours differs from the original, where the difference is one.
fn by_design(row: &Row, parsed: &Parsed) -> Option<&'static str> {
    let found = |code: &str| parsed.diagnostics.iter().find(|one| one.code == code);
    if !row.valid {
        let line = found("lines-in-parentheses")?.line?;
        let same = row.reason.starts_with(&format!("line {line}: Expected token"));
        return same.then_some("lines-in-parentheses");
    }
    let only = parsed.errors().all(|error| error.code == "illegal-signal");
    only.then_some("illegal-signal")
}

/// Returns the fields in which a spec differs from the original's reading.
fn differing(expected: &Map<String, Value>, spec: &JobSpec) -> Vec<String> {
    let ours = as_original(spec);
    let mut fields = Vec::new();
    for (key, got) in &ours {
        let mut wanted = expected.get(key).cloned().unwrap_or(Value::Null);
        if matches!(key.as_str(), "respawn_limit" | "respawn_interval") && unlimited(expected) {
            wanted = json!(0);
        }
        if wanted != *got {
            fields.push(format!("{key}: the original {wanted}, ours {got}"));
        }
    }
    for key in expected.keys().filter(|key| !ours.contains_key(*key)) {
        if !matches!(key.as_str(), "file" | "cgmanager_wait") {
            fields.push(format!("{key}: not compared"));
        }
    }
    fields
}

/// Either number 0 is no limit; a spec does not keep the other one.
fn unlimited(expected: &Map<String, Value>) -> bool {
    let is_zero = |key| expected.get(key).and_then(Value::as_u64) == Some(0);
    is_zero("respawn_limit") || is_zero("respawn_interval")
}

fn as_original(spec: &JobSpec) -> Map<String, Value> {
    let JobSpec {
        name: _,
        about,
        attrs,
        policy,
        commands,
        env,
        export,
        instance,
        start_on,
        stop_on,
    } = spec;
    let (limit, interval) = match policy.respawn_limit {
        RespawnLimit::Within { count, interval } => (count, interval.as_secs()),
        RespawnLimit::Unlimited => (0, 0),
    };
    let mut object = json!({
        "instance": instance.lossy(),
        "description": optional(&about.description),
        "author": optional(&about.author),
        "version": optional(&about.version),
        "usage": optional(&about.usage),
        "emits": texts(&about.emits),
        "env": env.iter().map(variable).collect::<Vec<_>>(),
        "export": texts(export),
        "process": processes(commands, &attrs.apparmor_load),
        "expect": match policy.expect {
            Expect::None | Expect::Up(_) => "EXPECT_NONE",
            Expect::Stop => "EXPECT_STOP",
            Expect::Fork => "EXPECT_FORK",
            Expect::Daemon => "EXPECT_DAEMON",
        },
        "task": i32::from(policy.task),
        "kill_timeout": policy.kill_timeout.as_secs(),
        "kill_signal": policy.kill_signal.number(),
        "reload_signal": policy.reload_signal.map_or(0, |signal| signal.number()),
        "respawn": i32::from(policy.respawn != Respawn::Never),
        "respawn_limit": limit,
        "respawn_interval": interval,
        "normalexit": policy.normal_exit.iter().map(normal_exit).collect::<Vec<_>>(),
        "console": console(attrs.console),
        "umask": attrs.umask.unwrap_or(0o022),
        "nice": attrs.nice.unwrap_or(-21),
        "oom_score_adj": attrs.oom_score_adj.unwrap_or(0),
        "limits": limits(&attrs.limits),
        "chroot": optional(&attrs.chroot),
        "chdir": optional(&attrs.chdir),
        "setuid": optional(&attrs.setuid),
        "setgid": optional(&attrs.setgid),
        "debug": i32::from(attrs.debug),
        "apparmor_switch": optional(&attrs.apparmor_switch),
    });
    for (key, on) in [("start_on", start_on), ("stop_on", stop_on)] {
        if let (Some(on), Some(object)) = (on, object.as_object_mut()) {
            object.insert(key.to_owned(), condition(on));
        }
    }
    object.as_object().cloned().unwrap_or_default()
}

fn optional(text: &Option<Text>) -> Option<String> {
    text.as_ref().map(|text| text.lossy().into_owned())
}

fn texts(texts: &[Text]) -> Vec<String> {
    texts.iter().map(|text| text.lossy().into_owned()).collect()
}

fn variable(row: &EnvRow) -> String {
    match row {
        EnvRow::Set(key, value) => format!("{key}={value}"),
        EnvRow::Inherit(key) => key.lossy().into_owned(),
        EnvRow::InheritAll => String::from("*"),
    }
}

fn processes(commands: &Few<Role, Command>, profile: &Option<Text>) -> Value {
    let mut object = Map::new();
    for (role, command) in commands {
        let (script, text) = match command {
            Command::Exec(text) => (0, text),
            Command::Script(text) => (1, text),
            Command::Words(text) => (2, text),
        };
        let command = json!({"script": script, "command": text.lossy()});
        object.insert(role.name().to_owned(), command);
    }
    if let Some(profile) = profile {
        let command = format!("/sbin/apparmor_parser -r -W {profile}");
        object.insert("security".to_owned(), json!({"script": 0, "command": command}));
    }
    Value::Object(object)
}

fn normal_exit(normal: &NormalExit) -> u32 {
    match normal {
        NormalExit::Status(status) => *status,
        NormalExit::Signal(signal) => u32::from(signal.number()) << 8,
    }
}

fn console(console: Console) -> &'static str {
    match console {
        Console::Default | Console::Log | Console::LogPty | Console::Stdout => "CONSOLE_LOG",
        Console::None => "CONSOLE_NONE",
        Console::Output => "CONSOLE_OUTPUT",
        Console::Owner => "CONSOLE_OWNER",
    }
}

fn limits(limits: &Few<Resource, Limits>) -> Value {
    let value = |limit: Option<u64>| limit.map_or(json!(-1), |limit| json!(limit));
    let name = |resource: &Resource| {
        let row = Resource::TABLE.iter().find(|row| row.0 == *resource);
        row.map_or("", |row| row.1).to_owned()
    };
    let rows = limits.iter().map(|(resource, limits)| {
        (name(resource), json!([value(limits.soft), value(limits.hard)]))
    });
    Value::Object(rows.collect())
}

fn condition(condition: &Condition) -> Value {
    let nodes = condition.nodes.iter().map(|node| match node {
        Node::And => json!({"type": "EVENT_AND", "value": 0}),
        Node::Or => json!({"type": "EVENT_OR", "value": 0}),
        Node::Event(operand) => {
            let env: Vec<String> =
                operand.args.iter().map(|arg| show::argument(arg).lossy().into_owned()).collect();
            let name = operand.event.text().lossy();
            match env.is_empty() {
                true => json!({"type": "EVENT_MATCH", "value": 0, "name": name}),
                false => json!({"type": "EVENT_MATCH", "value": 0, "name": name, "env": env}),
            }
        }
    });
    nodes.collect()
}
