//! The interactive shell.

use crate::commands;
use crate::completion::Words;
use crate::control::{Control, Next};
use crate::failure::{Failure, Outcome};
use rustyline::config::Configurer;
use rustyline::error::ReadlineError;
use rustyline::history::{History, MemHistory, SearchDirection};
use rustyline::{CompletionType, Config, Editor};
use std::io::{self, IsTerminal};
use std::path::Path;
use std::rc::Rc;

/// How many lines of history are kept. Without a bound the file would grow for ever.
const HISTORY_MAX: usize = 1000;

type Lines = Editor<Words, MemHistory>;

/// Shows the states, then carries out what is typed until its end.
pub fn run(control: &mut Control) -> Outcome<()> {
    if let Some(watch) = Rc::get_mut(&mut control.watch) {
        watch.catch()?;
    }
    let mut editor = editor(control);
    let done = converse(control, editor.as_mut());
    if let (Some(editor), Some(path)) = (&editor, &control.settings.history) {
        save(editor, path);
    }
    match done {
        Err(Failure::Interrupted) => control.say(""),
        other => other,
    }
}

fn converse(control: &mut Control, mut editor: Option<&mut Lines>) -> Outcome<()> {
    let prompt = format!("{}> ", control.settings.prompt);
    control.line("status")?;
    loop {
        control.flush()?;
        let line = match &mut editor {
            Some(editor) => read(editor, control, &prompt),
            None => control.ask(&prompt),
        };
        let next = match line {
            Ok(line) => control.line(&line)?,
            Err(Failure::InputEnded) => match commands::find("EOF") {
                Some(command) => (command.run)(control, "")?,
                None => Next::Leave,
            },
            Err(failure) => return Err(failure),
        };
        if next == Next::Leave {
            return Ok(());
        }
    }
}

/// Makes the editor of lines, where a terminal is at both ends.
fn editor(control: &Control) -> Option<Lines> {
    if !io::stdin().is_terminal() || !io::stdout().is_terminal() {
        return None;
    }
    let config = Config::builder().completion_type(CompletionType::List).build();
    let history = MemHistory::with_config(&config);
    let mut editor = Editor::with_history(config, history).ok()?;
    editor.set_max_history_size(HISTORY_MAX).ok()?;
    editor.set_helper(Some(Words::new(control)));
    if let Some(path) = &control.settings.history {
        let text = std::fs::read(path).unwrap_or_default();
        for line in String::from_utf8_lossy(&text).lines() {
            let _ = editor.add_history_entry(line);
        }
    }
    Some(editor)
}

fn read(editor: &mut Lines, control: &Control, prompt: &str) -> Outcome<String> {
    if let Some(words) = editor.helper_mut() {
        // The server may be another one, or know other programs, since the last command.
        *words = Words::new(control);
    }
    match editor.readline(prompt) {
        Ok(line) => {
            if !line.trim().is_empty() {
                let _ = editor.add_history_entry(line.as_str());
            }
            Ok(line)
        }
        Err(ReadlineError::Eof) => Err(Failure::InputEnded),
        Err(ReadlineError::Interrupted) => Err(Failure::Interrupted),
        Err(ReadlineError::Io(error)) => Err(error.into()),
        Err(error) => Err(Failure::Value(error.to_string())),
    }
}

/// Writes the history as one line each, as the original's file is; a file that cannot be written is
/// no reason to complain at the end.
fn save(editor: &Lines, path: &Path) {
    let history = editor.history();
    let mut text = String::new();
    for place in 0..history.len() {
        if let Ok(Some(entry)) = history.get(place, SearchDirection::Forward) {
            text.push_str(&entry.entry);
            text.push('\n');
        }
    }
    let _ = std::fs::write(path, text);
}
