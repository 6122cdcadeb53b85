//! Jobs and what starts and stops them, as a picture with their states in colour.

use crate::call::Gateway;
use crate::serve::Page;
use crate::web::pages::{refused, Frame};
use crate::web::query::escaped;
use engine::control::answer::Answer;
use engine::control::call::{Call, Listed};
use engine::control::fault::Fault;
use hyper::Response;
use shown::graph::model::{Kind, Node};
use shown::graph::{svg, Graph};

/// Returns the page.
pub async fn graph(gateway: &Gateway) -> Response<Page> {
    let drawn = match picture(gateway, None).await {
        Ok(drawn) => drawn,
        Err(fault) => return refused(gateway, "Graph", &fault),
    };
    Frame::new(gateway, "Graph", "graph.html").page(|html| {
        html.raw("<p>What starts and stops what. Each job leads to its page.</p>");
        html.raw("<div id=\"graph\" class=\"graph\" tabindex=\"0\" data-live>");
        html.picture(&drawn);
        html.raw("</div>");
    })
}

/// Returns the picture of all jobs, or of one and what stands next to it.
pub async fn picture(gateway: &Gateway, near: Option<&str>) -> Result<String, Fault> {
    let calls = [Call::ShowConfig(None), Call::List(None, Listed::Own)];
    let mut answers = gateway.control.ask_all(&calls).await?.into_iter();
    let jobs = match answers.next() {
        Some(Ok(Answer::Jobs(jobs))) => jobs,
        Some(Err(fault)) => return Err(fault),
        Some(Ok(_)) | None => Vec::new(),
    };
    let views = match answers.next() {
        Some(Ok(Answer::Instances(views))) => views,
        Some(Err(fault)) => return Err(fault),
        Some(Ok(_)) | None => Vec::new(),
    };
    let mut graph = Graph::of(&jobs, &views);
    if let Some(job) = near {
        // One that has gone meanwhile has no neighbours.
        let _ = graph.keep_near(&[job.to_owned()]);
    }
    Ok(svg::write(&graph, &link))
}

fn link(node: &Node) -> Option<String> {
    match node.kind {
        Kind::Job(_) => Some(format!("job.html?processname={}", escaped(&node.name))),
        Kind::Missing | Kind::Event | Kind::All | Kind::Any => None,
    }
}
