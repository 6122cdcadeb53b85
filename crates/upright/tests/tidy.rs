//! The rules of the house (CONTRIBUTING.md), checked over the text of the repository.

use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The most lines of a function; tables and lists of samples may be longer.
const FUNCTION_MAX: usize = 70;

/// The most directories below each other that are searched.
const DEPTH_MAX: usize = 12;

/// Words of unfinished work; in two halves, so that this file is none.
const UNFINISHED: [&str; 5] = [
    concat!("todo", "!("),
    concat!("unimplement", "ed!("),
    concat!("TO", "DO"),
    concat!("FIX", "ME"),
    concat!("XX", "X:"),
];

/// A file of the repository.
struct Source {
    /// Its path from the root.
    path: String,
    text: String,
}

impl Source {
    fn sample(path: &str, text: &str) -> Source {
        Source { path: path.into(), text: text.into() }
    }

    fn is_rust(&self) -> bool {
        self.path.ends_with(".rs")
    }

    /// Reports whether the whole file is for tests.
    fn is_test(&self) -> bool {
        let name = self.path.rsplit('/').next().unwrap_or_default();
        self.path.contains("/tests/") || name == "tests.rs" || name == "expect.rs"
    }

    /// Returns the lines with their numbers.
    fn lines(&self) -> impl Iterator<Item = (usize, &str)> {
        self.text.lines().enumerate().map(|(index, line)| (index + 1, line))
    }

    /// Returns the lines before the tests at the end of the file.
    fn product(&self) -> impl Iterator<Item = (usize, &str)> {
        let end = if self.is_test() {
            0
        } else {
            self.text.find("#[cfg(test)]\nmod tests {").unwrap_or(usize::MAX)
        };
        let mut at = 0;
        self.lines().take_while(move |(_, line)| {
            let begins = at;
            at += line.len() + 1;
            begins < end
        })
    }

    /// Returns the lines that are for tests.
    fn tests(&self) -> impl Iterator<Item = (usize, &str)> {
        let product = self.product().count();
        self.lines().skip(product)
    }

    fn place(&self, line: usize) -> String {
        format!("{}:{line}", self.path)
    }
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

/// Returns every file that people wrote.
fn sources() -> Vec<Source> {
    let mut found = Vec::new();
    gather(&root(), Path::new(""), DEPTH_MAX, &mut found);
    assert!(found.iter().filter(|source| source.is_rust()).count() > 100, "the sources are found");
    found
}

fn gather(root: &Path, below: &Path, depth: usize, found: &mut Vec<Source>) {
    let mut entries: Vec<_> = fs::read_dir(root.join(below)).unwrap().flatten().collect();
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let name = entry.file_name().to_string_lossy().into_owned();
        let path = below.join(&name);
        let kind = entry.file_type().unwrap();
        let ours = !matches!(name.as_str(), "target" | "out" | ".git" | "corpus" | "artifacts");
        if kind.is_dir() && ours && depth > 0 {
            gather(root, &path, depth - 1, found);
        } else if kind.is_file() && ours && name != "Cargo.lock" {
            // Files that are no text are samples of something.
            let Ok(text) = fs::read_to_string(root.join(&path)) else { continue };
            found.push(Source { path: path.to_string_lossy().into_owned(), text });
        }
    }
}

/// Fails with every offence found in the repository.
fn check(rule: &str, offences: fn(&Source) -> Vec<String>) {
    let found: Vec<String> = sources().iter().flat_map(offences).collect();
    assert!(found.is_empty(), "{rule}:\n  {}", found.join("\n  "));
}

/// Returns the line without what stands behind `//`, and without strings.
fn code(line: &str) -> String {
    let mut out = String::new();
    let (mut quoted, mut escaped, mut before) = (false, false, ' ');
    for letter in line.chars() {
        match (quoted, letter) {
            (true, '\\') if !escaped => {
                escaped = true;
                continue;
            }
            (true, '"') if !escaped => quoted = false,
            (true, _) => {}
            (false, '"') if before != '\'' => quoted = true,
            (false, '/') if before == '/' => {
                out.pop();
                return out;
            }
            (false, _) => out.push(letter),
        }
        escaped = false;
        before = letter;
    }
    out
}

fn has_word(line: &str, word: &str) -> bool {
    code(line)
        .split(|letter: char| !letter.is_alphanumeric() && letter != '_')
        .any(|part| part == word)
}

