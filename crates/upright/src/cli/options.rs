//! Options as libnih reads them, for every program that Upstart had. Source: nih_option_parser of
//! libnih 1.0, its behaviour.

/// An option; `E` is what it does.
#[derive(Debug)]
pub struct OptionRow<E> {
    /// Its letter.
    pub short: Option<u8>,
    /// Its name; empty where it has only a letter.
    pub long: &'static str,
    /// The argument's name in help, where it takes one.
    pub argument: Option<&'static str>,
    /// What help says; none: it is not shown.
    pub help: Option<&'static str>,
    /// What it does.
    pub effect: E,
}

/// Where options may stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// Before the first argument.
    UntilFirst,
    /// Anywhere; `--` ends them.
    Anywhere,
}

/// Why a command line is not carried out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stop {
    /// Help was asked for.
    Help,
    /// The version was asked for.
    Version,
    /// What is wrong with it.
    Mistake(String),
}

/// A command line that is being read.
struct Reader<'a, E, F> {
    args: &'a [Vec<u8>],
    rows: &'a [&'a OptionRow<E>],
    /// Does what an option says, with its argument.
    apply: F,
    /// The argument that is being looked at.
    at: usize,
    /// After this one nothing is an option.
    end: Option<usize>,
    /// The last argument that an option took.
    taken: Option<usize>,
}

/// Reads options, each of which `apply` is told with its argument; returns the other arguments.
pub fn parse<E>(
    args: &[Vec<u8>],
    rows: &[&OptionRow<E>],
    order: Order,
    apply: impl FnMut(&E, &[u8]) -> Result<(), Stop>,
) -> Result<Vec<Vec<u8>>, Stop> {
    let mut reader = Reader { args, rows, apply, at: 0, end: None, taken: None };
    let mut rest = Vec::new();
    for (at, arg) in args.iter().enumerate() {
        reader.at = at;
        match arg.as_slice() {
            [b'-', b'-'] if reader.options_go_on(at) => reader.end = Some(at),
            [b'-', b'-', option @ ..] if reader.options_go_on(at) => reader.long(option)?,
            [b'-', letters @ ..] if !letters.is_empty() && reader.options_go_on(at) => {
                reader.short(letters)?;
            }
            _ if reader.taken.is_some_and(|taken| at <= taken) => {}
            _ => {
                rest.push(arg.clone());
                if order == Order::UntilFirst {
                    reader.end = Some(at);
                }
            }
        }
    }
    Ok(rest)
}

impl<E, F: FnMut(&E, &[u8]) -> Result<(), Stop>> Reader<'_, E, F> {
    fn options_go_on(&self, at: usize) -> bool {
        self.end.is_none_or(|end| at <= end)
    }

    /// Reads one or more letters. The first may have its argument right behind it.
    fn short(&mut self, letters: &[u8]) -> Result<(), Stop> {
        for (place, letter) in letters.iter().enumerate() {
            let Some(row) = self.rows.iter().find(|row| row.short == Some(*letter)) else {
                let letter = char::from(*letter);
                return Err(Stop::Mistake(format!("invalid option: -{letter}")));
            };
            match letters.get(1..) {
                Some(value) if place == 0 && row.argument.is_some() && !value.is_empty() => {
                    return (self.apply)(&row.effect, value);
                }
                Some(_) | None => self.found(row)?,
            }
        }
        Ok(())
    }

    /// Reads a long option, its argument after `=` or the next argument that is no option.
    fn long(&mut self, option: &[u8]) -> Result<(), Stop> {
        let equals = option.iter().position(|byte| *byte == b'=');
        let name = option.get(..equals.unwrap_or(option.len())).unwrap_or_default();
        let shown = || String::from_utf8_lossy(option);
        let Some(row) =
            self.rows.iter().find(|row| !name.is_empty() && row.long.as_bytes() == name)
        else {
            return Err(Stop::Mistake(format!("invalid option: --{}", shown())));
        };
        match equals {
            None => self.found(row),
            Some(_) if row.argument.is_none() => {
                Err(Stop::Mistake(format!("unexpected argument: --{}", shown())))
            }
            Some(at) => (self.apply)(&row.effect, option.get(at + 1..).unwrap_or_default()),
        }
    }

    fn found(&mut self, row: &OptionRow<E>) -> Result<(), Stop> {
        if row.argument.is_none() {
            return (self.apply)(&row.effect, b"");
        }
        match self.next_argument() {
            Some(value) => (self.apply)(&row.effect, &value),
            None => {
                let option = self.args.get(self.at).cloned().unwrap_or_default();
                let option = String::from_utf8_lossy(&option).into_owned();
                Err(Stop::Mistake(format!("missing argument: {option}")))
            }
        }
    }

    /// Takes the next argument that is no option and that no other option has taken.
    fn next_argument(&mut self) -> Option<Vec<u8>> {
        let mut at = self.taken.map_or(self.at, |taken| taken.max(self.at));
        loop {
            at += 1;
            let arg = self.args.get(at)?;
            if !arg.starts_with(b"-") || self.end.is_some_and(|end| at > end) {
                self.taken = Some(at);
                return Some(arg.clone());
            }
            if arg == b"--" {
                self.end = Some(at);
            }
        }
    }
}
