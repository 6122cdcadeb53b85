//! What was probably meant by a word that nothing knows.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

/// The longest word for which "did you mean" is looked for, in bytes.
const MEANT_MAX: usize = 32;

/// Returns the question whether the nearest of the names was meant, or `otherwise` where none is
/// near: about one letter in three may be wrong.
pub fn did_you_mean(word: &[u8], names: &[&str], otherwise: &str) -> String {
    if word.len() > MEANT_MAX {
        return otherwise.to_string();
    }
    let lower = word.to_ascii_lowercase();
    let whole = names.iter().map(|name| (name.split(' ').next().unwrap_or_default(), *name));
    let near = whole
        .map(|(first, name)| {
            let joined = name.replace([' ', '-'], "");
            let both = distance(&lower, name.as_bytes()).min(distance(&lower, joined.as_bytes()));
            let one = distance(&lower, first.as_bytes());
            if one <= both {
                (one, first)
            } else {
                (both, name)
            }
        })
        .min_by_key(|(distance, _)| *distance);
    match near {
        Some((distance, name)) if distance <= (word.len() + 1) / 3 => {
            format!("did you mean `{name}`?")
        }
        _ => otherwise.to_string(),
    }
}

/// Returns how many letters must be put in, taken out, replaced or swapped with their neighbour.
fn distance(one: &[u8], other: &[u8]) -> usize {
    let mut before: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=other.len()).collect();
    for (row, a) in one.iter().enumerate() {
        let mut this = Vec::with_capacity(last.len());
        this.push(row + 1);
        for (column, b) in other.iter().enumerate() {
            let near = |line: &[usize], at: usize| line.get(at).copied().unwrap_or(usize::MAX / 2);
            let mut best = (near(&last, column) + usize::from(a != b))
                .min(near(&last, column + 1) + 1)
                .min(near(&this, column) + 1);
            let swapped = row > 0
                && column > 0
                && one.get(row - 1) == Some(b)
                && other.get(column - 1) == Some(a);
            if swapped {
                best = best.min(near(&before, column - 1) + 1);
            }
            this.push(best);
        }
        before = core::mem::replace(&mut last, this);
    }
    last.last().copied().unwrap_or(0)
}
