//! Values of each type: numbers, sizes, lists, paths, users. Errors are in the original's words.
//!
//! Source: Supervisor 4.3.0, its types; observed.

use super::config::{LogFile, Owner, Restart};
use super::facts::{parent, Inquiry, User};
use super::python::{int, repr, shell_tokens, strip};
use crate::cgroup;
use crate::signal::Signal;
use crate::spec::Cgroup;
use crate::text::Text;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

/// A value that a key was given, its names replaced.
pub struct Given<'a, 'b> {
    pub(super) section: &'a str,
    pub(super) text: &'a str,
    pub(super) inquiry: &'a mut Inquiry<'b>,
}

fn cgroup(words: &[String]) -> Result<Cgroup, String> {
    let text = |word: &String| Text::from(&**word);
    let (controller, name, setting) = match words {
        [controller] => (controller, None, None),
        [controller, name] => (controller, Some(name), None),
        [controller, key, value] => (controller, None, Some((key, value))),
        [controller, name, key, value] => (controller, Some(name), Some((key, value))),
        _ => return Err(format!("too many words in cgroup value {}", repr(&words.join(" ")))),
    };
    let row = Cgroup {
        controller: text(controller),
        name: name.map(text),
        setting: setting.map(|(key, value)| (text(key), text(value))),
    };
    match cgroup::doubt(&row) {
        Some(doubt) => {
            Err(format!("cgroup value {} takes no effect: {doubt}", repr(&words.join(" "))))
        }
        None => Ok(row),
    }
}

const TRUE: [&str; 4] = ["yes", "true", "on", "1"];
const FALSE: [&str; 4] = ["no", "false", "off", "0"];

/// The levels of the log: the word and the number of each.
pub const LEVELS: [(&str, u8); 7] = [
    ("critical", 50),
    ("error", 40),
    ("warn", 30),
    ("info", 20),
    ("debug", 10),
    ("trace", 5),
    ("blather", 3),
];

impl Given<'_, '_> {
    pub fn owned(&self) -> String {
        self.text.to_string()
    }

    pub fn integer(&self) -> Result<i64, String> {
        integer(self.text)
    }

    pub fn boolean(&self) -> Result<bool, String> {
        let lower = self.text.to_lowercase();
        match (TRUE.contains(&&*lower), FALSE.contains(&&*lower)) {
            (true, _) => Ok(true),
            (_, true) => Ok(false),
            _ => Err(format!("not a valid boolean value: {}", repr(self.text))),
        }
    }

    /// A number of bytes with KB, MB or GB behind it, of 1024.
    pub fn bytes(&self) -> Result<i64, String> {
        let lower = self.text.to_lowercase();
        for (suffix, factor) in [("kb", 1 << 10), ("mb", 1 << 20), ("gb", 1_i64 << 30)] {
            if let Some(number) = lower.strip_suffix(suffix) {
                return integer(number).map(|number| number.saturating_mul(factor));
            }
        }
        integer(&lower)
    }

    pub fn octal(&self) -> Result<u32, String> {
        let number = int(self.text, 8).and_then(|number| u32::try_from(number).ok());
        number.ok_or_else(|| format!("{} can not be converted to an octal type", self.text))
    }

    pub fn level(&self) -> Result<u8, String> {
        let lower = self.text.to_lowercase();
        let row = LEVELS.iter().find(|row| row.0 == lower);
        row.map(|row| row.1).ok_or_else(|| format!("bad logging level name {}", repr(self.text)))
    }

    /// A signal; number 0 passes in the original, though it is none.
    pub fn signal(&self) -> Result<Option<Signal>, String> {
        let named = |number: u8| number == 34 || number == 64 || (1..=31).contains(&number);
        if let Some(number) = int(self.text, 10) {
            let number = u8::try_from(number).ok().filter(|number| *number == 0 || named(*number));
            let wrong = || format!("value {} is not a valid signal number", repr(self.text));
            return number.map(Signal::new).ok_or_else(wrong);
        }
        let upper = strip(self.text).to_uppercase();
        let name = upper.strip_prefix("SIG").unwrap_or(&upper);
        let signal = match name {
            // Not signals, but of that name in Python.
            "_DFL" | "_BLOCK" => return Ok(None),
            "_IGN" | "_UNBLOCK" => Signal::new(1),
            "_SETMASK" => Signal::new(2),
            "RTMIN" => Signal::new(34),
            "RTMAX" => Signal::new(64),
            "IOT" | "CLD" | "POLL" => Signal::from_name(name),
            name => Signal::from_name(name).filter(|_| !name.starts_with("SIG")),
        };
        signal
            .map(Some)
            .ok_or_else(|| format!("value {} is not a valid signal name", repr(self.text)))
    }

    pub fn exit_codes(&self) -> Result<Vec<u8>, String> {
        if self.text.is_empty() {
            return Ok(Vec::new());
        }
        let code = |part| int(part, 10).and_then(|code| u8::try_from(code).ok());
        let codes: Option<Vec<u8>> = self.text.split(',').map(code).collect();
        codes.ok_or_else(|| format!("not a valid list of exit codes: {}", repr(self.text)))
    }

    pub fn list(&self) -> Vec<String> {
        if self.text.is_empty() {
            return Vec::new();
        }
        self.text.split(',').map(|part| strip(part).to_string()).collect()
    }

    pub fn restart(&self) -> Result<Restart, String> {
        let lower = self.text.to_lowercase();
        match &*lower {
            "unexpected" => Ok(Restart::Unexpected),
            word if TRUE.contains(&word) => Ok(Restart::Always),
            word if FALSE.contains(&word) => Ok(Restart::Never),
            word => Err(format!("invalid 'autorestart' value {}", repr(word))),
        }
    }

