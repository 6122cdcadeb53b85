//! `start on` and `stop on`: events, arguments, `and`, `or`, parentheses.
//!
//! `and` and `or` bind alike, from left to right (Source: Upstart 1.13.2; init(5) does not say so).
//! The result is in reverse Polish order; nothing here recurses.

use super::complaint::Complaint;
use super::lex::{Cursor, Fault, Reader, Word};
use super::show;
use crate::expand;
use crate::names::EventName;
use crate::spec::{Arg, Condition, Node, Operand};
use crate::text::Text;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

/// A longer expression is not repeated in a remark; in bytes.
const SHOWN_MAX: usize = 200;

/// So many variables of an expression are looked after.
pub const VARIABLES_MAX: usize = 16;

/// So many parentheses may be open at once.
const OPEN_MAX: usize = 1_000_000;

/// `and` or `or`.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Operator {
    And,
    Or,
}

impl Operator {
    fn node(self) -> Node {
        match self {
            Operator::And => Node::And,
            Operator::Or => Node::Or,
        }
    }
}

/// What one pair of parentheses, or the whole expression, has so far.
struct Level {
    /// Where it begins.
    from: Cursor,
    /// Whether there is a complete operand on the left.
    filled: bool,
    /// The operator that waits for its right operand.
    waiting: Option<Operator>,
    /// The operator seen first.
    first: Option<Operator>,
}

impl Level {
    fn new(from: Cursor) -> Level {
        Level { from, filled: false, waiting: None, first: None }
    }

    /// Fails where an operand is missing at its end.
    fn check(&self, end: &Word) -> Result<(), Fault> {
        if !self.filled || self.waiting.is_some() {
            let fault = Fault::at(Complaint::ExpectedEvent, end);
            return Err(fault.help("an event is missing here"));
        }
        Ok(())
    }
}

/// What an expression says.
pub struct Expressed {
    /// The condition.
    pub condition: Condition,
    /// Each plain `$NAME` in its arguments with the argument; at most [`VARIABLES_MAX`].
    pub variables: Vec<(Text, Word)>,
}

/// Reads an expression and the end of its line.
pub fn read(reader: &mut Reader<'_>) -> Result<Expressed, Fault> {
    let mut expression = Expression {
        nodes: Vec::new(),
        whole: Level::new(reader.cursor()),
        levels: Vec::new(),
        open: None,
        mixed: None,
        variables: Vec::new(),
    };
    if !reader.has_token() {
        return Err(reader.fault_here(Complaint::ExpectedToken).help("expected an event"));
    }
    loop {
        if !expression.levels.is_empty() {
            skip_lines(reader);
        }
        if !reader.has_token() {
            break;
        }
        expression.token(reader)?;
    }
    expression.finish(reader)
}

/// Steps over ends of lines, blank lines and comments: within parentheses they mean nothing. The
/// original takes one end of line behind a word and refuses a line without any.
fn skip_lines(reader: &mut Reader<'_>) {
    let mut lines = 0;
    while !reader.has_token() && !reader.at_end() {
        if lines == 1 {
            let here = reader.fault_here(Complaint::LinesInParentheses);
            reader.remark(here.help("remove this line if the file is for Upstart 1.13 too"));
        }
        lines += 1;
        reader.skip_line();
        reader.skip_blanks();
    }
}

struct Expression {
    nodes: Vec<Node>,
    whole: Level,
    /// The parentheses that are open.
    levels: Vec<Level>,
    /// The event that takes the next arguments.
    open: Option<Operand>,
    /// The first operator that differs from those before it on its level.
    mixed: Option<Word>,
    variables: Vec<(Text, Word)>,
}

impl Expression {
    fn token(&mut self, reader: &mut Reader<'_>) -> Result<(), Fault> {
        let from = reader.cursor();
        let mark = Word { text: Vec::new(), from, to: from.at + 1 };
        match reader.peek() {
            Some(b'(') => {
                if self.open.is_some() || self.is_filled() {
                    return Err(expected_operator(&mark));
                }
                if self.levels.len() >= OPEN_MAX {
                    let fault = Fault::at(Complaint::Parentheses, &mark);
                    return Err(fault.help(format!("at most {OPEN_MAX} may be open")));
                }
                reader.step();
                reader.skip_blanks();
                self.levels.push(Level::new(from));
                Ok(())
            }
            Some(b')') => {
                reader.step();
                reader.skip_blanks();
                self.close(mark)
            }
            _ => {
                let (word, written) = reader.operand("an event")?;
                match written {
                    b"and" => self.operator(Operator::And, word),
                    b"or" => self.operator(Operator::Or, word),
                    _ => self.word(reader, word),
                }
            }
        }
    }

    /// Returns the innermost open level.
    fn level(&mut self) -> &mut Level {
        self.levels.last_mut().unwrap_or(&mut self.whole)
    }

