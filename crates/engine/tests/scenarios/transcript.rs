//! The form of a transcript: titles, headers, job files, inputs.

use engine::time::{Mono, Span};

/// One scenario of a file.
#[derive(Default)]
pub struct Scenario {
    /// The `WORD: WORDS` lines before the first job or input.
    pub headers: Vec<(String, String)>,
    /// All lines but those that tell what followed.
    pub lines: Vec<Line>,
}

/// A line, or a job file.
pub enum Line {
    /// A title, a header, a remark or a blank line.
    Kept(String),
    /// A job file.
    Job {
        /// The job's name.
        name: String,
        /// What stands between `job` and `end`.
        file: String,
        /// The lines themselves.
        words: String,
    },
    /// Programs, as Supervisor's configuration has them.
    Programs {
        /// What stands between `programs` and `end`.
        file: String,
        /// The lines themselves.
        words: String,
    },
    /// Something happens.
    Input {
        /// When.
        at: Time,
        /// What.
        words: String,
        /// The number of the line in the file.
        number: usize,
    },
}

/// A point in time, counted from the beginning of the scenario.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Time(pub Span);

impl Time {
    /// Returns the point on the machine's clock. A scenario begins at a second that is not the
    /// clock's first.
    pub fn mono(self) -> Mono {
        Mono(1_000_000_000_000) + self.0
    }

    /// Returns the point that the machine's clock shows.
    pub fn of(mono: Mono) -> Time {
        Time(mono.since(Time(Span::ZERO).mono()))
    }
}

impl std::fmt::Display for Time {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

/// Reads a file.
pub fn read(text: &str) -> Result<Vec<Scenario>, String> {
    let mut scenarios = vec![Scenario::default()];
    let mut lines = text.lines().enumerate().map(|(index, line)| (index + 1, line));
    let mut begun = false;
    if !text.starts_with("# ") {
        return Err("line 1: a scenario begins with its title, `# A sentence.`".into());
    }
    while let Some((number, line)) = lines.next() {
        if line.starts_with("# ") && begun {
            begun = false;
            scenarios.push(Scenario::default());
        }
        let Some(scenario) = scenarios.last_mut() else { break };
        if let Some(name) = line.strip_prefix("job ") {
            begun = true;
            let (file, words) = block(name, line, &mut lines)?;
            scenario.lines.push(Line::Job { name: name.into(), file, words });
        } else if line == "programs" {
            begun = true;
            let (file, words) = block("programs", line, &mut lines)?;
            scenario.lines.push(Line::Programs { file, words });
        } else if let Some(input) = line.strip_prefix('@') {
            begun = true;
            scenario.lines.push(self::input(input, number)?);
        } else if let Some((key, value)) = header(line) {
            scenario.headers.push((key.into(), value.into()));
            scenario.lines.push(Line::Kept(line.into()));
        } else if line.is_empty() || line.starts_with("# ") || line.starts_with("-- ") {
            scenario.lines.push(Line::Kept(line.into()));
        } else if !line.starts_with("  ") {
            return Err(format!("line {number}: `{line}` is no title, header, job, input, remark"));
        }
    }
    Ok(scenarios)
}

fn header(line: &str) -> Option<(&str, &str)> {
    let (key, value) = line.split_once(": ")?;
    key.bytes().all(|byte| byte.is_ascii_lowercase()).then_some((key, value))
}

/// Reads up to `end`: what stands there, and the lines themselves.
fn block<'a>(
    name: &str,
    first: &str,
    lines: &mut impl Iterator<Item = (usize, &'a str)>,
) -> Result<(String, String), String> {
    let (mut file, mut words) = (String::new(), format!("{first}\n"));
    for (number, line) in lines {
        words += &format!("{line}\n");
        if line == "end" {
            return Ok((file, words));
        }
        if !line.is_empty() && !line.starts_with("  ") {
            return Err(format!("line {number}: the lines of a job file are indented"));
        }
        file += &format!("{}\n", line.strip_prefix("  ").unwrap_or(line));
    }
    Err(format!("{name} has no `end`"))
}

fn input(line: &str, number: usize) -> Result<Line, String> {
    let fault = || format!("line {number}: an input is `@SECONDSs WORDS`");
    let (at, words) = line.split_once("s ").ok_or_else(fault)?;
    let (seconds, rest) = at.split_once('.').unwrap_or((at, "0"));
    let seconds: u64 = seconds.parse().map_err(|_| fault())?;
    let millis: u64 = format!("{rest:0<3}").parse().map_err(|_| fault())?;
    if rest.len() > 3 {
        return Err(fault());
    }
    let at = Time(Span::millis(seconds * 1000 + millis));
    Ok(Line::Input { at, words: words.trim_end().into(), number })
}
