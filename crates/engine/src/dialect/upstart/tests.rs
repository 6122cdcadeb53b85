//! Files in, specs and diagnostics out: `tests/dialect/*.conf` with what is expected beside them.

extern crate std;

use super::complaint::Complaint;
use super::stanzas::STANZAS;
use super::{apply_override, parse, show};
use crate::dialect::{render, Parsed};
use crate::expect;
use crate::names::JobName;
use crate::spec::JobSpec;
use crate::text::Text;
use alloc::collections::BTreeSet;
use alloc::string::String;
use alloc::vec::Vec;
use alloc::{format, vec};
use std::path::{Path, PathBuf};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/dialect")
}

fn job(name: &str) -> JobName {
    JobName::try_from(name).unwrap()
}

fn read(name: &str) -> Parsed {
    let file = std::fs::read(folder().join(name)).unwrap();
    parse(job("web"), &file)
}

/// Returns what a spec says beyond that of an empty file, as JSON.
fn beyond_empty(spec: &JobSpec) -> String {
    fn prune(value: &mut serde_json::Value, empty: &serde_json::Value) {
        if let (Some(object), Some(empty)) = (value.as_object_mut(), empty.as_object()) {
            object.retain(|key, value| Some(&*value) != empty.get(key));
            for (key, value) in object {
                prune(value, empty.get(key).unwrap_or(&serde_json::Value::Null));
            }
        }
    }
    let mut value = serde_json::to_value(spec).unwrap();
    prune(&mut value, &serde_json::to_value(JobSpec::new(spec.name.clone())).unwrap());
    serde_json::to_string_pretty(&value).unwrap()
}

fn report(parsed: &Parsed, path: &str, file: &[u8]) -> String {
    let mut out = format!("{}\n", beyond_empty(&parsed.spec));
    if let Some(error) = parsed.error() {
        out.push_str(&format!("\nlogged: {}\n", error.one_line(path)));
    }
    for diagnostic in &parsed.diagnostics {
        out.push_str(&format!("\n{}", render(diagnostic, path, file)));
    }
    out
}

fn names() -> Vec<String> {
    let entries = std::fs::read_dir(folder()).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<String> = names.collect();
    names.sort();
    names
}

#[test]
fn every_file_is_read_as_expected() {
    let mut files = 0;
    for name in names() {
        let Some((stem, "conf")) = name.rsplit_once('.') else { continue };
        files += 1;
        let file = std::fs::read(folder().join(&name)).unwrap();
        let parsed = parse(job("web"), &file);
        let mut out = report(&parsed, "web.conf", &file);
        if let Ok(file) = std::fs::read(folder().join(format!("{stem}.override"))) {
            let parsed = apply_override(&parsed.spec, &file);
            out.push_str("\n--- with the override\n");
            out.push_str(&report(&parsed, "web.override", &file));
        }
        expect::same(&format!("tests/dialect/{stem}.expected"), &out);
    }
    assert!(files > 90, "{files} files: the folder is not the one");
}

#[test]
fn no_expectation_is_without_a_file() {
    let names: BTreeSet<String> = names().into_iter().collect();
    for name in &names {
        let stem = name.rsplit_once('.').map_or(&**name, |parts| parts.0);
        assert!(names.contains(&format!("{stem}.conf")), "{name} has no .conf beside it");
    }
}

#[test]
fn every_stanza_has_a_file_a_help_line_and_a_source() {
    for row in STANZAS {
        let words = row.words;
        assert!(!row.help.is_empty() && !row.source.is_empty(), "{words}: no help, no source");
        assert!(row.help.len() <= 60, "{words}: the help is longer than a line");
        let name = format!("stanza-{}.conf", words.replace(' ', "-"));
        let text = std::fs::read_to_string(folder().join(&name)).unwrap_or_default();
        assert!(text.lines().any(|line| line.starts_with(words)), "{words}: no file {name}");
    }
    let words: BTreeSet<&str> = STANZAS.iter().map(|row| row.words).collect();
    assert_eq!(words.len(), STANZAS.len(), "two rows have the same words");
}

#[test]
fn help_lists_every_stanza() {
    expect::same("tests/stanzas.txt", &super::help());
}

#[test]
fn no_stanza_is_without_effect() {
    for row in STANZAS {
        let parsed = read(&format!("stanza-{}.conf", row.words.replace(' ', "-")));
        let is_refused = parsed.error().is_some_and(|error| error.code == "chromeos-stanza");
        let is_manual = row.words == "manual" && parsed.spec.start_on.is_none();
        let changed = parsed.spec != JobSpec::new(job("web"));
        assert!(changed || is_refused || is_manual, "{}", row.words);
    }
}

