//! Values to XML.

use crate::faults::Fault;
use crate::value::Value;
use engine::text::base64_encode;
use std::fmt::Write;

const HEAD: &str = "<?xml version='1.0'?>\n";

/// Returns the document of a call.
pub fn call(method: &str, parameters: &[Value]) -> String {
    let mut out = format!("{HEAD}<methodCall>\n<methodName>");
    escape(&mut out, method);
    out.push_str("</methodName>\n<params>\n");
    for parameter in parameters {
        out.push_str("<param>\n");
        value(&mut out, parameter);
        out.push_str("</param>\n");
    }
    out.push_str("</params>\n</methodCall>\n");
    out
}

/// Returns the document of a result.
pub fn result(answer: &Value) -> String {
    let mut out = format!("{HEAD}<methodResponse>\n<params>\n<param>\n");
    value(&mut out, answer);
    out.push_str("</param>\n</params>\n</methodResponse>\n");
    out
}

/// Returns the document of a refusal.
pub fn fault(fault: &Fault) -> String {
    let mut out = format!("{HEAD}<methodResponse>\n<fault>\n");
    value(&mut out, &record(fault));
    out.push_str("</fault>\n</methodResponse>\n");
    out
}

/// Returns a refusal as a value, as it stands among the answers of a multicall.
pub fn record(fault: &Fault) -> Value {
    Value::Record(vec![
        ("faultCode".into(), Value::Int(fault.number)),
        ("faultString".into(), Value::Text(fault.text.clone())),
    ])
}

fn value(out: &mut String, what: &Value) {
    out.push_str("<value>");
    match what {
        Value::Int(number) => typed(out, "int", &number.to_string()),
        Value::Bool(truth) => typed(out, "boolean", if *truth { "1" } else { "0" }),
        Value::Double(number) => {
            // Writing to a String cannot fail.
            let _ = write!(out, "<double>{number:?}</double>");
        }
        Value::Text(text) => typed(out, "string", text),
        Value::Bytes(bytes) => typed(out, "base64", &base64_encode(bytes)),
        Value::Date(date) => typed(out, "dateTime.iso8601", date),
        Value::Nil => out.push_str("<nil/>"),
        Value::List(values) => {
            out.push_str("<array><data>\n");
            values.iter().for_each(|item| value(out, item));
            out.push_str("</data></array>");
        }
        Value::Record(members) => {
            out.push_str("<struct>\n");
            for (name, item) in members {
                out.push_str("<member>\n<name>");
                escape(out, name);
                out.push_str("</name>\n");
                value(out, item);
                out.push_str("</member>\n");
            }
            out.push_str("</struct>");
        }
    }
    out.push_str("</value>\n");
}

fn typed(out: &mut String, kind: &str, text: &str) {
    out.push('<');
    out.push_str(kind);
    out.push('>');
    escape(out, text);
    out.push_str("</");
    out.push_str(kind);
    out.push('>');
}

/// Writes text. A carriage return is written as a number, for a reader makes a raw one a line's end;
/// what XML cannot have at all (colours in a log) becomes U+FFFD, for a reader would refuse the whole
/// answer. Source: XML 1.0, 2.2 and 2.11.
fn escape(out: &mut String, text: &str) {
    for letter in text.chars() {
        match letter {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '\r' => out.push_str("&#13;"),
            '\t' | '\n' => out.push(letter),
            '\0'..='\x1f' | '\u{fffe}' | '\u{ffff}' => out.push('\u{fffd}'),
            _ => out.push(letter),
        }
    }
}
