//! XML-RPC of a real `supervisord`: every method with good and bad parameters, as the original answered.

#[path = "../../sys/src/scratch.rs"]
mod scratch;

use scratch::Scratch;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

const GATEWAY: &str = env!("CARGO_BIN_EXE_upright-http");

/// Where the recorded suite is, in a workplace that has it.
const SUITE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/conformance/supervisor");

/// How often a part is run before a case of it counts as different: a machine that stalls for a while
/// changes what is seen, and not twice the same.
const TRIES: usize = 3;

/// The parts of the suite, each with a `supervisord` of its own.
const PARTS: [&str; 3] = ["main", "shutdown", "auth"];

/// What is answered in another way, each with its row in docs/differences.md.
const DELIBERATE: &[(&str, &str)] = &[
    ("main/raw close 1.1", "`Connection: close` is answered by the same"),
    ("main/supervisor.getProcessInfo('bad',)", "a start that cannot be is a start that failed"),
];

/// A part's cases: what came, and whether it is an accident of the original's language.
type Cases = BTreeMap<String, (Value, bool)>;

#[test]
fn every_recorded_case_is_answered_as_by_the_original_or_is_a_listed_difference() {
    let suite = Path::new(SUITE).join("rpc_conformance.py");
    let core = Path::new(GATEWAY).with_file_name("upright-core");
    if let Some(absent) = [&suite, &core].into_iter().find(|path| !path.exists()) {
        println!("passed over: {} is not there", absent.display());
        return;
    }
    let golden = cases(&Path::new(SUITE).join("rpc_golden.json"));
    let folder = Scratch::directory("rpc");
    symlink(core, folder.join("supervisord")).unwrap();
    let differing: Vec<BTreeMap<String, String>> = std::thread::scope(|scope| {
        let (golden, folder) = (&golden, &folder);
        let parts = PARTS.map(|part| scope.spawn(move || differing(part, golden, folder)));
        parts.into_iter().map(|part| part.join().unwrap()).collect()
    });
    let differing: BTreeMap<String, String> = differing.into_iter().flatten().collect();
    let listed: BTreeSet<&str> = DELIBERATE.iter().map(|(case, _)| *case).collect();
    let wrong: Vec<&String> = differing
        .iter()
        .filter(|(case, _)| !listed.contains(&***case))
        .map(|(_, how)| how)
        .collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
    let unused: Vec<_> = listed.iter().filter(|case| !differing.contains_key(**case)).collect();
    assert!(unused.is_empty(), "listed as different, and is not: {unused:?}");
}

/// Returns the cases of a part that differ each time, with what came last.
fn differing(part: &str, golden: &Cases, folder: &Path) -> BTreeMap<String, String> {
    let mut left: BTreeMap<String, String> = BTreeMap::new();
    for try_number in 0..TRIES {
        let got = run(part, folder);
        let differ = |(case, (wanted, quirk)): (&String, &(Value, bool))| {
            let came = got.get(case).map(|(came, _)| came);
            let same = *quirk || came == Some(wanted) || !case.starts_with(&format!("{part}/"));
            (!same).then(|| (case.clone(), format!("{case}: wanted {wanted}, came {came:?}")))
        };
        let now: BTreeMap<String, String> = golden.iter().filter_map(differ).collect();
        left = match try_number {
            0 => now,
            _ => now.into_iter().filter(|(case, _)| left.contains_key(case)).collect(),
        };
        let listed = |case: &String| DELIBERATE.iter().any(|(listed, _)| listed == case);
        if left.keys().all(listed) {
            break;
        }
    }
    left
}

/// Runs a part of the suite.
fn run(part: &str, folder: &Path) -> Cases {
    let out: PathBuf = folder.join(format!("{part}.json"));
    let told = Command::new("python3")
        .arg(Path::new(SUITE).join("rpc_conformance.py"))
        .args(["--server-cmd", &format!("{}/supervisord -n -c {{conf}}", folder.display())])
        .args(["--only", part, "--out"])
        .arg(&out)
        .arg("--workdir")
        .arg(folder)
        .output()
        .unwrap();
    assert!(out.exists(), "{part}: {}", String::from_utf8_lossy(&told.stderr));
    cases(&out)
}

fn cases(path: &Path) -> Cases {
    let all: BTreeMap<String, Value> =
        serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap();
    all.into_iter()
        .map(|(case, value)| {
            let quirk = value["quirk"].as_bool().unwrap_or(false);
            (case, (value["result"].clone(), quirk))
        })
        .collect()
}
