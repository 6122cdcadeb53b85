//! OpenMetrics as text. Source: OpenMetrics 1.0.0, the text format.

use std::fmt::{Display, Write};

/// What the text says it is.
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// What a number of a family means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// It goes up and down.
    Gauge,
    /// It only goes up, but for a new beginning.
    Counter,
    /// Exactly one of its states is so.
    StateSet,
    /// It says something by its labels.
    Info,
}

impl Kind {
    /// Returns its word.
    pub fn word(self) -> &'static str {
        match self {
            Kind::Gauge => "gauge",
            Kind::Counter => "counter",
            Kind::StateSet => "stateset",
            Kind::Info => "info",
        }
    }

    /// What a sample's name ends in.
    fn suffix(self) -> &'static str {
        match self {
            Kind::Gauge | Kind::StateSet => "",
            Kind::Counter => "_total",
            Kind::Info => "_info",
        }
    }
}

/// A text that is being written.
#[derive(Default)]
pub struct Text(String);

/// The samples of one family.
pub struct Samples<'a> {
    out: &'a mut String,
    name: &'static str,
    kind: Kind,
}

impl Text {
    /// Begins a family; its unit is what its name ends in.
    pub fn family(&mut self, name: &'static str, kind: Kind, help: &str) -> Samples<'_> {
        let out = &mut self.0;
        let word = kind.word();
        // Writing to a string does not fail.
        let _ = writeln!(out, "# TYPE {name} {word}");
        for unit in ["seconds", "bytes"] {
            let has = name.strip_suffix(unit).is_some_and(|rest| rest.ends_with('_'));
            if has && !matches!(kind, Kind::StateSet | Kind::Info) {
                let _ = writeln!(out, "# UNIT {name} {unit}");
            }
        }
        let _ = writeln!(out, "# HELP {name} {}", escape(help));
        Samples { out, name, kind }
    }

    /// Ends it.
    pub fn end(mut self) -> String {
        self.0 += "# EOF\n";
        self.0
    }
}

impl Samples<'_> {
    /// Adds a sample. Values of labels may be anything.
    pub fn add(&mut self, labels: &[(&str, &str)], value: impl Display) {
        let Samples { out, name, kind } = self;
        let _ = write!(out, "{name}{}", kind.suffix());
        for (place, (label, value)) in labels.iter().enumerate() {
            let before = if place == 0 { '{' } else { ',' };
            let _ = write!(out, "{before}{label}=\"{}\"", escape(value));
        }
        let after = if labels.is_empty() { "" } else { "}" };
        let _ = writeln!(out, "{after} {value}");
    }
}

fn escape(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn families_have_type_unit_and_help_and_the_text_has_an_end() {
        let mut text = Text::default();
        text.family("a_seconds", Kind::Counter, "So \"long\".").add(&[("x", "1")], 1.5);
        text.family("b", Kind::Gauge, "Two\nlines.").add(&[], 2);
        text.family("c", Kind::Info, "About.").add(&[("v", "a\\b\"c\nd"), ("w", "é")], 1);
        assert_eq!(
            text.end(),
            "# TYPE a_seconds counter\n# UNIT a_seconds seconds\n# HELP a_seconds So \\\"long\\\".\n\
             a_seconds_total{x=\"1\"} 1.5\n\
             # TYPE b gauge\n# HELP b Two\\nlines.\nb 2\n\
             # TYPE c info\n# HELP c About.\nc_info{v=\"a\\\\b\\\"c\\nd\",w=\"é\"} 1\n\
             # EOF\n"
        );
    }
}
