//! The start-up as SVG: a bar for each job, what came when, and the longest way through it. No script, no
//! font but what is there.

use super::model::{Bar, Link, Startup};
use super::seconds;
use crate::graph::svg::escape;
use crate::words::printable;
use std::fmt::Write;

const LEFT: f32 = 220.0;
const WIDTH: f32 = 860.0;
const RIGHT: f32 = 150.0;
const TOP: f32 = 92.0;
const ROW: f32 = 24.0;
const LEGEND: f32 = 52.0;

/// A longer name is cut.
const LABEL_MAX: usize = 30;

/// More jobs than this are not drawn: the first ones are.
pub const ROWS_MAX: usize = 2_000;

const WAITS: &str = "#e5e7eb";
const STARTS: &str = "#fbbf24";
const RUNS: &str = "#86efac";
const DONE: &str = "#93c5fd";
const FAILED: &str = "#f87171";
const CRITICAL: &str = "#db2777";

/// Returns the whole picture.
pub fn write(startup: &Startup) -> String {
    let bars = startup.bars.get(..startup.bars.len().min(ROWS_MAX)).unwrap_or_default();
    let chain = startup.last().map(|last| startup.chain(last)).unwrap_or_default();
    let span = (startup.end + startup.end / 12).max(1_000);
    let height = TOP + ROW * bars.len() as f32 + LEGEND;
    let width = LEFT + WIDTH + RIGHT;
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width:.0}\" height=\"{height:.0}\" \
         viewBox=\"0 0 {width:.0} {height:.0}\" font-family=\"system-ui, sans-serif\">\n\
         <title>Start-up</title>\n<rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>\n"
    );
    let jobs = startup.bars.len();
    let noun = if jobs == 1 { "job" } else { "jobs" };
    let head = format!("{jobs} {noun} in {}", seconds(startup.end));
    text(&mut out, (24.0, 30.0), 16, "start", "#111827", &head);
    axis(&mut out, span, height - LEGEND);
    causes(&mut out, bars, span, height - LEGEND);
    for (number, bar) in bars.iter().enumerate() {
        let critical = chain.contains(&Link::Job(number));
        row(&mut out, bar, number, span, critical);
    }
    way(&mut out, bars, &chain, span);
    legend(&mut out, height - LEGEND / 2.0);
    out + "</svg>\n"
}

fn x(time: u64, span: u64) -> f32 {
    LEFT + WIDTH * (time.min(span) as f32 / span as f32)
}

fn middle(number: usize) -> f32 {
    TOP + ROW * (number as f32 + 0.5)
}

/// Draws the lines of the clock: about eight, at round times.
fn axis(out: &mut String, span: u64, bottom: f32) {
    let mut step = 1;
    while span / step > 8 {
        let leading = step / 10u64.pow(step.ilog10());
        step = if leading == 2 { step / 2 * 5 } else { step * 2 };
    }
    let mut time = 0;
    while time <= span {
        let at = x(time, span);
        let _ = writeln!(
            out,
            "<line x1=\"{at:.1}\" y1=\"{TOP:.0}\" x2=\"{at:.1}\" y2=\"{bottom:.0}\" stroke=\"#f3f4f6\"/>"
        );
        text(out, (at, bottom + 14.0), 10, "middle", "#6b7280", &clock(time));
        time += step;
    }
}

/// A round time: `0`, `200ms`, `1.5s`.
fn clock(micros: u64) -> String {
    match micros {
        0 => String::from("0"),
        1..=999 => format!("{micros}µs"),
        1_000..=999_999 => format!("{}ms", micros / 1000),
        _ => format!("{}s", micros as f64 / 1e6),
    }
}

/// Draws when an event that is no job's first made something wanted. Of several that had to come together
/// it is not known which came last.
fn causes(out: &mut String, bars: &[Bar], span: u64, bottom: f32) {
    const OF_JOBS: [&str; 4] = ["starting", "started", "stopping", "stopped"];
    let mut drawn: Vec<&str> = Vec::new();
    let mut lines: Vec<f32> = Vec::new();
    for bar in bars {
        let names = bar.by.strip_prefix("event ").unwrap_or_default();
        for name in names.split(", ").filter(|name| !name.is_empty()) {
            if OF_JOBS.contains(&name) || drawn.contains(&name) {
                continue;
            }
            drawn.push(name);
            let at = x(bar.wanted, span);
            // Names that stand close are told below each other.
            let level = lines.iter().filter(|other| (at - **other).abs() < 90.0).count() % 3;
            lines.push(at);
            let y = TOP - 8.0 - 12.0 * level as f32;
            let _ = writeln!(
                out,
                "<line x1=\"{at:.1}\" y1=\"{:.1}\" x2=\"{at:.1}\" y2=\"{bottom:.0}\" stroke=\"#6366f1\" stroke-dasharray=\"2 3\"/>",
                y + 2.0
            );
            text(out, (at + 3.0, y), 10, "start", "#4338ca", &cut(name));
        }
    }
}

