//! The table of variables that every job starts from, and its changes. Source: spec 6.5.

use super::event::split;
use super::request::{Refusal, Target, Which};
use super::{environment, Engine};
use crate::names::InstanceName;
use crate::process::InstanceId;
use crate::text::Text;
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

/// Whose variables are meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Whose {
    /// The table that new instances start from. What is set or unset here is so in every existing
    /// instance too; putting it back leaves those alone.
    All,
    /// One instance.
    Instance(InstanceId),
}

/// What becomes of variables.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Variation {
    /// These `NAME=VALUE` are set.
    Set(Vec<Text>),
    /// These are set where the name is not.
    SetNew(Vec<Text>),
    /// These names are removed; each exactly (spec 15, row 20).
    Unset(Vec<Text>),
    /// Everything is as it was: the table as it began; of an instance the table and its job's `env`.
    Reset,
}

impl Engine {
    /// Returns the variables that new instances start from.
    pub fn table(&self) -> &[Text] {
        self.variables.look(&()).map_or(&self.config.table, |table| table.as_slice())
    }

    /// Returns the variables of somebody.
    pub fn variables_of(&self, whose: Whose) -> &[Text] {
        match whose {
            Whose::All => self.table(),
            Whose::Instance(id) => self.instances.look(&id).map_or(&[], |one| &*one.env),
        }
    }

    /// Returns the value of a variable.
    pub fn variable(&self, whose: Whose, name: &Text) -> Option<&[u8]> {
        super::event::first_value(self.variables_of(whose), name.bytes())
    }

    /// Returns the instance of this name.
    pub fn find_named(&self, job: &Text, name: &InstanceName) -> Result<InstanceId, Refusal> {
        let target = Target { job: job.clone(), which: Which::Named(name.clone()) };
        match self.find(&target) {
            Ok((_, Some(id))) => Ok(id),
            Ok((job, None)) => Err(Refusal::UnknownJobInstance(job, name.clone())),
            Err(Refusal::UnknownInstance(_)) => {
                match crate::names::JobName::try_from(job.clone()) {
                    Ok(job) => Err(Refusal::UnknownJobInstance(job, name.clone())),
                    Err(_) => Err(Refusal::UnknownJob(job.clone())),
                }
            }
            Err(refusal) => Err(refusal),
        }
    }

    pub(super) fn vary(&mut self, whose: Whose, variation: &Variation) {
        match (whose, variation) {
            (Whose::All, Variation::Reset) => {
                self.variables.remove(&());
            }
            (Whose::All, Variation::Set(_) | Variation::SetNew(_) | Variation::Unset(_)) => {
                let mut table = self.table().to_vec();
                apply(&mut table, variation);
                self.variables.insert((), table);
                let ids: Vec<InstanceId> = self.instances.keys().copied().collect();
                ids.into_iter().for_each(|id| self.vary_instance(id, variation));
            }
            (Whose::Instance(id), Variation::Reset) => {
                let spec = self.spec_of(id);
                let table = self.table();
                let env =
                    spec.map(|spec| environment::build(table, &spec.env, &self.config.own, &[]));
                if let (Some(env), Some(instance)) = (env, self.instances.edit(&id)) {
                    instance.env = env.into();
                }
            }
            (Whose::Instance(id), _) => self.vary_instance(id, variation),
        }
    }

    fn vary_instance(&mut self, id: InstanceId, variation: &Variation) {
        if let Some(instance) = self.instances.edit(&id) {
            apply(instance.env.edit(), variation);
        }
    }
}

