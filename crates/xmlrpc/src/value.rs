//! What is sent and received.

/// A value of XML-RPC.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// `int` or `i4`; more than 32 bits are read where somebody sends them.
    Int(i64),
    /// `boolean`.
    Bool(bool),
    /// `double`.
    Double(f64),
    /// `string`, or a value without a type.
    Text(String),
    /// `base64`, decoded.
    Bytes(Vec<u8>),
    /// `dateTime.iso8601`, as it was written.
    Date(String),
    /// `nil`, or a type that nobody knows.
    Nil,
    /// `array`.
    List(Vec<Value>),
    /// `struct`, its members in the order in which they came.
    Record(Vec<(String, Value)>),
}

impl Value {
    /// Returns the member of that name of a record; the last one where it is there twice.
    pub fn member(&self, name: &str) -> Option<&Value> {
        match self {
            Value::Record(members) => {
                members.iter().rev().find(|(key, _)| key == name).map(|(_, value)| value)
            }
            Value::Int(_)
            | Value::Bool(_)
            | Value::Double(_)
            | Value::Text(_)
            | Value::Bytes(_)
            | Value::Date(_)
            | Value::Nil
            | Value::List(_) => None,
        }
    }

    /// Returns a text.
    pub fn text(&self) -> Option<&str> {
        if let Value::Text(text) = self {
            Some(text)
        } else {
            None
        }
    }

    /// Returns a number.
    pub fn int(&self) -> Option<i64> {
        if let Value::Int(number) = self {
            Some(*number)
        } else {
            None
        }
    }

    /// Reports whether it counts as true: what is not zero, and not empty. Source: Python 3.11, truth value
    /// testing.
    pub fn truth(&self) -> bool {
        match self {
            Value::Bool(truth) => *truth,
            Value::Int(number) => *number != 0,
            Value::Double(number) => *number != 0.0,
            Value::Text(text) => !text.is_empty(),
            Value::Bytes(bytes) => !bytes.is_empty(),
            Value::Date(_) => true,
            Value::Nil => false,
            Value::List(values) => !values.is_empty(),
            Value::Record(members) => !members.is_empty(),
        }
    }

    /// Returns the values of an array.
    pub fn list(&self) -> Option<&[Value]> {
        if let Value::List(values) = self {
            Some(values)
        } else {
            None
        }
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Value {
        Value::Text(text.to_owned())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Value {
        Value::Text(text)
    }
}

impl From<i64> for Value {
    fn from(number: i64) -> Value {
        Value::Int(number)
    }
}

impl From<bool> for Value {
    fn from(truth: bool) -> Value {
        Value::Bool(truth)
    }
}
