//! `/api`: the control interface itself, as JSON.

use crate::control::Control;
use crate::serve::{whole_body, Page};
use crate::web::query::Query;
use crate::web::{json, status};
use engine::control::answer::Answer;
use engine::control::call::{Call, Follow};
use engine::control::command::{self, Command, Row, Touch, COMMANDS};
use engine::control::fault::Fault;
use hyper::body::Incoming;
use hyper::header;
use hyper::{Method, Request, Response, StatusCode};
use serde_json::{json, Map, Value};

/// Returns what there is: every method, what it takes, and whether it only reads.
pub fn index() -> Response<Page> {
    let methods = COMMANDS.iter().filter(|row| is_answered(row)).map(|row| {
        let parameters = row.parameters.iter().map(|one| (one.name, one.needed));
        let parameters: Vec<Value> =
            parameters.map(|(name, needed)| json!({ "name": name, "needed": needed })).collect();
        let (method, reads) = (row.method, reads(row));
        json!({ "method": method, "reads": reads, "parameters": parameters, "help": row.help })
    });
    let methods: Vec<Value> = methods.collect();
    let index = json!({ "interface": engine::control::INTERFACE, "methods": methods });
    json(StatusCode::OK, index.to_string())
}

/// Carries out a method: what reads by GET with a query, or like all others by POST with an object of
/// parameters. Whether it may be done, control decides.
pub async fn answer(
    control: &Control,
    method: &str,
    request: Request<Incoming>,
) -> Result<Response<Page>, StatusCode> {
    let row = command::by_method(method).filter(|row| is_answered(row));
    let row = row.ok_or(StatusCode::NOT_FOUND)?;
    let parameters = match *request.method() {
        Method::GET | Method::HEAD if reads(row) => of_query(&Query::of(request.uri())),
        Method::POST => {
            let kind = request.headers().get(header::CONTENT_TYPE);
            let kind = kind.and_then(|kind| kind.to_str().ok()).unwrap_or_default();
            // What a form of another site cannot send.
            if !kind.starts_with("application/json") {
                return Err(StatusCode::UNSUPPORTED_MEDIA_TYPE);
            }
            whole_body(request).await?
        }
        _ => return Err(StatusCode::METHOD_NOT_ALLOWED),
    };
    let told = match Call::decode(row.command, &parameters) {
        Ok(call) => carry_out(control, call).await,
        Err(fault) => Err(fault),
    };
    Ok(match told {
        Ok(text) => json(StatusCode::OK, text),
        Err(fault) => json(status(&fault), fault.to_json()),
    })
}

async fn carry_out(control: &Control, call: Call) -> Result<String, Fault> {
    let Call::Events(after, _) = call else { return Ok(control.ask(call).await?.to_json()) };
    let mut stream = control.events(after, Follow::Off).await?;
    let mut notices = Vec::new();
    while let Some(notice) = stream.next().await? {
        notices.push(Answer::Notice(notice).to_json());
    }
    Ok(format!("{{\"notices\":[{}]}}", notices.join(",")))
}

/// Reports whether a method changes nothing.
fn reads(row: &Row) -> bool {
    row.touch == Touch::Reads
}

/// Reports whether a method can be called by HTTP at all: a descriptor cannot be sent along.
fn is_answered(row: &Row) -> bool {
    row.command != Command::EmitFile
}

/// Returns the parameters of a query as an object, each of the type that it has there.
fn of_query(query: &Query) -> Vec<u8> {
    let mut all = Map::new();
    for (name, value) in query.pairs() {
        let value = Value::from(value);
        match name {
            "env" | "names" | "variables" => match all.get_mut(name) {
                Some(Value::Array(list)) => list.push(value),
                Some(_) | None => drop(all.insert(name.to_owned(), Value::Array(vec![value]))),
            },
            _ => drop(all.insert(name.to_owned(), typed(name, value))),
        }
    }
    Value::Object(all).to_string().into_bytes()
}

/// What is not of the type that it should be stays what it is: control says what is wrong with it.
fn typed(name: &str, value: Value) -> Value {
    let text = value.as_str().unwrap_or_default();
    let read: Option<Value> = match name {
        "all" | "wait" | "follow" | "replace" | "session" => text.parse().ok().map(Value::Bool),
        "after" | "signal" => text.parse::<u64>().ok().map(Value::from),
        _ => None,
    };
    read.unwrap_or(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_becomes_parameters_of_the_types_that_they_have() {
        let query = Query::read("job=a%20b&all=true&after=7&env=A=1&env=B%3D2&wait=maybe");
        let text = String::from_utf8(of_query(&query)).unwrap();
        assert_eq!(
            text,
            r#"{"after":7,"all":true,"env":["A=1","B=2"],"job":"a b","wait":"maybe"}"#
        );
        let call = Call::decode(Command::Why, br#"{"job":"web"}"#).unwrap();
        assert_eq!(call.command(), Command::Why);
        for (text, wanted) in [
            (&br#"{"job":1}"#[..], "parameter"),
            (br#"{"job":"a","x":1}"#, "parameter"),
            (br#"{}"#, "parameter"),
            (br#"{"job":"a"}, "#, "message"),
            (br#"no"#, "message"),
        ] {
            let fault = Call::decode(Command::Why, text).unwrap_err();
            let found = match fault {
                Fault::InvalidParameter { .. } => "parameter",
                Fault::BadMessage(_) => "message",
                other => panic!("{other}"),
            };
            assert_eq!(found, wanted, "{}", String::from_utf8_lossy(text));
        }
    }

    #[test]
    fn what_changes_something_is_never_done_by_get() {
        for row in COMMANDS {
            let changes = matches!(
                row.command,
                Command::Start
                    | Command::Stop
                    | Command::Restart
                    | Command::Reload
                    | Command::Signal
                    | Command::Emit
                    | Command::EmitFile
                    | Command::ReloadConfiguration
                    | Command::SetLogPriority
                    | Command::NotifyDiskWriteable
                    | Command::Upgrade
                    | Command::NotifyDbusAddress
                    | Command::NotifyCgroupManagerAddress
                    | Command::Shutdown
                    | Command::SetEnv
                    | Command::UnsetEnv
                    | Command::ResetEnv
            );
            let is_get = row.method.starts_with("Get") || row.method == "ListEnv";
            assert!(!(changes && reads(row)), "{}", row.method);
            assert!(!is_get || reads(row), "{}", row.method);
        }
    }
}
