//! Chance, from a seed that is printed.

use std::time::Duration;

/// A stream of numbers. Source: splitmix64.
pub struct Chance(u64);

impl Chance {
    /// Returns the stream of `CRASH_SEED`, else of the time; says which.
    pub fn new() -> Chance {
        let given = std::env::var("CRASH_SEED").ok().and_then(|text| text.parse().ok());
        let seed = given.unwrap_or_else(|| {
            let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
            now.map_or(1, |since| since.as_nanos() as u64 % 1_000_000)
        });
        println!("CRASH_SEED={seed}");
        Chance(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ z >> 31
    }

    /// Returns a number below `end`.
    pub fn below(&mut self, end: u64) -> u64 {
        self.next() % end.max(1)
    }

    /// Returns a time up to so many milliseconds, short ones more often.
    pub fn moment(&mut self, milliseconds: u64) -> Duration {
        let most = self.below(milliseconds * 1000) + 1;
        Duration::from_micros(self.below(most))
    }
}