    /// Reports whether a left operand is there and no operator after it.
    fn is_filled(&mut self) -> bool {
        let level = self.level();
        level.filled && level.waiting.is_none()
    }

    fn word(&mut self, reader: &mut Reader<'_>, word: Word) -> Result<(), Fault> {
        if let Some(operand) = &mut self.open {
            if self.variables.len() < VARIABLES_MAX {
                self.variables.extend(variable(&word).map(|name| (name, word.clone())));
            }
            return argument(reader, operand, word);
        }
        if self.is_filled() {
            return Err(expected_operator(&word));
        }
        let event = EventName::try_from(Text::from(&word.text[..]))
            .map_err(|error| Fault::at(Complaint::ExpectedEvent, &word).help(format!("{error}")))?;
        self.open = Some(Operand { event, args: Vec::new() });
        Ok(())
    }

    fn operator(&mut self, operator: Operator, word: Word) -> Result<(), Fault> {
        self.end_operand();
        let level = self.level();
        if !level.filled || level.waiting.is_some() {
            let help = format!("an event must stand before `{}`", word.lossy());
            return Err(Fault::at(Complaint::ExpectedEvent, &word).help(help));
        }
        level.waiting = Some(operator);
        if *level.first.get_or_insert(operator) != operator {
            self.mixed.get_or_insert(word);
        }
        Ok(())
    }

    fn close(&mut self, mark: Word) -> Result<(), Fault> {
        self.end_operand();
        let Some(level) = self.levels.pop() else {
            let fault = Fault::at(Complaint::Parentheses, &mark);
            return Err(fault.help("no parenthesis is open here"));
        };
        level.check(&mark)?;
        self.operand_complete();
        Ok(())
    }

    fn end_operand(&mut self) {
        if let Some(operand) = self.open.take() {
            self.nodes.push(Node::Event(operand));
            self.operand_complete();
        }
    }

    /// An operand stands complete: it is the left one, or the waiting operator gets it.
    fn operand_complete(&mut self) {
        let level = self.level();
        level.filled = true;
        let operator = level.waiting.take();
        self.nodes.extend(operator.map(Operator::node));
    }

    fn finish(mut self, reader: &mut Reader<'_>) -> Result<Expressed, Fault> {
        self.end_operand();
        if let Some(level) = self.levels.pop() {
            let fault = reader.fault_here(Complaint::Parentheses);
            let fault = Fault { from: level.from, to: level.from.at + 1, ..fault };
            return Err(fault.help("nothing closes this parenthesis"));
        }
        let from = reader.cursor();
        self.whole.check(&Word { text: Vec::new(), from, to: from.at })?;
        reader.end_of_line()?;
        let condition = Condition { nodes: self.nodes };
        if let Some(word) = &self.mixed {
            let read = show::condition(&condition);
            let fault = Fault::at(Complaint::MixedOperators, word);
            reader.remark(fault.help(match read.len() {
                0..=SHOWN_MAX => format!("it is read from left to right: {}", read.lossy()),
                _ => String::from("they bind alike, from left to right"),
            }));
        }
        Ok(Expressed { condition, variables: self.variables })
    }
}

fn expected_operator(word: &Word) -> Fault {
    Fault::at(Complaint::ExpectedOperator, word).help("`and` or `or` is missing here")
}

/// Adds an argument to an operand. The first `!=` counts before any `=` (Source: Upstart 1.13.2).
fn argument(reader: &mut Reader<'_>, operand: &mut Operand, word: Word) -> Result<(), Fault> {
    let text = &word.text;
    let not_equal = text.windows(2).position(|pair| pair == b"!=");
    let split = |at: usize, width: usize| {
        let (key, value) = text.split_at(at);
        (Text::from(key), Text::from(value.get(width..).unwrap_or_default()))
    };
    let arg = if let Some(at) = not_equal {
        let (key, value) = split(at, 2);
        reader.remark(Fault::at(Complaint::NotEqual, &word));
        Arg::NotEqual(key, value)
    } else if let Some(at) = text.iter().position(|byte| *byte == b'=') {
        let (key, value) = split(at, 1);
        Arg::Equal(key, value)
    } else {
        // Behind a named one no positional one was taken, so the last one tells.
        if !matches!(operand.args.last(), None | Some(Arg::Positional(_))) {
            let fault = Fault::at(Complaint::ExpectedVariable, &word);
            return Err(fault.help("values without a name must stand before the named ones"));
        }
        Arg::Positional(Text::from(&text[..]))
    };
    operand.args.push(arg);
    Ok(())
}

/// Returns the first plain `$NAME` in an argument.
fn variable(word: &Word) -> Option<Text> {
    let at = word.text.iter().position(|byte| *byte == b'$')?;
    let name = expand::name(word.text.get(at + 1..).unwrap_or_default());
    (!name.is_empty()).then(|| Text::from(name))
}
