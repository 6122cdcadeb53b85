//! Any bytes as a job file and as its override.

use engine::command;
use engine::dialect::upstart::check::{self, Options};
use engine::dialect::upstart::{apply_override, parse, show};
use engine::dialect::{render, Parsed, DIAGNOSTICS_MAX};
use engine::names::JobName;
use engine::spec::{Arg, Condition, JobSpec, Node};
use engine::text::Text;

/// Stands between the file and its override.
const OVERRIDE: &[u8] = b"\n%%\n";

/// Reads the bytes as a file, and what stands after a line `%%` (all, where there is none) as its
/// override.
pub fn run(data: &[u8]) {
    let at = data.windows(OVERRIDE.len()).position(|window| window == OVERRIDE);
    let (file, over) = match at {
        Some(at) => (&data[..at + 1], &data[at + OVERRIDE.len()..]),
        None => (data, data),
    };
    let read = || parse(JobName::try_from("web").expect("a name"), file);
    let parsed = read();
    assert_eq!(parsed, read(), "the same file is read the same");
    remarks(&parsed, file);
    said(&parsed.spec);
    let applied = apply_override(&parsed.spec, over);
    assert_eq!(applied, apply_override(&parsed.spec, over), "the same override does the same");
    remarks(&applied, over);
    match applied.error() {
        Some(_) => assert_eq!(applied.spec, parsed.spec, "an override with an error does nothing"),
        None => said(&applied.spec),
    }
}

/// Checks what is remarked: it is in the file, and can be shown on a terminal.
fn remarks(parsed: &Parsed, file: &[u8]) {
    assert!(parsed.diagnostics.len() <= DIAGNOSTICS_MAX);
    let lines = 1 + file.iter().filter(|byte| **byte == b'\n').count();
    for diagnostic in &parsed.diagnostics {
        let place = diagnostic.place;
        assert!(place.start <= place.end && place.end <= file.len(), "{diagnostic:?}");
        let before = &file[..place.start];
        let line = 1 + before.iter().filter(|byte| **byte == b'\n').count();
        assert_eq!(place.line as usize, line, "{diagnostic:?}");
        let begins = before.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        let column = place.column as usize;
        assert!((1..=1 + place.start - begins).contains(&column), "{diagnostic:?}");
        assert!(diagnostic.line.is_none_or(|line| (1..=lines).contains(&(line as usize))));
        let one = diagnostic.one_line("web.conf");
        assert!(!one.chars().any(char::is_control), "{one:?}");
        let shown = render(diagnostic, "web.conf", file);
        assert!(shown.ends_with('\n'));
        assert!(!shown.chars().any(|char| char.is_control() && char != '\n'), "{shown:?}");
        assert!(shown.lines().count() <= 4, "{shown:?}");
    }
}

/// Checks what is made of a spec: its JSON, what show-config and check-config say, the commands.
fn said(spec: &JobSpec) {
    let json = serde_json::to_vec(spec).expect("a spec is JSON");
    assert_eq!(serde_json::from_slice::<JobSpec>(&json).expect("and read again"), *spec);
    for shown in [show::config(spec), show::config_enumerated(spec)] {
        assert!(shown.bytes().starts_with(b"web\n") && shown.bytes().ends_with(b"\n"));
    }
    for on in [&spec.start_on, &spec.stop_on].into_iter().flatten() {
        tree(on);
        shown_again(on);
    }
    for strict in [false, true] {
        check::config(&[spec], &[spec], &Options { strict, ..Options::default() });
    }
    for command in spec.commands.values() {
        command::argv(command);
    }
}

/// A condition is one tree.
fn tree(on: &Condition) {
    let mut open = 0_usize;
    for node in &on.nodes {
        open = match node {
            Node::Event(_) => open + 1,
            Node::And | Node::Or => open.checked_sub(1).filter(|left| *left > 0).expect("operands"),
        };
    }
    assert_eq!(open, 1, "{on:?}");
}

/// What show-config prints of a condition without quotes reads as that condition.
fn shown_again(on: &Condition) {
    let plain = |text: &Text, more: &[u8]| {
        let fits = |byte: &u8| byte.is_ascii_alphanumeric() || more.contains(byte);
        !text.is_empty() && text.bytes().iter().all(fits)
    };
    let operator = |text: &Text| *text == "and" || *text == "or";
    let plain_arg = |arg: &Arg| match arg {
        Arg::Positional(value) => plain(value, b"-_./:$*?@,") && !operator(value),
        Arg::Equal(key, value) => plain(key, b"_") && plain(value, b"-_./:$*?@,="),
        Arg::NotEqual(key, value) => plain(key, b"_") && plain(value, b"-_./:$*?@,="),
    };
    let plain_node = |node: &Node| match node {
        Node::Event(operand) => {
            let event = operand.event.text();
            plain(event, b"-_./:@,") && !operator(event) && operand.args.iter().all(plain_arg)
        }
        Node::And | Node::Or => true,
    };
    if !on.nodes.iter().all(plain_node) {
        return;
    }
    let file = [b"start on ", show::condition(on).bytes(), b"\n"].concat();
    let parsed = parse(JobName::try_from("web").expect("a name"), &file);
    let words = String::from_utf8_lossy(&file);
    assert_eq!(parsed.spec.start_on.as_deref(), Some(on), "{words}: {:?}", parsed.diagnostics);
}
