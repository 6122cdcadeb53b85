//! `initctl2dot`: what `initctl show-config -e` prints, as a picture in Graphviz's language. Source:
//! initctl2dot(8) of Upstart 1.13.2: its options, colours and shapes.

use super::shape::{Flag, Shape};
use super::World;
use engine::glob;
use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fmt::Write as _;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::PathBuf;

/// The file that is written where none is named.
const OUTFILE: &str = "upstart.dot";

/// An option with a value: its names, what it is without, its help.
struct Row {
    short: Option<&'static str>,
    long: &'static str,
    preset: &'static str,
    help: &'static str,
}

const fn row(
    short: Option<&'static str>,
    long: &'static str,
    preset: &'static str,
    help: &'static str,
) -> Row {
    Row { short, long, preset, help }
}

/// THE TABLE of options that take a value.
const OPTIONS: &[Row] = &[
    row(Some("-r"), "restrict-to-jobs", "", "show the conditions of these jobs (comma-separated)"),
    row(Some("-f"), "infile", "", "read this file in place of asking init"),
    row(Some("-o"), "outfile", OUTFILE, "write this file; - is standard output"),
    row(None, "color-emits", "green", "colour of `emits` lines"),
    row(None, "color-start-on", "blue", "colour of `start on` lines"),
    row(None, "color-stop-on", "red", "colour of `stop on` lines"),
    row(None, "color-event", "thistle", "colour of events"),
    row(None, "color-text", "black", "colour of the summary"),
    row(None, "color-bg", "white", "colour of the background"),
    row(None, "color-event-text", "black", "colour of the text of events"),
    row(None, "color-job-text", "black", "colour of the text of jobs"),
    row(None, "color-job", "#DCDCDC", "colour of jobs"),
];

/// What was asked for.
struct Settings {
    values: Vec<(&'static str, OsString)>,
    /// `--system` or `--user`, passed on to initctl.
    whose: Option<&'static str>,
}

/// A job as the listing has it.
#[derive(Default)]
struct Job {
    name: String,
    emits: Vec<String>,
    start: Causes,
    stop: Causes,
}

/// What a condition mentions.
#[derive(Default)]
struct Causes {
    jobs: Vec<String>,
    events: Vec<String>,
}

/// Runs the command; returns the exit code.
pub fn run(world: &mut World<'_>) -> u8 {
    let settings = match settings(std::mem::take(&mut world.args)) {
        Ok(Some(settings)) => settings,
        Ok(None) => {
            world.print(&help());
            return 0;
        }
        Err(mistake) => {
            world.say(&format!("usage: initctl2dot [OPTION]...\ninitctl2dot: error: {mistake}"));
            return 2;
        }
    };
    match convert(world, &settings) {
        Ok(()) => 0,
        Err(why) => {
            world.say(&format!("ERROR: {why}"));
            1
        }
    }
}

fn settings(args: Vec<Vec<u8>>) -> Result<Option<Settings>, String> {
    let mut settings = Settings { values: Vec::new(), whose: None };
    let mut rest = args.into_iter();
    while let Some(arg) = rest.next() {
        let shown = String::from_utf8_lossy(&arg).into_owned();
        let (name, value) = match shown.split_once('=') {
            Some((name, _)) if name.starts_with("--") => {
                (name.to_owned(), arg.get(name.len() + 1..).map(<[u8]>::to_vec))
            }
            Some(_) | None => (shown.clone(), None),
        };
        match name.as_str() {
            "-h" | "--help" => return Ok(None),
            "--system" => settings.whose = Some("--system"),
            "--user" => settings.whose = Some("--user"),
            // The manual page says -w, the program -o.
            name => {
                let name = if name == "-w" { "-o" } else { name };
                let named = |row: &&Row| {
                    row.short == Some(name) || name.strip_prefix("--") == Some(row.long)
                };
                let row = OPTIONS.iter().find(named);
                let row = row.ok_or_else(|| format!("unrecognized arguments: {shown}"))?;
                let value = value.or_else(|| rest.next());
                let value =
                    value.ok_or_else(|| format!("argument {name}: expected one argument"))?;
                settings.values.push((row.long, OsString::from_vec(value)));
            }
        }
    }
    Ok(Some(settings))
}

/// Returns what its command line may have.
pub fn shape() -> Shape {
    let whose = |name: &str, help: &str| Flag {
        short: None,
        long: Some(name.to_owned()),
        value: None,
        help: Some(help.to_owned()),
    };
    let flag = |row: &Row| Flag {
        short: row.short.and_then(|short| short.chars().nth(1)),
        value: Some(String::from(if row.long.ends_with("file") { "FILE" } else { "VALUE" })),
        ..whose(row.long, row.help)
    };
    let whose =
        [whose("system", "ask the machine's init"), whose("user", "ask the session's init")];
    Shape {
        name: String::from("initctl2dot"),
        about: String::from("Convert initctl(8) output to GraphViz dot(1) format."),
        more: String::new(),
        flags: OPTIONS.iter().map(flag).chain(whose).collect(),
        places: Vec::new(),
        commands: Vec::new(),
    }
}

fn help() -> String {
    let mut text = String::from(
        "usage: initctl2dot [OPTION]...\n\nConvert initctl(8) output to GraphViz dot(1) format.\n\n",
    );
    for row in OPTIONS {
        let short = row.short.map_or_else(String::new, |short| format!("{short} VALUE, "));
        let preset =
            if row.preset.is_empty() { String::new() } else { format!(" ({})", row.preset) };
        let _ = writeln!(text, "  {short}--{} VALUE\n      {}{preset}", row.long, row.help);
    }
    text + "  --system\n      ask the machine's init\n  --user\n      ask the session's init\n"
}

impl Settings {
    fn value(&self, long: &str) -> OsString {
        let said = self.values.iter().rev().find(|(name, _)| *name == long);
        let preset = || OPTIONS.iter().find(|row| row.long == long).map_or("", |row| row.preset);
        said.map_or_else(|| OsString::from(preset()), |(_, value)| value.clone())
    }

