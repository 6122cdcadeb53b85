//! `upright complete`: what may come next in a command line, for shells. The words come from the same
//! tables as help does, the names of jobs from the Upright that runs.

use super::client::Client;
use super::shape::{self, Flag, Place, Shape, Times};
use super::{connect, World};
use crate::options::CONSOLES;
use engine::control::answer::Answer;
use engine::control::call::{Call, Listed};
use engine::machine::{Level, EMITTED};
use engine::rights::Role;
use engine::spec::Node;
use engine::text::Text;
use engine::view::InstanceView;
use std::collections::BTreeMap;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::Duration;

/// How long an Upright may take to answer: somebody waits with a finger on the key.
const PATIENCE: Duration = Duration::from_secs(2);

/// How many words are offered.
const MOST: usize = 10_000;

/// What a value is completed with.
#[derive(Clone, Copy)]
enum Kind {
    /// Names of jobs, with their states.
    Jobs,
    /// Names of instances of the job that was named before.
    Instances,
    /// Names of events that some job waits for.
    Events,
    /// What the shell finds: files.
    Files,
    /// What the shell finds: directories.
    Directories,
    /// These.
    Words(fn() -> Vec<&'static str>),
    /// Nobody can know.
    Nothing,
}

/// THE TABLE of values by the names that help gives them.
const VALUES: &[(&str, Kind)] = &[
    ("ADDRESS", Kind::Files),
    ("CONF", Kind::Jobs),
    ("CONSOLE", Kind::Words(|| CONSOLES.iter().map(|row| row.0).collect())),
    ("DIR", Kind::Directories),
    ("EVENT", Kind::Events),
    ("EVENT_LIST", Kind::Events),
    ("FILE", Kind::Files),
    ("JOB", Kind::Jobs),
    ("KEY=VALUE", Kind::Nothing),
    ("KIND", Kind::Words(|| super::people::KINDS.to_vec())),
    ("LEVEL", Kind::Words(|| LEVELS.to_vec())),
    ("MESSAGE", Kind::Nothing),
    ("N", Kind::Nothing),
    ("NAME", Kind::Instances),
    ("NUMBER", Kind::Nothing),
    ("PATTERN", Kind::Jobs),
    ("PRIORITY", Kind::Words(|| Level::TABLE.iter().map(|row| row.1).collect())),
    ("PROGRAM", Kind::Files),
    ("RATE[:BURST]", Kind::Nothing),
    ("REBOOTCOMMAND", Kind::Nothing),
    ("ROLE", Kind::Words(|| Role::TABLE.iter().map(|row| row.1).collect())),
    ("RUNLEVEL", Kind::Words(|| LEVELS.to_vec())),
    ("SECONDS", Kind::Nothing),
    ("SLEEPTIME", Kind::Nothing),
    ("TIME", Kind::Words(|| vec!["now"])),
    ("TOKEN", Kind::Nothing),
    ("UTMP", Kind::Files),
    ("VALUE", Kind::Nothing),
    ("VARIABLE", Kind::Nothing),
    ("VARIABLE[=VALUE]", Kind::Nothing),
    ("WORD", Kind::Nothing),
];

/// The runlevels. Source: telinit(8).
const LEVELS: &[&str] = &["0", "1", "2", "3", "4", "5", "6", "S"];

/// Prints what may stand in the place of the last argument, where the first is the name of a program
/// and those between are its words: one a line, with a tab and what it is. A line `:files` or
/// `:directories` asks the shell for those. Says nothing of mistakes: somebody is typing.
pub(super) fn run(world: &mut World<'_>) -> u8 {
    let words = std::mem::take(&mut world.args);
    let words: Vec<&[u8]> = words.iter().map(Vec::as_slice).skip_while(|w| *w == b"--").collect();
    let [program, before @ .., current] = words.as_slice() else { return 2 };
    let program = Path::new(std::ffi::OsStr::from_bytes(program)).file_name();
    let all = shape::all();
    let Some(shape) = all.iter().find(|shape| program == Some(shape.name.as_ref())) else {
        return 0;
    };
    let Some(line) = Line::read(shape, before) else { return 0 };
    let mut offers = line.offers(world, current);
    offers.retain(|(word, _)| word.starts_with(':') || word.as_bytes().starts_with(current));
    for (word, about) in offers.iter().take(MOST) {
        // A shell reads lines: what would break one cannot be offered.
        if !word.contains(char::is_control) {
            let about = about.replace(char::is_control, " ");
            world.print(&format!("{word}\t{about}\n"));
        }
    }
    0
}

/// A command line up to the word that is being typed.
struct Line<'a> {
    shape: &'a Shape,
    /// The option that waits for its value.
    waits: Option<&'a Flag>,
    /// What was given beside options.
    given: Vec<&'a [u8]>,
    /// Whether `--` has ended the options.
    ended: bool,
    socket: Option<&'a [u8]>,
}

