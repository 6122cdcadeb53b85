//! XML to values.

use crate::faults::Fault;
use crate::value::Value;
use engine::text::base64_decode;
use quick_xml::events::Event;
use quick_xml::Reader;
use std::fmt;

/// How deep values may be nested.
pub const DEPTH_MAX: usize = 32;

/// How many values a call may have.
pub const CALL_VALUES_MAX: usize = 10_000;

/// How many values an answer may have: what ten thousand programs say of themselves.
pub const ANSWER_VALUES_MAX: usize = 1_000_000;

/// A call as it was read.
#[derive(Clone, Debug, PartialEq)]
pub struct Call {
    /// What is called, never empty.
    pub method: String,
    /// With what.
    pub parameters: Vec<Value>,
}

/// Why a document is none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unreadable(pub String);

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<quick_xml::Error> for Unreadable {
    fn from(error: quick_xml::Error) -> Unreadable {
        Unreadable(error.to_string())
    }
}

type Read<T> = Result<T, Unreadable>;

/// Reads a call.
pub fn call(text: &str) -> Read<Call> {
    let mut parts = Parts::new(text, CALL_VALUES_MAX);
    parts.open("methodCall")?;
    let (mut method, mut parameters) = (None, Vec::new());
    while let Some(name) = parts.child()? {
        match name.as_str() {
            "methodName" => method = Some(parts.text()?),
            "params" => parameters = parts.parameters()?,
            _ => parts.skip()?,
        }
    }
    match method.filter(|method| !method.is_empty()) {
        Some(method) => Ok(Call { method, parameters }),
        None => fail("a call without a method's name"),
    }
}

/// Reads an answer: a result or a refusal.
pub fn answer(text: &str) -> Read<Result<Value, Fault>> {
    let mut parts = Parts::new(text, ANSWER_VALUES_MAX);
    parts.open("methodResponse")?;
    match parts.child()?.as_deref() {
        Some("params") => match parts.parameters()?.pop() {
            Some(value) => Ok(Ok(value)),
            None => fail("an answer without a value"),
        },
        Some("fault") => {
            parts.open("value")?;
            let told = parts.value(0)?;
            let number = told.member("faultCode").and_then(Value::int);
            let text = told.member("faultString").and_then(Value::text);
            match (number, text) {
                (Some(number), Some(text)) => Ok(Err(Fault { number, text: text.to_owned() })),
                (None, _) | (_, None) => fail("a fault without its number or text"),
            }
        }
        Some(_) | None => fail("an answer that is neither a result nor a fault"),
    }
}

/// What is met next in a document.
enum Part {
    /// An element begins.
    Open(String),
    /// The innermost element ends.
    Close,
    /// Text of it.
    Text(String),
    /// The document ends.
    End,
}

/// A document, part by part.
struct Parts<'a> {
    reader: Reader<&'a [u8]>,
    values_left: usize,
}