fn apply(env: &mut Vec<Text>, variation: &Variation) {
    match variation {
        Variation::Set(rows) => rows.iter().for_each(|row| environment::set(env, row)),
        Variation::SetNew(rows) => {
            for row in rows {
                let name = split(row).map(|(name, _)| name);
                let there =
                    env.iter().any(|old| split(old).is_some_and(|(old, _)| Some(old) == name));
                if !there {
                    environment::set(env, row);
                }
            }
        }
        Variation::Unset(names) => {
            names.iter().for_each(|name| environment::unset(env, name.bytes()));
        }
        Variation::Reset => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::request::{Request, Wait};
    use crate::machine::{Config, Input};
    use crate::names::JobName;
    use crate::process::Role;
    use crate::spec::{Command, EnvRow, JobSpec};
    use crate::time::Mono;
    use alloc::sync::Arc;
    use alloc::vec;

    fn texts(rows: &[&str]) -> Vec<Text> {
        rows.iter().map(|row| Text::from(*row)).collect()
    }

    fn tell(engine: &mut Engine, input: Input) {
        engine.handle(Mono(1), input, &mut Vec::new());
    }

    /// A machine whose table is `A=1` and which runs one instance of `web` with `W=2`.
    fn machine() -> (Engine, Whose) {
        let config = Config { table: texts(&["A=1"]), ..Config::default() };
        let mut engine = Engine::new(config);
        let mut spec = JobSpec::new(JobName::try_from("web").unwrap());
        spec.commands.insert(Role::Main, Command::Exec(Text::from("serve")));
        spec.env = vec![EnvRow::Set(Text::from("W"), Text::from("2"))].into();
        tell(&mut engine, Input::Define(Arc::new(spec)));
        let target = Target { job: Text::from("web"), which: Which::Env(texts(&["G=3"])) };
        let start = Request::Start(target, Wait::Settled);
        let next = engine.next_request();
        tell(&mut engine, Input::Ask(next, None, start, None));
        let id = engine.find_named(&Text::from("web"), &InstanceName::default()).unwrap();
        (engine, Whose::Instance(id))
    }

    #[test]
    fn a_variable_set_for_all_is_in_the_table_and_in_every_instance() {
        let (mut engine, web) = machine();
        tell(&mut engine, Input::Vary(Whose::All, Variation::Set(texts(&["B=x", "A=2"]))));
        assert_eq!(engine.table(), texts(&["A=2", "B=x"]));
        assert_eq!(engine.variable(web, &Text::from("B")), Some(&b"x"[..]));
        tell(&mut engine, Input::Vary(Whose::All, Variation::SetNew(texts(&["A=9", "C="]))));
        assert_eq!(engine.table(), texts(&["A=2", "B=x", "C="]));
    }

    #[test]
    fn a_name_is_removed_exactly_and_never_one_that_begins_it() {
        let (mut engine, _) = machine();
        tell(&mut engine, Input::Vary(Whose::All, Variation::Unset(texts(&["AB", ""]))));
        assert_eq!(engine.table(), texts(&["A=1"]));
        tell(&mut engine, Input::Vary(Whose::All, Variation::Unset(texts(&["A"]))));
        assert_eq!(engine.table(), texts(&[]));
    }

    #[test]
    fn an_instance_is_put_back_to_table_and_job_and_the_table_to_its_beginning() {
        let (mut engine, web) = machine();
        tell(&mut engine, Input::Vary(web, Variation::Set(texts(&["W=8", "Z=9"]))));
        assert_eq!(engine.variable(web, &Text::from("G")), Some(&b"3"[..]));
        tell(&mut engine, Input::Vary(web, Variation::Reset));
        assert_eq!(engine.variables_of(web), texts(&["A=1", "W=2"]));
        tell(&mut engine, Input::Vary(Whose::All, Variation::Set(texts(&["A=5"]))));
        tell(&mut engine, Input::Vary(Whose::All, Variation::Reset));
        assert_eq!(engine.table(), texts(&["A=1"]));
        assert_eq!(engine.variable(web, &Text::from("A")), Some(&b"5"[..]), "left alone");
    }

    #[test]
    fn a_changed_table_outlives_the_machine() {
        let (mut engine, web) = machine();
        let before = engine.snapshot();
        engine.take_changes();
        tell(&mut engine, Input::Vary(Whose::All, Variation::Set(texts(&["B=x"]))));
        let changes = engine.take_changes();
        assert!(!changes.is_empty());
        let config = Config { table: texts(&["A=1"]), ..Config::default() };
        let again = Engine::restore(config.clone(), [before, changes]);
        assert_eq!(again.table(), engine.table());
        assert_eq!(again.variables_of(web), engine.variables_of(web));
        let snapshot = Engine::restore(config, [engine.snapshot()]);
        assert_eq!(snapshot.table(), engine.table());
    }

    #[test]
    fn who_is_asked_for_and_is_not_there_is_named() {
        let (engine, _) = machine();
        let name = |name: &str| InstanceName::try_from(Text::from(name)).unwrap();
        let asked = |job: &str, instance: &str| {
            alloc::format!("{}", engine.find_named(&Text::from(job), &name(instance)).unwrap_err())
        };
        assert_eq!(asked("db", ""), "Unknown job: db");
        assert_eq!(asked("web", "x"), "Unknown instance: x of job web");
    }
}