/// A word and what it is.
type Offer = (String, String);

impl<'a> Line<'a> {
    /// Reads what stands there already; nothing where it makes no sense.
    fn read(shape: &'a Shape, words: &[&'a [u8]]) -> Option<Line<'a>> {
        let mut line = Line { shape, waits: None, given: Vec::new(), ended: false, socket: None };
        for word in words {
            if let Some(flag) = line.waits.take() {
                line.value(flag, word);
                continue;
            }
            match word {
                _ if line.ended => line.given.push(word),
                [b'-', b'-'] => line.ended = true,
                [b'-', b'-', option @ ..] => {
                    let mut parts = option.splitn(2, |byte| *byte == b'=');
                    let flag = line.long(parts.next()?);
                    match (flag, parts.next()) {
                        (Some(flag), Some(value)) => line.value(flag, value),
                        (flag, None) => line.waits = flag.filter(|flag| flag.value.is_some()),
                        (None, Some(_)) => {}
                    }
                }
                [b'-', letters @ ..] if !letters.is_empty() => {
                    let takes = letters.iter().position(|letter| {
                        line.short(*letter).is_some_and(|flag| flag.value.is_some())
                    });
                    line.waits = takes
                        .filter(|at| at + 1 == letters.len())
                        .and_then(|at| line.short(*letters.get(at)?));
                }
                name if !line.shape.commands.is_empty() => {
                    let found = |command: &&Shape| command.name.as_bytes() == *name;
                    line.shape = line.shape.commands.iter().find(found)?;
                }
                word => line.given.push(word),
            }
        }
        Some(line)
    }

    fn value(&mut self, flag: &Flag, value: &'a [u8]) {
        if flag.long.as_deref() == Some("socket") {
            self.socket = Some(value);
        }
    }

    fn long(&self, name: &[u8]) -> Option<&'a Flag> {
        let named = |flag: &&Flag| flag.long.as_ref().is_some_and(|long| long.as_bytes() == name);
        self.shape.flags.iter().find(named)
    }

    fn short(&self, letter: u8) -> Option<&'a Flag> {
        self.shape.flags.iter().find(|flag| flag.short == Some(char::from(letter)))
    }

    fn offers(&self, world: &World<'_>, current: &[u8]) -> Vec<Offer> {
        if let Some(value) = self.waits.and_then(|flag| flag.value.as_deref()) {
            return self.values(world, value);
        }
        match current {
            [b'-', ..] if !self.ended => self.flags(world, current),
            _ if !self.shape.commands.is_empty() => {
                let offer = |command: &Shape| (command.name.clone(), command.about.clone());
                self.shape.commands.iter().map(offer).collect()
            }
            _ => match self.place() {
                Some(place) => self.values(world, &place.value),
                None => Vec::new(),
            },
        }
    }

    /// Returns what stands in the place that comes next.
    fn place(&self) -> Option<&'a Place> {
        let last = self.shape.places.last().filter(|place| place.times == Times::Many);
        self.shape.places.get(self.given.len()).or(last)
    }

    fn flags(&self, world: &World<'_>, current: &[u8]) -> Vec<Offer> {
        if let Some(equals) = current.iter().position(|byte| *byte == b'=') {
            let (name, _) = current.split_at(equals);
            let flag = self.long(name.strip_prefix(b"--").unwrap_or_default());
            let Some(value) = flag.and_then(|flag| flag.value.as_deref()) else {
                return Vec::new();
            };
            let name = String::from_utf8_lossy(name);
            let values = self.values(world, value).into_iter();
            // Files behind an equals sign are the shell's own affair.
            let values = values.filter(|(word, _)| !word.starts_with(':'));
            return values.map(|(word, about)| (format!("{name}={word}"), about)).collect();
        }
        let shown = self.shape.flags.iter().filter(|flag| flag.help.is_some());
        let offer = |flag: &Flag| {
            let long = flag.long.as_ref().map(|long| format!("--{long}"));
            let short = flag.short.map(|short| format!("-{short}"));
            let help = flag.help.clone().unwrap_or_default();
            [long, short].into_iter().flatten().map(move |word| (word, help.clone()))
        };
        shown.flat_map(offer).collect()
    }

    fn values(&self, world: &World<'_>, value: &str) -> Vec<Offer> {
        let kind = VALUES.iter().find(|row| row.0 == value).map_or(Kind::Nothing, |row| row.1);
        let plain = |word: String| (word, String::new());
        match kind {
            Kind::Nothing => Vec::new(),
            Kind::Files => vec![plain(String::from(":files"))],
            Kind::Directories => vec![plain(String::from(":directories"))],
            Kind::Words(words) => words().into_iter().map(|word| plain(word.to_owned())).collect(),
            Kind::Jobs => jobs(&self.instances(world, None)).into_iter().collect(),
            Kind::Instances => {
                let Some(job) = self.given.first() else { return Vec::new() };
                let views = self.instances(world, Some(Text::from(*job)));
                let named = views.iter().filter(|view| !view.instance.text().is_empty());
                named.map(|view| (view.instance.to_string(), state(view))).collect()
            }
            Kind::Events => events(self.ask(world, Call::ShowConfig(None))),
        }
    }

    fn instances(&self, world: &World<'_>, job: Option<Text>) -> Vec<InstanceView> {
        match self.ask(world, Call::List(job, Listed::Own)) {
            Some(Answer::Instances(views)) => views,
            Some(_) | None => Vec::new(),
        }
    }

    fn ask(&self, world: &World<'_>, call: Call) -> Option<Answer> {
        let places = connect::places(world, self.socket).ok()?;
        let (stream, address) = connect::find(places, world.uid).ok()?;
        stream.set_read_timeout(Some(PATIENCE)).ok()?;
        Client::new(stream, address, world.uid).with_patience(Duration::ZERO).ask(call).ok()
    }
}