#[test]
fn every_complaint_has_a_file_that_gets_it_first() {
    for (complaint, code, severity, text) in Complaint::TABLE {
        let parsed = read(&format!("complaint-{code}.conf"));
        let first = parsed.diagnostics.first().unwrap();
        assert_eq!((&*first.code, first.severity, &*first.message), (code, severity, text));
        assert_eq!((complaint.code(), complaint.severity()), (code, severity));
    }
}

#[test]
fn an_override_with_an_error_changes_nothing() {
    let base = read("stanza-start-on.conf").spec;
    let parsed = apply_override(&base, b"description changed\nbogus\n");
    assert!(parsed.error().is_some());
    assert_eq!(parsed.spec, base);
}

#[test]
fn conditions_are_shown_with_all_parentheses() {
    let rows = [
        ("a", "a"),
        ("(a)", "a"),
        ("P1 or P2 and P3", "((P1 or P2) and P3)"),
        ("starting A and (B or C var=2)", "(starting A and (B or C var=2))"),
        ("x \"a b\" K!=v", "x a b K!=v"),
        ("(A and (started B or (starting C or D)))", "(A and (started B or (starting C or D)))"),
    ];
    for (written, shown) in rows {
        let parsed = parse(job("web"), format!("start on {written}\n").as_bytes());
        let on = parsed.spec.start_on.unwrap();
        assert_eq!(show::condition(&on), *shown, "{written}");
    }
}

#[test]
fn show_config_prints_what_initctl_prints() {
    let file = b"emits boing\nemits zap-*\nstart on starting A and (B or C var=2)\n\
        stop on bar HELLO=world testing=123 or started INSTANCE=x JOB=bar";
    let spec = parse(job("foo"), file).spec;
    let head = "foo\n  emits boing\n  emits zap-*\n";
    let plain = "  start on (starting A and (B or C var=2))\n  \
        stop on (bar HELLO=world testing=123 or started INSTANCE=x JOB=bar)\n";
    assert_eq!(show::config(&spec), *format!("{head}{plain}"));
    let enumerated = "  start on starting (job: A, env:)\n  start on B (job:, env:)\n  \
        start on C (job:, env: var=2)\n  stop on bar (job:, env: HELLO=world testing=123)\n  \
        stop on started (job: bar, env: INSTANCE=x)\n";
    assert_eq!(show::config_enumerated(&spec), *format!("{head}{enumerated}"));
}

#[test]
fn deep_parentheses_do_not_overflow_the_stack() {
    let depth = 100_000;
    let text = [&b"start on "[..], &b"(".repeat(depth), b"a", &b" or b)".repeat(depth)].concat();
    let parsed = parse(job("web"), &text);
    assert_eq!(parsed.diagnostics, vec![]);
    let on = parsed.spec.start_on.unwrap();
    assert_eq!(on.nodes.len(), 2 * depth + 1);
    assert_eq!(show::condition(&on).len(), text.len() - "start on ".len());
    for open in [&text[..depth], &[b"start on ", &b"(".repeat(1_000_001)[..]].concat()[..]] {
        assert_eq!(parse(job("web"), open).error().unwrap().message, "Mismatched parentheses");
    }
}

#[test]
fn the_greatest_files_are_read_without_going_over_them_again_and_again() {
    // Each of these would take minutes if a part were read once for every line.
    let lines = 30_000;
    for line in [
        "bogus\n",
        "script\n",
        "pre-strat script\n",
        "exec \"\n",
        "exec '\n",
        "start on (\n",
        "start on (a or\n",
        "a#b 'c\n",
        "emits a \\\n",
        "env A=b#c\n",
        "start on a V=$B and\\\n",
    ] {
        let parsed = parse(job("web"), line.repeat(lines).as_bytes());
        assert!(parsed.diagnostics.len() <= crate::dialect::DIAGNOSTICS_MAX, "{line}");
    }
    let one_line = "emits ".repeat(lines);
    assert_eq!(parse(job("web"), one_line.as_bytes()).spec.about.emits.len(), lines - 1);
    let arguments = format!("start on {}", "a ".repeat(lines));
    assert_eq!(parse(job("web"), arguments.as_bytes()).diagnostics, vec![]);
}

/// A small generator, so that a failing seed can be repeated (xorshift64*).
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as usize % bound
    }
}

