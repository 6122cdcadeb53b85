//! `telinit`: changes the runlevel, or has the job files read again, or goes on in another binary.

use super::level::{self, Level};
use super::{Failed, Tool};
use engine::control::call::Call;

/// Runs it.
pub(super) fn run(tool: &mut Tool<'_, '_>, args: &[Vec<u8>]) -> Result<(), Failed> {
    let Some(word) = args.first() else { return Err(tool.mistake("missing runlevel")) };
    let level = Level::parse(word);
    let call = match word.as_slice() {
        b"Q" | b"q" => Some(Call::ReloadConfiguration),
        b"U" | b"u" => Some(Call::Upgrade),
        _ => None,
    };
    if level.is_none() && call.is_none() {
        let word = String::from_utf8_lossy(word);
        return Err(tool.mistake(&format!("illegal runlevel: {word}")));
    }
    tool.need_root()?;
    match level {
        Some(level) => level::change(tool, level, None),
        None => {
            let mut client = tool.connect().map_err(|refusal| {
                tool.error(&format!("Unable to connect to Upright: {refusal}"))
            })?;
            let done = client.ask(call.unwrap_or(Call::ReloadConfiguration));
            done.map(drop).map_err(|trouble| tool.error(&trouble.to_string()))
        }
    }
}
