//! What is for people and for collectors of numbers.

use crate::world::{until, World};
use crate::{BAD, PAIR, WEB};

const FRAGILE: (&str, &str) = ("fragile", "respawn\nexec sh -c 'echo up; sleep 1000 & wait'\n");

#[test]
fn metrics_tell_what_jobs_do_and_use() {
    let Some(world) = World::new(&[WEB, BAD, PAIR, FRAGILE]) else { return };
    let mut client = world.client();
    client.of("startProcess", "fragile");
    client.refused("startProcess", &["bad".into()]);
    client.call("supervisor.signalProcess", &["fragile".into(), "KILL".into()]).unwrap();
    let mut text = String::new();
    let mut value = |line: &str| {
        let (status, head, body) = client.ask("GET", "/metrics", "");
        assert_eq!(status, 200, "{head}{body}");
        assert!(head.contains("application/openmetrics-text; version=1.0.0"), "{head}");
        text = body;
        let found = text.lines().find_map(|other| other.strip_prefix(line));
        found.and_then(|value| value.trim().parse::<f64>().ok())
    };
    let restarts = r#"upright_job_restarts_total{job="fragile",instance="",reason="signal"}"#;
    until("it was started again", || value(restarts) == Some(1.0));
    let log = r#"upright_job_log_size_bytes{job="fragile",instance=""}"#;
    until("both runs have written", || value(log) == Some(6.0));
    let processes = r#"upright_job_processes{job="fragile",instance=""}"#;
    until("the child is counted, too", || value(processes) == Some(2.0));
    let mut is = |line: &str, wanted: &dyn Fn(f64) -> bool| {
        let number = value(line);
        assert!(number.is_some_and(wanted), "{line} {number:?}");
    };
    let one = |number: f64| number == 1.0;
    let some = |number: f64| number > 0.0;
    is(r#"upright_job_state{job="fragile",instance="",upright_job_state="running"}"#, &one);
    is(r#"upright_job_state{job="bad",instance="",upright_job_state="failed"}"#, &one);
    is(r#"upright_job_state{job="web",instance="",upright_job_state="stopped"}"#, &one);
    is(r#"upright_job_last_exit_signal{job="fragile",instance=""}"#, &|number| number == 9.0);
    is(r#"upright_job_resident_memory_bytes{job="fragile",instance=""}"#, &some);
    for role in ["keeper", "daemon", "logger", "http"] {
        is(&format!(r#"upright_process_resident_memory_bytes{{process="{role}"}}"#), &some);
    }
    let start = r#"upright_process_start_time_seconds{process="keeper"}"#;
    let now = std::time::UNIX_EPOCH.elapsed().unwrap().as_secs_f64();
    is(start, &|began| began > now - 3600.0 && began < now + 1.0);
    assert!(text.ends_with("# EOF\n"));
    assert_eq!(client.ask("POST", "/metrics", "").0, 405);
}