    /// `KEY=value,KEY="value"`; the later one of a key wins at the place of the first.
    pub fn pairs(&self) -> Result<Vec<(String, String)>, String> {
        let tokens = shell_tokens(self.text)?;
        let mut pairs: Vec<(String, String)> = Vec::new();
        for four in tokens.chunks(4) {
            let [key, equals, value, ..] = four else { return Err(self.pairs_end()) };
            if equals != "=" {
                return Err(self.pairs_end());
            }
            let value = value.trim_matches(['\'', '"']).to_string();
            match pairs.iter_mut().find(|(name, _)| name == key) {
                Some((_, old)) => *old = value,
                None => pairs.push((key.clone(), value)),
            }
        }
        Ok(pairs)
    }

    /// `CONTROLLER [NAME] [KEY VALUE]`, separated by commas; what has a comma or a blank is in quotes.
    pub fn cgroups(&self) -> Result<Vec<Cgroup>, String> {
        let mut rows: Vec<Vec<String>> = Vec::from([Vec::new()]);
        let (mut word, mut quote): (Option<String>, Option<char>) = (None, None);
        for letter in self.text.chars().chain([',']) {
            match (quote, letter) {
                (Some(open), letter) if open == letter => quote = None,
                (None, '"' | '\'') => {
                    quote = Some(letter);
                    word.get_or_insert_default();
                }
                (None, letter) if letter == ',' || letter.is_whitespace() => {
                    rows.last_mut().into_iter().for_each(|row| row.extend(word.take()));
                    if letter == ',' {
                        rows.push(Vec::new());
                    }
                }
                (_, letter) => word.get_or_insert_default().push(letter),
            }
        }
        if quote.is_some() {
            return Err(format!("a quote is open in cgroup value {}", repr(self.text)));
        }
        rows.retain(|row| !row.is_empty());
        rows.iter().map(|row| cgroup(row)).collect()
    }

    fn pairs_end(&self) -> String {
        format!("Unexpected end of key/value pairs in value '{}'", self.text)
    }

    pub fn existing_directory(&mut self) -> Result<String, String> {
        let path = self.inquiry.expand_user(self.text);
        match self.inquiry.is_directory(&path) {
            true => Ok(path),
            false => Err(format!("{} is not an existing directory", self.text)),
        }
    }

    /// A path whose directory is there.
    pub fn path(&mut self) -> Result<String, String> {
        let path = self.inquiry.expand_user(self.text);
        let directory = parent(&path);
        if directory.is_empty() || self.inquiry.is_directory(directory) {
            return Ok(path);
        }
        let named = self.text;
        Err(format!("The directory named as part of the path {named} does not exist"))
    }

    pub fn log_file(&mut self) -> Result<LogFile, String> {
        match &*self.text.to_lowercase() {
            "none" | "off" => Ok(LogFile::None),
            "auto" => Ok(LogFile::Auto),
            "syslog" => Ok(LogFile::Syslog),
            _ => self.path().map(LogFile::Path),
        }
    }

    pub fn user(&mut self) -> Result<User, String> {
        self.find_user(self.text)
    }

    fn find_user(&mut self, name: &str) -> Result<User, String> {
        let (key, what) = match int(name, 10) {
            Some(number) => (number.to_string(), "id"),
            None => (name.to_string(), "name"),
        };
        self.inquiry.user(&key).ok_or_else(|| format!("Invalid user {what} {name}"))
    }

    /// `USER[:GROUP]`; nothing where one of them is not there.
    pub fn owner(&mut self) -> Option<Owner> {
        let (user, group) = match self.text.split_once(':') {
            Some((user, group)) => (user, Some(group)),
            None => (self.text, None),
        };
        let uid = self.find_user(user).ok()?.uid;
        let key = |group| int(group, 10).map_or(group.to_string(), |number| number.to_string());
        let gid = match group {
            Some(group) => Some(self.inquiry.group(&key(group))?),
            None => None,
        };
        Some(Owner { uid, gid })
    }

    /// `HOST:PORT`, `*:PORT` or `PORT`.
    pub fn address(&self) -> Result<(String, u16), String> {
        let Some((host, port)) = self.text.rsplit_once(':') else {
            let port = port(self.text);
            return port
                .map(|port| (String::new(), port))
                .map_err(|_| format!("not a valid port number: {} ", repr(self.text)));
        };
        if port.is_empty() {
            return Err(format!("no port number specified in {}", repr(port)));
        }
        let port = self::port(port)?;
        let host = if host == "*" { String::new() } else { host.to_lowercase() };
        Ok((host, port))
    }
}

/// A decimal number.
pub fn integer(text: &str) -> Result<i64, String> {
    int(text, 10).ok_or_else(|| format!("invalid literal for int() with base 10: {}", repr(text)))
}

/// A port.
pub fn port(text: &str) -> Result<u16, String> {
    let number = integer(text)?;
    match u16::try_from(number) {
        Ok(port) if port > 0 => Ok(port),
        _ if number < 1 => Err(format!("{number} is below lower bound (1)")),
        _ => Err(format!("{number} is above upper bound (65535)")),
    }
}

/// A name of a program, group or process.
pub fn name(text: &str) -> Result<String, String> {
    let stripped = strip(text);
    match [' ', ':', '/'].into_iter().find(|char| stripped.contains(*char)) {
        Some(char) => {
            let char = repr(&char.to_string());
            Err(format!("Invalid name: {} because of character: {char}", repr(text)))
        }
        None => Ok(stripped.to_string()),
    }
}
