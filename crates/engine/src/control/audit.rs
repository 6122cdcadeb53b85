//! A line for whoever wants to know who did what: who asked, from where, for what, and what came of it.

use super::answer::Answer;
use super::fault::Fault;
use super::rights::{Asked, Caller};
use crate::rights::Names;
use alloc::format;
use alloc::string::{String, ToString};
use serde::{Deserialize, Serialize};

/// How many letters of a value are kept: whoever asks chooses most of them.
const VALUE_MAX: usize = 200;

/// Where a request of a gateway came from. What the gateway says: it decides nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    /// The client's address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client: Option<String>,
    /// The name that the client gave with its password.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
}

/// A line without its time and its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry(String);

/// What the caller is called where the daemon knows more than the connection.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Known {
    /// The program of the process.
    pub program: String,
    /// The section of the server.
    pub section: String,
}

impl Entry {
    /// Begins a line: who asks for what. Values of variables and input are not in it.
    pub fn new(caller: &Caller, asked: &Asked<'_>, known: &Known, names: &dyn Names) -> Entry {
        let mut line = String::new();
        match caller {
            Caller::Peer(peer) => {
                add(&mut line, "uid", &peer.uid.to_string());
                if let Some(name) = names.name_of(peer.uid) {
                    add(&mut line, "user", &name.lossy());
                }
                add(&mut line, "pid", &peer.pid.to_string());
                add(&mut line, "program", &known.program);
            }
            Caller::Server(_) => {
                add(&mut line, "server", &known.section);
                let origin = asked.origin.cloned().unwrap_or_default();
                add(&mut line, "client", &origin.client.unwrap_or_default());
                add(&mut line, "login", &origin.user.unwrap_or_default());
            }
            Caller::Token(shown) => {
                add(&mut line, "server", &known.section);
                let origin = asked.origin.cloned().unwrap_or_default();
                add(&mut line, "client", &origin.client.unwrap_or_default());
                add(&mut line, "token", &shown.name);
            }
        }
        add(&mut line, "command", asked.row.method);
        if let Some(params) = asked.params {
            params.audited().iter().for_each(|(key, value)| add(&mut line, key, value));
        }
        Entry(line)
    }

    /// Ends the line with what came of it; none: the client did not wait for that.
    pub fn end(self, result: Option<&Result<Answer, Fault>>) -> String {
        let mut line = self.0;
        match result {
            Some(Ok(_)) => add(&mut line, "result", "done"),
            Some(Err(fault)) => match fault {
                Fault::NotPermitted { rule, .. } => {
                    add(&mut line, "result", "denied");
                    add(&mut line, "rule", rule);
                }
                Fault::Refused(refused) => {
                    add(&mut line, "result", "failed");
                    add(&mut line, "why", &refused.code);
                }
                Fault::BadMessage(_)
                | Fault::InterfaceNotFound(_)
                | Fault::MethodNotFound(_)
                | Fault::InvalidParameter { .. }
                | Fault::ExpectedMore
                | Fault::NoSuchVariable(_)
                | Fault::Unavailable(_)
                | Fault::Other(..) => {
                    add(&mut line, "result", "failed");
                    add(&mut line, "why", &fault.to_string());
                }
            },
            None => add(&mut line, "result", "unknown"),
        }
        line
    }
}

/// Returns the line of somebody who showed a server a token that there is not.
pub fn unknown_token(section: &str, client: &str) -> String {
    let mut line = String::new();
    add(&mut line, "server", section);
    add(&mut line, "client", client);
    add(&mut line, "result", "denied");
    add(&mut line, "rule", "there is no such token");
    line
}

/// Adds `KEY=VALUE`, in quotes where the value is not a plain word; nothing where there is no value.
fn add(line: &mut String, key: &str, value: &str) {
    if value.is_empty() {
        return;
    }
    if !line.is_empty() {
        line.push(' ');
    }
    let value: String = value.chars().take(VALUE_MAX).collect();
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:@+,%[]".contains(c);
    match value.chars().all(plain) {
        true => line.push_str(&format!("{key}={value}")),
        false => line.push_str(&format!("{key}={value:?}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::command::{by_method, COMMANDS};
    use crate::control::fault::Refused;
    use crate::control::params::Params;
    use crate::control::rights::{Grant, Judge, Peer, Reach, Rights};
    use crate::rights::Nameless;
    use crate::text::Text;
    use alloc::boxed::Box;
    use alloc::vec;
    use alloc::vec::Vec;

    fn bob() -> Caller {
        Caller::Peer(Peer { uid: 7, gid: 7, pid: 12, groups: Vec::new() })
    }

    fn asked<'a>(method: &str, params: &'a Params, origin: Option<&'a Origin>) -> Asked<'a> {
        let row = by_method(method).unwrap();
        Asked { row, job: params.job.as_ref(), env: &[], params: Some(params), origin }
    }

    #[test]
    fn a_line_says_who_did_what_from_where_with_which_result() {
        let params = Params {
            job: Some(Text::from("web 1\n")),
            env: Some(vec![Text::from("ID=1"), Text::from("TOKEN=secret")]),
            ..Params::default()
        };
        let known = Known { program: "upright".into(), section: "[inet_http_server]".into() };
        let begun = |caller: &Caller, origin: Option<&Origin>| {
            Entry::new(caller, &asked("Start", &params, origin), &known, &Nameless)
        };
        assert_eq!(
            begun(&bob(), None).end(Some(&Ok(Answer::Done))),
            "uid=7 pid=12 program=upright command=Start job=\"web 1\\n\" variables=ID,TOKEN \
             result=done"
        );
        let origin = Origin { client: Some("10.0.0.7:4711".into()), user: Some("al".into()) };
        let server = Caller::Server(Grant { server: 0, reach: Reach::Manage });
        let refused = Refused { code: "already-running".into(), ..Refused::default() };
        assert_eq!(
            begun(&server, Some(&origin)).end(Some(&Err(Fault::Refused(Box::new(refused))))),
            "server=[inet_http_server] client=10.0.0.7:4711 login=al command=Start \
             job=\"web 1\\n\" variables=ID,TOKEN result=failed why=already-running"
        );
        let denied = Rights::of_owner(0).decide(&bob(), &asked("Start", &params, None));
        let line = begun(&bob(), None).end(Some(&denied.map(|()| Answer::Done)));
        assert!(line.contains(" result=denied rule=\"nothing grants you `operate' over"), "{line}");
        assert!(begun(&bob(), None).end(None).ends_with(" result=unknown"));
    }

    #[test]
    fn no_line_has_a_value_that_is_nobodys_business_or_an_end_within_it() {
        let secret = || Text::from("KEY=secret\nuid=0 result=done");
        let params = Params {
            job: Some(secret()),
            input: Some(secret()),
            env: Some(vec![secret()]),
            variables: Some(vec![secret()]),
            ..Params::default()
        };
        for row in COMMANDS {
            let asked = asked(row.method, &params, None);
            let line = Entry::new(&bob(), &asked, &Known::default(), &Nameless).end(None);
            assert!(!line.contains('\n'), "{line}");
            assert_eq!(line.matches("secret").count(), 1, "the job's name alone: {line}");
            assert_eq!(line.matches(" result=").count(), 2, "quoted, and ours: {line}");
        }
        let long = Params { job: Some(Text::from("x".repeat(10_000))), ..Params::default() };
        let entry = Entry::new(&bob(), &asked("Stop", &long, None), &Known::default(), &Nameless);
        assert!(entry.end(None).len() < 400);
    }
}
