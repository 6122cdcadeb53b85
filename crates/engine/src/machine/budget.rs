//! The host's budget of restarts: over all jobs together, so that no number of jobs that fail at once
//! can take a machine for themselves.
//!
//! Only what came soon after a start is charged. A thousand good services that die together are
//! started again together; those that die again wait their turn, one behind the other.

use crate::time::{Mono, Span};
use serde::{Deserialize, Serialize};

/// A main that ran so long is started again without charge.
pub(super) const GOOD_RUN: Span = Span::secs(10);

/// How many restarts are charged in a second by default. At 20 ms of processor time for each, which a
/// small interpreter takes to begin, that is one processor.
const PER_SECOND: u32 = 50;

/// How many may come together by default, after as long a time without any.
const AT_ONCE: u32 = 1000;

/// The most of either.
const MOST: u32 = 1_000_000;

/// How many restarts there may be over all jobs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Budget {
    /// How many in a second. Zero: any number.
    pub per_second: u32,
    /// How many together, where there were fewer before.
    pub at_once: u32,
}

impl Default for Budget {
    fn default() -> Budget {
        Budget { per_second: PER_SECOND, at_once: AT_ONCE }
    }
}

impl Budget {
    /// Reads `RATE` or `RATE:BURST`; a rate alone leaves the burst as it is. Nothing where it is
    /// something else, or more than a million.
    pub fn from_text(text: &str) -> Option<Budget> {
        let number = |text: &str| text.parse::<u32>().ok().filter(|number| *number <= MOST);
        let (rate, burst) = text.split_once(':').map_or((text, None), |(r, b)| (r, Some(b)));
        let at_once = burst.map_or(Some(AT_ONCE), number)?;
        Some(Budget { per_second: number(rate)?, at_once: at_once.max(1) })
    }
}

/// What of the budget is spent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Spent {
    /// When the last restart that was promised would have been, had each come in its turn.
    until: Mono,
    /// When it was last said that there is no more.
    pub told: Option<Mono>,
}

impl Spent {
    /// Takes one restart and returns how long it waits for its turn: zero where the budget has it.
    /// Turns are given in the order in which they are asked for.
    pub fn take(&mut self, now: Mono, budget: Budget) -> Span {
        if budget.per_second == 0 {
            return Span::ZERO;
        }
        let each = Span(Span::secs(1).0 / u64::from(budget.per_second));
        let ahead = each.times(u64::from(budget.at_once.saturating_sub(1)));
        let turn = self.until.max(now);
        self.until = turn + each;
        turn.since(now + ahead)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;

    #[test]
    fn as_many_as_the_burst_are_free_and_the_rest_come_in_their_turn() {
        let budget = Budget { per_second: 10, at_once: 3 };
        let mut spent = Spent::default();
        let now = Mono(0) + Span::secs(100);
        let waits: Vec<u64> = (0..6).map(|_| spent.take(now, budget).0 / 1_000_000).collect();
        assert_eq!(waits, [0, 0, 0, 100, 200, 300]);
        let later = now + Span::secs(1);
        assert_eq!(spent.take(later, budget), Span::ZERO, "those turns are over");
    }

    #[test]
    fn in_no_second_are_there_more_than_the_rate_once_the_burst_is_spent() {
        let budget = Budget { per_second: 50, at_once: 1000 };
        let mut spent = Spent::default();
        let now = Mono(0);
        let mut seconds = [0_u32; 120];
        for _ in 0..5000 {
            let at = spent.take(now, budget).as_secs() as usize;
            seconds[at.min(119)] += 1;
        }
        assert!(seconds[0] <= 1050 && seconds[1..].iter().all(|count| *count <= 50));
    }

    #[test]
    fn a_budget_of_nothing_is_no_limit() {
        let mut spent = Spent::default();
        let none = Budget { per_second: 0, at_once: 1 };
        assert!((0..10_000).all(|_| spent.take(Mono(5), none) == Span::ZERO));
    }

    #[test]
    fn a_budget_is_a_rate_and_where_it_is_said_a_burst() {
        assert_eq!(Budget::from_text("20"), Some(Budget { per_second: 20, at_once: 1000 }));
        assert_eq!(Budget::from_text("20:0"), Some(Budget { per_second: 20, at_once: 1 }));
        assert_eq!(Budget::from_text("0"), Some(Budget { per_second: 0, at_once: 1000 }));
        for wrong in ["", "x", "-1", "1:", ":1", "1:2:3", "4294967296", "1000001"] {
            assert_eq!(Budget::from_text(wrong), None, "{wrong}");
        }
    }
}
