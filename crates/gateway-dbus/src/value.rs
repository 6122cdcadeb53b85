//! What a reply or a signal carries.

use std::collections::BTreeMap;
use zbus::message::{Builder, Message};
use zbus::wire::Variant;
use zbus::ObjectPath;

/// The body of a message.
#[derive(Debug)]
pub enum Value {
    /// Nothing.
    Nothing,
    /// A string.
    Text(String),
    /// A number.
    Number(i32),
    /// A path.
    Path(String),
    /// Paths.
    Paths(Vec<String>),
    /// Strings.
    Texts(Vec<String>),
    /// A string, and strings.
    TextAndTexts(String, Vec<String>),
    /// A property.
    Variant(Variant<'static>),
    /// Properties by name.
    Properties(BTreeMap<&'static str, Variant<'static>>),
}

impl Value {
    /// Returns the message with this body.
    pub fn message(&self, builder: Builder<'_>) -> zbus::Result<Message> {
        match self {
            Value::Nothing => builder.build(&()),
            Value::Text(text) => builder.build(&plain(text)),
            Value::Number(number) => builder.build(number),
            Value::Path(path) => builder.build(&ObjectPath::try_from(path.as_str())?),
            Value::Paths(paths) => {
                let paths: Result<Vec<ObjectPath<'_>>, _> =
                    paths.iter().map(|path| ObjectPath::try_from(path.as_str())).collect();
                builder.build(&paths?)
            }
            Value::Texts(texts) => builder.build(&all_plain(texts)),
            Value::TextAndTexts(text, texts) => builder.build(&(plain(text), all_plain(texts))),
            Value::Variant(variant) => builder.build(variant),
            Value::Properties(properties) => builder.build(properties),
        }
    }
}

/// Returns a string as D-Bus takes it: it has no NUL.
fn plain(text: &str) -> String {
    text.replace('\0', "\u{fffd}")
}

fn all_plain(texts: &[String]) -> Vec<String> {
    texts.iter().map(|text| plain(text)).collect()
}