    fn colour(&self, of: &str) -> String {
        escape(&self.value(&format!("color-{of}")).to_string_lossy())
    }
}

fn convert(world: &mut World<'_>, settings: &Settings) -> Result<(), String> {
    let infile = settings.value("infile");
    let listing = match infile.is_empty() {
        true => listing(world, settings.whose)?,
        false => {
            let read = std::fs::read(&infile);
            let bytes = read.map_err(|_| format!("cannot read file '{}'", infile.display()))?;
            String::from_utf8_lossy(&bytes).into_owned()
        }
    };
    let jobs = parse(&listing)?;
    let wanted = settings.value("restrict-to-jobs").to_string_lossy().into_owned();
    let wanted: Vec<&str> = wanted.split(',').filter(|name| !name.is_empty()).collect();
    if let Some(unknown) = wanted.iter().find(|name| jobs.iter().all(|job| job.name != **name)) {
        return Err(format!("unknown job '{unknown}'"));
    }
    let picture = picture(&jobs, &wanted, settings, infile.is_empty());
    let outfile = settings.value("outfile");
    if outfile.as_bytes() == b"-" {
        world.print(&picture);
        return Ok(());
    }
    let written = std::fs::write(PathBuf::from(&outfile), picture);
    written.map_err(|_| format!("cannot open file {}", outfile.display()))
}

/// Returns what `initctl show-config -e` prints.
fn listing(world: &mut World<'_>, whose: Option<&str>) -> Result<String, String> {
    let mut out = Vec::new();
    let args = whose.into_iter().chain(["show-config", "-e"]);
    let code = super::initctl::run(&mut World {
        program: String::from("initctl"),
        args: args.map(|arg| arg.as_bytes().to_vec()).collect(),
        env: world.env,
        uid: world.uid,
        out: &mut out,
        err: world.err,
        look: world.look,
    });
    match code {
        0 => Ok(String::from_utf8_lossy(&out).into_owned()),
        _ => Err(String::from("cannot run 'initctl show-config -e'")),
    }
}

/// Reads a listing: names of jobs, and below each its lines.
fn parse(listing: &str) -> Result<Vec<Job>, String> {
    let mut jobs: Vec<Job> = Vec::new();
    for line in listing.lines().map(str::trim_end).filter(|line| !line.is_empty()) {
        if !line.starts_with(char::is_whitespace) {
            jobs.push(Job { name: line.to_owned(), ..Job::default() });
            continue;
        }
        let invalid = || format!("invalid line: {}", line.trim_start());
        let job = jobs.last_mut().ok_or_else(invalid)?;
        let words = line.trim_start();
        if let Some(event) = words.strip_prefix("emits ") {
            add(&mut job.emits, own(&job.name, event));
            continue;
        }
        let (causes, rest) = match words.split_at_checked("start on ".len()) {
            Some(("start on ", rest)) => (&mut job.start, rest),
            Some(_) | None => match words.strip_prefix("stop on ") {
                Some(rest) => (&mut job.stop, rest),
                None => return Err(invalid()),
            },
        };
        let (event, of_job) = rest.split_once(" (job:").ok_or_else(invalid)?;
        let (of_job, _) = of_job.split_once(", env:").ok_or_else(invalid)?;
        match of_job.trim() {
            "" => add(&mut causes.events, own(&job.name, event)),
            other => add(&mut causes.jobs, other.to_owned()),
        }
    }
    Ok(jobs)
}

fn add(to: &mut Vec<String>, name: String) {
    if !to.contains(&name) {
        to.push(name);
    }
}

/// A name that is a variable is another one in each job.
fn own(job: &str, name: &str) -> String {
    if name.starts_with('$') {
        format!("{job}:{name}")
    } else {
        name.to_owned()
    }
}

/// What of the jobs is drawn.
struct Picture<'a> {
    /// Those whose conditions are drawn.
    chosen: Vec<&'a Job>,
    /// With those that they mention, and those that emit what they mention.
    shown: Vec<&'a Job>,
    /// Every job that is drawn, also one that is not there.
    names: BTreeSet<&'a str>,
    events: BTreeSet<&'a str>,
}

