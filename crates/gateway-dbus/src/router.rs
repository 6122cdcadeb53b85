//! What a call means: from D-Bus to control and back.

use crate::control::{Asker, Pending};
use crate::faces::{self, Access, Act, Face, Property};
use crate::faults::Error;
use crate::objects::{self, Object};
use crate::value::Value;
use engine::control::answer::Answer;
use engine::control::call::{Call, Clash, EnvScope, Listed, Token};
use engine::control::fault::Fault;
use engine::control::{
    priority, InstanceName, InstanceView, JobView, Request, ShutdownKind, State, Target, Text,
    Wait, Which,
};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use zbus::message::Message;
use zbus::wire::{DynamicDeserialize, OwnedVariant, Variant};
use zbus::{Guid, OwnedFd};

/// What becomes of a call.
#[derive(Debug)]
pub enum Outcome {
    /// This is the answer.
    Now(Result<Value, Error>),
    /// It comes later.
    Later(Box<Later>),
}

/// A call that is being carried out.
#[derive(Debug)]
pub struct Later {
    pending: Pending,
    shape: Shape,
    object: Object,
    unknown: Error,
}

/// What is told of an answer.
#[derive(Clone, Copy, Debug)]
enum Shape {
    Nothing,
    /// The path of the instance.
    Path,
}

impl Later {
    /// Waits for the answer.
    pub async fn answer(self) -> Result<Value, Error> {
        let answer = self.pending.answer().await.map_err(Error::from);
        let value = answer.map(|answer| match (self.shape, answer) {
            (Shape::Path, Answer::Instance(Some(view)) | Answer::Checked(Some(view), _)) => {
                Value::Path(path_of(&view))
            }
            (Shape::Path | Shape::Nothing, _) => Value::Nothing,
        });
        value.map_err(|error| hidden(error, &self.object, self.unknown))
    }
}

/// A call as it is carried out.
struct Routed<'a> {
    asker: &'a mut Asker,
    message: &'a Message,
    object: Object,
    path: &'a str,
    /// What is told where there is no such method, or no such object.
    unknown: Error,
}

/// Carries a call out, or begins to.
pub async fn route(asker: &mut Asker, message: &Message) -> Outcome {
    let header = message.header();
    let path = header.path().map_or("", |path| path.as_str());
    let member = header.member().map_or("", |member| member.as_str());
    let interface = header.interface().map(|interface| interface.as_str());
    let signature = header.signature().to_string_no_parens();
    let object = objects::object(path);
    let unknown = Error::unknown_method(member, &signature, interface.unwrap_or(""));
    match (faces::find(object.as_ref(), interface, member, &signature), object) {
        (Some(Act::Ping), _) => Outcome::Now(Ok(Value::Nothing)),
        (Some(Act::GetMachineId), _) => Outcome::Now(machine_id()),
        (Some(act), Some(object)) => {
            let mut routed =
                Routed { asker, message, object: object.clone(), path, unknown: unknown.clone() };
            match routed.carry_out(act).await {
                Ok(outcome) => outcome,
                Err(error) => Outcome::Now(Err(hidden(error, &object, unknown))),
            }
        }
        (None, _) | (_, None) => Outcome::Now(Err(unknown)),
    }
}

/// What is not there has no methods.
fn hidden(error: Error, object: &Object, unknown: Error) -> Error {
    let gone = match object {
        Object::Job(_) => error.is_unknown_job(),
        Object::Instance(..) => error.is_unknown_job() || error.is_unknown_instance(),
        Object::Root | Object::Jobs | Object::Above(_) => false,
    };
    if gone {
        unknown
    } else {
        error
    }
}

