//! `/metrics`: numbers for who collects them, as docs/http.md has them.

mod text;
mod usage;

pub use text::CONTENT_TYPE;

use crate::control::Control;
use crate::instances::{self, Health, Instance};
use crate::logs::elsewhere;
use engine::control::answer::{Answer, Version};
use engine::control::call::{Call, Listed};
use engine::control::fault::Fault;
use engine::control::{Exit, InstanceView, Text as Bytes};
use engine::names::{InstanceName, JobName};
use engine::process::{Pid, Stream};
use engine::time::Span;
use engine::view::{CountView, LastExit};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::os::unix::ffi::OsStrExt;
use sys::clock;
use sys::procfs;
use text::{Kind, Samples, Text};
use tokio::sync::Semaphore;
use usage::{seconds, Census, Usage};

/// What the arguments of Upright's own processes begin with.
const OWN_PROCESS: &[u8] = b"upright-";

/// Everything about one family.
struct Family {
    name: &'static str,
    kind: Kind,
    help: &'static str,
    fill: fn(&Facts, &mut Samples<'_>),
}

const fn family(
    name: &'static str,
    kind: Kind,
    help: &'static str,
    fill: fn(&Facts, &mut Samples<'_>),
) -> Family {
    Family { name, kind, help, fill }
}

/// Every family. The names stay; docs/http.md has each.
const FAMILIES: &[Family] = &[
    family("upright_build", Kind::Info, "What runs here.", build),
    family("upright_jobs", Kind::Gauge, "Instances, and jobs without one, by state.", jobs),
    family("upright_job_state", Kind::StateSet, "How the job is.", state),
    family(
        "upright_job_program_state",
        Kind::Gauge,
        "The number that Supervisor has for the state: 0 STOPPED, 10 STARTING, 20 RUNNING, 30 BACKOFF, \
         40 STOPPING, 100 EXITED, 200 FATAL, 1000 UNKNOWN.",
        program_state,
    ),
    family(
        "upright_job_uptime_seconds",
        Kind::Gauge,
        "How long the job has been running.",
        uptime,
    ),
    family(
        "upright_job_start_time_seconds",
        Kind::Gauge,
        "When the main process began, since 1970.",
        start_time,
    ),
    family(
        "upright_job_restarts",
        Kind::Counter,
        "How often the main process was started again, by why: done (it had ended with status 0), status \
         (another status), signal, unknown, unready (it ended before it was ready), asked.",
        restarts,
    ),
    family(
        "upright_job_last_exit_status",
        Kind::Gauge,
        "The status that the last main process ended with.",
        |facts, samples| last_exit(facts, samples, |exit| match exit {
            Exit::Status(status) => Some(u32::from(status)),
            Exit::Signal { .. } | Exit::Unknown | Exit::OutOfMemory => None,
        }),
    ),
    family(
        "upright_job_last_exit_signal",
        Kind::Gauge,
        "The signal that ended the last main process.",
        |facts, samples| last_exit(facts, samples, |exit| match exit {
            Exit::Signal { signal, .. } => Some(u32::from(signal)),
            // KILL.
            Exit::OutOfMemory => Some(9),
            Exit::Status(_) | Exit::Unknown => None,
        }),
    ),
    family(
        "upright_job_last_exit_time_seconds",
        Kind::Gauge,
        "When the last main process ended, since 1970.",
        last_exit_time,
    ),
    family(
        "upright_job_processes",
        Kind::Gauge,
        "Processes of the job: those that Upright started and what descends from them.",
        |facts, samples| used(facts, samples, |row| Some(row.usage.as_ref()?.processes as f64)),
    ),
    family(
        "upright_job_resident_memory_bytes",
        Kind::Gauge,
        "Resident memory of these processes; what they share is counted for each.",
        |facts, samples| used(facts, samples, |row| Some(row.usage.as_ref()?.memory as f64)),
    ),
    family(
        "upright_job_cpu_seconds",
        Kind::Counter,
        "Processor time of these processes.",
        |facts, samples| used(facts, samples, |row| row.ticks.map(seconds)),
    ),
    family(
        "upright_job_log_size_bytes",
        Kind::Gauge,
        "The size of the file that the output is written to.",
        |facts, samples| used(facts, samples, |row| Some(row.size()? as f64)),
    ),
    family(
        "upright_job_log_bytes",
        Kind::Counter,
        "Output of the job that was taken: written, forwarded, or thrown away where the job says so.",
        |facts, samples| outputs(facts, samples, |count| count.taken),
    ),
    family(
        "upright_job_log_dropped_bytes",
        Kind::Counter,
        "Output of the job that was dropped, as it could not be written.",
        |facts, samples| outputs(facts, samples, |count| count.dropped),
    ),
    family(
        "upright_process_start_time_seconds",
        Kind::Gauge,
        "When this process of Upright itself began, since 1970.",
        |facts, samples| own(facts, samples, |own| Some(moment(facts.booted + own.usage.began))),
    ),
    family(
        "upright_process_resident_memory_bytes",
        Kind::Gauge,
        "Resident memory of this process of Upright itself.",
        |facts, samples| own(facts, samples, |own| Some(own.usage.memory as f64)),
    ),
    family(
        "upright_process_cpu_seconds",
        Kind::Counter,
        "Processor time of this process of Upright itself.",
        |facts, samples| own(facts, samples, |own| Some(own.usage.seconds())),
    ),
    family(
        "upright_process_open_fds",
        Kind::Gauge,
        "Open descriptors of this process of Upright itself, where they may be seen.",
        |facts, samples| own(facts, samples, |own| Some(own.files? as f64)),
    ),
];

/// What is kept from one collection to the next.
pub struct Metrics {
    /// One collection at a time: it reads all of `/proc`.
    turn: Semaphore,
    totals: RefCell<BTreeMap<String, Total>>,
}

/// The processor time of an instance, which never goes down while it is known: the time of a child that
/// nobody waited for is not forgotten.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Total {
    last: u64,
    sum: u64,
}

impl Total {
    fn count(&mut self, now: u64) -> u64 {
        self.sum = self.sum.saturating_add(now.saturating_sub(self.last));
        self.last = now;
        self.sum
    }
}

/// What is known at one moment.
struct Facts {
    version: Version,
    /// Seconds since 1970.
    now: f64,
    /// When the machine began, the same.
    booted: f64,
    rows: Vec<Row>,
    own: Vec<Own>,
}

struct Row {
    instance: Instance,
    /// The size of its file, as we see it ourselves.
    log: Option<u64>,
    /// What the logger knows of its outputs.
    outputs: Vec<CountView>,
    usage: Option<Usage>,
    ticks: Option<u64>,
}

impl Row {
    /// Returns the size of the file of standard output.
    fn size(&self) -> Option<u64> {
        let known = self.outputs.iter().find(|count| count.stream == Stream::Stdout);
        known.and_then(|count| count.size).or(self.log)
    }
}

/// A process of Upright itself.
struct Own {
    role: String,
    usage: Usage,
    files: Option<usize>,
}

impl Default for Metrics {
    fn default() -> Metrics {
        Metrics { turn: Semaphore::new(1), totals: RefCell::default() }
    }
}

impl Metrics {
    /// Returns the text of all metrics at this moment.
    pub async fn collect(&self, control: &Control) -> Result<String, Fault> {
        // It is never closed.
        let _turn = self.turn.acquire().await;
        let instances = instances::all(control, Listed::All).await?;
        let (own, instances) = instances.into_iter().partition::<Vec<_>, _>(Instance::is_own);
        let version = match control.ask(Call::Version).await? {
            Answer::Version(version) => version,
            _ => return Err(Fault::Unavailable("Upright does not say its version".to_owned())),
        };
        let told = |one: &Instance| one.program.as_ref().map(|told| told.stdout_log.clone());
        let apart = instances.iter().filter(|one| told(one).is_none());
        let calls: Vec<Call> =
            apart.map(|one| Call::LogPath(one.target(), Stream::Stdout)).collect();
        let mut answers = control.ask_all(&calls).await?.into_iter();
        let mut asked = || match answers.next() {
            Some(Ok(Answer::Path(path))) => Some(path),
            Some(Ok(_) | Err(_)) | None => None,
        };
        let paths = instances.iter().map(|one| told(one).unwrap_or_else(&mut asked));
        let paths: Vec<Option<Bytes>> = paths.collect();
        let pids: Vec<Vec<Pid>> = instances.iter().map(|one| pids(&one.view)).collect();
        let gateways: Vec<Pid> = own.iter().filter_map(Instance::main).collect();
        let seen = elsewhere(move || Ok(look(version.pid, &gateways, &pids, &paths))).await;
        let (own, seen) = seen.map_err(|fault| Fault::Unavailable(fault.text))?;
        let mut counts = counts(control).await;
        let rows = instances.into_iter().zip(seen).map(|(instance, (usage, log))| {
            let key = (instance.view.job.clone(), instance.view.instance.clone());
            let outputs = counts.remove(&key).unwrap_or_default();
            Row { instance, log, outputs, usage, ticks: None }
        });
        let mut rows: Vec<Row> = rows.collect();
        self.add_up(&mut rows);
        let nanos = |span: Span| span.0 as f64 / 1e9;
        let now = nanos(clock::wall());
        let booted = now - nanos(Span(clock::boot().0));
        Ok(written(&Facts { version, now, booted, rows, own }))
    }

