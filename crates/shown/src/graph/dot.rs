//! The picture in Graphviz's language, for those who lay it out themselves.

use super::model::{Effect, Graph, Kind};
use super::svg::{fill, ink};
use std::fmt::Write;

/// Returns the whole text.
pub fn write(graph: &Graph) -> String {
    let mut out = String::from(
        "digraph upright {\n  rankdir=LR;\n  node [fontname=\"sans-serif\", fontsize=11, style=\"filled,rounded\"];\n  edge [fontname=\"sans-serif\", fontsize=9];\n",
    );
    for (number, node) in graph.nodes.iter().enumerate() {
        let shape = match node.kind {
            Kind::Job(_) | Kind::Missing => "box",
            Kind::Event => "ellipse",
            Kind::All | Kind::Any => "circle",
        };
        let note =
            if node.note.is_empty() { String::new() } else { format!("\\n{}", quoted(&node.note)) };
        let style = if node.kind == Kind::Missing { ", style=\"dashed,rounded\"" } else { "" };
        let _ = writeln!(
            out,
            "  n{number} [label=\"{}{note}\", shape={shape}, fillcolor=\"{}\"{style}];",
            quoted(&node.label),
            fill(node.kind)
        );
    }
    for line in &graph.lines {
        let style = if line.effect == Effect::Stops { ", style=dashed" } else { "" };
        let (label, ink) = (quoted(&line.label), ink(line.effect));
        let _ = writeln!(
            out,
            "  n{} -> n{} [label=\"{label}\", color=\"{ink}\", fontcolor=\"{ink}\"{style}];",
            line.from, line.to
        );
    }
    out + "}\n"
}

fn quoted(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"")
}
