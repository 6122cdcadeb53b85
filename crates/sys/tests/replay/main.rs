//! Every file of the fuzzer's corpus and every input that once broke something, run again.

mod plan;

use std::fs;
use std::path::Path;

#[test]
fn no_plan_of_the_corpus_breaks_the_reading_of_plans() {
    let fuzz = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz");
    let mut files = 0;
    for folder in ["corpus/plan", "crashes/plan"] {
        let Ok(entries) = fs::read_dir(fuzz.join(folder)) else { continue };
        for entry in entries {
            let path = entry.expect("an entry").path();
            println!("{}", path.display());
            plan::run(&fs::read(path).expect("a file"));
            files += 1;
        }
    }
    assert!(files > 0, "{} has no corpus", fuzz.display());
}
