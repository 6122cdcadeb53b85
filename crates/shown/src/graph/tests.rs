//! From job files to a picture.

use super::layout::lay_out;
use super::model::{Effect, Graph, Health, Kind, Node};
use super::{dot, svg};
use engine::dialect::upstart;
use engine::machine::state::{Goal, State};
use engine::names::{InstanceName, JobName};
use engine::process::{Exit, Role};
use engine::time::Span;
use engine::view::{InstanceView, JobView, LastExit};

fn job(name: &str, file: &str) -> JobView {
    let name = JobName::try_from(name).unwrap();
    let parsed = upstart::parse(name.clone(), file.as_bytes());
    assert!(parsed.error().is_none(), "{file}");
    let spec = parsed.spec;
    JobView {
        name,
        usage: None,
        description: None,
        author: None,
        version: None,
        emits: spec.about.emits.clone(),
        start_on: spec.start_on.as_deref().cloned(),
        stop_on: spec.stop_on.as_deref().cloned(),
    }
}

fn state(name: &str, goal: Goal, state: State, exit: Option<Exit>) -> InstanceView {
    InstanceView {
        goal,
        state,
        last_exit: exit.map(|exit| (LastExit::Ended { process: Role::Main, exit }, Span::ZERO)),
        ..InstanceView::at_rest(JobName::try_from(name).unwrap(), InstanceName::default())
    }
}

fn sample() -> Graph {
    let jobs = [
        job("check", "start on stopped network"),
        job("db", "start on startup"),
        job("lone", "exec x"),
        job("network", "start on filesystem and (net-up or startup)\nemits net-*"),
        job("web", "start on started db\nstop on stopping db or runlevel [!2345]\nemits <odd>"),
        job("x", "start on started gone"),
    ];
    let views = [
        state("check", Goal::Stop, State::Waiting, Some(Exit::Status(1))),
        state("db", Goal::Start, State::Running, None),
        state("web", Goal::Start, State::Starting, None),
    ];
    Graph::of(&jobs, &views)
}

/// The lines in words.
fn lines(graph: &Graph) -> Vec<String> {
    let label = |number: usize| graph.nodes[number].label.as_str();
    let word = |effect| Effect::TABLE.iter().find(|row| row.0 == effect).unwrap().1;
    let words = graph.lines.iter().map(|line| {
        let words =
            format!("{} {} {} {}", label(line.from), word(line.effect), label(line.to), line.label);
        words.trim_end().to_owned()
    });
    words.collect()
}

#[test]
fn conditions_become_arrows_and_what_must_come_together_is_joined() {
    let graph = sample();
    let lines = lines(&graph);
    for expected in [
        "startup starts db",
        "db starts web started",
        "db stops web stopping",
        "runlevel stops web [!2345]",
        "network starts check stopped",
        "gone starts x started",
        "net-up starts or",
        "startup starts or",
        "or starts and",
        "filesystem starts and",
        "and starts network",
        "network emits net-up",
        "web emits <odd>",
    ] {
        assert!(lines.iter().any(|line| line == expected), "{expected} is not in {lines:#?}");
    }
    assert_eq!(lines.len(), 13);
}

#[test]
fn every_job_shows_how_it_is() {
    let graph = sample();
    let kind = |name: &str| graph.nodes.iter().find(|node| node.label == name).unwrap().kind;
    assert_eq!(kind("check"), Kind::Job(Health::Failed));
    assert_eq!(kind("db"), Kind::Job(Health::Running));
    assert_eq!(kind("web"), Kind::Job(Health::Changing));
    assert_eq!(kind("lone"), Kind::Job(Health::AtRest));
    assert_eq!(kind("gone"), Kind::Missing);
    assert_eq!(kind("startup"), Kind::Event);
}

#[test]
fn nothing_stands_on_anything_else_and_causes_stand_before_what_they_cause() {
    let graph = sample();
    let layout = lay_out(&graph);
    for (number, a) in layout.spots.iter().enumerate() {
        assert!(a.x > 0.0 && a.y > 0.0 && a.x < layout.width && a.y < layout.height);
        for b in layout.spots.iter().skip(number + 1) {
            let apart = (a.x - b.x).abs() >= (a.width + b.width) / 2.0
                || (a.y - b.y).abs() >= (a.height + b.height) / 2.0;
            assert!(apart, "{a:?} {b:?}");
        }
    }
    let at = |name: &str| {
        let number = graph.nodes.iter().position(|node| node.label == name).unwrap();
        layout.spots[number].x
    };
    assert!(at("startup") < at("db") && at("db") < at("web") && at("network") < at("check"));
}

#[test]
fn a_ring_and_a_thousand_jobs_are_laid_out_too() {
    let ring = [job("a", "start on started b"), job("b", "start on started a\nstop on started b")];
    assert_eq!(lay_out(&Graph::of(&ring, &[])).spots.len(), 2);
    let many: Vec<JobView> = (0..1000)
        .map(|n| job(&format!("j{n}"), &format!("start on started j{} or startup", n / 3)))
        .collect();
    assert_eq!(lay_out(&Graph::of(&many, &[])).spots.len(), 1001);
    assert!(svg::write(&Graph::default(), &|_| None).contains("</svg>"));
}

#[test]
fn svg_has_a_legend_and_no_letter_of_a_name_is_taken_for_markup() {
    let link =
        |node: &Node| matches!(node.kind, Kind::Job(_)).then(|| format!("/?a&b={}", node.name));
    let drawn = svg::write(&sample(), &link);
    assert_eq!(drawn.matches("<a href=\"/?a&amp;b=").count(), 6);
    assert_eq!(drawn.matches("</a>").count(), 6);
    for words in
        ["running", "starting or stopping", "failed", "at rest", "event", "starts", "stops"]
    {
        assert!(drawn.contains(&format!(">{words}</text>")), "{words}");
    }
    assert!(drawn.contains("&lt;odd&gt;") && !drawn.contains("<odd>"));
    assert_eq!(drawn.matches("<text").count(), drawn.matches("</text>").count());
    assert!(drawn.starts_with("<svg ") && drawn.ends_with("</svg>\n"));
}

#[test]
fn dot_has_the_same_shapes_and_arrows() {
    let graph = sample();
    let drawn = dot::write(&graph);
    assert_eq!(drawn.matches(" -> ").count(), graph.lines.len());
    assert_eq!(drawn.matches("shape=").count(), graph.nodes.len());
}

#[test]
fn one_job_is_shown_with_its_neighbours_alone() {
    let mut graph = sample();
    assert_eq!(graph.keep_near(&[String::from("network")]), None);
    let mut names: Vec<&str> = graph.nodes.iter().map(|node| node.label.as_str()).collect();
    names.sort_unstable();
    assert_eq!(names, ["and", "check", "filesystem", "net-up", "network", "or", "startup"]);
    assert_eq!(sample().keep_near(&[String::from("nosuch")]), Some(String::from("nosuch")));
}
