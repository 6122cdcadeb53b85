//! status and pid: what there is.

use super::names;
use crate::control::{exit, Control, Next};
use crate::failure::{Failure, Outcome};
use xmlrpc::states::State;
use xmlrpc::{Code, Value};

/// How wide the column of names is at least.
const NAME_WIDTH: usize = 30;

/// `status [NAME...]`
pub fn status(control: &mut Control, argument: &str) -> Outcome<Next> {
    if !control.is_up()? {
        control.exit = exit::STATUS_UNKNOWN;
        return Ok(Next::Go);
    }
    let answer = control.call("getAllProcessInfo", &[])?;
    let all = names::list(&answer)?;
    let wanted: Vec<&str> = argument.split_whitespace().collect();
    let mut shown: Vec<&Value> = Vec::new();
    if wanted.is_empty() || wanted.contains(&"all") {
        shown.extend(all);
    } else {
        for name in wanted {
            let (group, process) = names::split(name);
            let before = shown.len();
            for one in all {
                let fits = names::text(one, "group")? == group
                    && match process {
                        Some(process) => names::text(one, "name")? == process,
                        None => true,
                    };
                if fits {
                    shown.push(one);
                }
            }
            if shown.len() == before {
                control.say(&match process {
                    None => format!("{group}: ERROR (no such group)"),
                    Some(_) => format!("{name}: ERROR (no such process)"),
                })?;
                control.exit = exit::STATUS_UNKNOWN;
            }
        }
    }
    print(control, &shown)?;
    for one in shown {
        if State::from_number(names::int(one, "state")?).is_some_and(State::is_stopped) {
            control.exit = exit::STATUS_STOPPED;
        }
    }
    Ok(Next::Go)
}

fn print(control: &mut Control, shown: &[&Value]) -> Outcome<()> {
    let mut rows = Vec::new();
    for one in shown {
        let name = names::join(names::text(one, "group")?, names::text(one, "name")?);
        rows.push((name, names::text(one, "statename")?, names::text(one, "description")?));
    }
    let longest = rows.iter().map(|(name, _, _)| name.chars().count()).max().unwrap_or(0);
    let width = longest.max(NAME_WIDTH) + 3;
    for (name, state, description) in rows {
        control.say(&format!("{name:width$}{state:10}{description}"))?;
    }
    Ok(())
}

/// `pid [NAME...]`
pub fn pid(control: &mut Control, argument: &str) -> Outcome<Next> {
    if !control.is_up()? {
        return Ok(Next::Go);
    }
    let wanted: Vec<&str> = argument.split_whitespace().collect();
    if wanted.is_empty() {
        let number = control.call("getPID", &[])?;
        let number = number.int().ok_or_else(|| Failure::Unreadable("no number".to_owned()))?;
        control.say(&number.to_string())?;
    } else if wanted.contains(&"all") {
        let answer = control.call("getAllProcessInfo", &[])?;
        for one in names::list(&answer)? {
            control.say(&names::int(one, "pid")?.to_string())?;
        }
    } else {
        for name in wanted {
            match control.call("getProcessInfo", &[name.into()]) {
                Ok(answer) => {
                    let number = names::int(&answer, "pid")?;
                    control.say(&number.to_string())?;
                    if number == 0 {
                        control.exit = exit::NOT_RUNNING;
                    }
                }
                Err(Failure::Fault(fault)) if fault.code() == Some(Code::BadName) => {
                    control.mistaken(&format!("No such process {name}"))?;
                }
                Err(failure) => return Err(failure),
            }
        }
    }
    Ok(Next::Go)
}
