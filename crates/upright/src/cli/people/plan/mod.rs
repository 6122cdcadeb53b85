//! `upright plan`: what files would change, before anything is done.

mod apply;
pub(super) mod lines;
mod proposed;
mod writing;

pub(super) use apply::apply;

use super::{text, texts, Exit, Form, Session};
use clap::ArgMatches;
use engine::control::answer::Answer;
use engine::control::call::Call;
use engine::dialect;
use engine::plan::{ChangeView, Fate, FateView, PlanRow, RowKind};
use engine::text::Text;
use engine::view::SourceView;
use proposed::Replacements;
use serde_json::{json, Value};
use shown::words::printable;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// The widest value that is shown whole.
const VALUE_MAX: usize = 200;

/// A plan, and the files that it is for.
pub struct Planned {
    /// Its rows.
    pub rows: Vec<PlanRow>,
    /// What would stand elsewhere.
    pub files: Replacements,
}

pub(super) fn plan(session: &mut Session<'_, '_>, matches: &ArgMatches) -> Result<(), Exit> {
    let planned = ask(session, matches)?;
    session.show_plan(&planned);
    match (planned.is_broken(), planned.is_empty()) {
        (true, _) => Err(Exit::Failed),
        (false, true) => Ok(()),
        (false, false) => Err(Exit::Differs),
    }
}

/// Asks what the files that the arguments name would change.
fn ask(session: &mut Session<'_, '_>, matches: &ArgMatches) -> Result<Planned, Exit> {
    let given = texts(matches, "file");
    let mut files = Replacements::new();
    let Answer::Sources(sources) = session.ask(Call::Sources)? else { return Err(Exit::Failed) };
    for left in left_over(&sources) {
        let shown = printable(&left.display().to_string());
        session.world.say(&format!(
            "{shown}: left by an apply that is under way or did not come to its end; look at it, then remove it"
        ));
    }
    if !given.is_empty() {
        let into = text(matches, "into");
        let into = into.as_ref().map(|into| Path::new(OsStr::from_bytes(into.bytes())));
        files = proposed::read(&given, into, &sources).map_err(|why| session.cannot(&why))?;
    }
    let call = proposed::proposed(&files).map_err(|why| session.cannot(&why))?;
    let Answer::Plan(rows) = session.ask(Call::Plan(call))? else { return Err(Exit::Failed) };
    Ok(Planned { rows, files })
}

/// Returns what an apply has left that did not come to its end.
fn left_over(sources: &[SourceView]) -> Vec<PathBuf> {
    let directories = sources.iter().flat_map(|source| {
        let files = std::iter::once(&source.path).chain(&source.files).map(path);
        files.map(|file| if file.is_dir() { file } else { file.parent().unwrap_or(file) })
    });
    writing::leftovers(directories)
}

impl Planned {
    /// Reports whether a file of it cannot be used. Where files were named, one of those: others are as
    /// they were before.
    pub fn is_broken(&self) -> bool {
        self.rows.iter().any(|row| row.kind == RowKind::Broken && self.counts(row))
    }

    fn counts(&self, row: &PlanRow) -> bool {
        let named = |file: &Text| self.files.contains_key(path(file));
        self.files.is_empty() || row.files.is_empty() || row.files.iter().any(named)
    }

    /// Reports whether nothing would be done.
    pub fn is_empty(&self) -> bool {
        self.files.is_empty() && !self.rows.iter().any(is_step)
    }

    fn count(&self, kind: RowKind) -> usize {
        self.rows.iter().filter(|row| row.kind == kind).count()
    }

    fn fates(&self, kind: RowKind, fate: Fate) -> usize {
        let rows = self.rows.iter().filter(|row| row.kind == kind);
        rows.flat_map(|row| &row.instances).filter(|one| one.fate == fate).count()
    }

    fn untouched(&self) -> u64 {
        self.rows.iter().filter_map(|row| row.count).sum()
    }