impl Routed<'_> {
    async fn carry_out(&mut self, act: Act) -> Result<Outcome, Error> {
        let value = match (act, self.object.clone()) {
            (Act::EmitEvent, _) => return self.emit().await,
            (Act::EmitEventWithFile, _) => return self.emit_with_file().await,
            (Act::Introspect, _) => self.introspect().await?,
            (Act::Get | Act::Set | Act::GetAll, object) => self.property(act, &object).await?,
            (act, Object::Job(job)) => return self.of_job(act, job).await,
            (act, Object::Instance(job, name)) => {
                let target = Target { job, which: Which::Named(name) };
                return self.of_instance(act, target).await;
            }
            (act, Object::Root | Object::Jobs | Object::Above(_)) => self.of_root(act).await?,
        };
        Ok(Outcome::Now(Ok(value)))
    }

    /// Reads the arguments. Their signature has been compared already.
    fn arguments<T: for<'m> DynamicDeserialize<'m>>(&self) -> Result<T, Error> {
        let body = self.message.body();
        body.deserialize().map_err(|error| Error::argument(error.to_string()))
    }

    async fn ask(&mut self, call: Call) -> Result<Answer, Error> {
        self.asker.ask(&call).await.map_err(Error::from)
    }

    async fn tell(&mut self, call: Call) -> Result<Value, Error> {
        self.ask(call).await.map(|_| Value::Nothing)
    }

    /// Asks for what changes something: at once where the caller does not wait.
    async fn request(&mut self, request: Request, shape: Shape) -> Result<Outcome, Error> {
        self.begin(Call::Ask(request, token()), None, shape).await
    }

    async fn begin(
        &mut self,
        call: Call,
        file: Option<Arc<std::os::fd::OwnedFd>>,
        shape: Shape,
    ) -> Result<Outcome, Error> {
        let pending = self.asker.begin(call, file).await.map_err(Error::from)?;
        let (object, unknown) = (self.object.clone(), self.unknown.clone());
        Ok(Outcome::Later(Box::new(Later { pending, shape, object, unknown })))
    }

    async fn emit(&mut self) -> Result<Outcome, Error> {
        let (name, env, wait) = self.arguments::<(String, Vec<String>, bool)>()?;
        let request = Request::Emit(Text::from(name), texts(env), waits(wait));
        self.request(request, Shape::Nothing).await
    }

    async fn emit_with_file(&mut self) -> Result<Outcome, Error> {
        let (name, env, wait, file) = self.arguments::<(String, Vec<String>, bool, OwnedFd)>()?;
        let call = Call::EmitFile(Text::from(name), texts(env), waits(wait), token());
        let file = Arc::new(std::os::fd::OwnedFd::from(file));
        self.begin(call, Some(file), Shape::Nothing).await
    }

    async fn of_root(&mut self, act: Act) -> Result<Value, Error> {
        match act {
            Act::ReloadConfiguration => self.tell(Call::ReloadConfiguration).await,
            Act::GetJobByName => {
                let name = self.arguments::<String>()?;
                let name = Text::from(needed("Name", name)?);
                self.job(&name).await?;
                Ok(Value::Path(objects::of_job(&name)))
            }
            Act::GetAllJobs => {
                let jobs = self.jobs(None).await?;
                let paths = jobs.iter().map(|job| objects::of_job(job.name.text()));
                Ok(Value::Paths(paths.collect()))
            }
            Act::GetState => self.state().await,
            Act::Restart => self.tell(Call::Upgrade).await,
            Act::NotifyDiskWriteable => self.tell(Call::NotifyDiskWriteable).await,
            Act::NotifyDBusAddress => {
                let address = Text::from(self.arguments::<String>()?);
                let told = self.asker.ask(&Call::NotifyDbusAddress(address)).await;
                told.map(|_| Value::Nothing).map_err(no_server)
            }
            Act::NotifyCGroupManagerAddress => {
                let address = Text::from(self.arguments::<String>()?);
                self.tell(Call::NotifyCgroupManagerAddress(address)).await
            }
            Act::EndSession => self.tell(Call::Shutdown(ShutdownKind::Logout)).await,
            act => self.variables(act).await,
        }
    }

    async fn variables(&mut self, act: Act) -> Result<Value, Error> {
        match act {
            Act::GetEnv => {
                let (details, name) = self.arguments::<(Vec<String>, String)>()?;
                let name = Text::from(needed("Variable", name)?);
                match self.ask(Call::GetEnv(scope(details)?, name)).await? {
                    Answer::Value(value) => Ok(Value::Text(value.to_string())),
                    _ => Ok(Value::Text(String::new())),
                }
            }
            Act::SetEnv => {
                let (details, row, replace) = self.arguments::<(Vec<String>, String, bool)>()?;
                self.set(details, vec![row], replace).await
            }
            Act::SetEnvList => {
                let (details, rows, replace) =
                    self.arguments::<(Vec<String>, Vec<String>, bool)>()?;
                self.set(details, rows, replace).await
            }
            Act::UnsetEnv => {
                let (details, name) = self.arguments::<(Vec<String>, String)>()?;
                self.unset(details, vec![name]).await
            }
            Act::UnsetEnvList => {
                let (details, names) = self.arguments::<(Vec<String>, Vec<String>)>()?;
                self.unset(details, names).await
            }
            Act::ListEnv => {
                let details = self.arguments::<Vec<String>>()?;
                match self.ask(Call::ListEnv(scope(details)?)).await? {
                    Answer::Variables(rows) => Ok(Value::Texts(strings(&rows))),
                    _ => Ok(Value::Texts(Vec::new())),
                }
            }
            Act::ResetEnv => {
                let details = self.arguments::<Vec<String>>()?;
                self.tell(Call::ResetEnv(scope(details)?)).await
            }
            _ => Err(self.unknown.clone()),
        }
    }

    async fn set(
        &mut self,
        details: Vec<String>,
        rows: Vec<String>,
        replace: bool,
    ) -> Result<Value, Error> {
        for row in &rows {
            needed("Variable", row.split('=').next().unwrap_or_default().to_owned())?;
        }
        let clash = if replace { Clash::Replace } else { Clash::Keep };
        self.tell(Call::SetEnv(scope(details)?, texts(rows), clash)).await
    }

    async fn unset(&mut self, details: Vec<String>, names: Vec<String>) -> Result<Value, Error> {
        for name in &names {
            needed("Variable", name.clone())?;
        }
        self.tell(Call::UnsetEnv(scope(details)?, texts(names))).await
    }

    async fn of_job(&mut self, act: Act, job: Text) -> Result<Outcome, Error> {
        let value = match act {
            Act::GetInstance => {
                let env = texts(self.arguments::<Vec<String>>()?);
                Value::Path(path_of(&self.instance(job, Which::Env(env)).await?))
            }
            Act::GetInstanceByName => {
                let name = instance_name(self.arguments::<String>()?)?;
                Value::Path(path_of(&self.instance(job, Which::Named(name)).await?))
            }
            Act::GetAllInstances => {
                let views = self.instances(job).await?;
                Value::Paths(views.iter().map(path_of).collect())
            }
            act => {
                let (env, wait) = self.arguments::<(Vec<String>, bool)>()?;
                let (target, wait) = (Target { job, which: Which::Env(texts(env)) }, waits(wait));
                let (request, shape) = match act {
                    Act::StartJob => (Request::Start(target, wait), Shape::Path),
                    Act::StopJob => (Request::Stop(target, wait), Shape::Nothing),
                    Act::RestartJob => (Request::Restart(target, wait), Shape::Path),
                    _ => return Err(self.unknown.clone()),
                };
                return self.request(request, shape).await;
            }
        };
        Ok(Outcome::Now(Ok(value)))
    }

    async fn of_instance(&mut self, act: Act, target: Target) -> Result<Outcome, Error> {
        let request = match act {
            Act::StartInstance => Request::Start(target, waits(self.arguments()?)),
            Act::StopInstance => Request::Stop(target, waits(self.arguments()?)),
            Act::RestartInstance => Request::Restart(target, waits(self.arguments()?)),
            Act::ReloadInstance => Request::Reload(target),
            _ => return Err(self.unknown.clone()),
        };
        self.request(request, Shape::Nothing).await
    }

    async fn property(&mut self, act: Act, object: &Object) -> Result<Value, Error> {
        let Some(face) = faces::own(object) else { return Err(self.unknown.clone()) };
        match act {
            Act::Get => {
                let (interface, name) = self.arguments::<(String, String)>()?;
                let row = self.row(face, &interface, &name)?;
                let mut all = self.properties(object).await?;
                all.remove(row.name).map(Value::Variant).ok_or(self.unknown.clone())
            }
            Act::GetAll => {
                let interface = self.arguments::<String>()?;
                if !interface.is_empty() && interface != face.name {
                    return Err(self.unknown.clone());
                }
                self.properties(object).await.map(Value::Properties)
            }
            _ => {
                let (interface, name, value) =
                    self.arguments::<(String, String, OwnedVariant)>()?;
                let row = self.row(face, &interface, &name)?;
                match row.access {
                    Access::Read => {
                        // An object that is not there has nothing that could be read-only.
                        self.properties(object).await?;
                        let message = format!("The {name} property is read-only");
                        Err(Error::plain("AccessDenied", message))
                    }
                    Access::ReadWrite => self.set_log_priority(value).await,
                }
            }
        }
    }

    fn row(
        &self,
        face: &'static Face,
        interface: &str,
        name: &str,
    ) -> Result<&'static Property, Error> {
        let meant = interface.is_empty() || interface == face.name;
        let row = face.properties.iter().find(|row| meant && row.name == name);
        row.ok_or_else(|| self.unknown.clone())
    }

    /// The one property that can be set.
    async fn set_log_priority(&mut self, value: OwnedVariant) -> Result<Value, Error> {
        let word = String::try_from(value)
            .map_err(|_| Error::argument("The log priority must be a string"))?;
        let level = priority::from_name(&word)
            .ok_or_else(|| Error::argument("The log priority given was not recognised"))?;
        self.tell(Call::SetLogPriority(level)).await
    }

    async fn properties(&mut self, object: &Object) -> Result<Properties, Error> {
        let properties: Vec<(&'static str, Variant<'static>)> = match object {
            Object::Root => {
                let version = match self.ask(Call::Version).await? {
                    Answer::Version(version) => version.compatible,
                    _ => String::new(),
                };
                let level = match self.ask(Call::GetLogPriority).await? {
                    Answer::Priority(level) => priority::name(level),
                    _ => "",
                };
                vec![("version", version.into()), ("log_priority", level.into())]
            }
            Object::Job(job) => job_properties(&self.job(job).await?),
            Object::Instance(job, name) => {
                let which = Which::Named(name.clone());
                instance_properties(&self.instance(job.clone(), which).await?)
            }
            Object::Jobs | Object::Above(_) => return Err(self.unknown.clone()),
        };
        Ok(properties.into_iter().collect())
    }

    async fn introspect(&mut self) -> Result<Value, Error> {
        let below: BTreeSet<String> = match &self.object {
            Object::Root => BTreeSet::from([String::from("jobs")]),
            Object::Above(next) => BTreeSet::from([String::from(*next)]),
            Object::Jobs => {
                let jobs = self.jobs(None).await?;
                jobs.iter().map(|job| objects::escaped(job.name.text())).collect()
            }
            Object::Job(job) => {
                let views = self.instances(job.clone()).await?;
                views.iter().map(|view| objects::escaped(view.instance.text())).collect()
            }
            Object::Instance(job, name) => {
                self.instance(job.clone(), Which::Named(name.clone())).await?;
                BTreeSet::new()
            }
        };
        Ok(Value::Text(faces::describe(&self.object, self.path, below)))
    }

    /// Everything that is known, in the words of control.
    async fn state(&mut self) -> Result<Value, Error> {
        let calls = [
            ("version", Call::Version),
            ("descriptions", Call::ShowConfig(None)),
            ("states", Call::List(None, Listed::All)),
            ("environment", Call::ListEnv(EnvScope::Global)),
        ];
        let mut parts = Vec::new();
        for (name, call) in calls {
            parts.push(format!("\"{name}\":{}", self.ask(call).await?.to_json()));
        }
        Ok(Value::Text(format!("{{{}}}", parts.join(","))))
    }

    async fn jobs(&mut self, job: Option<Text>) -> Result<Vec<JobView>, Error> {
        match self.ask(Call::ShowConfig(job)).await? {
            Answer::Jobs(jobs) => Ok(jobs),
            _ => Ok(Vec::new()),
        }
    }

    async fn job(&mut self, name: &Text) -> Result<JobView, Error> {
        let found = self.jobs(Some(name.clone())).await?.into_iter().next();
        found.ok_or_else(|| Error::upstart("UnknownJob", format!("Unknown job: {name}")))
    }

    /// Returns the instances that there are of a job.
    async fn instances(&mut self, job: Text) -> Result<Vec<InstanceView>, Error> {
        match self.ask(Call::List(Some(job), Listed::Own)).await? {
            Answer::Instances(views) => Ok(views.into_iter().filter(is_there).collect()),
            _ => Ok(Vec::new()),
        }
    }

    async fn instance(&mut self, job: Text, which: Which) -> Result<InstanceView, Error> {
        let answer = self.ask(Call::Status(Target { job, which })).await?;
        match answer {
            Answer::Instance(Some(view)) if is_there(&view) => Ok(*view),
            Answer::Instance(Some(view)) => {
                let message = format!("Unknown instance: {}", view.instance);
                Err(Error::upstart("UnknownInstance", message))
            }
            _ => Err(Error::upstart("UnknownInstance", "Unknown instance: ")),
        }
    }
}

