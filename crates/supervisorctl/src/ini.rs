//! The dialect of Python's ConfigParser, as far as the client's own section needs it.

/// A section: its name and its keys with their values.
pub type Section = (String, Vec<(String, String)>);

/// Reads the sections of a file. Sections and keys that are there twice are joined, the last value
/// wins. Source: Python 3.11, configparser.py, with Supervisor's `inline_comment_prefixes`.
pub fn read(text: &str, path: &str) -> Result<Vec<Section>, String> {
    let mut sections: Vec<Section> = Vec::new();
    let mut current: Option<usize> = None;
    let mut option = false;
    let mut indent = 0;
    for (number, raw) in text.lines().enumerate() {
        let bare = uncommented(raw);
        let value = bare.trim();
        if value.is_empty() {
            if bare.len() == raw.len() && option {
                last_value(&mut sections, current, |text| text.push('\n'));
            }
            continue;
        }
        let depth = raw.len() - raw.trim_start().len();
        if option && depth > indent {
            last_value(&mut sections, current, |text| {
                text.push('\n');
                text.push_str(value);
            });
            continue;
        }
        indent = depth;
        let header = value.strip_prefix('[').and_then(|rest| rest.rsplit_once(']'));
        if let Some((name, _)) = header.filter(|(name, _)| !name.is_empty()) {
            option = false;
            current = sections.iter().position(|(known, _)| known == name).or_else(|| {
                sections.push((name.to_owned(), Vec::new()));
                Some(sections.len() - 1)
            });
            continue;
        }
        let line = number + 1;
        let Some((_, keys)) = current.and_then(|place| sections.get_mut(place)) else {
            let shown = crate::python::repr(&format!("{raw}\n"));
            return Err(format!(
                "File contains no section headers.\nfile: '{path}', line: {line}\n{shown}"
            ));
        };
        let Some((key, text)) = value.split_once(['=', ':']) else {
            let shown = crate::python::repr(&format!("{raw}\n"));
            return Err(format!(
                "Source contains parsing errors: '{path}'\n\t[line {line:2}]: {shown}"
            ));
        };
        let key = key.trim_end().to_lowercase();
        // Continuation lines belong to the last one in the list.
        keys.retain(|(known, _)| *known != key);
        keys.push((key, text.trim_start().to_owned()));
        option = true;
    }
    for value in sections.iter_mut().flat_map(|(_, keys)| keys).map(|(_, value)| value) {
        value.truncate(value.trim_end().len());
    }
    Ok(sections)
}

fn last_value(sections: &mut [Section], current: Option<usize>, change: impl FnOnce(&mut String)) {
    let section = current.and_then(|place| sections.get_mut(place));
    if let Some((_, value)) = section.and_then(|(_, keys)| keys.last_mut()) {
        change(value);
    }
}

/// Returns the line without its comment: a whole line, or from a `;` or `#` after a blank.
fn uncommented(line: &str) -> &str {
    if line.trim_start().starts_with(['#', ';']) {
        return "";
    }
    let bytes = line.as_bytes();
    let comment = bytes
        .windows(2)
        .position(|pair| pair[0].is_ascii_whitespace() && matches!(pair[1], b'#' | b';'));
    comment.and_then(|place| line.get(..=place)).unwrap_or(line)
}

/// Puts `%(NAME)s` in, and `%` for `%%`. `key` is what messages call the value.
/// Source: Supervisor 4.3.0, options.py, `expand`.
pub fn expand(
    raw: &str,
    key: &str,
    known: &dyn Fn(&str) -> Option<String>,
    names: &dyn Fn() -> Vec<String>,
) -> Result<String, String> {
    let shown = crate::python::repr(raw);
    let bad = |why: &str| format!("Format string {shown} for '{key}' is badly formatted: {why}");
    let mut out = String::new();
    let mut rest = raw;
    while let Some((before, after)) = rest.split_once('%') {
        out.push_str(before);
        if let Some(after) = after.strip_prefix('%') {
            out.push('%');
            rest = after;
            continue;
        }
        let Some((name, after)) = after.strip_prefix('(').and_then(|rest| rest.split_once(')'))
        else {
            return Err(bad("incomplete format"));
        };
        let Some(after) = after.strip_prefix('s') else {
            return Err(bad("only %(NAME)s and %% stand for something here"));
        };
        let Some(value) = known(name) else {
            return Err(format!(
                "Format string {shown} for '{key}' contains names ('{name}') which cannot be \
                 expanded. Available names: {}",
                names().join(", ")
            ));
        };
        out.push_str(&value);
        rest = after;
    }
    out.push_str(rest);
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_continuations_case_and_doubles_are_pythons() {
        let text =
            "# c\n[a]\nKey = v ; c\nx=1;2\ny: #3\n  more\n\n  yet\n[b]\nk=\n[a]\nx = 5 # c\n";
        let pair = |key: &str, value: &str| (key.to_owned(), value.to_owned());
        let a = vec![pair("key", "v"), pair("y", "\nmore\n\nyet"), pair("x", "5")];
        let wanted = vec![("a".to_owned(), a), ("b".to_owned(), vec![pair("k", "")])];
        assert_eq!(read(text, "f").unwrap(), wanted);
        assert!(read("x=1\n", "f").unwrap_err().starts_with("File contains no section headers."));
        assert!(read("[a]\nx\n", "f").unwrap_err().contains("[line  2]: 'x\\n'"));
    }

    #[test]
    fn names_are_put_in_and_unknown_ones_are_listed() {
        let known = |name: &str| (name == "here").then(|| "/etc".to_owned());
        let names = || vec!["here".to_owned()];
        let expand = |raw| expand(raw, "s.k", &known, &names);
        assert_eq!(expand("%(here)s/a 100%%").unwrap(), "/etc/a 100%");
        let unknown = "Format string '%(x)s' for 's.k' contains names ('x') which cannot be \
                       expanded. Available names: here";
        assert_eq!(expand("%(x)s").unwrap_err(), unknown);
        assert!(expand("50% x").unwrap_err().contains("badly formatted"));
    }
}
