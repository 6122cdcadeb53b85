//! What is counted, and the table of it.

/// Rows of what was counted, each with what it should be.
#[derive(Default)]
pub struct Table {
    rows: Vec<(String, u64, Wanted)>,
    complaints: Vec<String>,
}

/// What a number should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// Nothing.
    Zero,
    /// At least one: a zero would show that nothing was tested.
    Some,
}

impl Table {
    /// Adds what must not be, with each case in a sentence.
    pub fn lost(&mut self, what: &str, cases: Vec<String>) {
        self.rows.push((what.to_owned(), cases.len() as u64, Wanted::Zero));
        self.complaints.extend(cases.iter().take(20).map(|case| format!("{what}: {case}")));
    }

    /// Adds what must be.
    pub fn done(&mut self, what: &str, count: u64) {
        self.rows.push((what.to_owned(), count, Wanted::Some));
    }

    /// Prints the table and panics where a number is not what it should be.
    pub fn check(self) {
        println!("\n| what | count |\n|---|---|");
        self.rows.iter().for_each(|(what, count, _)| println!("| {what} | {count} |"));
        println!();
        self.complaints.iter().for_each(|complaint| println!("{complaint}"));
        let wrong = self.rows.iter().filter(|(_, count, wanted)| match wanted {
            Wanted::Zero => *count != 0,
            Wanted::Some => *count == 0,
        });
        let wrong: Vec<&String> = wrong.map(|(what, ..)| what).collect();
        assert!(wrong.is_empty(), "not as it should be: {wrong:?}");
    }
}