    /// Returns it for programs: one object.
    pub fn to_json(&self) -> Value {
        let with_lines = |row: &PlanRow| {
            let mut value = serde_json::to_value(row).unwrap_or_default();
            let changes = value.get_mut("changes").and_then(Value::as_array_mut);
            for (shown, change) in changes.into_iter().flatten().zip(&row.changes) {
                if let (Some((file, line)), Some(shown)) =
                    (self.line_of(row, change), shown.as_object_mut())
                {
                    shown.insert("file".into(), json!(file.display().to_string()));
                    shown.insert("line".into(), json!(line));
                }
            }
            value
        };
        let steps: Vec<Value> =
            self.rows.iter().filter(|row| is_step(row)).map(with_lines).collect();
        let broken = self.rows.iter().filter(|row| row.kind == RowKind::Broken);
        let broken: Vec<Value> = broken.map(with_lines).collect();
        json!({
            "steps": steps,
            "broken": broken,
            "summary": {
                "add": self.count(RowKind::Add),
                "change": self.count(RowKind::Change),
                "remove": self.count(RowKind::Remove),
                "untouched": self.untouched(),
                "started": self.fates(RowKind::Add, Fate::Starts),
                "restarted": self.fates(RowKind::Change, Fate::Restarts),
                "stopped": self.fates(RowKind::Remove, Fate::Stops),
            },
        })
    }

    /// Returns where a key stands in the file that says it, as that is now.
    fn line_of(&self, row: &PlanRow, change: &ChangeView) -> Option<(PathBuf, u32)> {
        // An override comes last, and counts.
        row.files.iter().rev().find_map(|file| {
            let (shown, bytes) = self.read(path(file))?;
            let line = match &row.section {
                Some(section) => lines::of_program(&bytes, section, change),
                None => lines::of_job(&bytes, change),
            };
            Some((shown, line?))
        })
    }

    /// Returns the file as it would be, and where it is now.
    fn read(&self, file: &Path) -> Option<(PathBuf, Vec<u8>)> {
        match self.files.get(file) {
            Some(one) => one.from.clone(),
            None => std::fs::read(file).ok().map(|bytes| (file.to_path_buf(), bytes)),
        }
    }
}

impl Session<'_, '_> {
    fn cannot(&mut self, why: &str) -> Exit {
        self.world.say(&format!("upright: {}", printable(why)));
        Exit::Failed
    }

    /// Shows a plan.
    fn show_plan(&mut self, planned: &Planned) {
        let shown = match self.form {
            Form::Json => format!("{}\n", planned.to_json()),
            Form::Words => words(planned),
        };
        self.world.print(&shown);
    }
}

fn is_step(row: &PlanRow) -> bool {
    match row.kind {
        RowKind::Add | RowKind::Change | RowKind::Remove => true,
        RowKind::Broken | RowKind::Untouched | RowKind::Essential => false,
    }
}

fn path(text: &Text) -> &Path {
    Path::new(OsStr::from_bytes(text.bytes()))
}

/// Returns a plan for people.
fn words(planned: &Planned) -> String {
    let mut out = String::new();
    for row in planned.rows.iter().filter(|row| row.kind == RowKind::Broken) {
        out += &broken(planned, row);
    }
    if planned.is_broken() {
        return out + "Nothing can be done with these files.\n";
    }
    for row in planned.rows.iter().filter(|row| is_step(row)) {
        out += &step(planned, row);
    }
    if planned.is_empty() {
        let count = planned.untouched();
        return out + &format!("Nothing to do: {count} are as their files say.\n");
    }
    let some = |count: usize, what: &str| match count {
        0 => String::new(),
        count => format!(" ({count} {what})"),
    };
    let (add, change) = (planned.count(RowKind::Add), planned.count(RowKind::Change));
    let remove = planned.count(RowKind::Remove);
    let started = some(planned.fates(RowKind::Add, Fate::Starts), "started");
    let restarted = some(planned.fates(RowKind::Change, Fate::Restarts), "restarted");
    let stopped = some(planned.fates(RowKind::Remove, Fate::Stops), "stopped");
    let untouched = planned.untouched();
    out + &format!("{add} to add{started}, {change} to change{restarted}, {remove} to remove{stopped}, {untouched} untouched\n")
}

