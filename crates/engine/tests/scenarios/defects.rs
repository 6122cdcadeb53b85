//! Every known defect of the original has a scenario, or names the test that shows it.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// How many rows the list of known defects has.
const ROWS: u32 = 35;

#[test]
fn every_known_defect_of_the_original_is_accounted_for() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scenarios/defects");
    let mut files = Vec::new();
    crate::find(&folder, &mut files);
    let mut rows: BTreeSet<u32> = files.iter().filter_map(|file| number(file)).collect();
    assert_eq!(rows.len(), files.len(), "every file has a number of its own");
    let table = std::fs::read_to_string(folder.join("README.md")).expect("the table is there");
    for line in table.lines().filter(|line| line.starts_with("| ")) {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        if let [_, row, _, shown, _] = cells[..] {
            if let Ok(row) = row.parse() {
                assert!(is_there(shown), "row {row}: {shown} is not there");
                rows.insert(row);
            }
        }
    }
    assert_eq!(rows, (1..=ROWS).collect(), "every row is shown somewhere");
}

fn number(file: &Path) -> Option<u32> {
    file.file_name()?.to_str()?.split_once('-')?.0.parse().ok()
}

/// Reports whether a test, `PATH::NAME`, is where the table says, or that there is none, `- WHY`.
fn is_there(shown: &str) -> bool {
    if let Some(why) = shown.strip_prefix("- ") {
        return !why.is_empty();
    }
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..");
    let Some((path, name)) = shown.trim_matches('`').rsplit_once("::") else { return false };
    let text = std::fs::read_to_string(root.join(path)).unwrap_or_default();
    text.contains(&format!("#[test]\nfn {name}()"))
        || text.contains(&format!("#[test]\n    fn {name}()"))
}
