//! Times, ends and names in words.

use engine::machine::request::{Ended, Failure};
use engine::process::Role;
use engine::text::Text;
use engine::time::Span;
use engine::view::LastExit;
use std::fmt::Write;

/// Returns the text with control characters made visible, so that it cannot play with a terminal.
pub fn printable(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    push_printable(&mut shown, text);
    shown
}

/// Appends the text as [`printable`] shows it.
pub fn push_printable(shown: &mut String, text: &str) {
    if text.bytes().all(|byte| (b' '..=b'~').contains(&byte)) {
        return shown.push_str(text);
    }
    for letter in text.chars() {
        if letter.is_control() && letter != '\t' {
            let _ = write!(shown, "{}", letter.escape_default());
        } else {
            shown.push(letter);
        }
    }
}

/// Returns the kernel's words for an error, without the number that Rust adds.
pub fn system(error: &std::io::Error) -> String {
    let text = error.to_string();
    match text.split_once(" (os error ") {
        Some((words, _)) => words.to_owned(),
        None => text,
    }
}

/// Returns a time in its two greatest units: `850ms`, `12s`, `5m 3s`, `2h 10m`, `3d 4h`.
pub fn time(span: Span) -> String {
    span.in_words()
}

/// Returns why a job failed; `concern` is what of its file that is about, where it is known.
pub fn reason(failure: &Failure, concern: Option<&Text>) -> String {
    printable(&failure.words(concern))
}

/// Returns how a run ended.
pub fn end(last: &LastExit) -> String {
    match last {
        LastExit::Ended { process: Role::Main, exit } => Ended(*exit).to_string(),
        LastExit::Ended { process, exit } => format!("{process} process {}", Ended(*exit)),
        LastExit::NotSpawned { process, step, errno } => {
            Failure::NotSpawned(*process, *step, *errno).to_string()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use engine::process::{Exit, Step};

    #[test]
    fn times_are_shown_in_their_two_greatest_units() {
        for (span, shown) in [
            (Span::ZERO, "0ms"),
            (Span::millis(850), "850ms"),
            (Span::secs(12), "12s"),
            (Span::secs(60), "1m"),
            (Span::secs(303), "5m 3s"),
            (Span::secs(7800), "2h 10m"),
            (Span::secs(86400 * 3 + 3600 * 4), "3d 4h"),
        ] {
            assert_eq!(time(span), shown);
        }
    }

    #[test]
    fn ends_and_failures_are_told_with_the_kernels_words() {
        let status = LastExit::Ended { process: Role::Main, exit: Exit::Status(3) };
        assert_eq!(end(&status), "terminated with status 3");
        let failed = Failure::NotSpawned(Role::PreStart, Step::Chdir, 2);
        assert_eq!(
            reason(&failed, None),
            "pre-start process: unable to change working directory: No such file or directory"
        );
        assert_eq!(
            reason(&failed, Some(&"/srv/\u{1b}db".into())),
            "pre-start process: unable to change working directory /srv/\\u{1b}db: \
             No such file or directory"
        );
    }

    #[test]
    fn control_characters_are_shown_and_not_obeyed() {
        assert_eq!(printable("a\u{1b}[2Jb\u{9b}é\t"), "a\\u{1b}[2Jb\\u{9b}é\t");
    }
}