#[test]
fn random_bytes_never_panic_and_every_place_is_in_the_file() {
    let words: Vec<&str> = STANZAS.iter().flat_map(|row| row.words.split(' ')).collect();
    let marks =
        [" ", "\n", "\\", "\"", "'", "(", ")", "#", "=", "!=", "$", "\t", "\r", "\0", "\u{fe}"];
    let others =
        ["and", "or", "end script", "unlimited", "never", "-1", "0", "9999999999", "TERM", "a"];
    for seed in 1..400 {
        let mut random = Random(seed);
        let mut file = Vec::new();
        for _ in 0..random.below(60) {
            match random.below(8) {
                0 => file.push(random.below(256) as u8),
                1 | 2 => file.extend_from_slice(words[random.below(words.len())].as_bytes()),
                3 => file.extend_from_slice(others[random.below(others.len())].as_bytes()),
                4 => file.extend_from_slice(marks[random.below(marks.len())].as_bytes()),
                5 => file.push(b'\n'),
                _ => file.push(b' '),
            }
        }
        let parsed = parse(job("web"), &file);
        for diagnostic in &parsed.diagnostics {
            let place = diagnostic.place;
            assert!(place.start <= place.end && place.end <= file.len(), "seed {seed}: {place:?}");
            let line = 1 + file[..place.start].iter().filter(|byte| **byte == b'\n').count();
            assert_eq!(place.line as usize, line, "seed {seed}: {diagnostic:?}");
            let shown = render(diagnostic, "web.conf", &file);
            assert!(!shown.contains('\0'), "seed {seed}: {shown}");
        }
        let over = apply_override(&parsed.spec, &file);
        assert_eq!(over.error().is_some(), parsed.error().is_some(), "seed {seed}");
        let wire = serde_json::to_string(&parsed.spec).unwrap();
        assert_eq!(serde_json::from_str::<JobSpec>(&wire).unwrap(), parsed.spec, "seed {seed}");
        let _: (Text, Text) = (show::config(&parsed.spec), show::config_enumerated(&parsed.spec));
    }
}

#[test]
fn check_config_names_what_can_never_come() {
    let files = [
        ("foo", "emits zap-*\nstart on starting A and (B or C var=2)\nstop on bar or stopping ok"),
        ("late", "start on (D or E) or startup\nstop on D or startup"),
        ("ok", "start on started foo or boing\nstop on zap-x or stopped JOB=late or started $X"),
    ];
    let specs: Vec<JobSpec> =
        files.iter().map(|(name, file)| parse(job(name), file.as_bytes()).spec).collect();
    let specs: Vec<&JobSpec> = specs.iter().collect();
    let checked = |options: super::check::Options| {
        let blocks = super::check::config(&specs, &specs, &options);
        blocks.iter().map(|block| block.lossy().into_owned()).collect::<String>()
    };
    let foo = "foo\n  start on: unknown event C\n  start on: unknown event B\n  \
        start on: unknown job A\n";
    let late = "late\n  start on: unknown event E\n  start on: unknown event D\n";
    let options = super::check::Options::default;
    assert_eq!(checked(options()), format!("{foo}{late}"));
    let ignored = vec!["B".into(), "C".into(), "E".into()];
    assert_eq!(
        checked(super::check::Options { ignored, ..options() }),
        "foo\n  start on: unknown job A\n"
    );
    assert_eq!(
        checked(super::check::Options { strict: true, ..options() }),
        format!(
            "{foo}  stop on: unknown event bar\n{late}  stop on: unknown event D\n\
            ok\n  start on: unknown event boing\n"
        )
    );
}

#[test]
fn check_config_names_only_what_stands_in_the_outermost_part_that_can_never_come() {
    for (on, expected) in [
        ("(X and startup) or startup", "X"),
        ("(X or Y) or startup", "Y X"),
        ("X or startup", ""),
        ("(X and startup) or (Y or startup)", "X"),
        ("((X and startup) or startup) and Y", "Y X"),
        ("X", "X"),
        ("startup", ""),
    ] {
        let file = format!("start on {on}\n");
        let spec = parse(JobName::try_from("odd").unwrap(), file.as_bytes()).spec;
        let blocks = super::check::config(&[&spec], &[&spec], &super::check::Options::default());
        let lines = blocks.iter().flat_map(|block| {
            let text = String::from(block.lossy());
            text.lines().skip(1).map(String::from).collect::<alloc::vec::Vec<_>>()
        });
        let named = lines.map(|line| String::from(line.rsplit(' ').next().unwrap()));
        assert_eq!(named.collect::<alloc::vec::Vec<_>>().join(" "), expected, "{on}");
    }
}

#[test]
fn every_stanza_has_its_place_though_a_script_says_the_same_words() {
    let file = b"# exec a\ndescription x\n\n  start on (a\n    and exec)\nscript\nexec b\nend script\nnonsense\nexec c\n";
    let places: Vec<(u32, String)> =
        super::places(file).into_iter().map(|(line, text)| (line, text.to_string())).collect();
    let expected =
        [(2, "description x"), (4, "start on (a"), (6, "script"), (9, "nonsense"), (10, "exec c")];
    assert_eq!(places, expected.map(|(line, text)| (line, String::from(text))));
}
