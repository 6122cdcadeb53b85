use super::*;
use engine::names::{EventName, InstanceName, JobName};
use engine::spec::{Arg, Condition, Node, Operand};
use engine::text::Text;
use engine::time::Span;
use engine::view::{JobView, Mark, MarkKind, TimelineView};

/// The times of a job: milliseconds from a beginning, ten seconds before now.
fn times(job: &str, marks: &[(u64, MarkKind, &str)]) -> TimelineView {
    let mark = |(at, what, by): &(u64, MarkKind, &str)| Mark {
        ago: Span::millis(10_000 - at),
        what: *what,
        by: String::from(*by),
    };
    TimelineView {
        job: JobName::try_from(job).unwrap(),
        instance: InstanceName::default(),
        marks: marks.iter().map(mark).collect(),
    }
}

fn job(name: &str, event: &str, of: &str) -> JobView {
    let args = if of.is_empty() { Vec::new() } else { vec![Arg::Positional(Text::from(of))] };
    let operand = Operand { event: EventName::try_from(event).unwrap(), args };
    JobView {
        name: JobName::try_from(name).unwrap(),
        usage: None,
        description: None,
        author: None,
        version: None,
        emits: Vec::new(),
        start_on: Some(Condition { nodes: vec![Node::Event(operand)] }),
        stop_on: None,
    }
}

/// mount is a task; db starts when it is done; keys, a task, holds web up, which db's start began.
fn example() -> Startup {
    use MarkKind::{Again, Ended, Failed, Gone, Main, Runs, Unwanted, Wanted};
    let times = [
        times(
            "mount",
            &[
                (0, Wanted, "event startup"),
                (1, Main, ""),
                (1, Runs, ""),
                (400, Ended, ""),
                (400, Unwanted, ""),
                (401, Gone, ""),
            ],
        ),
        times("db", &[(401, Wanted, "event stopped"), (402, Main, ""), (900, Runs, "")]),
        times(
            "web",
            &[
                (900, Wanted, "event started"),
                (1500, Main, ""),
                (1510, Runs, ""),
                (3000, Ended, ""),
                (3000, Again, ""),
                (3001, Main, ""),
            ],
        ),
        times(
            "keys",
            &[(901, Wanted, "event starting"), (902, Main, ""), (902, Runs, ""), (1499, Gone, "")],
        ),
        times("bad <&>", &[(0, Wanted, "event startup"), (5, Failed, "it did not"), (6, Gone, "")]),
        times("hand", &[(5000, Wanted, "uid 0 (upright, process 7)"), (5001, Runs, "")]),
    ];
    let jobs = [
        job("mount", "startup", ""),
        job("db", "stopped", "mount"),
        job("web", "started", "d*"),
        job("keys", "starting", "web"),
    ];
    Startup::of(&times, &jobs, false)
}

#[test]
fn blame_tells_what_took_long_and_how_much_of_it_was_waiting() {
    let expected = "
      TOOK     WAITED  JOB
   610.0ms    600.0ms  web
   598.0ms      1.0ms  keys
   499.0ms      1.0ms  db
   401.0ms      1.0ms  mount
     6.0ms      6.0ms  bad <&>  (failed)
";
    assert_eq!(blame(&example()), &expected[1..]);
}

#[test]
fn the_chain_goes_through_what_held_a_start_and_through_what_caused_it() {
    let startup = example();
    let expected = "\
When it was done is after @, how long that took after +.
web @1.510s +610.0ms
└─ keys @1.499s +598.0ms
   └─ db @900.0ms +499.0ms
      └─ mount @401.0ms +401.0ms
         └─ event startup @0.0ms
";
    let web = startup.last().unwrap();
    assert_eq!(startup.find("web"), Some(web));
    assert_eq!(critical_chain(&startup, web), expected);
    let db = startup.find("db").unwrap();
    assert_eq!(
        critical_chain(&startup, db),
        "When it was done is after @, how long that took after +.\n\
         db @900.0ms +499.0ms\n└─ mount @401.0ms +401.0ms\n   └─ event startup @0.0ms\n"
    );
    assert_eq!(startup.find("hand"), None, "somebody started it");
}

#[test]
fn the_picture_has_a_bar_for_each_job_and_no_letter_of_a_name_is_taken_for_markup() {
    let drawn = svg::write(&example());
    for words in [
        "5 jobs in 1.510s",
        ">web<",
        "bad &lt;&amp;&gt;",
        ">startup<",
        "the longest way",
        "610.0ms",
    ] {
        assert!(drawn.contains(words), "{words}");
    }
    assert!(!drawn.contains("hand") && !drawn.contains("bad <"));
    assert_eq!(drawn.matches("<svg").count(), 1);
}

#[test]
fn jobs_that_caused_each_other_are_no_trouble() {
    use MarkKind::{Runs, Wanted};
    let times = [
        times("a", &[(0, Wanted, "event started"), (0, Runs, "")]),
        times("b", &[(0, Wanted, "event started"), (0, Runs, "")]),
    ];
    let startup = Startup::of(&times, &[job("a", "started", "b"), job("b", "started", "a")], false);
    assert_eq!(startup.chain(0).len(), 3, "{:?}", startup.chain(0));
    assert!(svg::write(&startup).ends_with("</svg>\n"));
    assert!(svg::write(&Startup::default()).ends_with("</svg>\n"));
}
