//! `telinit`: changes the runlevel, or has the job files read again.

use super::level::{self, Level};
use super::{Failed, Tool};
use engine::control::call::Call;

/// Runs it.
pub(super) fn run(tool: &mut Tool<'_, '_>, args: &[Vec<u8>]) -> Result<(), Failed> {
    let Some(word) = args.first() else { return Err(tool.mistake("missing runlevel")) };
    let level = Level::parse(word);
    let reload = matches!(word.as_slice(), b"Q" | b"q");
    if level.is_none() && !reload {
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
            let done = client.ask(Call::ReloadConfiguration);
            done.map(drop).map_err(|trouble| tool.error(&trouble.to_string()))
        }
    }
}
