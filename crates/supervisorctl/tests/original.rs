//! Our client on the real supervisord: what it prints and returns is what the real client did.

use std::path::Path;
use std::process::Command;

/// Where scripts/install-test-needs.sh puts the original.
const SUPERVISOR: &str =
    concat!(env!("CARGO_MANIFEST_DIR"), "/../../target/test-needs/supervisor/bin");

/// The recorded behaviour, where the repository has it beside it.
const SUITE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/conformance/supervisor");

#[test]
fn every_recorded_scenario_is_the_same_with_our_client_on_the_real_server() {
    let (suite, server) = (Path::new(SUITE), Path::new(SUPERVISOR).join("supervisord"));
    for needed in [suite, server.as_path()] {
        if !needed.exists() {
            println!("passed over: {} is not there", needed.display());
            return;
        }
    }
    let ours = env!("CARGO_BIN_EXE_supervisorctl");
    let ran = Command::new("python3")
        .arg(suite.join("ctl_conformance.py"))
        .args(["--golden", &suite.join("golden.json").display().to_string()])
        .args(["--server-cmd", &format!("{} -n -c {{conf}}", server.display())])
        .args(["--ctl-cmd", &format!("{ours} -c {{conf}}")])
        // Those where the client has a part.
        .args(["--worlds", "basic,config,auth,stopping"])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&ran.stdout);
    assert!(ran.status.success(), "{said}\n{}", String::from_utf8_lossy(&ran.stderr));
    assert!(said.contains("scenarios identical"), "{said}");
}
