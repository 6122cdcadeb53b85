//! What a name may mean that no job has: a file that cannot be used, or is not in force yet, a group of
//! programs, a slip of the finger.

use super::Session;
use engine::control::answer::Answer;
use engine::control::call::{Call, Listed};
use engine::dialect::did_you_mean;
use engine::plan::{PlanRow, RowKind};
use engine::text::Text;
use shown::words::printable;

/// How many members of a group are named, and how many mistakes.
const NAMED_MAX: usize = 5;

/// Returns lines that say what the name may mean, and what to type next; never none.
pub(super) fn tell(session: &Session<'_, '_>, name: &Text) -> Vec<String> {
    let mut lines = in_files(session, name);
    if lines.is_empty() {
        lines.extend(near(session, name));
    }
    lines.push(String::from("`upright status` shows all jobs."));
    lines
}

/// Looks for the name in the files, where the caller may.
fn in_files(session: &Session<'_, '_>, name: &Text) -> Vec<String> {
    let asked = session.client_aside().map(|mut client| client.ask(Call::Plan(Vec::new())));
    let Some(Ok(Answer::Plan(rows))) = asked else { return Vec::new() };
    let of_job = |row: &&PlanRow| row.job.as_ref() == Some(name);
    if let Some(row) = rows.iter().find(of_job) {
        return match row.kind {
            RowKind::Broken => broken("Its file cannot be used, so there is no such job:", row),
            RowKind::Add => vec![not_in_force(row)],
            RowKind::Change | RowKind::Remove | RowKind::Untouched | RowKind::Essential => {
                Vec::new()
            }
        };
    }
    // A configuration describes many, and is of no use as a whole.
    let configuration = |row: &&PlanRow| row.kind == RowKind::Broken && row.job.is_none();
    rows.iter().find(configuration).map_or_else(Vec::new, |row| {
        broken("This configuration cannot be used; what it describes may be missing:", row)
    })
}

fn broken(head: &str, row: &PlanRow) -> Vec<String> {
    let mut lines = vec![String::from(head)];
    let file = row.files.first().map(|file| printable(&file.lossy())).unwrap_or_default();
    for mistake in row.mistakes.iter().take(NAMED_MAX) {
        let (place, message) = (mistake.place, printable(&mistake.message));
        lines.push(format!("  {file}:{}:{}: {message}", place.line, place.column));
    }
    lines.extend(row.why.iter().map(|why| format!("  {}", printable(why))));
    if !row.mistakes.is_empty() {
        lines
            .push(format!("`upright check {file}` shows the places; it is read once it is right."));
    }
    lines
}

fn not_in_force(row: &PlanRow) -> String {
    let file = row.files.first().map(|file| printable(&file.lossy())).unwrap_or_default();
    match &row.section {
        Some(section) => format!(
            "[{}] of {file} is not in force yet: `supervisorctl update` or `upright apply` does that.",
            printable(section)
        ),
        None => format!("{file} is not in force yet: `upright apply` does that."),
    }
}

/// Returns the group of this name, or the name that is near.
fn near(session: &Session<'_, '_>, name: &Text) -> Vec<String> {
    let configured = session.client_aside().map(|mut client| client.ask(Call::ShowConfig(None)));
    let listed = session.client_aside().map(|mut client| client.ask(Call::List(None, Listed::Own)));
    let mut names: Vec<String> = Vec::new();
    if let Some(Ok(Answer::Jobs(jobs))) = configured {
        names.extend(jobs.iter().map(|job| job.name.to_string()));
    }
    if let Some(Ok(Answer::Instances(views))) = listed {
        names.extend(views.iter().map(|view| view.job.to_string()));
    }
    names.sort_unstable();
    names.dedup();
    let group = format!("{}:", name.lossy());
    let members: Vec<&String> = names.iter().filter(|name| name.starts_with(&group)).collect();
    if let Some(first) = members.first() {
        let shown: Vec<String> =
            members.iter().take(NAMED_MAX).map(|name| printable(name)).collect();
        let more = if members.len() > NAMED_MAX { " ..." } else { "" };
        let (name, first) = (printable(&name.lossy()), printable(first));
        let list = shown.join(", ");
        return vec![format!(
            "{name} is a group: {list}{more}; each is asked for by itself, as `{first}`."
        )];
    }
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    match did_you_mean(name.bytes(), &names, "").as_str() {
        "" => Vec::new(),
        question => vec![format!("There is none of that name; {}", printable(question))],
    }
}
