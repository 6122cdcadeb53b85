//! Configurations in, what they say and what is said about them out: `tests/supervisord/*.ini` with
//! what is expected beside them.

extern crate std;

use super::*;
use crate::dialect::render;
use crate::{expect, glob};
use alloc::collections::BTreeSet;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use alloc::{format, vec};
use serde_json::Value as Json;
use std::path::{Path, PathBuf};

/// The directory of the configuration, as far as it is told.
const HERE: &str = "/etc/supervisor";

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/supervisord")
}

fn facts() -> Facts {
    let variable = |key: &str, value: &str| (key.to_string(), value.to_string());
    Facts {
        path: format!("{HERE}/web.conf"),
        here: HERE.into(),
        directory: "/srv/run".into(),
        temporary: "/tmp".into(),
        host: "box".into(),
        uid: 0,
        environment: vec![
            variable("HOME", "/srv/me"),
            variable("PORT", "80"),
            variable("PCT", "5%d"),
        ],
        ..Facts::default()
    }
}

/// Finds out what is wanted: there are no directories below `/missing`, two users, and the files of
/// the folder with the test's name.
fn find_out(facts: &mut Facts, stem: &str, want: Want) {
    match want {
        Want::Directory(path) => {
            let there = !path.starts_with("/missing");
            facts.directories.insert(path, there);
        }
        Want::User(name) => {
            let (uid, home) = match &*name {
                "root" | "0" => (Some(0), "/root"),
                "www-data" | "33" => (Some(33), "/var/www"),
                _ => (None, ""),
            };
            let user = uid.map(|uid| User { uid, gid: uid, home: home.into() });
            facts.users.insert(name, user);
        }
        Want::Group(name) => {
            let gid = [("root", 0), ("33", 33), ("adm", 4)].into_iter().find(|row| row.0 == name);
            facts.groups.insert(name, gid.map(|row| row.1));
        }
        Want::Files(pattern) => {
            let found = names().into_iter().filter(|name| name.ends_with(".inc"));
            let found = found.filter_map(|name| {
                let path = format!("{HERE}/{}", name.strip_prefix(&format!("{stem}."))?);
                let bytes = std::fs::read(folder().join(&name)).ok();
                let bytes = bytes.filter(|bytes| !bytes.starts_with(b"unreadable"));
                let matches = glob::matches(pattern.as_bytes(), path.as_bytes());
                matches.then_some(File { path, bytes })
            });
            let found = found.collect();
            facts.files.insert(pattern, found);
        }
    }
}

fn configuration(stem: &str, file: &[u8]) -> Config {
    let mut facts = facts();
    for _ in 0..8 {
        let config = read(file, &facts);
        if config.wants.is_empty() {
            return config;
        }
        config.wants.into_iter().for_each(|want| find_out(&mut facts, stem, want));
    }
    panic!("{stem}: facts are still missing");
}

fn names() -> Vec<String> {
    let entries = std::fs::read_dir(folder()).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<String> = names.collect();
    names.sort();
    names
}

/// Keeps of an object what is not the same in another.
fn prune(value: &mut Json, plain: &Json) {
    if let (Some(object), Some(plain)) = (value.as_object_mut(), plain.as_object()) {
        object.retain(|key, value| Some(&*value) != plain.get(key));
        for (key, value) in object {
            prune(value, plain.get(key).unwrap_or(&Json::Null));
        }
    }
}

/// Returns what a configuration says beyond one that says nothing.
fn beyond_plain(config: &Config) -> String {
    let plain = configuration("", b"[supervisord]\n[program:plain]\ncommand=plain\n");
    let mut daemon = serde_json::to_value(&config.daemon).unwrap();
    prune(&mut daemon, &serde_json::to_value(&plain.daemon).unwrap());
    let mut out = format!("daemon {}\n", serde_json::to_string_pretty(&daemon).unwrap());
    for server in &config.servers {
        out.push_str(&format!("server {}\n", serde_json::to_string_pretty(server).unwrap()));
    }
    for interface in &config.interfaces {
        out.push_str(&format!("interface {}\n", serde_json::to_string(interface).unwrap()));
    }
    let plain = serde_json::to_value(&plain.groups[0].programs[0]).unwrap();
    for group in &config.groups {
        let kind = serde_json::to_string(&group.kind).unwrap();
        out.push_str(&format!("group {} {} {kind}\n", group.name, group.priority));
        for program in &group.programs {
            let mut program = serde_json::to_value(program).unwrap();
            prune(&mut program, &plain);
            out.push_str(&format!("{}\n", serde_json::to_string_pretty(&program).unwrap()));
        }
    }
    out
}

fn report(config: &Config) -> String {
    let mut out = beyond_plain(config);
    if let Some(refusal) = &config.refusal {
        out.push_str(&format!("\nrefused: {refusal}\n"));
    }
    for warning in &config.warnings {
        out.push_str(&format!("\nlogged: {warning}\n"));
    }
    for notice in &config.notices {
        out.push_str(&format!("\nnoted: {notice}\n"));
    }
    for remark in &config.remarks {
        let file = &config.files[remark.file];
        out.push_str(&format!("\n{}", render(&remark.diagnostic, &file.path, &file.bytes)));
    }
    out
}

