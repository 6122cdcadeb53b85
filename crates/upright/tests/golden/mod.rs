//! What commands print, held against a file in the repository: `UPDATE_EXPECT=1` writes it anew.

use std::path::Path;

/// Compares what was printed with the file of this name beside the tests' own; numbers of processes stand
/// as N.
pub fn check(name: &str, printed: &str) {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name);
    let printed = without_pids(printed);
    if std::env::var_os("UPDATE_EXPECT").is_some() {
        std::fs::write(&file, &printed).unwrap();
        return;
    }
    let expected = std::fs::read_to_string(&file).unwrap_or_default();
    let differs = expected.lines().zip(printed.lines()).find(|(a, b)| a != b);
    assert_eq!(differs, None, "{name} differs; look, then run again with UPDATE_EXPECT=1");
    assert_eq!(expected, printed, "{name} differs; look, then run again with UPDATE_EXPECT=1");
}

/// Puts N for each number after `pid`, in words and in JSON.
fn without_pids(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some((at, mark)) =
        ["pid ", "\"pid\":"].iter().filter_map(|mark| Some((rest.find(mark)?, *mark))).min()
    {
        let (before, after) = rest.split_at(at + mark.len());
        let number = after.trim_start_matches(|c: char| c.is_ascii_digit());
        out.push_str(before);
        out.push_str(if number.len() < after.len() { "N" } else { "" });
        rest = number;
    }
    out + rest
}
