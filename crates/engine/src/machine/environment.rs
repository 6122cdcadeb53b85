//! The environment of a job: where each variable comes from, in which order. Source: spec 6.1.

use crate::machine::event::split;
use crate::spec::EnvRow;
use crate::text::Text;
use alloc::vec::Vec;

/// Sets `KEY=VALUE` in a list: in place where the key is there, else at the end.
pub fn set(env: &mut Vec<Text>, row: &Text) {
    let Some((key, _)) = split(row) else { return };
    match env.iter().position(|old| split(old).is_some_and(|(name, _)| name == key)) {
        Some(at) => env[at] = row.clone(),
        None => env.push(row.clone()),
    }
}

/// Removes a key from a list.
pub fn unset(env: &mut Vec<Text>, key: &[u8]) {
    env.retain(|row| split(row).is_none_or(|(name, _)| name != key));
}

/// Makes `KEY=VALUE`.
pub fn row(key: &[u8], value: &[u8]) -> Text {
    let mut bytes = Vec::with_capacity(key.len() + 1 + value.len());
    bytes.extend_from_slice(key);
    bytes.push(b'=');
    bytes.extend_from_slice(value);
    Text::from(bytes)
}

/// Returns a job's environment: the table, then its `env` stanzas, then what the start gave.
/// `own` is Upright's own environment, which a bare `env KEY` copies from.
pub fn build(table: &[Text], stanzas: &[EnvRow], own: &[Text], given: &[Text]) -> Vec<Text> {
    let mut env = table.to_vec();
    for stanza in stanzas {
        match stanza {
            EnvRow::InheritAll => own.iter().for_each(|row| set(&mut env, row)),
            EnvRow::Set(key, value) => set(&mut env, &row(key.bytes(), value.bytes())),
            EnvRow::Inherit(key) => {
                let found =
                    own.iter().find(|row| split(row).is_some_and(|(name, _)| name == key.bytes()));
                match found {
                    Some(row) => set(&mut env, row),
                    None => unset(&mut env, key.bytes()),
                }
            }
        }
    }
    given.iter().for_each(|row| set(&mut env, row));
    env.shrink_to_fit();
    env
}
