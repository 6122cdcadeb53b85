//! The commands for the environment of jobs. Source: spec 6.5, 11.1.

use super::Daemon;
use engine::control::answer::Answer;
use engine::control::call::{Call, Clash, EnvScope};
use engine::control::fault::Fault;
use engine::machine::{Effect, Variation, Whose};
use engine::text::Text;

impl Daemon {
    /// Answers a call that is about variables.
    pub(super) fn serve_variables(
        &mut self,
        call: Call,
        effects: &mut Vec<Effect>,
    ) -> Result<Answer, Fault> {
        let (scope, variation) = match call {
            Call::GetEnv(scope, name) => {
                let whose = self.whose(&scope)?;
                known_name(&name)?;
                let value = self.engine.variable(whose, &name).map(Text::from);
                return value.map(Answer::Value).ok_or(Fault::NoSuchVariable(name));
            }
            Call::ListEnv(scope) => {
                let mut all = self.engine.variables_of(self.whose(&scope)?).to_vec();
                all.sort();
                return Ok(Answer::Variables(all));
            }
            Call::SetEnv(scope, rows, clash) => {
                let rows = rows.into_iter().map(with_value).collect::<Result<_, _>>()?;
                (scope, setting(rows, clash))
            }
            Call::UnsetEnv(scope, names) => {
                names.iter().try_for_each(known_name)?;
                (scope, Variation::Unset(names))
            }
            Call::ResetEnv(scope) => (scope, Variation::Reset),
            Call::Ask(..)
            | Call::SendInput(..)
            | Call::EmitFile(..)
            | Call::Status(_)
            | Call::List(..)
            | Call::Why(_)
            | Call::ShowConfig(_)
            | Call::Programs(_)
            | Call::Timeline
            | Call::Settings(_)
            | Call::Usage(_)
            | Call::ReloadConfiguration
            | Call::Version
            | Call::GetLogPriority
            | Call::SetLogPriority(_)
            | Call::NotifyDiskWriteable
            | Call::Upgrade
            | Call::Events(..)
            | Call::Outputs
            | Call::LogPath(..)
            | Call::OpenLog(..)
            | Call::ClearLog(_)
            | Call::LogCounts
            | Call::Configured
            | Call::NotifyDbusAddress(_)
            | Call::NotifyCgroupManagerAddress(_)
            | Call::Supervisor
            | Call::Reread
            | Call::AddGroup(_)
            | Call::RemoveGroup(_)
            | Call::Sources
            | Call::Plan(_)
            | Call::Hold
            | Call::Apply(..)
            | Call::CreateToken(_)
            | Call::ListTokens
            | Call::RevokeToken(_)
            | Call::Shutdown(_) => return Ok(Answer::Done),
        };
        let whose = self.whose(&scope)?;
        self.vary(whose, variation, effects);
        Ok(Answer::Done)
    }

    fn whose(&self, scope: &EnvScope) -> Result<Whose, Fault> {
        match scope {
            EnvScope::Global => Ok(Whose::All),
            EnvScope::Instance(job, instance) => {
                let found = self.engine.find_named(job, instance);
                found.map(Whose::Instance).map_err(|refusal| Fault::refused(&refusal, None))
            }
        }
    }
}

fn setting(rows: Vec<Text>, clash: Clash) -> Variation {
    match clash {
        Clash::Replace => Variation::Set(rows),
        Clash::Keep => Variation::SetNew(rows),
    }
}

/// Source: spec 12.
fn known_name(name: &Text) -> Result<(), Fault> {
    if name.is_empty() {
        return Err(Fault::Unavailable(String::from("Variable may not be empty string")));
    }
    Ok(())
}

/// Without a `=` the value is empty. Source: spec 6.5.
fn with_value(row: Text) -> Result<Text, Fault> {
    let bytes = row.bytes();
    if bytes.is_empty() || bytes.starts_with(b"=") {
        return Err(Fault::Unavailable(String::from("Variable may not be empty string")));
    }
    if bytes.contains(&0) {
        return Err(Fault::Unavailable(String::from("Variable may not contain a NUL")));
    }
    match bytes.contains(&b'=') {
        true => Ok(row),
        false => Ok(Text::from([bytes, b"="].concat())),
    }
}