fn row(out: &mut String, bar: &Bar, number: usize, span: u64, critical: bool) {
    let y = middle(number);
    if number % 2 == 1 {
        let _ = writeln!(
            out,
            "<rect x=\"0\" y=\"{:.1}\" width=\"{:.0}\" height=\"{ROW}\" fill=\"#111827\" fill-opacity=\"0.025\"/>",
            y - ROW / 2.0,
            LEFT + WIDTH + RIGHT
        );
    }
    let ink = if critical { CRITICAL } else { "#111827" };
    text(out, (LEFT - 12.0, y + 4.0), 12, "end", ink, &cut(&bar.name));
    let begun = bar.begun.unwrap_or(bar.done);
    let ran = bar.ran.unwrap_or(bar.done);
    let _ = writeln!(out, "<g><title>{}</title>", escape(&told(bar)));
    piece(out, y, (bar.wanted, begun, span), WAITS);
    piece(out, y, (begun, ran, span), STARTS);
    let (end, colour) = match (bar.over, bar.failed) {
        (over, true) => (over.unwrap_or(span), FAILED),
        (Some(over), false) => (over, DONE),
        (None, false) => (span, RUNS),
    };
    piece(out, y, (ran, end, span), colour);
    for again in bar.again.iter().filter(|again| **again <= span) {
        let at = x(*again, span);
        let _ = writeln!(
            out,
            "<circle cx=\"{at:.1}\" cy=\"{y:.1}\" r=\"3\" fill=\"#ffffff\" stroke=\"#b91c1c\"/>"
        );
    }
    let _ = writeln!(out, "</g>");
    let how = if bar.failed { " failed" } else { "" };
    let words = format!("{}{how}", seconds(bar.took()));
    let ink = if bar.failed { "#b91c1c" } else { "#6b7280" };
    text(out, (LEFT + WIDTH + 10.0, y + 4.0), 11, "start", ink, &words);
}

fn told(bar: &Bar) -> String {
    let mut words = format!("{}: wanted at {}", printable(&bar.name), seconds(bar.wanted));
    if !bar.by.is_empty() {
        words += &format!(" by {}", printable(&bar.by));
    }
    words + &format!(", waited {}, took {}", seconds(bar.waited()), seconds(bar.took()))
}

/// Draws a part of a bar; what took no time is still a line.
fn piece(out: &mut String, y: f32, (from, to, span): (u64, u64, u64), colour: &str) {
    if to < from {
        return;
    }
    let (left, right) = (x(from, span), x(to, span));
    let _ = writeln!(
        out,
        "<rect x=\"{left:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"12\" rx=\"2\" fill=\"{colour}\"/>",
        y - 6.0,
        (right - left).max(1.5)
    );
}

/// Draws the longest way: from what was done to what it let begin.
fn way(out: &mut String, bars: &[Bar], chain: &[Link], span: u64) {
    let jobs: Vec<usize> = chain
        .iter()
        .filter_map(|link| match link {
            Link::Job(number) => Some(*number),
            Link::Cause(..) => None,
        })
        .collect();
    for pair in jobs.windows(2) {
        let [later, earlier] = pair else { continue };
        let (Some(to), Some(from)) = (bars.get(*later), bars.get(*earlier)) else { continue };
        // What held it was wanted later, and let it begin; what caused it made it wanted.
        let at = if from.wanted >= to.wanted { to.begun.unwrap_or(to.done) } else { to.wanted };
        let (x1, y1, y2) = (x(at, span), middle(*earlier), middle(*later));
        let _ = writeln!(
            out,
            "<path d=\"M{x1:.1} {y1:.1}L{x1:.1} {y2:.1}\" stroke=\"{CRITICAL}\" stroke-width=\"2\" fill=\"none\"/>\
             <circle cx=\"{x1:.1}\" cy=\"{y2:.1}\" r=\"3.5\" fill=\"{CRITICAL}\"/>"
        );
    }
    if let Some((last, bar)) = jobs.first().and_then(|last| Some((*last, bars.get(*last)?))) {
        let (at, y) = (x(bar.done, span), middle(last));
        let _ = writeln!(
            out,
            "<circle cx=\"{at:.1}\" cy=\"{y:.1}\" r=\"5\" fill=\"#ffffff\" stroke=\"{CRITICAL}\" stroke-width=\"2\"/>"
        );
    }
}

fn legend(out: &mut String, y: f32) {
    let mut at = 24.0;
    let y = y + 8.0;
    for (colour, words) in [
        (WAITS, "waits for others"),
        (STARTS, "starts"),
        (RUNS, "runs"),
        (DONE, "ran and is done"),
        (FAILED, "failed"),
    ] {
        let _ = writeln!(
            out,
            "<rect x=\"{at:.0}\" y=\"{:.0}\" width=\"22\" height=\"12\" rx=\"2\" fill=\"{colour}\"/>",
            y - 6.0
        );
        text(out, (at + 28.0, y + 4.0), 11, "start", "#374151", words);
        at += 28.0 + words.len() as f32 * 6.2 + 20.0;
    }
    let _ = writeln!(
        out,
        "<line x1=\"{at:.0}\" y1=\"{y:.0}\" x2=\"{:.0}\" y2=\"{y:.0}\" stroke=\"{CRITICAL}\" stroke-width=\"2\"/>",
        at + 22.0
    );
    text(out, (at + 28.0, y + 4.0), 11, "start", "#374151", "the longest way");
    at += 150.0;
    let _ = writeln!(
        out,
        "<circle cx=\"{:.0}\" cy=\"{y:.0}\" r=\"3\" fill=\"#ffffff\" stroke=\"#b91c1c\"/>",
        at + 11.0
    );
    text(out, (at + 28.0, y + 4.0), 11, "start", "#374151", "started again");
}

fn text(out: &mut String, at: (f32, f32), size: u32, anchor: &str, ink: &str, words: &str) {
    let (x, y) = at;
    let _ = writeln!(
        out,
        "<text x=\"{x:.1}\" y=\"{y:.1}\" font-size=\"{size}\" text-anchor=\"{anchor}\" fill=\"{ink}\">{}</text>",
        escape(words)
    );
}

fn cut(label: &str) -> String {
    let shown = printable(label);
    match shown.char_indices().nth(LABEL_MAX) {
        Some((at, _)) => format!("{}…", shown.get(..at).unwrap_or_default()),
        None => shown,
    }
}
