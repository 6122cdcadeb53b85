//! A start-up in words and as a picture: how long each job took, what waited for what, and the longest
//! way through it.

mod model;
pub mod svg;

pub use model::{Bar, Link, Startup};

use crate::words::printable;
use std::fmt::Write;

/// Returns how long each job took to run, the longest first.
pub fn blame(startup: &Startup) -> String {
    let mut bars: Vec<&Bar> = startup.bars.iter().collect();
    bars.sort_by(|a, b| b.took().cmp(&a.took()).then_with(|| a.name.cmp(&b.name)));
    let mut out = format!("{:>10} {:>10}  JOB\n", "TOOK", "WAITED");
    for bar in bars {
        let (took, waited) = (seconds(bar.took()), seconds(bar.waited()));
        let how = if bar.failed { "  (failed)" } else { "" };
        let _ = writeln!(out, "{took:>10} {waited:>10}  {}{how}", printable(&bar.name));
    }
    out
}

/// Returns the way from a job back to what began it, each with when it was done and how long it took.
pub fn critical_chain(startup: &Startup, job: usize) -> String {
    let mut out = String::from("When it was done is after @, how long that took after +.\n");
    for (depth, link) in startup.chain(job).iter().enumerate() {
        let branch = match depth {
            0 => String::new(),
            depth => format!("{:width$}└─ ", "", width = (depth - 1) * 3),
        };
        let words = match link {
            Link::Job(number) => match startup.bars.get(*number) {
                Some(bar) => {
                    let (at, took) = (seconds(bar.done), seconds(bar.took()));
                    let how = if bar.failed { "  (failed)" } else { "" };
                    format!("{} @{at} +{took}{how}", printable(&bar.name))
                }
                None => continue,
            },
            Link::Cause(words, at) => format!("{} @{}", printable(words), seconds(*at)),
        };
        let _ = writeln!(out, "{branch}{words}");
    }
    out
}

/// Microseconds as seconds: `1.203s`, `12.4ms`.
fn seconds(micros: u64) -> String {
    match micros {
        0..=999_999 => format!("{}.{}ms", micros / 1000, micros / 100 % 10),
        _ => format!("{}.{:03}s", micros / 1_000_000, micros / 1000 % 1000),
    }
}

#[cfg(test)]
mod tests;