fn picture(jobs: &[Job], wanted: &[&str], settings: &Settings, asked: bool) -> String {
    let picture = Picture::of(jobs, wanted);
    let mut out = String::new();
    head(&mut out, settings);
    picture.shapes(&mut out, settings);
    picture.arrows(&mut out, settings);
    foot(&mut out, settings, wanted.is_empty(), asked);
    out
}

impl<'a> Picture<'a> {
    fn of(jobs: &'a [Job], wanted: &[&str]) -> Picture<'a> {
        let is_wanted = |job: &&Job| wanted.is_empty() || wanted.contains(&job.name.as_str());
        let chosen: Vec<&Job> = jobs.iter().filter(is_wanted).collect();
        let causes = || chosen.iter().flat_map(|job| [&job.start, &job.stop]);
        let mentioned: BTreeSet<&str> =
            causes().flat_map(|causes| &causes.jobs).map(String::as_str).collect();
        let awaited: BTreeSet<&str> =
            causes().flat_map(|causes| &causes.events).map(String::as_str).collect();
        let emits_one = |job: &Job| awaited.iter().any(|event| job.emits(event));
        let near =
            |job: &&Job| is_wanted(job) || mentioned.contains(job.name.as_str()) || emits_one(job);
        let shown: Vec<&Job> = jobs.iter().filter(near).collect();
        let own = shown.iter().map(|job| job.name.as_str());
        let names = own.chain(mentioned.iter().copied()).collect();
        let emitted = shown.iter().flat_map(|job| &job.emits).map(String::as_str);
        let events = awaited.iter().copied().chain(emitted).collect();
        Picture { chosen, shown, names, events }
    }

    fn shapes(&self, out: &mut String, settings: &Settings) {
        let (text, fill) = (settings.colour("event-text"), settings.colour("event"));
        for event in &self.events {
            let style = if event.contains('*') { "dotted" } else { "filled" };
            let _ = writeln!(
                out,
                "  \"event_{0}\" [label=\"{0}\", shape=diamond, fontcolor=\"{text}\", fillcolor=\"{fill}\", style=\"{style}\"];",
                escape(event)
            );
        }
        let (text, fill) = (settings.colour("job-text"), settings.colour("job"));
        for name in &self.names {
            let _ = writeln!(
                out,
                "  \"job_{}\" [shape=\"record\", label=\"<job> {} | {{ <start> start on | <stop> stop on }}\", fontcolor=\"{text}\", style=\"filled\", fillcolor=\"{fill}\"];",
                escape(name),
                record(name)
            );
        }
    }

    fn arrows(&self, out: &mut String, settings: &Settings) {
        let mut arrow = |from: String, to: String, of: &str| {
            let colour = settings.colour(of);
            let _ = writeln!(out, "  {from} -> {to} [color=\"{colour}\"];");
        };
        for job in &self.chosen {
            for (port, causes) in [("start", &job.start), ("stop", &job.stop)] {
                let from = format!("\"job_{}\":{port}", escape(&job.name));
                let of = format!("{port}-on");
                for other in &causes.jobs {
                    arrow(from.clone(), format!("\"job_{}\":job", escape(other)), &of);
                }
                for event in &causes.events {
                    arrow(from.clone(), format!("\"event_{}\"", escape(event)), &of);
                }
            }
        }
        for job in &self.shown {
            // A pattern also leads to every event that it matches.
            for event in self.events.iter().filter(|event| job.emits(event)) {
                let from = format!("\"job_{}\":job", escape(&job.name));
                arrow(from, format!("\"event_{}\"", escape(event)), "emits");
            }
        }
    }
}

impl Job {
    /// Reports whether one of its patterns is this event's.
    fn emits(&self, event: &str) -> bool {
        let is = |emitted: &String| {
            emitted == event || glob::matches(emitted.as_bytes(), event.as_bytes())
        };
        self.emits.iter().any(is)
    }
}

fn head(out: &mut String, settings: &Settings) {
    let _ = writeln!(
        out,
        "digraph upstart {{\n  node [shape=\"diamond\", fontcolor=\"{}\", fillcolor=\"{}\", style=\"filled\"];\n  rankdir=LR;\n  overlap=false;\n  bgcolor=\"{}\";\n  fontcolor=\"{}\";",
        settings.colour("event-text"),
        settings.colour("event"),
        settings.colour("bg"),
        settings.colour("text")
    );
}

fn foot(out: &mut String, settings: &Settings, whole: bool, asked: bool) {
    let part = if whole { "" } else { "subset, " };
    let from = if asked { "from 'initctl show-config -e'" } else { "from file data" };
    let _ = writeln!(
        out,
        "  label=\"Generated by initctl2dot ({part}{from}).\\nBoxes of color {} denote jobs.\\nSolid diamonds of color {} denote events.\\nDotted diamonds denote 'glob' events.\\nEmits denoted by {} lines.\\nStart on denoted by {} lines.\\nStop on denoted by {} lines.\\n\";\n}}",
        settings.colour("job"),
        settings.colour("event"),
        settings.colour("emits"),
        settings.colour("start-on"),
        settings.colour("stop-on")
    );
}

/// Returns text for between quotes.
fn escape(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"")
}

