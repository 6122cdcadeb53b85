//! Golden files: what a test compares a text with, and how to accept a new one.

extern crate std;

/// Fails where `text` is not what stands in `file` (below the crate's folder). With
/// `UPDATE_EXPECT=1` in the environment the file is written instead.
pub fn same(file: &str, text: &str) {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
    if std::env::var_os("UPDATE_EXPECT").is_some() {
        std::fs::write(&path, text).expect("the golden file can be written");
        return;
    }
    let expected = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        expected == text,
        "{} differs; look at the change, then run again with UPDATE_EXPECT=1\n--- expected\n{expected}\n--- got\n{text}",
        path.display()
    );
}
