//! The picture as SVG: for a browser, a page of documentation, a printer. No script, no font but what
//! is there.

use super::layout::{lay_out, Layout, Spot};
use super::model::{Effect, Graph, Health, Kind, Line, Node};
use std::fmt::Write;

/// The height of the legend.
const LEGEND: f32 = 56.0;

/// How far beside each other two arrows between the same shapes are, by half.
const BESIDE: f32 = 5.0;

/// The least width of a picture: that of the legend.
const WIDTH_MIN: f32 = 780.0;

/// Returns the colour of a shape.
pub fn fill(kind: Kind) -> &'static str {
    match kind {
        Kind::Job(Health::Running) => "#bbf7d0",
        Kind::Job(Health::Changing) => "#fef08a",
        Kind::Job(Health::Failed) => "#fecaca",
        Kind::Job(Health::AtRest) => "#e5e7eb",
        Kind::Missing => "#ffffff",
        Kind::Event => "#e0e7ff",
        Kind::All | Kind::Any => "#ffffff",
    }
}

/// Returns the colour of an arrow.
pub fn ink(effect: Effect) -> &'static str {
    match effect {
        Effect::Starts => "#2563eb",
        Effect::Stops => "#dc2626",
        Effect::Emits => "#15803d",
    }
}

/// Returns the class of a shape, for who wants other colours.
fn class(kind: Kind) -> &'static str {
    match kind {
        Kind::Job(Health::Running) => "running",
        Kind::Job(Health::Changing) => "changing",
        Kind::Job(Health::Failed) => "failed",
        Kind::Job(Health::AtRest) => "rest",
        Kind::Missing => "missing",
        Kind::Event => "event",
        Kind::All | Kind::Any => "joins",
    }
}

/// Returns the whole picture. Shapes lead to where `link` says.
pub fn write(graph: &Graph, link: &dyn Fn(&Node) -> Option<String>) -> String {
    let layout = lay_out(graph);
    let (width, height) = (layout.width.max(WIDTH_MIN), layout.height + LEGEND);
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width:.0}\" height=\"{height:.0}\" \
         viewBox=\"0 0 {width:.0} {height:.0}\" font-family=\"system-ui, sans-serif\">\n\
         <title>Jobs and events</title>\n<rect class=\"paper\" width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>\n<defs>\n"
    );
    for (effect, word) in Effect::TABLE {
        let _ = writeln!(
            out,
            "<marker id=\"{word}\" viewBox=\"0 0 10 10\" refX=\"9\" refY=\"5\" markerWidth=\"7\" \
             markerHeight=\"7\" orient=\"auto-start-reverse\"><path d=\"M0 0L10 5L0 10z\" fill=\"{}\"/></marker>",
            ink(effect)
        );
    }
    out += "</defs>\n";
    for (number, line) in graph.lines.iter().enumerate() {
        arrow(&mut out, &layout, number, line);
    }
    for (node, spot) in graph.nodes.iter().zip(&layout.spots) {
        match link(node) {
            None => shape(&mut out, node, spot),
            Some(to) => {
                let _ = writeln!(out, "<a href=\"{}\">", escape(&to));
                shape(&mut out, node, spot);
                out += "</a>\n";
            }
        }
    }
    legend(&mut out, layout.height);
    out + "</svg>\n"
}

fn word(effect: Effect) -> &'static str {
    Effect::TABLE.iter().find(|row| row.0 == effect).map_or("", |row| row.1)
}

/// Draws an arrow from the right side of a shape to the left side of another, through its bends; one
/// that leads back goes below.
fn arrow(out: &mut String, layout: &Layout, number: usize, line: &Line) {
    let (Some(from), Some(to)) = (layout.spots.get(line.from), layout.spots.get(line.to)) else {
        return;
    };
    // So that what starts a job and what stops it are two arrows, though they come from one place.
    let beside = match line.effect {
        Effect::Starts => -BESIDE,
        Effect::Stops => BESIDE,
        Effect::Emits => 0.0,
    };
    let (x1, y1) = (from.x + from.width / 2.0, from.y + beside);
    let (x2, y2) = (to.x - to.width / 2.0, to.y + beside);
    let mut path = format!("M{x1:.1} {y1:.1}");
    let middle;
    if x2 > x1 {
        let bends = layout.bends.get(number).map_or(&[][..], Vec::as_slice);
        let (mut x, mut y) = (x1, y1);
        for (next_x, next_y) in bends.iter().copied().chain([(x2, y2)]) {
            let half = (x + next_x) / 2.0;
            let _ =
                write!(path, " C{half:.1} {y:.1} {half:.1} {next_y:.1} {next_x:.1} {next_y:.1}");
            (x, y) = (next_x, next_y);
        }
        let (first_x, first_y) = bends.first().copied().unwrap_or((x2, y2));
        middle = ((x1 + first_x) / 2.0, (y1 + first_y) / 2.0);
    } else {
        let low = (from.y + from.height / 2.0).max(to.y + to.height / 2.0) + 34.0;
        let _ =
            write!(path, " C{:.1} {low:.1} {:.1} {low:.1} {x2:.1} {y2:.1}", x1 + 60.0, x2 - 60.0);
        middle = ((x1 + x2) / 2.0, (y1 + y2) / 8.0 + low * 0.75);
    }
    let dash = if line.effect == Effect::Stops { " stroke-dasharray=\"6 4\"" } else { "" };
    let (ink, word) = (ink(line.effect), word(line.effect));
    let _ = writeln!(
        out,
        "<path d=\"{path}\" fill=\"none\" stroke=\"{ink}\" stroke-width=\"1.5\"{dash} marker-end=\"url(#{word})\"/>"
    );
    if !line.label.is_empty() {
        let (x, y) = middle;
        let _ = writeln!(
            out,
            "<text x=\"{x:.1}\" y=\"{:.1}\" font-size=\"10\" text-anchor=\"middle\" fill=\"{ink}\" \
             class=\"halo\" stroke=\"#ffffff\" stroke-width=\"3\" paint-order=\"stroke\">{}</text>",
            if line.effect == Effect::Stops { y + 11.0 } else { y - 3.0 },
            escape(&line.label)
        );
    }
}

