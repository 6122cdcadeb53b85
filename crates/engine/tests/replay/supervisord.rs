//! Any bytes as a configuration of Supervisor, and as a file that it includes.

use engine::dialect::render;
use engine::dialect::supervisord::{
    expand, read, read_client, Config, Facts, File, Names, User, Want, Word, PROCESSES_MAX,
};
use engine::dialect::DIAGNOSTICS_MAX;

/// Stands between the file and the included one.
const INCLUDED: &[u8] = b"\n%%\n";

/// How often facts are added.
const ROUNDS_MAX: usize = 8;

/// Reads the bytes as a configuration, and what stands after a line `%%` (all, where there is none) as
/// a file that any pattern of it finds.
pub fn run(data: &[u8]) {
    let at = data.windows(INCLUDED.len()).position(|window| window == INCLUDED);
    let (file, included) = match at {
        Some(at) => (&data[..at + 1], &data[at + INCLUDED.len()..]),
        None => (data, data),
    };
    let mut facts = Facts {
        path: String::from("s.conf"),
        here: String::from("/etc"),
        directory: String::from("/"),
        environment: vec![(String::from("HOME"), String::from("/root"))],
        ..Facts::default()
    };
    for _ in 0..ROUNDS_MAX {
        let config = read(file, &facts);
        let again = read(file, &facts);
        assert_eq!(config.refusal, again.refusal, "the same file is read the same");
        assert_eq!(config.groups, again.groups, "the same file is read the same");
        check(&config);
        let _ = read_client(file, &facts);
        if config.wants.is_empty() {
            break;
        }
        config.wants.into_iter().for_each(|want| find_out(&mut facts, want, included));
    }
    if let Ok(text) = core::str::from_utf8(file) {
        let names =
            Names::from([("x".into(), Word::Text("a".into())), ("n".into(), Word::Number(-7))]);
        let _ = expand(text, &names, "key");
    }
}

/// Every other directory and user is there.
fn find_out(facts: &mut Facts, want: Want, included: &[u8]) {
    match want {
        Want::Directory(path) => {
            let there = path.len() % 2 == 0;
            facts.directories.insert(path, there);
        }
        Want::User(name) => {
            let user = User { uid: 1, gid: 1, home: String::from("/home/u") };
            let there = name.len() % 2 == 0;
            facts.users.insert(name, there.then_some(user));
        }
        Want::Group(name) => {
            let there = name.len() % 2 == 0;
            facts.groups.insert(name, there.then_some(1));
        }
        Want::Files(pattern) => {
            let bytes = Some(included.to_vec());
            let file = File { path: format!("{pattern}.inc"), bytes };
            facts.files.insert(pattern, vec![file]);
        }
    }
}

/// What is remarked is in its file and can be shown on a terminal; a refusal has its error.
fn check(config: &Config) {
    assert!(config.remarks.len() <= DIAGNOSTICS_MAX);
    assert!(config.groups.iter().map(|group| group.programs.len()).sum::<usize>() <= PROCESSES_MAX);
    let errors = config
        .remarks
        .iter()
        .any(|one| one.diagnostic.severity == engine::dialect::Severity::Error);
    assert_eq!(errors, config.refusal.is_some(), "{:?}", config.refusal);
    for remark in &config.remarks {
        let file = &config.files[remark.file];
        let place = remark.diagnostic.place;
        assert!(place.start <= place.end && place.end <= file.bytes.len(), "{remark:?}");
        let before = &file.bytes[..place.start];
        let line = 1 + before.iter().filter(|byte| **byte == b'\n').count();
        assert_eq!(place.line as usize, line, "{remark:?}");
        let shown = render(&remark.diagnostic, "s.conf", &file.bytes);
        assert!(!shown.chars().any(|char| char.is_control() && char != '\n'), "{shown:?}");
        assert!(shown.lines().count() <= 4, "{shown:?}");
    }
}
