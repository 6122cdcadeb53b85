//! Whole scenarios of `supervisord` and `supervisorctl`: what ours do is what was recorded from the
//! original, or a difference that is meant.

#[path = "../../sys/src/scratch.rs"]
mod scratch;

use scratch::Scratch;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

const GATEWAY: &str = env!("CARGO_BIN_EXE_upright-http");

/// Where the recorded suite is, in a workplace that has it.
const SUITE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/conformance/supervisor");

/// Where `scripts/install-test-needs.sh` puts Supervisor's clients.
const VENV: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../target/test-needs/supervisor/bin");

/// So often a world is run before what differs in it counts. Its scenarios go on from each other, so
/// that none can be run alone; and on a machine that stalls a client may come too late.
const TRIES: usize = 3;

/// A difference that is meant: the scenario, the steps that differ, and why. Each has a row in
/// docs/differences.md.
struct Meant {
    scenario: &'static str,
    steps: &'static [&'static str],
    why: &'static str,
}

const MEANT: &[Meant] = &[
    Meant {
        scenario: "cfgerr_el_bad_handler",
        steps: &["server el_bad_handler"],
        why: "a result handler is Python code: it does not run, which is warned of",
    },
    Meant {
        scenario: "cfgerr_rpcinterface_bad_factory",
        steps: &["server rpcinterface_bad_factory"],
        why: "an RPC interface is Python code: it does not run, which is warned of",
    },
    Meant {
        scenario: "dialect_info",
        steps: &["tail info"],
        why: "a program leads a session of its own",
    },
    Meant {
        scenario: "dialect_status_all",
        steps: &["status"],
        why: "a program that cannot be set up is one whose start failed",
    },
    Meant {
        scenario: "http_paths",
        steps: &[
            "PUT / auth=True",
            "GET /index.html?action=stop&processname=cat auth=True",
            "GET /index.html?action=start&processname=cat auth=True",
            "GET /index.html?action=bogus auth=True",
            "GET /index.html?action=stop&processname=nosuch auth=True",
        ],
        why: "nothing is done by GET",
    },
    Meant {
        scenario: "log_lines",
        steps: &["missing"],
        why: "a start of what cannot be executed is one that is tried",
    },
    Meant {
        scenario: "spawnfail_chdirfail",
        steps: &["tail chdirfail"],
        why: "a program that cannot be set up is one whose start failed",
    },
    Meant {
        scenario: "spawnfail_execfail",
        steps: &["tail execfail"],
        why: "a file without `#!` is a script of the shell's",
    },
];

/// What differs in a scenario: the steps, each with what was wanted and what came.
type Differing = BTreeMap<String, Vec<(String, String)>>;

#[test]
fn our_client_on_our_server_does_all_that_was_recorded() {
    let Some(stage) = Stage::new("ours") else { return };
    let client = Path::new(GATEWAY).with_file_name("supervisorctl");
    if !client.exists() {
        println!("passed over: {} is not built", client.display());
        return;
    }
    stage.check(&client, &["basic", "config", "auth", "stopping", "stops", "dialect", "cfgerr"]);
}

/// All of it in which a client takes part, but for the end of a daemon: that gives ten commands nine
/// seconds, of which Python needs more where the machine is slow.
#[test]
fn the_real_client_on_our_server_does_what_was_recorded() {
    let Some(stage) = Stage::new("real") else { return };
    let client = Path::new(VENV).join("supervisorctl");
    if !client.exists() {
        println!("passed over: {} is not there", client.display());
        return;
    }
    stage.check(&client, &["basic", "config", "auth", "stops", "dialect"]);
}

/// A folder with our `supervisord`.
struct Stage {
    folder: Scratch,
}

impl Stage {
    fn new(name: &str) -> Option<Stage> {
        let core = Path::new(GATEWAY).with_file_name("upright-core");
        let suite = Path::new(SUITE).join("ctl_conformance.py");
        if let Some(absent) = [&core, &suite].into_iter().find(|path| !path.exists()) {
            println!("passed over: {} is not there", absent.display());
            return None;
        }
        let folder = Scratch::directory(&format!("ctl-{name}"));
        symlink(core, folder.join("supervisord")).unwrap();
        Some(Stage { folder })
    }

