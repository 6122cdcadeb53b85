//! What the original passes over without a word: unknown sections and keys, code of others.

use super::config::GroupKind;
use super::ini::{Section, Spot};
use super::options::{Kind, OPTIONS};
use super::programs::DEFAULT_HANDLER;
use super::read::{Reading, Remarked, MAIN_INTERFACE};
use crate::dialect::meant::did_you_mean;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

/// Well-known Python code by a piece of its name, and what replaces it here.
const REPLACED: &[(&str, &str)] = &[
    ("twiddler", "give each group a file that [include] names, and tell `supervisorctl update`"),
    ("wildcards", "`GROUP:*` names all programs of a group"),
    ("serialrestart", "`supervisorctl restart NAME` of one after the other does the same"),
    ("quick", "`supervisorctl start all` starts everything at once already"),
    ("laforge", "`supervisorctl start` and `stop` wait until it is done"),
    ("cache", "keep what programs share in a file"),
    ("monitor", "`supervisorctl status` and an [eventlistener:x] see every change"),
    ("logging", "`stdout_syslog=true` sends lines to syslog"),
];

/// Warns of everything that has no effect.
pub(super) fn warn(reading: &mut Reading<'_>) {
    let sections: Vec<Section> = reading.ini.sections().cloned().collect();
    for section in &sections {
        match Kind::of(&section.name) {
            None => unknown_section(reading, section),
            Some(Kind::Interface | Kind::ClientPlugin) => plugin(reading, section),
            Some(kind) => keys(reading, section, kind),
        }
    }
    handlers(reading);
}

fn unknown_section(reading: &mut Reading<'_>, section: &Section) {
    let (head, name) = match section.name.split_once(':') {
        Some((head, name)) => (head, Some(name)),
        None => (&*section.name, None),
    };
    let heads: Vec<&str> = Kind::TABLE.iter().map(|row| row.1.trim_end_matches(':')).collect();
    let otherwise = "Supervisor passes over it without a word";
    let help = match (head, name) {
        ("program" | "group" | "eventlistener" | "fcgi-program", None) => {
            format!("did you mean `[{head}:NAME]`?")
        }
        _ => did_you_mean(head.as_bytes(), &heads, otherwise),
    };
    let said = format!("section [{}] has no effect", section.name);
    reading.warn_helped(section.spot, "unknown-section", said, help);
}

fn keys(reading: &mut Reading<'_>, section: &Section, kind: Kind) {
    let own: Vec<(String, Spot)> = {
        let own = reading.ini.own_keys(section);
        own.map(|(key, value)| (key.to_string(), value.key)).collect()
    };
    let known: Vec<&str> = OPTIONS.iter().filter(|row| kind.has(row)).map(|row| row.key).collect();
    for (key, spot) in own {
        if key.is_empty() || known.contains(&&*key) {
            continue;
        }
        let elsewhere = OPTIONS.iter().find(|row| row.key == key);
        let help = match elsewhere {
            Some(row) => format!("it belongs into [{}]", place(row.section)),
            None => {
                let otherwise = "Supervisor passes over it without a word";
                did_you_mean(key.as_bytes(), &known, otherwise)
            }
        };
        let said = format!("key {key} has no effect in [{}]", section.name);
        reading.warn_helped(spot, "unknown-key", said, help);
    }
}

fn place(kind: Kind) -> String {
    let head = kind.head();
    let rest = if head.ends_with(':') { "NAME" } else { "" };
    format!("{head}{rest}")
}

fn plugin(reading: &mut Reading<'_>, section: &Section) {
    let Some(row) = OPTIONS.iter().find(|row| Kind::of(&section.name) == Some(row.section)) else {
        return;
    };
    let Some(value) = reading.ini.get(&section.name, row.key).cloned() else { return };
    if value.text != MAIN_INTERFACE {
        foreign(reading, &value.text, value.spot);
        return;
    }
    let more: Vec<Spot> = {
        let keys = reading.ini.keys(section).filter(|(key, _)| *key != row.key);
        keys.map(|(_, value)| value.key).collect()
    };
    for spot in more {
        let said = format!("section [{}] takes no other key", section.name);
        let help = Some("the original then says `Could not make supervisor rpc interface`");
        reading.warn(Remarked { spot, code: "unknown-key", said, suffix: "", help });
    }
}

fn handlers(reading: &mut Reading<'_>) {
    let mut found = Vec::new();
    for group in &reading.config.groups {
        if let GroupKind::Listeners(pool) = &group.kind {
            if pool.result_handler != DEFAULT_HANDLER {
                let section = format!("eventlistener:{}", group.name);
                let value = reading.ini.get(&section, "result_handler");
                found.extend(value.map(|value| (pool.result_handler.clone(), value.spot)));
            }
        }
    }
    for (handler, spot) in found {
        foreign(reading, &handler, spot);
    }
}

fn foreign(reading: &mut Reading<'_>, factory: &str, spot: Spot) {
    let row = REPLACED.iter().find(|(piece, _)| factory.contains(piece));
    let help = row.map_or("without it, what the original brings with it is used", |row| row.1);
    let said = format!("{factory} is Python code, which does not run here");
    reading.warn_helped(spot, "python", said, help.to_string());
}