fn state(view: &InstanceView) -> String {
    format!("{}/{}", view.goal, view.state)
}

/// Returns every job once, with its state, or how many instances it has.
fn jobs(views: &[InstanceView]) -> BTreeMap<String, String> {
    let mut jobs: BTreeMap<String, Vec<&InstanceView>> = BTreeMap::new();
    for view in views {
        jobs.entry(view.job.to_string()).or_default().push(view);
    }
    let about = |views: Vec<&InstanceView>| match views.as_slice() {
        [one] => state(one),
        all => format!("{} instances", all.len()),
    };
    jobs.into_iter().map(|(job, views)| (job, about(views))).collect()
}

/// Returns the events that conditions name or jobs say they emit, but not those that Upright emits by
/// itself.
fn events(answer: Option<Answer>) -> Vec<Offer> {
    let Some(Answer::Jobs(jobs)) = answer else { return Vec::new() };
    let mut events: BTreeMap<String, String> = BTreeMap::new();
    for job in &jobs {
        for (condition, what) in [(&job.start_on, "starts"), (&job.stop_on, "stops")] {
            let nodes = condition.iter().flat_map(|condition| &condition.nodes);
            for node in nodes {
                if let Node::Event(operand) = node {
                    let about = events.entry(operand.event.to_string()).or_default();
                    let more = if about.is_empty() { "" } else { ", " };
                    *about += &format!("{more}{what} {}", job.name);
                }
            }
        }
        let whole = |name: &&Text| !name.bytes().iter().any(|byte| b"*?[".contains(byte));
        for name in job.emits.iter().filter(whole) {
            events.entry(name.lossy().into_owned()).or_default();
        }
    }
    let ours = |name: &String| EMITTED.iter().any(|row| row.name == name);
    events.into_iter().filter(|(name, _)| !ours(name)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::client::fake::{Act, Server};
    use crate::cli::Look;
    use engine::control::fault::Fault;
    use engine::machine::state::{Goal, State};
    use engine::names::{EventName, InstanceName, JobName};
    use engine::spec::{Condition, Operand};
    use engine::view::JobView;

    /// What is offered for a command line with `|` for its words' ends, the last being typed.
    fn offered(line: &str, script: Vec<Act>) -> Vec<String> {
        let server = Server::start(script);
        let address = server.address.to_string();
        let mut out = Vec::new();
        let code = crate::cli::run(&mut World {
            program: String::from("upright"),
            args: ["complete", "--"].into_iter().chain(line.split('|')).map(Vec::from).collect(),
            env: &|name| (name == "UPRIGHT_SOCKET").then(|| address.clone().into_bytes()),
            uid: sys::peer::own_uid(),
            out: &mut out,
            err: &mut std::io::sink(),
            look: Look::Plain,
        });
        assert_eq!(code, 0, "{line}");
        server.calls();
        let words = String::from_utf8(out).unwrap();
        words.lines().map(|line| line.replace('\t', " = ")).collect()
    }

    fn view(job: &str, instance: &str, state: State) -> InstanceView {
        InstanceView {
            goal: if state == State::Running { Goal::Start } else { Goal::Stop },
            state,
            ..InstanceView::at_rest(
                JobName::try_from(job).unwrap(),
                InstanceName::try_from(instance).unwrap(),
            )
        }
    }

    fn jobs() -> Vec<Act> {
        let views = vec![
            view("db", "", State::Waiting),
            view("web", "a", State::Running),
            view("web", "b", State::Running),
        ];
        vec![Act::Answer(Ok(Answer::Instances(views)))]
    }

    #[test]
    fn commands_and_options_come_from_the_tables_of_each_program() {
        let none = Vec::new;
        assert_eq!(
            offered("upright|why", none()),
            [
                "why = Tell why a job is in the state it is in, and what happened to it; or whom an event starts",
                "why-not = Tell what must still happen for a job to start"
            ]
        );
        assert_eq!(
            offered("/usr/bin/upright|start|--no", none()),
            ["--no-wait = Return as soon as it is on its way"]
        );
        let quiet = ["--quiet = reduce output to errors only"];
        assert_eq!(offered("initctl|--qu", none()), quiet);
        assert_eq!(offered("start|--qu", none()), quiet);
        assert_eq!(offered("shutdown|-k", none()), ["-k = only send warnings, don't shutdown"]);
        assert_eq!(offered("upright|bogus|", none()), [""; 0]);
        assert_eq!(offered("bogus|", none()), [""; 0]);
    }

    #[test]
    fn values_are_what_an_option_or_an_argument_takes() {
        let none = Vec::new;
        assert_eq!(offered("upright|events|--kind|st", none()), ["state = "]);
        assert_eq!(offered("upright|events|--kind=st", none()), ["--kind=state = "]);
        assert_eq!(offered("upright|up|--default-console|o", none()), ["output = ", "owner = "]);
        assert_eq!(offered("upright|up|--logdir|", none()), [":directories = "]);
        assert_eq!(offered("upright|check|x", none()), [":files = "]);
        assert_eq!(offered("upright|log|-n|", none()), [""; 0]);
        assert_eq!(offered("initctl|log-priority|d", none()), ["debug = "]);
        assert_eq!(offered("telinit|S", none()), ["S = "]);
        assert_eq!(offered("shutdown|-h|n", none()), ["now = "]);
    }

    #[test]
    fn jobs_and_instances_are_asked_of_the_upright_that_runs() {
        let all = ["db = stop/waiting", "web = 2 instances"];
        assert_eq!(offered("upright|start|", jobs()), all);
        assert_eq!(offered("upright|enable|db|", jobs()), all);
        assert_eq!(offered("upright|log|-fn|5|", jobs()), all);
        assert_eq!(offered("initctl|-q|status|d", jobs()), ["db = stop/waiting"]);
        assert_eq!(offered("restart|--|w", jobs()), ["web = 2 instances"]);
        assert_eq!(offered("upright|start|db|", Vec::new()), [""; 0], "variables are anybody's");
        let instances = ["a = start/running", "b = start/running"];
        assert_eq!(offered("upright|stop|web|--instance|", jobs()), instances);
    }

    #[test]
    fn events_are_those_that_jobs_wait_for_or_say_they_emit() {
        let on = |event: &str| {
            let event = EventName::try_from(event).unwrap();
            Some(Condition { nodes: vec![Node::Event(Operand { event, args: Vec::new() })] })
        };
        let job = |name: &str, start_on, emits: &[&str]| JobView {
            name: JobName::try_from(name).unwrap(),
            usage: None,
            description: None,
            author: None,
            version: None,
            emits: emits.iter().map(|event| Text::from(*event)).collect(),
            start_on,
            stop_on: on("stopping"),
        };
        let jobs = vec![job("db", on("disk"), &["full", "net-*"]), job("web", on("disk"), &[])];
        let script = vec![Act::Answer(Ok(Answer::Jobs(jobs)))];
        assert_eq!(offered("emit|", script), ["disk = starts db, starts web", "full = "]);
    }

    #[test]
    fn a_refusal_and_nobody_there_offer_nothing_and_say_nothing() {
        let refused = Act::Answer(Err(Fault::Unavailable(String::from("no"))));
        assert_eq!(offered("upright|start|", vec![refused]), [""; 0]);
        assert_eq!(offered("upright|start|--socket|/nonexistent|", Vec::new()), [""; 0]);
    }

    #[test]
    fn every_value_that_help_names_has_its_row_and_every_row_is_named() {
        fn named(shape: &Shape, to: &mut Vec<String>) {
            to.extend(shape.flags.iter().filter_map(|flag| flag.value.clone()));
            to.extend(shape.places.iter().map(|place| place.value.clone()));
            shape.commands.iter().for_each(|command| named(command, to));
        }
        let mut all = Vec::new();
        // clap's own `help` takes a command's name.
        let own = |shape: &Shape| shape.name != "help";
        for mut shape in shape::all() {
            shape.commands.retain(own);
            named(&shape, &mut all);
        }
        for value in &all {
            assert!(VALUES.iter().any(|row| row.0 == value), "{value}");
        }
        for (value, _) in VALUES {
            assert!(all.iter().any(|one| one == value), "{value}");
        }
    }
}