/// The name that the C runtime asks for is the one exception: it makes nothing unsafe.
fn unsafe_code(source: &Source) -> Vec<String> {
    let mut found = Vec::new();
    if !source.is_rust() {
        return found;
    }
    let lines: Vec<&str> = source.text.lines().collect();
    for (number, _) in source.lines().filter(|(_, line)| has_word(line, "unsafe")) {
        if !source.path.starts_with("crates/sys/") {
            found.push(format!("{}: only crates/sys may be unsafe", source.place(number)));
            continue;
        }
        // The reason stands above the statement, which may begin some lines before.
        let above =
            lines[..number - 1].iter().rev().take_while(|line| !line.trim().is_empty()).take(12);
        let said = above.clone().any(|line| line.contains("SAFETY:") || line.contains("# Safety"));
        if !said {
            found.push(format!("{}: say `// SAFETY:` why this is sound", source.place(number)));
        }
    }
    let crate_root =
        source.path.ends_with("/src/lib.rs") && !source.path.starts_with("crates/sys/");
    if crate_root && !source.text.contains("#![forbid(unsafe_code)]") {
        found.push(format!("{}: begin with #![forbid(unsafe_code)]", source.path));
    }
    found
}

fn unfinished(source: &Source) -> Vec<String> {
    let offence = |(number, line): (usize, &str)| {
        let word = UNFINISHED.iter().find(|word| line.contains(**word))?;
        Some(format!("{}: `{word}`: finish it, or open an issue", source.place(number)))
    };
    source.lines().filter_map(offence).collect()
}

fn switched_off(source: &Source) -> Vec<String> {
    let rust = source.is_rust().then(|| source.lines());
    let ignored =
        rust.into_iter().flatten().filter(|(_, line)| line.trim_start().starts_with("#[ignore"));
    ignored
        .map(|(number, _)| {
            format!("{}: a test that cannot run prints `passed over: WHY`", source.place(number))
        })
        .collect()
}

/// A look now and then (every five milliseconds at most), a random moment, and a pause whose comment says
/// that it is no wait for a fact, are fine.
fn sleeping(source: &Source) -> Vec<String> {
    // What a test's jobs run is a program like any other.
    if !source.is_rust() || source.path.ends_with("/program.rs") {
        return Vec::new();
    }
    let fixed = |line: &str| {
        let Some((_, rest)) = line.split_once("sleep(") else { return false };
        let random = ["dice", "chance"].iter().any(|source| rest.contains(source));
        let Some((_, unit)) = rest.split_once("from_") else { return !random };
        let number = unit.split('(').nth(1).unwrap_or_default();
        let digits: String = number.chars().take_while(char::is_ascii_digit).collect();
        let micros = if unit.starts_with("micros") { 1 } else { 1000 };
        digits.parse::<u64>().is_ok_and(|number| number * micros >= 5000)
    };
    let mut found = Vec::new();
    let mut before = "";
    for (number, line) in source.tests() {
        if fixed(&code(line)) && !before.trim_start().starts_with("// No wait for a fact:") {
            found.push(format!("{}: wait for the fact, not for a time", source.place(number)));
        }
        before = line;
    }
    found
}

/// A function of a table, which may be long, is one that is little but rows: it returns a list.
fn long_functions(source: &Source) -> Vec<String> {
    let mut found = Vec::new();
    let mut open: Option<(usize, String, String)> = None;
    for (number, line) in source.lines().filter(|_| source.is_rust()) {
        match &open {
            None => {
                let head = line.trim_start();
                let indent = &line[..line.len() - head.len()];
                let words: Vec<&str> = head.split(' ').collect();
                let place = words.iter().position(|word| *word == "fn");
                let qualifiers = ["pub", "const", "unsafe", "extern", "\"C\"", "async"];
                let plain = |word: &&str| qualifiers.contains(word) || word.starts_with("pub(");
                if place.is_some_and(|place| words[..place].iter().all(plain))
                    && !line.ends_with(['}', ';'])
                {
                    open = Some((number, format!("{indent}}}"), head.into()));
                }
            }
            Some((first, close, head)) if line == close => {
                let length = number - first + 1;
                if length > FUNCTION_MAX && !head.contains("-> Vec<") {
                    found.push(format!(
                        "{}: {length} lines, {FUNCTION_MAX} at most: {head}",
                        source.place(*first)
                    ));
                }
                open = None;
            }
            Some(_) => {}
        }
    }
    found
}

fn engine_looks_out(source: &Source) -> Vec<String> {
    if !source.path.starts_with("crates/engine/src/") || !source.is_rust() {
        return Vec::new();
    }
    let mut found = Vec::new();
    if source.path.ends_with("src/lib.rs") && !source.text.contains("no_std") {
        found.push(format!("{}: the engine is no_std", source.path));
    }
    let outside = ["std", "libc", "rustix", "SystemTime", "Instant"];
    for (number, line) in source.product() {
        if let Some(word) = outside.iter().find(|word| has_word(line, word)) {
            found.push(format!(
                "{}: `{word}`: the engine is told, it does not look",
                source.place(number)
            ));
        }
    }
    found
}

