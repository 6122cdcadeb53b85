//! Where a key stands in a file, and which lines of a script differ.

use engine::dialect::upstart;
use engine::plan::ChangeView;

/// The most lines of a script that are compared; of a longer one all are shown.
const LINES_MAX: usize = 400;

/// Returns the line of a job file that says a key, from 1: the last one, which counts.
pub fn of_job(file: &[u8], change: &ChangeView) -> Option<u32> {
    let places = upstart::places(file);
    let says = |line: &str| {
        let names = std::iter::once(&change.key).chain(&change.also);
        names.into_iter().any(|name| match name.strip_prefix("env ") {
            Some(variable) => sets(line, variable),
            None => begins(line, name),
        })
    };
    places.iter().rev().find(|(_, line)| says(&line.lossy())).map(|(number, _)| *number)
}

/// Returns the line of a configuration that says a key of a section, from 1.
pub fn of_program(file: &[u8], section: &str, change: &ChangeView) -> Option<u32> {
    let names = std::iter::once(&change.key).chain(&change.also);
    let names = names.map(|name| name.split(' ').next().unwrap_or_default().to_lowercase());
    let names: Vec<String> = names.collect();
    let lines = of_section(file, section);
    lines.iter().find(|line| names.contains(&key_of(&line.1))).map(|(number, _)| *number)
}

/// Returns the lines of a section of a configuration with their numbers, its head first.
pub fn of_section(file: &[u8], section: &str) -> Vec<(u32, String)> {
    let head = format!("[{section}]");
    let mut within = false;
    let lines = file.split(|byte| *byte == b'\n').map(|line| String::from_utf8_lossy(line));
    let of_it = (1..).zip(lines).filter(|(_, line)| {
        if line.starts_with('[') {
            within = line.starts_with(&head);
        }
        within
    });
    of_it.map(|(number, line)| (number, line.trim_end().to_owned())).collect()
}

/// Returns the key that a line of a configuration sets, in small letters.
pub fn key_of(line: &str) -> String {
    line.split(['=', ':']).next().unwrap_or_default().trim_end().to_lowercase()
}

/// Reports whether a line begins with these words.
fn begins(line: &str, words: &str) -> bool {
    let mut line = line.split_ascii_whitespace();
    words.split(' ').all(|word| line.next() == Some(word))
}

fn sets(line: &str, variable: &str) -> bool {
    let mut words = line.split_ascii_whitespace();
    let row = (words.next() == Some("env")).then(|| words.next()).flatten();
    let row = row.map(|row| row.trim_matches('"'));
    row.is_some_and(|row| row.split('=').next() == Some(variable))
}

/// Returns the lines that go (`-`) and come (`+`) from one text to another, in their order.
pub fn differing<'a>(old: &'a str, new: &'a str) -> Vec<(char, &'a str)> {
    let (old, new): (Vec<&str>, Vec<&str>) = (old.lines().collect(), new.lines().collect());
    if old.len() > LINES_MAX || new.len() > LINES_MAX {
        let gone = old.into_iter().map(|line| ('-', line));
        return gone.chain(new.into_iter().map(|line| ('+', line))).collect();
    }
    // How many lines are common from each pair of places on.
    let mut common = vec![vec![0_usize; new.len() + 1]; old.len() + 1];
    let at = |common: &Vec<Vec<usize>>, i: usize, j: usize| {
        common.get(i).and_then(|row| row.get(j)).copied().unwrap_or(0)
    };
    for (i, gone) in old.iter().enumerate().rev() {
        for (j, come) in new.iter().enumerate().rev() {
            let longest = match gone == come {
                true => at(&common, i + 1, j + 1) + 1,
                false => at(&common, i + 1, j).max(at(&common, i, j + 1)),
            };
            if let Some(place) = common.get_mut(i).and_then(|row| row.get_mut(j)) {
                *place = longest;
            }
        }
    }
    let (mut i, mut j, mut out) = (0, 0, Vec::new());
    loop {
        match (old.get(i), new.get(j)) {
            (Some(gone), Some(come)) if gone == come => (i, j) = (i + 1, j + 1),
            (Some(_), Some(come)) if at(&common, i, j + 1) > at(&common, i + 1, j) => {
                out.push(('+', *come));
                j += 1;
            }
            (Some(gone), _) => {
                out.push(('-', *gone));
                i += 1;
            }
            (None, Some(come)) => {
                out.push(('+', *come));
                j += 1;
            }
            (None, None) => return out,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use engine::plan::Takes;

    fn change(key: &str, also: &[&str]) -> ChangeView {
        let also = also.iter().map(|name| (*name).to_owned()).collect();
        ChangeView { key: key.to_owned(), also, old: None, new: None, takes: Takes::Restart }
    }

    #[test]
    fn a_key_is_found_where_its_last_stanza_or_option_stands() {
        let file = b"exec a\n# exec c\nenv A=1\nenv AB=2\nkill timeout 3\nscript\n  exec x\nend script\nexec b\n";
        assert_eq!(of_job(file, &change("exec", &[])), Some(9));
        assert_eq!(of_job(file, &change("env AB", &[])), Some(4));
        assert_eq!(of_job(file, &change("kill timeout", &[])), Some(5));
        assert_eq!(of_job(file, &change("nice", &[])), None);
        let file = b"[program:a]\ncommand=x\n[program:b]\nCommand : y\nstopasgroup = true\n";
        assert_eq!(of_program(file, "program:b", &change("command", &[])), Some(4));
        let mode = change("killasgroup", &["stopasgroup"]);
        assert_eq!(of_program(file, "program:b", &mode), Some(5));
        assert_eq!(of_program(file, "program:a", &mode), None);
    }

    #[test]
    fn the_lines_of_a_script_that_differ_are_told_in_their_order() {
        let told = differing("a\nb\nc\nd\n", "a\nx\nc\nd\ne\n");
        assert_eq!(told, [('-', "b"), ('+', "x"), ('+', "e")]);
        assert_eq!(differing("a\n", "a\n"), []);
        assert_eq!(differing("", "a\n"), [('+', "a")]);
    }
}
