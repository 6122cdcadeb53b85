//! What a command line may have, whichever parser reads it: what completions and manual pages are made
//! of.

use super::options::OptionRow;
use super::{checkconf, initctl, initctl2dot, people, sysv};

/// A program, or a command of one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shape {
    /// The word that it is called by.
    pub name: String,
    /// One sentence.
    pub about: String,
    /// More than that; may be empty.
    pub more: String,
    /// Its options.
    pub flags: Vec<Flag>,
    /// What stands behind them, in order.
    pub places: Vec<Place>,
    /// Its commands; then there are no places.
    pub commands: Vec<Shape>,
}

/// An option.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Flag {
    /// Its letter.
    pub short: Option<char>,
    /// Its name.
    pub long: Option<String>,
    /// What help calls its value, where it takes one.
    pub value: Option<String>,
    /// What it does; none: it is not shown.
    pub help: Option<String>,
}

/// An argument.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// What help calls it.
    pub value: String,
    /// Whether it may be left out.
    pub needed: Needed,
    /// Whether it may be given more than once.
    pub times: Times,
    /// What it is; may be empty.
    pub help: String,
}

/// Whether an argument may be left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Needed {
    /// It may not.
    Yes,
    /// It may.
    No,
}

/// How often an argument may be given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Times {
    /// Once.
    One,
    /// Any number of times.
    Many,
}

/// Returns every program that the command line answers to.
pub fn all() -> Vec<Shape> {
    let mut all = vec![people::shape(), initctl::shape()];
    all.extend(initctl::shape().commands.into_iter().filter(|command| command.name != "help"));
    all.extend(sysv::shapes());
    all.extend([checkconf::shape(), initctl2dot::shape()]);
    all
}

impl Shape {
    /// Makes a program that is one command, of what help says of it.
    pub(super) fn simple<'a, E: 'a>(
        (name, about, more): (&str, &str, &str),
        usage: &str,
        options: impl IntoIterator<Item = &'a OptionRow<E>>,
    ) -> Shape {
        Shape {
            name: name.to_owned(),
            about: about.to_owned(),
            more: more.to_owned(),
            flags: options.into_iter().map(Flag::of_row).collect(),
            places: places(usage),
            commands: Vec::new(),
        }
    }

    /// Makes one of what clap knows.
    pub(super) fn of_command(command: &clap::Command) -> Shape {
        let text = |text: Option<&clap::builder::StyledStr>| {
            text.map(ToString::to_string).unwrap_or_default()
        };
        let (places, flags): (Vec<_>, Vec<_>) =
            command.get_arguments().partition(|argument| argument.is_positional());
        Shape {
            name: command.get_name().to_owned(),
            about: text(command.get_about()),
            more: text(command.get_after_help()),
            flags: flags.into_iter().map(Flag::of_argument).collect(),
            places: places.into_iter().map(Place::of_argument).collect(),
            commands: command.get_subcommands().map(Shape::of_command).collect(),
        }
    }
}

impl Flag {
    fn of_row<E>(row: &OptionRow<E>) -> Flag {
        Flag {
            short: row.short.map(char::from),
            long: Some(row.long).filter(|long| !long.is_empty()).map(str::to_owned),
            value: row.argument.map(str::to_owned),
            help: row.help.map(str::to_owned),
        }
    }

    fn of_argument(argument: &clap::Arg) -> Flag {
        let takes = argument.get_action().takes_values();
        Flag {
            short: argument.get_short(),
            long: argument.get_long().map(str::to_owned),
            value: takes.then(|| value_of(argument)),
            help: argument.get_help().map(ToString::to_string),
        }
    }
}

impl Place {
    fn of_argument(argument: &clap::Arg) -> Place {
        let many = argument.get_num_args().is_some_and(|range| range.max_values() > 1);
        Place {
            value: value_of(argument),
            needed: if argument.is_required_set() { Needed::Yes } else { Needed::No },
            times: if many { Times::Many } else { Times::One },
            help: argument.get_help().map(ToString::to_string).unwrap_or_default(),
        }
    }
}

fn value_of(argument: &clap::Arg) -> String {
    let names = argument.get_value_names().unwrap_or_default();
    names.first().map_or_else(|| argument.get_id().to_string(), ToString::to_string)
}

/// Reads the arguments as help shows them: `JOB [KEY=VALUE]...`.
fn places(usage: &str) -> Vec<Place> {
    let place = |word: &str| {
        let (word, times) = match word.strip_suffix("...") {
            Some(word) => (word, Times::Many),
            None => (word, Times::One),
        };
        let inner = word.strip_prefix('[').and_then(|word| word.strip_suffix(']'));
        let needed = if inner.is_some() { Needed::No } else { Needed::Yes };
        Place { value: inner.unwrap_or(word).to_owned(), needed, times, help: String::new() }
    };
    usage.split_whitespace().map(place).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_are_read_as_help_shows_them() {
        let place = |value: &str, needed, times| Place {
            value: value.to_owned(),
            needed,
            times,
            help: String::new(),
        };
        let job = place("JOB", Needed::Yes, Times::One);
        assert_eq!(
            places("JOB [KEY=VALUE]..."),
            [job, place("KEY=VALUE", Needed::No, Times::Many)]
        );
        let variable = place("VARIABLE[=VALUE]", Needed::Yes, Times::Many);
        assert_eq!(places("VARIABLE[=VALUE]..."), [variable]);
        assert_eq!(places("[CONF]"), [place("CONF", Needed::No, Times::One)]);
        assert_eq!(places(""), []);
    }

    #[test]
    fn every_program_is_there_once_and_says_what_it_does() {
        let all = all();
        for shape in &all {
            assert!(!shape.about.is_empty(), "{}", shape.name);
            let same = all.iter().filter(|other| other.name == shape.name).count();
            assert_eq!(same, 1, "{}", shape.name);
        }
        for name in ["upright", "initctl", "start", "emit", "shutdown", "initctl2dot"] {
            assert!(all.iter().any(|shape| shape.name == name), "{name}");
        }
    }
}
