//! Our client on the real supervisord: what it prints and returns is what the real client did.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Command, Output};

/// Where scripts/install-test-needs.sh puts the original.
const SUPERVISOR: &str =
    concat!(env!("CARGO_MANIFEST_DIR"), "/../../target/test-needs/supervisor/bin");

/// The recorded behaviour, where the repository has it beside it.
const SUITE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/conformance/supervisor");

/// So often the scenarios are run before one counts as different.
const TRIES: usize = 4;

#[test]
fn every_recorded_scenario_is_the_same_with_our_client_on_the_real_server() {
    let (suite, server) = (Path::new(SUITE), Path::new(SUPERVISOR).join("supervisord"));
    for needed in [suite, server.as_path()] {
        if !needed.exists() {
            println!("passed over: {} is not there", needed.display());
            return;
        }
    }
    // The real server has races of its own, most of all on a slow machine: where something differs all is
    // asked again, as some scenarios look at what others left, and our client is wrong in what differs
    // every time.
    let mut always: Option<BTreeSet<String>> = None;
    for _ in 0..TRIES {
        let ran = run(suite, &server, ".");
        let said = String::from_utf8_lossy(&ran.stdout).into_owned();
        let errors = String::from_utf8_lossy(&ran.stderr).into_owned();
        assert!(said.contains("scenarios identical"), "{said}\n{errors}");
        if ran.status.success() {
            return;
        }
        println!("{said}");
        let different = said.lines().filter_map(|line| line.strip_prefix("DIFF "));
        let different: BTreeSet<String> = different.map(|name| name.trim().to_owned()).collect();
        assert!(!different.is_empty(), "{said}\n{errors}");
        let still = match always {
            Some(always) => always.intersection(&different).cloned().collect(),
            None => different,
        };
        if still.is_empty() {
            return;
        }
        always = Some(still);
    }
    panic!("{TRIES} times different: {always:?}");
}

/// Runs the scenarios whose names match, those of worlds in which the client has a part.
fn run(suite: &Path, server: &Path, wanted: &str) -> Output {
    let ours = env!("CARGO_BIN_EXE_supervisorctl");
    Command::new("python3")
        .arg(suite.join("ctl_conformance.py"))
        .args(["--golden", &suite.join("golden.json").display().to_string()])
        .args(["--server-cmd", &format!("{} -n -c {{conf}}", server.display())])
        .args(["--ctl-cmd", &format!("{ours} -c {{conf}}")])
        .args(["--worlds", "basic,config,auth,stopping", "--only", wanted])
        .output()
        .unwrap()
}
