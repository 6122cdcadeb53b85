//! Pages as they come out, compared with `pages/*.html`; `UPDATE_EXPECT=1` writes those anew.

use super::html::Html;
use super::{job, list, timeline};
use crate::instances::tests::read;
use crate::instances::Instance;
use engine::control::answer::Answer;
use engine::control::command::Command;

#[track_caller]
fn check(name: &str, fill: impl FnOnce(&mut Html)) {
    let mut html = Html::default();
    fill(&mut html);
    // A line for each element is read and compared more easily.
    let text = html.done().replace("><", ">\n<") + "\n";
    let path = format!("{}/tests/pages/{name}.html", env!("CARGO_MANIFEST_DIR"));
    if std::env::var_os("UPDATE_EXPECT").is_some() {
        std::fs::write(&path, &text).unwrap();
    }
    let expected = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(text, expected, "{path}");
}

fn instances() -> Vec<Instance> {
    read(
        r#"{"job":"web","goal":"start","state":"running","age":3725000,"respawns":2,
            "processes":[{"process":"main","pid":7}],"started_by":["started db"],
            "warnings":["oom score: not permitted"]},
           {"job":"<b>&\"'","instance":"a b","goal":"start","state":"starting","age":1,
            "waits_for":"event starting, which waits for db"},
           {"job":"app:one","goal":"stop","state":"waiting","age":1,
            "last_exit":{"process":"main","status":3},"last_exit_age":61000},
           {"job":"old","goal":"stop","state":"killed","age":1,
            "processes":[{"process":"main","pid":9}]},
           {"job":"quiet","goal":"stop","state":"waiting","age":1}"#,
        r#"{"job":"web","group":"web","process":"web","state":"RUNNING","code":20,"failures":0},
           {"job":"app:one","group":"app","process":"one","state":"FATAL","code":200,
            "spawn_error":"Exited too quickly","failures":4},
           {"job":"old","group":"old","process":"old","state":"STOPPING","code":40,"failures":0},
           {"job":"quiet","group":"quiet","process":"quiet","state":"STOPPED","code":0,"failures":0}"#,
    )
}

#[test]
fn the_list_has_a_row_and_the_right_buttons_for_each() {
    check("list", |html| list::body(html, &instances(), "t0k3n"));
    check("list-empty", |html| list::body(html, &[], "t0k3n"));
}

#[test]
fn a_job_is_told_with_why_and_what_happened() {
    let told = r#"{"parameters":{"instance":{"job":"web","goal":"start","state":"running","age":5},
        "verdict":"it runs because db was <started>",
        "start_on":[{"depth":0,"words":"any of","met":true,"note":""},
                    {"depth":1,"words":"started db","met":true,"by":"started JOB=db","note":""},
                    {"depth":1,"words":"deploy","met":false,"note":"nothing known emits it"}],
        "stop_on":[],"waiters":["the event started"],"ring":[],
        "runs":[{"age":9000,"lasted":1000,"ending":{"process":"main","signal":9},"note":""}],
        "history":[{"age":61000,"cause":"start on came true","decision":"goal start"},
                   {"age":60000,"cause":"main process 7 runs","decision":""}],"files":[]}}"#;
    let told = match Answer::decode(Command::Why, told.as_bytes()) {
        Ok((Answer::Why(told), _)) => told,
        other => panic!("{other:?}"),
    };
    let web = instances().into_iter().find(|one| one.name == "web").unwrap();
    check("job", |html| job::body(html, &web, &told, "t0k3n"));
}

#[test]
fn the_timeline_has_the_latest_first() {
    let read = |frame: &str| match Answer::decode(Command::Events, frame.as_bytes()) {
        Ok((Answer::Notice(notice), _)) => notice,
        other => panic!("{other:?}"),
    };
    let notices = [
        read(
            r#"{"parameters":{"sequence":7,"missed":2,"event":{"name":"deploy","env":["A=<b>"]}}}"#,
        ),
        read(
            r#"{"parameters":{"sequence":8,"age":61000,"state":
               {"job":"web","goal":"start","from":"spawned","to":"running"}}}"#,
        ),
    ];
    check("timeline", |html| timeline::body(html, &notices));
}