type Properties = BTreeMap<&'static str, Variant<'static>>;

fn job_properties(job: &JobView) -> Vec<(&'static str, Variant<'static>)> {
    let text = |text: Option<&Text>| Variant::from(text.map(shown).unwrap_or_default());
    let condition = |condition| {
        let operands = JobView::operands(condition);
        let words: Vec<Vec<String>> = operands.iter().map(|words| strings(words)).collect();
        Variant::from(words)
    };
    vec![
        ("name", text(Some(job.name.text()))),
        ("description", text(job.description.as_ref())),
        ("author", text(job.author.as_ref())),
        ("version", text(job.version.as_ref())),
        ("usage", text(job.usage.as_ref())),
        ("start_on", condition(job.start_on.as_ref())),
        ("stop_on", condition(job.stop_on.as_ref())),
        ("emits", Variant::from(strings(&job.emits))),
    ]
}

fn instance_properties(view: &InstanceView) -> Vec<(&'static str, Variant<'static>)> {
    let processes = view.processes.iter().map(|(role, pid)| (String::from(role.name()), *pid));
    vec![
        ("name", Variant::from(shown(view.instance.text()))),
        ("goal", Variant::from(view.goal.to_string())),
        ("state", Variant::from(view.state.to_string())),
        ("processes", Variant::from(processes.collect::<Vec<(String, i32)>>())),
    ]
}