impl<'a> Parts<'a> {
    fn new(text: &'a str, values: usize) -> Parts<'a> {
        let mut reader = Reader::from_str(text);
        reader.config_mut().expand_empty_elements = true;
        Parts { reader, values_left: values }
    }

    fn next(&mut self) -> Read<Part> {
        loop {
            return match self.reader.read_event()? {
                Event::Start(tag) | Event::Empty(tag) => Ok(Part::Open(tag.name().0.to_owned())),
                Event::End(_) => Ok(Part::Close),
                Event::Text(text) => Ok(Part::Text(text.xml10_content().into_owned())),
                Event::CData(text) => Ok(Part::Text(text.xml10_content().into_owned())),
                Event::GeneralRef(name) => {
                    let letter = match name.resolve_char_ref()? {
                        Some(letter) => letter,
                        None => entity(&name.xml10_content())?,
                    };
                    Ok(Part::Text(letter.to_string()))
                }
                Event::DocType(_) => fail("a document type is declared, which nobody needs"),
                Event::Comment(_) | Event::Decl(_) | Event::PI(_) => continue,
                Event::Eof => Ok(Part::End),
            };
        }
    }

    /// Returns the name of the next element within the one that is open, or nothing at its end.
    fn child(&mut self) -> Read<Option<String>> {
        loop {
            match self.next()? {
                Part::Open(name) => return Ok(Some(name)),
                Part::Close => return Ok(None),
                Part::Text(text) if text.trim().is_empty() => {}
                Part::Text(text) => {
                    return fail(format!("text where there can be none: {text:.20}"))
                }
                Part::End => return fail("the document ends too early"),
            }
        }
    }

    /// Goes into the next element, which must have this name.
    fn open(&mut self, wanted: &str) -> Read<()> {
        match self.child()? {
            Some(name) if name == wanted => Ok(()),
            Some(name) => fail(format!("<{name:.20}> where <{wanted}> must be")),
            None => fail(format!("no <{wanted}>")),
        }
    }

    /// Leaves the element that is open; only blanks may be left in it.
    fn close(&mut self) -> Read<()> {
        match self.child()? {
            None => Ok(()),
            Some(name) => fail(format!("<{name:.20}> where an element must end")),
        }
    }

    /// Returns the text of the element that is open, and leaves it.
    fn text(&mut self) -> Read<String> {
        let mut all = String::new();
        loop {
            match self.next()? {
                Part::Text(text) => all.push_str(&text),
                Part::Close => return Ok(all),
                Part::Open(name) => return fail(format!("<{name:.20}> within text")),
                Part::End => return fail("the document ends too early"),
            }
        }
    }

    /// Leaves the element that is open with all that is in it.
    fn skip(&mut self) -> Read<()> {
        let mut depth = 1;
        while depth > 0 {
            match self.next()? {
                Part::Open(_) => depth += 1,
                Part::Close => depth -= 1,
                Part::Text(_) => {}
                Part::End => return fail("the document ends too early"),
            }
        }
        Ok(())
    }

    fn parameters(&mut self) -> Read<Vec<Value>> {
        let mut values = Vec::new();
        while let Some(name) = self.child()? {
            if name != "param" {
                return fail(format!("<{name:.20}> where <param> must be"));
            }
            self.open("value")?;
            values.push(self.value(0)?);
            self.close()?;
        }
        Ok(values)
    }

    /// Reads the value that is open, and leaves it.
    fn value(&mut self, depth: usize) -> Read<Value> {
        if depth >= DEPTH_MAX {
            return fail(format!("values nested more than {DEPTH_MAX} deep"));
        }
        if self.values_left == 0 {
            return fail("too many values");
        }
        self.values_left -= 1;
        let mut untyped = String::new();
        loop {
            match self.next()? {
                Part::Text(text) => untyped.push_str(&text),
                Part::Close => return Ok(Value::Text(untyped)),
                Part::Open(kind) => {
                    let value = self.typed(&kind, depth)?;
                    self.close()?;
                    return Ok(value);
                }
                Part::End => return fail("the document ends too early"),
            }
        }
    }

    fn typed(&mut self, kind: &str, depth: usize) -> Read<Value> {
        Ok(match kind {
            "int" | "i4" | "i8" => Value::Int(number(&self.text()?)?),
            // Whatever number it is. Source: Supervisor 4.3.0, xmlrpc.py.
            "boolean" => Value::Bool(number::<i64>(&self.text()?)? != 0),
            "string" => Value::Text(self.text()?),
            "double" => Value::Double(number(&self.text()?)?),
            "dateTime.iso8601" => Value::Date(self.text()?),
            "base64" => {
                let text: String = self.text()?.split_ascii_whitespace().collect();
                match base64_decode(&text) {
                    Some(bytes) => Value::Bytes(bytes),
                    None => return fail("base64 that is none"),
                }
            }
            "array" => {
                let mut values = Vec::new();
                while let Some(name) = self.child()? {
                    if name != "data" {
                        return fail(format!("<{name:.20}> where <data> must be"));
                    }
                    while let Some(name) = self.child()? {
                        if name != "value" {
                            return fail(format!("<{name:.20}> where <value> must be"));
                        }
                        values.push(self.value(depth + 1)?);
                    }
                }
                Value::List(values)
            }
            "struct" => {
                let mut members = Vec::new();
                while let Some(name) = self.child()? {
                    if name != "member" {
                        return fail(format!("<{name:.20}> where <member> must be"));
                    }
                    self.open("name")?;
                    let key = self.text()?;
                    self.open("value")?;
                    members.push((key, self.value(depth + 1)?));
                    self.close()?;
                }
                Value::Record(members)
            }
            _ => {
                self.skip()?;
                Value::Nil
            }
        })
    }
}

/// Reads a number with blanks around it.
fn number<T: std::str::FromStr>(text: &str) -> Read<T> {
    match text.trim().parse() {
        Ok(number) => Ok(number),
        Err(_) => fail(format!("{text:.20} is no number")),
    }
}

/// The five entities that XML has without a declaration.
fn entity(name: &str) -> Read<char> {
    match name {
        "lt" => Ok('<'),
        "gt" => Ok('>'),
        "amp" => Ok('&'),
        "apos" => Ok('\''),
        "quot" => Ok('"'),
        other => fail(format!("&{other:.20}; is unknown")),
    }
}

fn fail<T>(why: impl Into<String>) -> Read<T> {
    Err(Unreadable(why.into()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::faults::Code;
    use crate::write;

    #[track_caller]
    fn check_refused(text: &str, why: &str) {
        let told = call(text).unwrap_err().0;
        assert!(told.contains(why), "{told}");
    }

    #[test]
    fn every_kind_of_value_comes_back_as_it_went() {
        let values = [
            Value::Int(-7),
            Value::Bool(true),
            Value::Double(1.5),
            Value::Text("a <b> & \"c\"\r\n\tä".into()),
            Value::Text(String::new()),
            Value::Bytes(vec![0, 255, 13]),
            Value::Date("20260102T03:04:05".into()),
            Value::Nil,
            Value::List(vec![Value::List(vec![]), Value::Int(1)]),
            Value::Record(vec![("k&".into(), Value::Record(vec![])), ("l".into(), "v".into())]),
        ];
        let read = call(&write::call("a.b", &values)).unwrap();
        assert_eq!(read.method, "a.b");
        assert_eq!(read.parameters, values);
        for value in values {
            assert_eq!(answer(&write::result(&value)).unwrap(), Ok(value));
        }
        let fault = Code::BadName.about("x<y");
        assert_eq!(answer(&write::fault(&fault)).unwrap(), Err(fault));
    }

    #[test]
    fn what_xml_cannot_have_is_replaced_and_the_rest_of_the_text_stays() {
        let written = write::result(&"\x1b[1mred\0\u{ffff}".into());
        assert_eq!(
            answer(&written).unwrap(),
            Ok(Value::Text("\u{fffd}[1mred\u{fffd}\u{fffd}".into()))
        );
    }

    #[test]
    fn what_other_clients_write_is_read_too() {
        let text = "<?xml version='1.0'?><!-- c --><methodCall><methodName>a.b</methodName>\n\
                    <params><param><value>plain</value></param><param><value><i4> 5 </i4></value></param>\
                    <param><value><nil/></value></param><param><value/></param>\
                    <param><value><boolean> 2 </boolean></value></param>\
                    <param><value><string><![CDATA[<x>]]>&#65;&apos;</string></value></param>\
                    <param><value><array><data/></array></value></param></params></methodCall>";
        let read = call(text).unwrap();
        let plain = |text: &str| Value::Text(text.into());
        let wanted = [
            plain("plain"),
            Value::Int(5),
            Value::Nil,
            plain(""),
            Value::Bool(true),
            plain("<x>A'"),
            Value::List(vec![]),
        ];
        assert_eq!(read, Call { method: "a.b".into(), parameters: wanted.into() });
        assert_eq!(
            call("<methodCall><methodName>x</methodName></methodCall>").unwrap().parameters,
            []
        );
    }

    #[test]
    fn what_is_no_call_is_refused_with_a_reason() {
        check_refused("", "too early");
        check_refused("<a/>", "where <methodCall> must be");
        check_refused("<methodCall/>", "without a method's name");
        check_refused("<methodCall><methodName></methodName></methodCall>", "method's name");
        check_refused("<methodCall><params><x/></params></methodCall>", "<param>");
        let value = |value: &str| {
            let head = "<methodCall><methodName>a</methodName><params><param>";
            format!("{head}{value}</param></params></methodCall>")
        };
        check_refused(&value("<value><int>1x</int></value>"), "no number");
        check_refused(&value("<value><boolean>yes</boolean></value>"), "no number");
        check_refused(&value("<value><base64>?</base64></value>"), "base64");
        check_refused(&value("<value>&x;</value>"), "&x; is unknown");
        check_refused(&value("<value><int>1</int></valu>"), "");
        check_refused("<!DOCTYPE a [<!ENTITY x 'xx'>]><methodCall/>", "document type");
    }

    #[test]
    fn nesting_and_numbers_of_values_are_bounded() {
        let deep = |depth: usize| {
            let mut value = Value::Int(1);
            (0..depth).for_each(|_| value = Value::List(vec![value.clone()]));
            write::call("a", &[value])
        };
        assert!(call(&deep(DEPTH_MAX - 1)).is_ok());
        check_refused(&deep(DEPTH_MAX), "32 deep");
        let many = vec![Value::Nil; CALL_VALUES_MAX + 1];
        check_refused(&write::call("a", &many), "too many");
        check_refused(&"<methodCall>".repeat(100_000), "too early");
    }

    #[test]
    fn bytes_at_random_are_refused_and_never_do_harm() {
        let good = write::call("a.b", &[Value::List(vec!["x&".into(), Value::Int(3)])]);
        let mut seed = 1u64;
        for _ in 0..5000 {
            let mut bytes = good.clone().into_bytes();
            for _ in 0..3 {
                seed = seed.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
                let place = (seed >> 33) as usize % bytes.len();
                bytes[place] = (seed >> 20) as u8;
            }
            if let Ok(text) = std::str::from_utf8(&bytes) {
                let _ = call(text);
                let _ = answer(text);
            }
        }
    }
}