/// Paths that only one machine has; in two halves, so that this file has none.
fn foreign_paths(source: &Source) -> Vec<String> {
    let homes = [concat!("/wo", "rk/"), concat!("/ro", "ot/"), concat!("/ho", "me/")];
    let neighbour = concat!("../", "shared");
    let may_look_aside = source.path.starts_with(".ci/")
        || source.path == "Makefile"
        || source.path == "scripts/test.sh"
        || source.path.contains("/examples/")
        || source.path.contains("bench")
        || source.is_test();
    let sample = source.path.starts_with("examples/") || source.path.contains("/tests/");
    let mut found = Vec::new();
    for (number, line) in source.lines() {
        let home = homes.iter().find(|home| !sample && line.contains(**home));
        let aside = (!may_look_aside && line.contains(neighbour)).then_some(&neighbour);
        if let Some(path) = home.or(aside) {
            found.push(format!("{}: `{path}` is not part of the repository", source.place(number)));
        }
    }
    found
}

#[test]
fn unsafe_stands_in_sys_alone_and_says_why_it_is_sound() {
    check("unsafe code", unsafe_code);
}

#[test]
fn nothing_is_left_unfinished() {
    check("unfinished work", unfinished);
}

#[test]
fn no_test_is_switched_off() {
    check("ignored tests", switched_off);
}

#[test]
fn no_test_sleeps_to_wait_for_a_fact() {
    check("sleeping tests", sleeping);
}

#[test]
fn functions_fit_on_a_screen() {
    check("long functions", long_functions);
}

#[test]
fn the_engine_finds_nothing_out_by_itself() {
    check("the engine looks out", engine_looks_out);
}

#[test]
fn no_path_of_a_machine_is_written_down() {
    check("foreign paths", foreign_paths);
}

#[test]
fn every_rule_finds_its_offence_and_passes_what_is_right() {
    type Rule = fn(&Source) -> Vec<String>;
    let long = format!("fn x() {{\n{}}}\n", "    y();\n".repeat(69));
    let wrong: [(Rule, &str, &str); 11] = [
        (unsafe_code, "crates/engine/src/a.rs", "fn a() { unsafe { b() } }"),
        (unsafe_code, "crates/sys/src/a.rs", "// a\nlet x = unsafe { b() };"),
        (unsafe_code, "crates/upright/src/lib.rs", "mod a;"),
        (unfinished, "README.md", UNFINISHED[2]),
        (switched_off, "crates/a/tests/a.rs", "    #[ignore = \"slow\"]"),
        (sleeping, "crates/a/tests/a.rs", "sleep(Duration::from_millis(50));"),
        (sleeping, "crates/a/src/a.rs", "#[cfg(test)]\nmod tests {\nthread::sleep(PAUSE);"),
        (long_functions, "crates/a/src/a.rs", &long),
        (engine_looks_out, "crates/engine/src/a.rs", "use std::fs;"),
        (foreign_paths, "docs/a.md", concat!("see /ro", "ot/x")),
        (foreign_paths, "docs/a.md", concat!("see ../", "shared/x")),
    ];
    for (rule, path, text) in wrong {
        assert_eq!(rule(&Source::sample(path, text)).len(), 1, "{path}: {text}");
    }
    let right: [(Rule, &str, &str); 6] = [
        (unsafe_code, "crates/sys/src/a.rs", "// SAFETY: plain numbers.\nlet x = unsafe { b() };"),
        (unsafe_code, "crates/engine/src/a.rs", "say(\"unsafe\"); // unsafe"),
        (sleeping, "crates/a/src/a.rs", "thread::sleep(PAUSE);"),
        (sleeping, "crates/a/tests/a.rs", "sleep(Duration::from_micros(dice.roll(300)));"),
        (long_functions, "crates/a/src/a.rs", &long.replacen("    y();\n", "", 1)),
        (
            engine_looks_out,
            "crates/engine/src/a.rs",
            "x();\n#[cfg(test)]\nmod tests {\nuse std::fs;",
        ),
    ];
    for (rule, path, text) in right {
        assert_eq!(rule(&Source::sample(path, text)), [""; 0], "{path}: {text}");
    }
}

#[test]
fn every_document_is_linked_from_the_readme_or_the_architecture() {
    let read = |path: &str| fs::read_to_string(root().join(path)).unwrap();
    let linked = read("README.md") + &read("ARCHITECTURE.md");
    for source in sources().iter().filter(|source| source.path.starts_with("docs/")) {
        assert!(linked.contains(&format!("({})", source.path)), "no link leads to {}", source.path);
    }
}

