//! `upright graph`: jobs, the events that start and stop them, and their states, as a picture.

use super::{texts, Exit, Form, Session};
use clap::ArgMatches;
use engine::control::answer::Answer;
use engine::control::call::{Call, Listed};
use shown::graph::{dot, svg, Graph};

pub(super) fn graph(session: &mut Session<'_, '_>, matches: &ArgMatches) -> Result<(), Exit> {
    let Some(Answer::Jobs(jobs)) = session.ask_in_words(Call::ShowConfig(None))? else {
        return Ok(());
    };
    if session.form == Form::Json {
        return Ok(());
    }
    let Answer::Instances(views) = session.ask(Call::List(None, Listed::All))? else {
        return Ok(());
    };
    let mut graph = Graph::of(&jobs, &views);
    let wanted: Vec<String> =
        texts(matches, "job").iter().map(|name| name.lossy().into_owned()).collect();
    if !wanted.is_empty() {
        if let Some(unknown) = graph.keep_near(&wanted) {
            session.world.say(&format!("upright: there is no job {unknown}"));
            return Err(Exit::Failed);
        }
    }
    let shown =
        if matches.get_flag("dot") { dot::write(&graph) } else { svg::write(&graph, &|_| None) };
    session.world.print(&shown);
    Ok(())
}
