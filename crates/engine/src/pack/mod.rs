//! Values as few bytes, by serde: for the journal and for what daemon and logger say to each other.
//!
//! There are no names in it. Numbers are as long as they need to be (seven bits a byte, the lowest
//! first), texts and lists begin with their length, a variant is its number, and a struct begins with
//! the number of its fields. So a reader takes what an older writer wrote as long as fields and
//! variants were only added at the end, the fields with `#[serde(default)]`; any other change of a type
//! needs a new version of what it is written in.

mod read;
mod write;

pub use read::unpack;
pub use write::pack;

use core::fmt;

/// Why a value cannot be written or read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The bytes end too early.
    Short,
    /// There are bytes behind the value.
    Long,
    /// A number, a length or a variant is not one that the type has.
    Range,
    /// A text is not UTF-8.
    Text,
    /// The type refused what it was given, or a field without a default is missing.
    Refused,
    /// The type has something that cannot be written so: floats, fields that are left out, lists that
    /// do not know their length.
    Type,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Fault::Short => "it ends too early",
            Fault::Long => "it goes on after its end",
            Fault::Range => "a number in it is out of range",
            Fault::Text => "a text in it is not UTF-8",
            Fault::Refused => "a value in it is refused",
            Fault::Type => "it has a type that cannot be written",
        })
    }
}

impl core::error::Error for Fault {}

// What serde wants to say in words costs more than it tells: the bytes are our own.
impl serde::ser::Error for Fault {
    fn custom<T: fmt::Display>(_: T) -> Fault {
        Fault::Refused
    }
}

impl serde::de::Error for Fault {
    fn custom<T: fmt::Display>(_: T) -> Fault {
        Fault::Refused
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::collections::BTreeMap;
    use alloc::string::String;
    use alloc::vec;
    use alloc::vec::Vec;
    use serde::{Deserialize, Serialize};

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    enum Shape {
        Unit,
        One(i64),
        Two(u8, Option<bool>),
        Named { a: u16, b: String },
    }

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Old {
        a: u64,
        shapes: Vec<Shape>,
        map: BTreeMap<u32, (char, ())>,
    }

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct New {
        a: u64,
        shapes: Vec<Shape>,
        map: BTreeMap<u32, (char, ())>,
        #[serde(default)]
        more: Option<i8>,
    }

    fn old() -> Old {
        let named = Shape::Named { a: 300, b: String::from("\u{e9}") };
        let shapes = vec![Shape::Unit, Shape::One(i64::MIN), Shape::Two(255, Some(true)), named];
        Old { a: u64::MAX, shapes, map: [(7, ('\u{10ffff}', ()))].into() }
    }

    #[test]
    fn every_value_is_read_as_it_was_written_and_no_part_of_it_is_a_value() {
        let bytes = pack(&old()).unwrap();
        assert_eq!(unpack::<Old>(&bytes), Ok(old()));
        for cut in 0..bytes.len() {
            assert!(unpack::<Old>(&bytes[..cut]).is_err(), "{cut}");
        }
        assert_eq!(unpack::<Old>(&[&bytes[..], &[0]].concat()), Err(Fault::Long));
    }

    #[test]
    fn numbers_take_the_bytes_they_need_and_never_more_than_their_type_has() {
        assert_eq!(pack(&(1u64, 127u32, 128u16, -1i32)).unwrap(), [1, 127, 128, 1, 1]);
        assert_eq!(unpack::<u16>(&[0xff, 0xff, 0x03]), Ok(u16::MAX));
        assert_eq!(unpack::<u16>(&[0xff, 0xff, 0x04]), Err(Fault::Range));
        assert_eq!(unpack::<u64>(&[0xff; 11]), Err(Fault::Range));
        for number in [0, 1, -1, i64::MAX, i64::MIN] {
            assert_eq!(unpack::<i64>(&pack(&number).unwrap()), Ok(number));
        }
    }

    #[test]
    fn a_field_that_was_added_at_the_end_is_its_default_in_what_was_written_before() {
        let Old { a, shapes, map } = old();
        let bytes = pack(&old()).unwrap();
        assert_eq!(unpack::<New>(&bytes), Ok(New { a, shapes, map, more: None }));
        let Old { a, shapes, map } = old();
        let bytes = pack(&New { a, shapes, map, more: Some(-3) }).unwrap();
        assert_eq!(unpack::<Old>(&bytes), Err(Fault::Long), "what it means is not known");
    }

    #[test]
    fn a_length_that_the_bytes_cannot_have_takes_no_memory_and_no_time() {
        assert_eq!(unpack::<Vec<u64>>(&[0xff, 0xff, 0xff, 0xff, 0x0f, 1]), Err(Fault::Short));
        assert_eq!(unpack::<Vec<()>>(&[0xff, 0xff, 0xff, 0xff, 0x0f, 1]), Err(Fault::Short));
        assert_eq!(unpack::<String>(&[2, 0xc3, 0x28]), Err(Fault::Text));
        assert_eq!(unpack::<Option<u8>>(&[2]), Err(Fault::Range));
        assert_eq!(unpack::<Shape>(&[4]), Err(Fault::Refused));
    }

    #[test]
    fn what_would_be_read_wrongly_is_not_written() {
        #[derive(Serialize)]
        struct Skips {
            #[serde(skip_serializing_if = "Option::is_none")]
            a: Option<u8>,
            b: u8,
        }
        assert_eq!(pack(&Skips { a: None, b: 1 }), Err(Fault::Type));
        assert_eq!(pack(&Skips { a: Some(2), b: 1 }), Ok(vec![2, 1, 2, 1]));
        assert_eq!(pack(&1.5f64), Err(Fault::Type));
    }
}
