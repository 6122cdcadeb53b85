//! What editors colour job files by.

use super::{at, MADE};
use engine::dialect::upstart::STANZAS;
use std::collections::BTreeSet;
use std::io::Write;
use std::process::{Command, Stdio};

/// Returns the first words of stanzas (0), or the second ones (1).
fn words(at: usize, between: &str) -> String {
    let all: BTreeSet<&str> =
        STANZAS.iter().filter_map(|row| row.words.split(' ').nth(at)).collect();
    all.into_iter().collect::<Vec<_>>().join(between)
}

pub fn vim() -> String {
    format!(
        "\" Job files of Upright and Upstart. {MADE}\n\
         if exists('b:current_syntax')\n  finish\nendif\n\
         syn include @uprightShell syntax/sh.vim\n\
         syn region uprightScript matchgroup=uprightStanza keepend contains=@uprightShell\n\
         \\ start='^\\s*\\(\\(pre-start\\|post-start\\|pre-stop\\|post-stop\\)\\s\\+\\)\\?script\\s*$' end='^\\s*end\\s\\+script\\s*$'\n\
         syn match uprightStanza '^\\s*\\({}\\)\\>\\(\\s\\+\\({}\\)\\>\\)\\?'\n\
         syn match uprightComment '#.*$'\n\
         syn region uprightString start='\"' skip='\\\\.' end='\"'\n\
         syn match uprightVariable '\\$\\(\\w\\+\\|{{[^}}]*}}\\)'\n\
         hi def link uprightStanza Statement\nhi def link uprightComment Comment\n\
         hi def link uprightString String\nhi def link uprightVariable Identifier\n\
         let b:current_syntax = 'upright-job'\n",
        words(0, "\\|"),
        words(1, "\\|")
    )
}

/// What a stanza is to nano: an extended regular expression.
fn nano_stanza() -> String {
    format!("^[[:space:]]*({})([[:space:]]+({}))?([[:space:]]|$)", words(0, "|"), words(1, "|"))
}

pub fn nano() -> String {
    format!(
        "## Job files of Upright and Upstart. {MADE}\n\
         syntax \"upright-job\" \"/(init|upstart)/.*\\.(conf|override)$\"\n\
         comment \"#\"\n\
         color brightblue \"{}\"\n\
         color magenta start=\"^[[:space:]]*((pre|post)-(start|stop)[[:space:]]+)?script[[:space:]]*$\" \
         end=\"^[[:space:]]*end[[:space:]]+script\"\n\
         color green \"\\\"([^\\\"\\\\]|\\\\.)*\\\"\"\n\
         color yellow \"\\$([[:alnum:]_]+|\\{{[^}}]*\\}})\"\n\
         color cyan \"(^|[[:space:]])#.*\"\n",
        nano_stanza()
    )
}

pub fn vscode_package() -> String {
    let package = serde_json::json!({
        "name": "upright-job",
        "displayName": "Upright job files",
        "description": format!("Colours job files of Upright and Upstart. {MADE}"),
        "version": env!("CARGO_PKG_VERSION"),
        "publisher": "upright",
        "license": "MIT OR Apache-2.0",
        "engines": { "vscode": "^1.60.0" },
        "contributes": {
            "languages": [{
                "id": "upright-job",
                "aliases": ["Upright job"],
                "filenamePatterns": ["**/init/**/*.conf", "**/upstart/**/*.conf", "**/init/**/*.override",
                                     "**/upstart/**/*.override"],
            }],
            "grammars": [{
                "language": "upright-job",
                "scopeName": "source.upright-job",
                "path": "./upright-job.tmLanguage.json",
            }],
        },
    });
    format!("{package:#}\n")
}

/// What a stanza is to VS Code: a regular expression of Oniguruma.
fn vscode_stanza() -> String {
    format!("^\\s*({})(?:\\s+({}))?(?=\\s|$)", words(0, "|"), words(1, "|"))
}

pub fn vscode() -> String {
    let keyword = serde_json::json!({ "0": { "name": "keyword.control.upright-job" } });
    let grammar = serde_json::json!({
        "comment": MADE,
        "name": "Upright job",
        "scopeName": "source.upright-job",
        "patterns": [
            {
                "begin": "^\\s*(?:(?:pre-start|post-start|pre-stop|post-stop)\\s+)?script\\s*$",
                "end": "^\\s*end\\s+script\\b",
                "beginCaptures": keyword,
                "endCaptures": keyword,
                "contentName": "meta.embedded.block.shellscript",
                "patterns": [{ "include": "source.shell" }],
            },
            {
                "match": vscode_stanza(),
                "captures": {
                    "1": { "name": "keyword.control.upright-job" },
                    "2": { "name": "keyword.control.upright-job" },
                },
            },
            { "match": "(?:^|\\s)#.*$", "name": "comment.line.number-sign.upright-job" },
            {
                "begin": "\"",
                "end": "\"",
                "name": "string.quoted.double.upright-job",
                "patterns": [{ "match": "\\\\.", "name": "constant.character.escape.upright-job" }],
            },
            { "match": "\\$(?:\\w+|\\{[^}]*\\})", "name": "variable.other.upright-job" },
        ],
    });
    format!("{grammar:#}\n")
}

/// Runs a program on every stanza, one a line, and returns the lines that it prints.
fn run(program: &str, arguments: &[&str]) -> Option<Vec<String>> {
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .ok()?;
    let lines = STANZAS.iter().map(|row| format!("  {} x\n", row.words));
    let text = lines.collect::<String>() + "nonsense x\n";
    child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let out = child.wait_with_output().unwrap().stdout;
    Some(String::from_utf8(out).unwrap().lines().map(|line| line.trim().to_owned()).collect())
}

fn check(whose: &str, found: Option<Vec<String>>) {
    let Some(found) = found else {
        println!("passed over: {whose}: the program that reads its expressions is not there");
        return;
    };
    let wanted: Vec<String> = STANZAS.iter().map(|row| row.words.to_owned()).collect();
    assert_eq!(found, wanted, "{whose}");
}

/// The file in the repository has the expression, and what reads such ones finds all words of each
/// stanza by it, and nothing else.
#[test]
fn nano_knows_every_stanza() {
    let file = std::fs::read_to_string(at("dist/nano/upright-job.nanorc")).unwrap();
    assert!(file.contains(&nano_stanza()));
    check("nano", run("grep", &["-Eo", &nano_stanza()]));
}

#[test]
fn vs_code_knows_every_stanza() {
    let file = std::fs::read_to_string(at("dist/vscode/upright-job.tmLanguage.json")).unwrap();
    let grammar: serde_json::Value = serde_json::from_str(&file).unwrap();
    let stanza = grammar["patterns"][1]["match"].as_str().unwrap();
    // Python's expressions are the same in all that is used here.
    let script = "import re, sys\nfor line in sys.stdin:\n found = re.search(sys.argv[1], line)\n \
                  if found: print(found.group(0))";
    check("VS Code", run("python3", &["-c", script, stanza]));
}

#[test]
fn vim_knows_every_stanza() {
    let file = std::fs::read_to_string(at("dist/vim/syntax/upright-job.vim")).unwrap();
    let stanza =
        file.lines().find_map(|line| line.strip_prefix("syn match uprightStanza ")).unwrap();
    // grep's basic expressions are vim's but for where a word ends.
    let stanza = stanza.trim_matches('\'').replace("\\>", "\\b");
    check("vim", run("grep", &["-o", &stanza]));
}