    /// Adds to the totals what was used since the last time. What is gone is forgotten.
    fn add_up(&self, rows: &mut [Row]) {
        let mut before = self.totals.take();
        let mut totals = BTreeMap::new();
        for row in rows {
            let name = &row.instance.name;
            let mut total = before.remove(name).unwrap_or_default();
            row.ticks = match &row.usage {
                Some(usage) => Some(total.count(usage.ticks)),
                None if total.sum > 0 => Some(total.count(0)),
                None => continue,
            };
            totals.insert(name.clone(), total);
        }
        self.totals.replace(totals);
    }
}

/// Returns what the logger knows of outputs, by job and instance; nothing where it cannot tell now.
async fn counts(control: &Control) -> BTreeMap<(JobName, InstanceName), Vec<CountView>> {
    let mut all: BTreeMap<_, Vec<CountView>> = BTreeMap::new();
    if let Ok(Answer::Counts(counts)) = control.ask(Call::LogCounts).await {
        for count in counts {
            let key = (count.job.clone(), count.instance.clone());
            all.entry(key).or_default().push(count);
        }
    }
    all
}

fn pids(view: &InstanceView) -> Vec<Pid> {
    view.processes.iter().map(|(_, pid)| *pid).collect()
}

type Seen = (Option<Usage>, Option<u64>);

/// Looks at processes and files.
fn look(
    keeper: Pid,
    gateways: &[Pid],
    jobs: &[Vec<Pid>],
    paths: &[Option<Bytes>],
) -> (Vec<Own>, Vec<Seen>) {
    let this = Pid::try_from(std::process::id()).unwrap_or(0);
    let mut ours: Vec<Pid> = procfs::children_of(keeper);
    ours.retain(|pid| !jobs.iter().flatten().any(|other| other == pid));
    ours.retain(|pid| gateways.contains(pid) || role(*pid).is_some());
    ours.extend([keeper, this]);
    ours.sort_unstable();
    ours.dedup();
    let asked: Vec<Pid> = jobs.iter().flatten().chain(&ours).copied().collect();
    let census = Census::take(&asked);
    let usage = census.usage(&asked);
    let own = ours.iter().filter_map(|pid| {
        let role = match *pid {
            pid if pid == this => "http".to_owned(),
            pid if pid == keeper => "keeper".to_owned(),
            pid => role(pid)?,
        };
        let files = procfs::open_files(*pid);
        Some(Own { role, usage: census.alone(*pid)?, files })
    });
    let own = own.collect();
    let seen = jobs.iter().zip(paths).map(|(pids, path)| {
        let used = pids.iter().filter_map(|pid| usage.get(pid)).copied().reduce(Usage::with);
        let size = path.as_ref().and_then(|path| {
            let path = std::ffi::OsStr::from_bytes(path.bytes());
            Some(std::fs::metadata(path).ok()?.len())
        });
        (used, size)
    });
    let seen = seen.collect();
    (own, seen)
}

/// Returns what a process of Upright itself is: `daemon`, `logger`, `dbus`.
fn role(pid: Pid) -> Option<String> {
    let arguments = procfs::arguments(pid)?;
    let name = arguments.first()?.rsplit(|byte| *byte == b'/').next()?;
    Some(String::from_utf8_lossy(name.strip_prefix(OWN_PROCESS)?).into_owned())
}

fn written(facts: &Facts) -> String {
    let mut text = Text::default();
    for family in FAMILIES {
        (family.fill)(facts, &mut text.family(family.name, family.kind, family.help));
    }
    text.end()
}

fn build(facts: &Facts, samples: &mut Samples<'_>) {
    let Version { version, compatible, .. } = &facts.version;
    samples.add(&[("version", version), ("compatible", compatible)], 1);
}

fn jobs(facts: &Facts, samples: &mut Samples<'_>) {
    for (health, word) in Health::TABLE {
        let count = facts.rows.iter().filter(|row| row.instance.health() == health).count();
        samples.add(&[("state", word)], count);
    }
}

fn state(facts: &Facts, samples: &mut Samples<'_>) {
    each(facts, |row, [job, instance]| {
        let is = row.instance.health();
        for (health, word) in Health::TABLE {
            let labels = [job, instance, ("upright_job_state", word)];
            samples.add(&labels, u8::from(health == is));
        }
    });
}

fn program_state(facts: &Facts, samples: &mut Samples<'_>) {
    each(facts, |row, labels| {
        samples.add(&labels, row.instance.state().code());
    });
}

fn uptime(facts: &Facts, samples: &mut Samples<'_>) {
    each(facts, |row, labels| {
        if row.instance.health() == Health::Running {
            samples.add(&labels, row.instance.view.since.0 as f64 / 1e9);
        }
    });
}

fn start_time(facts: &Facts, samples: &mut Samples<'_>) {
    each(facts, |row, labels| {
        if let (Some(usage), Some(_)) = (&row.usage, row.instance.main()) {
            samples.add(&labels, moment(facts.booted + usage.began));
        }
    });
}

fn restarts(facts: &Facts, samples: &mut Samples<'_>) {
    each(facts, |row, [job, instance]| {
        for (reason, count) in row.instance.view.restarts.by_reason() {
            samples.add(&[job, instance, ("reason", reason)], count);
        }
    });
}

fn last_exit(facts: &Facts, samples: &mut Samples<'_>, number: fn(Exit) -> Option<u32>) {
    each(facts, |row, labels| {
        if let Some((LastExit::Ended { exit, .. }, _)) = &row.instance.view.last_exit {
            if let Some(number) = number(*exit) {
                samples.add(&labels, number);
            }
        }
    });
}

fn last_exit_time(facts: &Facts, samples: &mut Samples<'_>) {
    each(facts, |row, labels| {
        if let Some((_, ago)) = &row.instance.view.last_exit {
            samples.add(&labels, moment(facts.now - ago.0 as f64 / 1e9));
        }
    });
}

fn used(facts: &Facts, samples: &mut Samples<'_>, number: fn(&Row) -> Option<f64>) {
    each(facts, |row, labels| {
        if let Some(number) = number(row) {
            samples.add(&labels, number);
        }
    });
}

fn outputs(facts: &Facts, samples: &mut Samples<'_>, number: fn(&CountView) -> u64) {
    each(facts, |row, [job, instance]| {
        for count in &row.outputs {
            let labels = [job, instance, ("stream", count.stream.name())];
            samples.add(&labels, number(count));
        }
    });
}

fn own(facts: &Facts, samples: &mut Samples<'_>, number: impl Fn(&Own) -> Option<f64>) {
    for own in &facts.own {
        if let Some(number) = number(own) {
            samples.add(&[("process", &own.role)], number);
        }
    }
}

/// Does it for each instance, with the labels that say which it is.
fn each<'a>(facts: &'a Facts, mut what: impl FnMut(&'a Row, [(&'static str, &str); 2])) {
    for row in &facts.rows {
        let view = &row.instance.view;
        let (job, instance) = (view.job.text().lossy(), view.instance.text().lossy());
        what(row, [("job", &job), ("instance", &instance)]);
    }
}

