//! Completion of what is typed: commands, groups, processes.

use crate::acts::names;
use crate::commands::{self, Completes};
use crate::control::Control;
use crate::failure::Outcome;
use crate::session::Session;
use crate::settings::Settings;
use crate::watch::Watch;
use rustyline::completion::Completer;
use rustyline::highlight::Highlighter;
use rustyline::hint::Hinter;
use rustyline::validate::Validator;
use rustyline::{Context, Helper};
use std::cell::OnceCell;
use std::rc::Rc;

/// What words are completed with. Asks the server once, when it is first needed.
pub struct Words {
    settings: Settings,
    watch: Rc<Watch>,
    known: OnceCell<Vec<(String, String)>>,
}

impl Words {
    /// Makes one for the server that is open now.
    pub fn new(control: &Control) -> Words {
        Words {
            settings: control.settings.clone(),
            watch: Rc::clone(&control.watch),
            known: OnceCell::new(),
        }
    }

    /// Group and name of every process; nothing where no server tells.
    fn known(&self) -> &[(String, String)] {
        self.known.get_or_init(|| self.ask().unwrap_or_default())
    }

    fn ask(&self) -> Outcome<Vec<(String, String)>> {
        let mut session = Session::new(&self.settings)?;
        let answer = session.call("getAllProcessInfo", &[], &self.watch)?;
        let pair = |one| -> Outcome<(String, String)> {
            Ok((names::text(one, "group")?.to_owned(), names::text(one, "name")?.to_owned()))
        };
        names::list(&answer)?.iter().map(pair).collect()
    }
}

/// Returns where the word before the cursor begins, and what it can become, each with a blank after
/// it. Source: Supervisor 4.3.0, supervisorctl.py, `Controller.complete`.
fn complete(line: &str, known: &dyn Fn() -> Vec<(String, String)>) -> (usize, Vec<String>) {
    let start = line.rfind(breaks_word).map_or(0, |place| place + 1);
    let text = line.get(start..).unwrap_or_default();
    let typed: Vec<&str> = line.split_whitespace().collect();
    let completes = match typed.as_slice() {
        [] => Completes::Commands,
        [_] if !line.ends_with(' ') => Completes::Commands,
        [word, ..] => commands::find(word).map_or(Completes::Nothing, |found| found.completes),
    };
    let mut all: Vec<String> = match completes {
        Completes::Nothing => Vec::new(),
        Completes::Commands => commands::words().map(str::to_owned).collect(),
        Completes::Groups => known().into_iter().map(|(group, _)| group).collect(),
        Completes::Processes => {
            let mut all = Vec::new();
            for (group, name) in known() {
                if text.contains(':') || group != name {
                    all.extend([format!("{group}:{name}"), format!("{group}:*")]);
                } else {
                    all.push(name);
                }
            }
            all
        }
    };
    all.retain(|word| word.starts_with(text));
    all.sort();
    all.dedup();
    (start, all.into_iter().map(|word| word + " ").collect())
}

/// What ends a word: blanks and signs, but not what names are made of.
fn breaks_word(letter: char) -> bool {
    letter.is_whitespace() || "`~!@#$%^&()=+[{]}\\|;'\",<>/?".contains(letter)
}

impl Completer for Words {
    type Candidate = String;

    fn complete(
        &self,
        line: &str,
        place: usize,
        _: &Context<'_>,
    ) -> rustyline::Result<(usize, Vec<String>)> {
        let before = line.get(..place).unwrap_or(line);
        Ok(complete(before, &|| self.known().to_vec()))
    }
}

impl Helper for Words {}
impl Highlighter for Words {}
impl Validator for Words {}
impl Hinter for Words {
    type Hint = String;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(line: &str, start: usize, wanted: &[&str]) {
        let known = || {
            [("cat", "cat"), ("grp", "a"), ("grp", "b-1")]
                .map(|(group, name)| (group.to_owned(), name.to_owned()))
                .to_vec()
        };
        let (from, found) = complete(line, &known);
        let found: Vec<&str> = found.iter().map(|word| word.trim_end()).collect();
        assert_eq!((from, found.as_slice()), (start, wanted), "{line}");
    }

    #[test]
    fn commands_groups_and_processes_are_completed_where_each_belongs() {
        check("res", 0, &["restart"]);
        check("help re", 5, &["reload", "remove", "reread", "restart"]);
        check("start ", 6, &["cat", "grp:*", "grp:a", "grp:b-1"]);
        check("start cat grp:b-", 10, &["grp:b-1"]);
        check("stop cat:", 5, &["cat:*", "cat:cat"]);
        check("update g", 7, &["grp"]);
        check("version ", 8, &[]);
        check("nonsense x", 9, &[]);
    }
}