/// Returns a token that nobody else has.
fn token() -> Option<Token> {
    Token::try_from(Guid::generate().to_string()).ok()
}

/// A job without instances is shown as one that waits.
fn is_there(view: &InstanceView) -> bool {
    view.state != State::Waiting
}

fn path_of(view: &InstanceView) -> String {
    objects::of_instance(view.job.text(), &view.instance)
}

fn scope(details: Vec<String>) -> Result<EnvScope, Error> {
    let mut details = details.into_iter();
    let Some(job) = details.next() else { return Ok(EnvScope::Global) };
    let job = Text::from(needed("Job", job)?);
    Ok(EnvScope::Instance(job, instance_name(details.next().unwrap_or_default())?))
}

fn needed(what: &str, text: String) -> Result<String, Error> {
    if text.is_empty() {
        return Err(Error::argument(format!("{what} may not be empty string")));
    }
    Ok(text)
}

fn instance_name(name: String) -> Result<InstanceName, Error> {
    InstanceName::try_from(Text::from(name)).map_err(|error| Error::argument(error.to_string()))
}

fn waits(wait: bool) -> Wait {
    if wait {
        Wait::Settled
    } else {
        Wait::Accepted
    }
}

fn texts(strings: Vec<String>) -> Vec<Text> {
    strings.into_iter().map(Text::from).collect()
}

fn strings(texts: &[Text]) -> Vec<String> {
    texts.iter().map(shown).collect()
}

/// Returns bytes as D-Bus takes them: UTF-8 without NUL.
fn shown(text: &Text) -> String {
    text.lossy().replace('\0', "\u{fffd}")
}

/// Source: _dbus_connect_unix_socket and _dbus_error_from_errno of libdbus.
fn no_server(fault: Fault) -> Error {
    match &fault {
        Fault::Unavailable(why) if why.ends_with("No such file or directory") => {
            Error::plain("FileNotFound", why.clone())
        }
        Fault::Unavailable(why) => Error::plain("NoServer", why.clone()),
        _ => Error::from(fault),
    }
}

/// Source: D-Bus specification, org.freedesktop.DBus.Peer.
fn machine_id() -> Result<Value, Error> {
    let paths = ["/etc/machine-id", "/var/lib/dbus/machine-id"];
    let found = paths.iter().find_map(|path| std::fs::read_to_string(path).ok());
    let number = found.ok_or_else(|| Error::plain("Failed", "this machine has no machine-id"))?;
    Ok(Value::Text(number.trim().to_owned()))
}