/// Returns text for a record's label, where some letters draw lines.
fn record(text: &str) -> String {
    let mut out = String::new();
    for letter in escape(text).chars() {
        if "{}|<> ".contains(letter) {
            out.push('\\');
        }
        out.push(letter);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::Look;
    use crate::scratch::Scratch;

    const LISTING: &str = "\
db
  emits db-ready
  start on startup (job:, env:)
web
  start on started (job: db, env:)
  start on db-ready (job:, env: A=1)
  stop on runlevel (job:, env: [!2345])
other
  emits net-*
  start on net-up (job:, env:)
";

    fn converted(args: &[&str]) -> (u8, String, String) {
        let directory = Scratch::directory("dot");
        let infile = directory.join("listing");
        std::fs::write(&infile, LISTING).unwrap();
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let fixed = [b"-f".to_vec(), infile.into_os_string().into_vec(), b"--outfile=-".to_vec()];
        let args = args.iter().map(|arg| arg.as_bytes().to_vec());
        let code = run(&mut World {
            program: String::from("initctl2dot"),
            args: fixed.into_iter().chain(args).collect(),
            env: &|_| None,
            uid: 0,
            out: &mut out,
            err: &mut err,
            look: Look::Plain,
        });
        (code, String::from_utf8(out).unwrap(), String::from_utf8(err).unwrap())
    }

    #[test]
    fn jobs_events_and_lines_are_as_the_listing_says() {
        let (code, out, _) = converted(&["--color-stop-on", "orange"]);
        assert_eq!(code, 0);
        for line in [
            "\"event_startup\" [label=\"startup\", shape=diamond",
            "\"event_net-*\" [label=\"net-*\", shape=diamond, fontcolor=\"black\", fillcolor=\"thistle\", style=\"dotted\"];",
            "\"job_web\":start -> \"job_db\":job [color=\"blue\"];",
            "\"job_web\":start -> \"event_db-ready\" [color=\"blue\"];",
            "\"job_web\":stop -> \"event_runlevel\" [color=\"orange\"];",
            "\"job_db\":job -> \"event_db-ready\" [color=\"green\"];",
            "\"job_other\":job -> \"event_net-up\" [color=\"green\"];",
        ] {
            assert!(out.contains(line), "{line} is not in\n{out}");
        }
        assert_eq!(out.matches('{').count(), out.matches('}').count());
    }

    #[test]
    fn a_restriction_shows_the_jobs_and_what_they_mention() {
        let (_, out, _) = converted(&["-r", "web"]);
        assert!(out.contains("job_web") && out.contains("job_db") && !out.contains("job_other"));
        assert!(out.contains("(subset, from file data)"), "{out}");
        let (code, _, err) = converted(&["-r", "nosuch"]);
        assert_eq!((code, err.as_str()), (1, "ERROR: unknown job 'nosuch'\n"));
    }

    #[test]
    fn mistakes_are_told() {
        assert_eq!(converted(&["--bogus"]).0, 2);
        assert!(parse("  emits x\n").is_err() && parse("a\n  nonsense\n").is_err());
        assert_eq!(record("a|b c"), "a\\|b\\ c");
    }
}
