//! HTML that is made piece by piece, so that no text is ever taken for markup.

/// A page, or a part of one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Html(String);

/// Names of attributes with their values.
pub type Attributes<'a> = &'a [(&'static str, &'a str)];

impl Html {
    /// Adds an element with what `fill` puts into it.
    pub fn within(
        &mut self,
        name: &'static str,
        attributes: Attributes<'_>,
        fill: impl FnOnce(&mut Html),
    ) {
        self.begin(name, attributes);
        fill(self);
        self.0 += "</";
        self.0 += name;
        self.0.push('>');
    }

    /// Adds an element with a text in it.
    pub fn element(&mut self, name: &'static str, attributes: Attributes<'_>, text: &str) {
        self.within(name, attributes, |html| html.text(text));
    }

    /// Adds an element that has nothing in it, such as `input`.
    pub fn begin(&mut self, name: &'static str, attributes: Attributes<'_>) {
        self.0.push('<');
        self.0 += name;
        for (attribute, value) in attributes {
            self.0.push(' ');
            self.0 += attribute;
            if !value.is_empty() {
                self.0 += "=\"";
                self.text(value);
                self.0.push('"');
            }
        }
        self.0.push('>');
    }

    /// Adds a text. Letters that a browser would obey, or that a page may not have, are shown.
    pub fn text(&mut self, text: &str) {
        for letter in text.chars() {
            match letter {
                '&' => self.0 += "&amp;",
                '<' => self.0 += "&lt;",
                '>' => self.0 += "&gt;",
                '"' => self.0 += "&quot;",
                '\'' => self.0 += "&#39;",
                '\n' | '\t' => self.0.push(letter),
                '\r' => {}
                other if other.is_control() => self.0.push('\u{fffd}'),
                other => self.0.push(other),
            }
        }
    }

    /// Adds markup of ours.
    pub fn raw(&mut self, markup: &'static str) {
        self.0 += markup;
    }

    /// Adds a picture, whose texts its painter has escaped.
    pub fn picture(&mut self, svg: &str) {
        self.0 += svg;
    }

    /// Returns the whole.
    pub fn done(self) -> String {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_text_and_no_value_is_taken_for_markup() {
        let mut html = Html::default();
        html.element("b", &[("title", "\"'><script>"), ("hidden", "")], "<i>&\u{1b}\r\n\u{9b}é");
        assert_eq!(
            html.done(),
            "<b title=\"&quot;&#39;&gt;&lt;script&gt;\" hidden>&lt;i&gt;&amp;\u{fffd}\n\u{fffd}é</b>"
        );
    }
}