fn shape(out: &mut String, node: &Node, spot: &Spot) {
    let Spot { x, y, width, height } = *spot;
    let round = match node.kind {
        Kind::Job(_) | Kind::Missing => 8.0,
        Kind::Event | Kind::All | Kind::Any => height / 2.0,
    };
    let dash = if node.kind == Kind::Missing { " stroke-dasharray=\"4 3\"" } else { "" };
    let _ = writeln!(
        out,
        "<rect class=\"{}\" x=\"{:.1}\" y=\"{:.1}\" width=\"{width:.1}\" height=\"{height:.1}\" rx=\"{round:.1}\" \
         fill=\"{}\" stroke=\"#4b5563\"{dash}/>",
        class(node.kind),
        x - width / 2.0,
        y - height / 2.0,
        fill(node.kind)
    );
    let (weight, size) = match node.kind {
        Kind::Job(_) | Kind::Missing => ("600", 13),
        Kind::Event => ("400", 13),
        Kind::All | Kind::Any => ("400", 10),
    };
    let base = if node.note.is_empty() { y + 4.0 } else { y - 2.0 };
    text(out, x, base, size, weight, &node.label);
    if !node.note.is_empty() {
        text(out, x, y + 13.0, 10, "400", &node.note);
    }
}

fn text(out: &mut String, x: f32, y: f32, size: u32, weight: &str, words: &str) {
    let _ = writeln!(
        out,
        "<text class=\"ink\" x=\"{x:.1}\" y=\"{y:.1}\" font-size=\"{size}\" font-weight=\"{weight}\" \
         text-anchor=\"middle\" fill=\"#111827\">{}</text>",
        escape(words)
    );
}

fn legend(out: &mut String, top: f32) {
    let y = top + LEGEND / 2.0;
    let _ = writeln!(
        out,
        "<line x1=\"24\" y1=\"{top:.0}\" x2=\"{:.0}\" y2=\"{top:.0}\" stroke=\"#d1d5db\"/>",
        WIDTH_MIN - 24.0
    );
    let mut x = 24.0;
    let mut entry = |out: &mut String, drawn: String, words: &str| {
        let _ = writeln!(
            out,
            "{drawn}<text x=\"{:.0}\" y=\"{:.0}\" font-size=\"11\" class=\"ink\" fill=\"#374151\">{}</text>",
            x + 30.0,
            y + 4.0,
            escape(words)
        );
        x += 30.0 + words.chars().count() as f32 * 6.4 + 16.0;
        x
    };
    let swatch = |x: f32, kind: Kind, round: u32| {
        format!(
            "<rect class=\"{}\" x=\"{x:.0}\" y=\"{:.0}\" width=\"24\" height=\"14\" rx=\"{round}\" fill=\"{}\" stroke=\"#4b5563\"/>",
            class(kind),
            y - 7.0,
            fill(kind)
        )
    };
    let mut at = 24.0;
    for (health, words) in Health::TABLE {
        at = entry(out, swatch(at, Kind::Job(health), 4), words);
    }
    at = entry(out, swatch(at, Kind::Event, 7), "event");
    for (effect, words) in Effect::TABLE {
        let dash = if effect == Effect::Stops { " stroke-dasharray=\"6 4\"" } else { "" };
        let drawn = format!(
            "<line x1=\"{at:.0}\" y1=\"{y:.0}\" x2=\"{:.0}\" y2=\"{y:.0}\" stroke=\"{}\" stroke-width=\"1.5\"{dash} marker-end=\"url(#{words})\"/>",
            at + 24.0,
            ink(effect)
        );
        at = entry(out, drawn, words);
    }
}

/// Returns a text as it stands in a document.
pub(crate) fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