#[test]
fn every_configuration_is_read_as_expected() {
    let mut files = 0;
    for name in names() {
        let Some((stem, "ini")) = name.rsplit_once('.') else { continue };
        files += 1;
        let file = std::fs::read(folder().join(&name)).unwrap();
        let config = configuration(stem, &file);
        expect::same(&format!("tests/supervisord/{stem}.expected"), &report(&config));
    }
    assert!(files > OPTIONS.len(), "{files} files: the folder is not the one");
}

#[test]
fn no_expectation_is_without_a_file() {
    let names: BTreeSet<String> = names().into_iter().collect();
    for name in &names {
        let stem = name.split('.').next().unwrap();
        assert!(names.contains(&format!("{stem}.ini")), "{name} has no .ini beside it");
    }
}

#[test]
fn every_key_has_a_file_a_help_line_and_a_source() {
    for row in OPTIONS {
        let key = row.key;
        assert!(!row.help.is_empty() && !row.source.is_empty(), "{key}: no help, no source");
        assert!(row.help.len() <= 60, "{key}: the help is longer than a line");
        let text = std::fs::read_to_string(folder().join(file_of(row))).unwrap_or_default();
        let head = format!("[{}", row.section.head());
        let section = text.find(&head).map_or("", |at| &text[at..]);
        let has = section.lines().any(|line| line.starts_with(&format!("{key} =")));
        assert!(has, "{key}: no file {} that gives it in {head}", file_of(row));
    }
    let rows: BTreeSet<_> = OPTIONS.iter().map(|row| (row.section, row.key)).collect();
    assert_eq!(rows.len(), OPTIONS.len(), "two rows are of the same key");
}

fn file_of(row: &Key) -> String {
    let section = row.section.head().trim_end_matches(':').replace('_', "-");
    let key = row.key.replace(['_', '.'], "-");
    format!("{section}-{key}.ini")
}

#[test]
fn help_lists_every_key() {
    expect::same("tests/options.txt", &help());
}

#[test]
fn no_key_is_without_effect() {
    for row in OPTIONS {
        let name = file_of(row);
        let stem = name.strip_suffix(".ini").unwrap();
        let file = std::fs::read_to_string(folder().join(&name)).unwrap();
        let without: String = {
            let lines = file.lines().filter(|line| !line.starts_with(&format!("{} =", row.key)));
            lines.map(|line| format!("{line}\n")).collect()
        };
        let said = |text: &str| {
            let client = read_client(text.as_bytes(), &facts());
            let config = configuration(stem, text.as_bytes());
            format!(
                "{client:?}{}{:?}{:?}",
                beyond_plain(&config),
                config.refusal,
                config.files.len()
            )
        };
        let is_plugin = row.section == Kind::ClientPlugin;
        assert!(is_plugin || said(&file) != said(&without), "{}: {}", row.section.head(), row.key);
    }
}

#[test]
fn facts_that_are_missing_are_asked_for_and_taken_to_be_favourable() {
    let file = b"[supervisord]\ndirectory=/a\nuser=u\n[include]\nfiles=*.x /y/[ab]\n\
        [unix_http_server]\nfile=s\nchown=u:g\n";
    let config = read(file, &facts());
    assert_eq!(config.refusal, None);
    let wants = [
        Want::Files(format!("{HERE}/*.x")),
        Want::Files("/y/[ab]".into()),
        Want::Directory("/a".into()),
        Want::User("u".into()),
        Want::Group("g".into()),
    ];
    for want in wants {
        assert!(config.wants.contains(&want), "{want:?} is not in {:?}", config.wants);
    }
}

#[test]
fn a_client_reads_its_section_alone() {
    let read = |text: &str| read_client(text.as_bytes(), &facts());
    let client =
        read("[supervisorctl]\nserverurl=unix://%(here)s/../s\nhistory_file=~/h\n").unwrap();
    assert_eq!(client.serverurl, "unix:///etc/s");
    assert_eq!(client.history_file.as_deref(), Some("/srv/me/h"));
    let missing = ".ini file does not include supervisorctl section";
    assert_eq!(read("[supervisord]\n"), Err(missing.into()));
    let refused = read("[supervisorctl]\nprompt=%(here)s\n").unwrap_err();
    assert!(
        refused.starts_with("Format string '%(here)s' for 'supervisorctl.prompt'"),
        "{refused}"
    );
}

#[test]
fn a_number_of_processes_without_end_is_refused() {
    let file = b"[supervisord]\n[program:x]\ncommand=x\nnumprocs=99999999999\n\
        process_name=%(process_num)d\n";
    let config = configuration("", file);
    let refusal = config.refusal.unwrap();
    assert!(refusal.starts_with("more than 20000 processes in section"), "{refusal}");
}