/// Returns what is wrong with a file, as `upright check` shows it.
fn broken(planned: &Planned, row: &PlanRow) -> String {
    let aside = match planned.counts(row) {
        true => "",
        false => " (it stays as it was; it is none of those that are named)",
    };
    let file = row.files.first().map(path);
    let read = file.and_then(|file| planned.read(file));
    let shown = match (&read, file) {
        (Some((from, _)), _) => printable(&from.display().to_string()),
        (None, Some(file)) => printable(&file.display().to_string()),
        (None, None) => String::new(),
    };
    let mut out = String::new();
    for mistake in &row.mistakes {
        match &read {
            Some((_, bytes)) => out += &dialect::render(mistake, &shown, bytes),
            None => out += &format!("{}\n", printable(&mistake.one_line(&shown))),
        }
    }
    if let Some(why) = &row.why {
        let head = if shown.is_empty() { String::new() } else { format!("{shown}: ") };
        out += &format!("{head}{}\n", printable(why));
    }
    if !aside.is_empty() {
        out += &format!("{shown}{aside}\n");
    }
    out
}

fn step(planned: &Planned, row: &PlanRow) -> String {
    let sign = match row.kind {
        RowKind::Add => '+',
        RowKind::Change => '~',
        RowKind::Remove | RowKind::Broken | RowKind::Untouched | RowKind::Essential => '-',
    };
    let name = row.job.as_ref().map_or_else(String::new, |job| printable(&job.lossy()));
    let mut out = format!("{sign} {name}\n");
    for change in &row.changes {
        let place = planned.line_of(row, change).map_or_else(String::new, |(file, line)| {
            format!("  ({}:{line})", printable(&file.display().to_string()))
        });
        out += &changed(change, &place);
    }
    for one in &row.instances {
        out += &format!("    {}\n", becomes(row, one));
    }
    out
}

fn changed(change: &ChangeView, place: &str) -> String {
    let key = printable(&change.key);
    let (Some(old), Some(new)) = (&change.old, &change.new) else {
        return format!("    {key}: another value, which you may not see{place}\n");
    };
    if !old.contains('\n') && !new.contains('\n') {
        return format!("    {key}: {} -> {}{place}\n", cut(old), cut(new));
    }
    let mut out = format!("    {key}:{place}\n");
    let lines = |text: &str| if text == "none" { String::new() } else { text.to_owned() };
    let (old, new) = (lines(old), lines(new));
    for (sign, line) in lines::differing(&old, &new) {
        out += &format!("      {sign} {}\n", cut(line));
    }
    out
}

/// Says what becomes of an instance.
fn becomes(row: &PlanRow, one: &FateView) -> String {
    let which = match &one.instance {
        Some(instance) => printable(&instance.text().lossy()),
        None => String::from("main"),
    };
    let pid = one.pid.map_or_else(String::new, |pid| format!(" (pid {pid})"));
    match (one.fate, row.kind) {
        (Fate::Starts, _) => String::from("starts"),
        (Fate::Restarts, _) => format!("restart {which}{pid}"),
        (Fate::Stops, _) => format!("stop {which}{pid}"),
        (Fate::GoesOn, _) => format!("takes effect without a restart of {which}{pid}"),
        (Fate::Waits, _) => format!("{which} keeps running as it was until stopped{pid}"),
        (Fate::Rests, RowKind::Add) => match &row.start_on {
            Some(event) => format!("is not started now; starts on {}", printable(event)),
            None => String::from("is not started now"),
        },
        (Fate::Rests, RowKind::Remove) => String::from("does not run"),
        (Fate::Rests, _) => String::from("stays stopped"),
    }
}

fn cut(value: &str) -> String {
    let value = printable(value);
    match value.char_indices().nth(VALUE_MAX) {
        Some((at, _)) => format!("{}…", value.get(..at).unwrap_or_default()),
        None => value,
    }
}