    fn check(self, client: &Path, worlds: &[&str]) {
        let golden = read(&Path::new(SUITE).join("golden.json"));
        let mut left: Option<Differing> = None;
        let mut worlds: BTreeSet<String> = worlds.iter().map(|name| (*name).to_owned()).collect();
        let mut played = BTreeMap::new();
        for _ in 0..TRIES {
            let came = self.play(client, &worlds);
            let mut differing = compare(&golden, &came);
            if let Some(left) = &left {
                differing.retain(|scenario, _| left.contains_key(scenario));
            }
            played.extend(came);
            // What is meant differs each time.
            differing.extend(left.into_iter().flatten().filter(|(scenario, _)| {
                meant(scenario).is_some() && !worlds.contains(world(&played, scenario))
            }));
            let wrong = differing.iter().filter(|(scenario, steps)| !is_meant(scenario, steps));
            worlds = wrong.map(|(scenario, _)| world(&played, scenario).to_owned()).collect();
            left = Some(differing);
            if worlds.is_empty() {
                break;
            }
        }
        let left = left.unwrap_or_default();
        let wrong: Vec<_> =
            left.iter().filter(|(scenario, steps)| !is_meant(scenario, steps)).collect();
        assert!(wrong.is_empty(), "{TRIES} times not as recorded: {wrong:#?}");
        for Meant { scenario, steps, why } in MEANT {
            if !played.contains_key(*scenario) {
                continue;
            }
            let came = left.get(*scenario).map(Vec::as_slice).unwrap_or_default();
            for step in *steps {
                let is_used = came.iter().any(|(differing, _)| differing == step);
                assert!(is_used, "{scenario}: `{step}` is as recorded, though: {why}");
            }
        }
    }

    /// Plays worlds and returns what came, by scenario.
    fn play(&self, client: &Path, worlds: &BTreeSet<String>) -> BTreeMap<String, Value> {
        let out = self.folder.join("out.json");
        let worlds: Vec<&str> = worlds.iter().map(String::as_str).collect();
        let told = Command::new("python3")
            .arg(Path::new(SUITE).join("ctl_conformance.py"))
            .args([
                "--server-cmd",
                &format!("{}/supervisord -n -c {{conf}}", self.folder.display()),
            ])
            .args(["--ctl-cmd", &format!("{} -c {{conf}}", client.display())])
            .args(["--worlds", &worlds.join(","), "--jobs", "7", "--deadline", "900", "--out"])
            .arg(&out)
            .arg("--workdir")
            .arg(&*self.folder)
            .output()
            .unwrap();
        assert!(out.exists(), "{}", String::from_utf8_lossy(&told.stderr));
        let came = read(&out);
        fs::remove_file(out).unwrap();
        came
    }
}

fn read(path: &Path) -> BTreeMap<String, Value> {
    serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap()
}

fn world<'a>(played: &'a BTreeMap<String, Value>, scenario: &str) -> &'a str {
    played.get(scenario).and_then(|it| it["world"].as_str()).unwrap_or_default()
}

fn meant(scenario: &str) -> Option<&'static Meant> {
    MEANT.iter().find(|meant| meant.scenario == scenario)
}

fn is_meant(scenario: &str, differing: &[(String, String)]) -> bool {
    let steps = meant(scenario).map_or(&[][..], |meant| meant.steps);
    differing.iter().all(|(step, _)| steps.contains(&step.as_str()))
}

/// Returns what came in another way than it was recorded, but for accidents of the original's language.
fn compare(golden: &BTreeMap<String, Value>, came: &BTreeMap<String, Value>) -> Differing {
    let mut differing = Differing::new();
    for (scenario, came) in came {
        let Some(wanted) = golden.get(scenario) else { continue };
        let (wanted, came) = (steps(wanted), steps(came));
        let most = wanted.len().max(came.len());
        let pairs = (0..most).map(|place| (wanted.get(place), came.get(place)));
        let unlike = pairs.filter(|(wanted, came)| wanted != came).map(|(wanted, came)| {
            let (step, shown) = (wanted.or(came), |step: Option<&Value>| match step {
                Some(step) => step.to_string(),
                None => "nothing".to_owned(),
            });
            let name = |key: &str| step.and_then(|step| step[key].as_str());
            let name = name("cmd").or(name("note")).or(name("wait")).unwrap_or("?").to_owned();
            (name, format!("wanted {}, came {}", shown(wanted), shown(came)))
        });
        let unlike: Vec<(String, String)> = unlike.collect();
        if !unlike.is_empty() {
            differing.insert(scenario.clone(), unlike);
        }
    }
    differing
}

fn steps(scenario: &Value) -> Vec<Value> {
    let all = scenario["steps"].as_array().cloned().unwrap_or_default();
    let counted = all.into_iter().filter(|step| step["quirk"] != Value::Bool(true));
    counted
        .map(|mut step| {
            step.as_object_mut().map(|members| members.remove("quirk"));
            step
        })
        .collect()
}