#[test]
fn every_link_in_a_document_leads_somewhere() {
    for source in sources().iter().filter(|source| source.path.ends_with(".md")) {
        let folder = root().join(&source.path).parent().unwrap().to_owned();
        for piece in source.text.split("](").skip(1) {
            let target = piece.split([')', '#']).next().unwrap_or_default();
            let there = target.is_empty() || target.contains("://") || folder.join(target).exists();
            assert!(there, "{}: no {target}", source.path);
        }
    }
}

#[test]
fn every_test_that_the_architecture_names_is_there() {
    let page = fs::read_to_string(root().join("ARCHITECTURE.md")).unwrap();
    let code: String = sources().iter().filter(|s| s.is_rust()).map(|s| s.text.as_str()).collect();
    let (_, table) = page.split_once("## What is always true").unwrap();
    let (table, _) = table.split_once("\n## ").unwrap();
    let names = table.split('`').filter(|name| {
        name.contains('_')
            && name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_' || b.is_ascii_digit())
    });
    let mut counted = 0;
    for name in names.filter(|name| !["no_std", "forbid"].contains(name)) {
        assert!(
            code.contains(&format!("fn {name}(")),
            "ARCHITECTURE.md names {name}, which is no function"
        );
        counted += 1;
    }
    assert!(counted > 10, "the table names its tests");
}

/// Returns what cargo says of the packages that are built for this machine.
fn metadata() -> Value {
    let mut rustc = Command::new("rustc");
    let host = String::from_utf8(rustc.arg("-vV").output().unwrap().stdout).unwrap();
    let host = host.lines().find_map(|line| line.strip_prefix("host: ")).unwrap().to_owned();
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args([
        "metadata",
        "--format-version=1",
        "--locked",
        "--offline",
        "--filter-platform",
        &host,
    ]);
    let ran = cargo.current_dir(root()).output().unwrap();
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    serde_json::from_slice(&ran.stdout).unwrap()
}

fn word<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap_or_default()
}

#[test]
fn every_dependency_stands_in_contributing_with_its_reason() {
    let page = fs::read_to_string(root().join("CONTRIBUTING.md")).unwrap();
    let metadata = metadata();
    let ours = metadata["packages"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|package| package["source"].is_null());
    let mut wanted = BTreeSet::new();
    for package in ours {
        for dependency in package["dependencies"].as_array().unwrap() {
            if dependency["path"].is_null() {
                wanted.insert(word(dependency, "name").to_owned());
            }
        }
    }
    for name in &wanted {
        let row = page.lines().find(|line| line.starts_with(&format!("| `{name}` |")));
        let row = row.unwrap_or_else(|| panic!("CONTRIBUTING.md has no row for {name}"));
        assert!(row.len() > 40, "{name}: no reason: {row}");
    }
    let rows = page.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next());
    for name in rows {
        assert!(wanted.contains(name), "CONTRIBUTING.md explains {name}, which nothing uses");
    }
}

/// Returns the quoted words between the key and the end of its list in `deny.toml`.
fn allowed(key: &str) -> Vec<String> {
    let text = fs::read_to_string(root().join("deny.toml")).unwrap();
    let (_, rest) = text.split_once(&format!("\n{key} = [")).unwrap();
    let (list, _) = rest.split_once(']').unwrap();
    list.split('"').skip(1).step_by(2).map(str::to_owned).collect()
}

#[test]
fn dependencies_have_licences_and_sources_that_are_allowed() {
    let (licences, registries) = (allowed("allow"), allowed("allow-registry"));
    for package in metadata()["packages"].as_array().unwrap() {
        let name = word(package, "name");
        // Every part of AND, one choice of OR. Source: SPDX, annex D.
        let licence = word(package, "license").replace(['(', ')'], " ").replace('/', " OR ");
        let fine = licence.split(" AND ").all(|part| {
            part.split(" OR ").any(|choice| licences.iter().any(|allowed| allowed == choice.trim()))
        });
        assert!(fine, "{name}: licence `{licence}` is not among {licences:?}");
        let Some(source) = package["source"].as_str() else { continue };
        let registry = source.strip_prefix("registry+").unwrap_or(source);
        assert!(
            registries.iter().any(|allowed| allowed == registry),
            "{name}: comes from {source}"
        );
    }
}

#[test]
fn no_dependency_is_there_in_two_versions() {
    let lock = fs::read_to_string(root().join("Cargo.lock")).unwrap();
    let mut versions: BTreeMap<&str, usize> = BTreeMap::new();
    for name in lock.lines().filter_map(|line| line.strip_prefix("name = ")) {
        *versions.entry(name).or_default() += 1;
    }
    let twice: Vec<_> = versions.iter().filter(|(_, count)| **count > 1).collect();
    assert!(versions.len() > 10 && twice.is_empty(), "more than one version: {twice:?}");
}
