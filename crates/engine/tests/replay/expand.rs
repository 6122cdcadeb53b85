//! Any bytes as texts with variables, as patterns and as commands.

use engine::command::{self, Launch};
use engine::expand::{expand, name, ExpandError, EXPANDED_MAX};
use engine::glob;
use engine::names::{EventName, InstanceName, JobName};
use engine::spec::Command;
use engine::text::Text;

/// Reads the first line as the text, the second as what it is compared with, all others as
/// variables.
pub fn run(data: &[u8]) {
    let mut lines = data.split(|byte| *byte == b'\n');
    let text = Text::from(lines.next().unwrap_or_default());
    let other = lines.next().unwrap_or_default();
    let env: Vec<Text> = lines.map(Text::from).collect();
    expanded(&text, &env);
    matched(text.bytes(), other);
    commanded(&text);
    commanded(&Text::from(data));
    named(&text);
}

fn expanded(text: &Text, env: &[Text]) {
    let result = expand(text, env);
    assert_eq!(result, expand(text, env), "the same variables give the same text");
    match &result {
        Ok(out) => assert!(out.len() <= 2 * EXPANDED_MAX),
        Err(ExpandError::UnknownParameter(_) | ExpandError::TooLong) => {}
        Err(ExpandError::ExpectedOperator | ExpandError::MismatchedBraces) => {
            assert!(text.bytes().windows(2).any(|pair| pair == b"${"));
        }
    }
    if !text.bytes().contains(&b'$') && text.len() <= EXPANDED_MAX {
        assert_eq!(result, Ok(text.clone()), "what names no variable stays");
    }
    assert!(text.bytes().starts_with(name(text.bytes())));
    let mut closed = Text::from([b"${A-", text.bytes(), b"}"].concat());
    if text.bytes().iter().any(|byte| b"${}".contains(byte)) {
        closed = Text::from("${A-x}");
    }
    if closed.len() <= EXPANDED_MAX {
        let there = [Text::from("A=x")];
        assert_eq!(expand(&closed, &there), Ok(Text::from("x")), "{closed}");
    }
}

fn matched(pattern: &[u8], text: &[u8]) {
    let result = glob::matches(pattern, text);
    if !pattern.iter().any(|byte| b"[\\".contains(byte)) {
        assert_eq!(result, plainly(pattern, text), "{pattern:?} ~ {text:?}");
    }
    let escaped: Vec<u8> = text.iter().flat_map(|byte| [b'\\', *byte]).collect();
    assert!(glob::matches(&escaped, text), "a text matches itself, escaped");
    assert!(glob::matches(&[&escaped[..], b"*"].concat(), &[text, pattern].concat()));
    assert!(glob::matches(&[b"*", &escaped[..]].concat(), &[pattern, text].concat()));
    let each: Vec<u8> = text.iter().flat_map(|_| *b"[!]a-b]").collect();
    let outside = |byte: &u8| !b"]ab".contains(byte);
    assert_eq!(glob::matches(&each, text), text.iter().all(outside), "{text:?}");
}

/// Matches patterns without brackets and backslashes the plain way: for each prefix of the pattern,
/// which prefixes of the text it matches.
fn plainly(pattern: &[u8], text: &[u8]) -> bool {
    let mut row: Vec<bool> = (0..=text.len()).map(|length| length == 0).collect();
    for element in pattern {
        let mut next = vec![*element == b'*' && row[0]];
        for (at, byte) in text.iter().enumerate() {
            next.push(match element {
                b'*' => row[at + 1] || next[at],
                b'?' => row[at],
                literal => row[at] && literal == byte,
            });
        }
        row = next;
    }
    row[text.len()]
}

fn commanded(text: &Text) {
    for command in
        [Command::Exec(text.clone()), Command::Script(text.clone()), Command::Words(text.clone())]
    {
        let Launch { argv, script } = command::argv(&command);
        let shell = argv.first().is_some_and(|word| *word == "/bin/sh");
        match (&command, script) {
            (_, Some(script)) => {
                assert!(shell && argv.len() == 3);
                assert!(script.bytes().ends_with(text.bytes()), "the script is the whole command");
            }
            (Command::Script(_), None) => {
                assert!(shell && argv.len() == 5 && text.bytes().starts_with(argv[3].bytes()));
            }
            (Command::Words(_), None) => {
                let longest: usize = argv.iter().map(|word| word.bytes().len()).sum();
                assert!(longest <= 3 * text.bytes().len(), "words are made of the text alone");
            }
            (Command::Exec(_), None) if argv.len() == 5 && argv[1] == "-e" && shell => {}
            (Command::Exec(_), None) => {
                let words = text.bytes().split(u8::is_ascii_whitespace);
                let words: Vec<&[u8]> = words.filter(|word| !word.is_empty()).collect();
                assert!(argv.iter().map(Text::bytes).eq(words));
            }
        }
    }
}

/// What a text is as JSON, and whether it is a name, agree with each other.
fn named(text: &Text) {
    let json = serde_json::to_vec(text).expect("a text is JSON");
    assert_eq!(serde_json::from_slice::<Text>(&json).expect("and read again"), *text);
    let job = JobName::try_from(text.clone()).ok();
    assert_eq!(serde_json::from_slice::<JobName>(&json).ok(), job);
    assert_eq!(EventName::try_from(text.clone()).is_ok(), job.is_some());
    let instance = InstanceName::try_from(text.clone()).is_ok();
    assert_eq!(instance, job.is_some() || text.is_empty());
}