/// A moment of wall time that is computed from ages is good to a hundredth of a second at best.
fn moment(seconds: f64) -> f64 {
    (seconds * 100.0).round() / 100.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::instances::tests::read;

    fn facts() -> Facts {
        let rows = read(
            r#"{"job":"web","goal":"start","state":"running","age":2500,
                "processes":[{"process":"main","pid":7}],
                "last_exit":{"process":"main","signal":9},"last_exit_age":4000,
                "respawns":3,"restarts":{"done":0,"status":1,"signal":2,"unknown":0,"unready":0,"asked":0}},
               {"job":"a\"b","instance":"x","goal":"stop","state":"killed","age":1},
               {"job":"bad","goal":"stop","state":"waiting","age":1,
                "last_exit":{"process":"main","status":3},"last_exit_age":1}"#,
            r#"{"job":"web","group":"web","process":"web","state":"RUNNING","code":20,"failures":0},
               {"job":"bad","group":"bad","process":"bad","state":"FATAL","code":200,
                "spawn_error":"Exited too quickly","failures":1}"#,
        );
        let usage = Usage { memory: 8192, ticks: 250, processes: 2, began: 10.0 };
        let rows = rows.into_iter().map(|instance| {
            let runs = instance.main().is_some();
            let (usage, ticks) = (runs.then_some(usage), runs.then_some(300));
            let count = |stream| CountView {
                job: instance.view.job.clone(),
                instance: instance.view.instance.clone(),
                stream,
                taken: 1_000_000_007,
                dropped: 12,
                size: None,
            };
            let outputs =
                if runs { vec![count(Stream::Stdout), count(Stream::Stderr)] } else { vec![] };
            Row { instance, log: runs.then_some(77), outputs, usage, ticks }
        });
        let own = Own { role: "keeper".to_owned(), usage, files: None };
        let version = Version::own(1);
        Facts { version, now: 1000.0, booted: 900.0, rows: rows.collect(), own: vec![own] }
    }

    #[test]
    fn what_is_known_is_told_and_what_is_not_is_left_out() {
        let text = written(&facts());
        for line in [
            "upright_jobs{state=\"running\"} 1",
            "upright_jobs{state=\"starting\"} 0",
            "upright_job_state{job=\"web\",instance=\"\",upright_job_state=\"running\"} 1",
            "upright_job_state{job=\"web\",instance=\"\",upright_job_state=\"failed\"} 0",
            "upright_job_state{job=\"bad\",instance=\"\",upright_job_state=\"failed\"} 1",
            "upright_job_state{job=\"a\\\"b\",instance=\"x\",upright_job_state=\"stopping\"} 1",
            "upright_job_program_state{job=\"bad\",instance=\"\"} 200",
            "upright_job_uptime_seconds{job=\"web\",instance=\"\"} 2.5",
            "upright_job_start_time_seconds{job=\"web\",instance=\"\"} 910",
            "upright_job_restarts_total{job=\"web\",instance=\"\",reason=\"signal\"} 2",
            "upright_job_restarts_total{job=\"bad\",instance=\"\",reason=\"asked\"} 0",
            "upright_job_last_exit_signal{job=\"web\",instance=\"\"} 9",
            "upright_job_last_exit_status{job=\"bad\",instance=\"\"} 3",
            "upright_job_last_exit_time_seconds{job=\"web\",instance=\"\"} 996",
            "upright_job_processes{job=\"web\",instance=\"\"} 2",
            "upright_job_resident_memory_bytes{job=\"web\",instance=\"\"} 8192",
            "upright_job_cpu_seconds_total{job=\"web\",instance=\"\"} 3",
            "upright_job_log_size_bytes{job=\"web\",instance=\"\"} 77",
            "upright_job_log_bytes_total{job=\"web\",instance=\"\",stream=\"stderr\"} 1000000007",
            "upright_job_log_dropped_bytes_total{job=\"web\",instance=\"\",stream=\"stdout\"} 12",
            "upright_process_cpu_seconds_total{process=\"keeper\"} 2.5",
            "upright_process_start_time_seconds{process=\"keeper\"} 910",
        ] {
            assert!(text.lines().any(|other| other == line), "{line} is not in\n{text}");
        }
        for part in [
            "upright_job_last_exit_status{job=\"web\"",
            "upright_job_uptime_seconds{job=\"bad\"",
            "upright_job_processes{job=\"bad\"",
            "upright_job_log_bytes_total{job=\"bad\"",
            "upright_process_open_fds{",
        ] {
            assert!(!text.contains(part), "{part}");
        }
    }

    #[test]
    fn every_family_is_told_once_with_its_samples_and_stands_in_the_documentation() {
        let (text, page) = (written(&facts()), include_str!("../../../../docs/http.md"));
        let mut open = "";
        let mut seen: Vec<&str> = Vec::new();
        let (body, end) = text.split_at(text.len() - "# EOF\n".len());
        assert_eq!(end, "# EOF\n");
        for line in body.lines() {
            match line.strip_prefix("# TYPE ").and_then(|rest| rest.split(' ').next()) {
                Some(name) => {
                    assert!(!seen.contains(&name), "{name}");
                    seen.push(name);
                    open = name;
                }
                None if line.starts_with("# ") => assert_eq!(line.split(' ').nth(2), Some(open)),
                None => assert!(line.starts_with(open), "{line} is none of {open}"),
            }
        }
        assert_eq!(seen.len(), FAMILIES.len());
        for family in FAMILIES {
            let name = format!("`{}`", family.name);
            assert!(page.contains(&name), "docs/http.md does not have {name}");
            assert!(!family.name.ends_with("_total") && family.help.ends_with('.'), "{name}");
        }
    }

    #[test]
    fn processor_time_never_goes_down_while_a_job_is_known() {
        let mut total = Total::default();
        let counted: Vec<u64> = [5, 9, 2, 2, 7].map(|now| total.count(now)).into();
        assert_eq!(counted, [5, 9, 9, 9, 14]);
    }
}
