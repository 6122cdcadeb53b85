//! What a call is answered with, and how that travels.

use super::codec::{self, Continues, FRAME_MAX, MESSAGE_MAX};
use super::command::Command;
use super::fault::Fault;
use super::notice::{Notice, Speech};
use super::wire::{
    WireInstance, WireJob, WireNotice, WireProgram, WireSettings, WireTimeline, WireWhy,
};
use crate::machine::request::Reply;
use crate::machine::Level;
use crate::plan::PlanRow;
use crate::process::Pid;
use crate::text::Text;
use crate::token::TokenView;
use crate::view::{
    ConfiguredView, CountView, GroupsView, InstanceView, JobView, LogView, ProgramView,
    SettingsView, SourceView, SupervisorView, TimelineView, WhyView,
};
use alloc::borrow::ToOwned;
use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

/// What a call is answered with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Start, Stop, Restart, Reload, Signal, Emit: it has been done, and this is the instance then; also of
    /// Status. Nothing for an event.
    Instance(Option<Box<InstanceView>>),
    /// Check, Restart, Reload, where the job's check wrote something: the same, with the last of that.
    Checked(Option<Box<InstanceView>>, Text),
    /// List: sorted by job and instance.
    Instances(Vec<InstanceView>),
    /// Why.
    Why(Box<WhyView>),
    /// Timeline: sorted by job and instance.
    Timeline(Vec<TimelineView>),
    /// Programs: sorted by group and name.
    Programs(Vec<ProgramView>),
    /// ShowConfig: sorted by name.
    Jobs(Vec<JobView>),
    /// Settings.
    Settings(Box<SettingsView>),
    /// Usage.
    Usage(Option<Text>),
    /// Version.
    Version(Version),
    /// GetLogPriority.
    Priority(Level),
    /// Events: one of many.
    Notice(Notice),
    /// SendInput: so many bytes of it were taken, at least one unless there was none.
    Taken(u64),
    /// Outputs: one of many.
    Speech(Speech),
    /// LogPath.
    Path(Text),
    /// GetEnv.
    Value(Text),
    /// ListEnv: `NAME=VALUE`, sorted.
    Variables(Vec<Text>),
    /// Supervisor.
    Supervisor(Box<SupervisorView>),
    /// Reread.
    Groups(GroupsView),
    /// OpenLog; its descriptor travels beside it.
    Log(LogView),
    /// LogCounts: sorted by job, instance and output.
    Counts(Vec<CountView>),
    /// Configured: in the order of the configuration.
    Configured(Vec<ConfiguredView>),
    /// Sources: in their order, the first wins.
    Sources(Vec<SourceView>),
    /// Plan, Apply: what is removed first, else in the order of the names.
    Plan(Vec<PlanRow>),
    /// ListTokens: sorted by name.
    Tokens(Vec<TokenView>),
    /// Everything else: it has been done.
    Done,
}

/// What runs here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Version {
    /// What it is called.
    pub product: String,
    /// Its own version.
    pub version: String,
    /// The version of Upstart that it stands for, as `initctl version` prints it.
    pub compatible: String,
    /// The process that was started as Upright: the one that signals are for.
    pub pid: Pid,
    /// Why the binary of the last upgrade was given up again, in a sentence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub given_up: Option<String>,
}

impl Version {
    /// Returns this build's version.
    pub fn own(pid: Pid) -> Version {
        Version {
            product: String::from("upright"),
            version: String::from(env!("CARGO_PKG_VERSION")),
            compatible: String::from("init (upstart 1.13.2)"),
            pid,
            given_up: None,
        }
    }
}

#[derive(Serialize, Deserialize)]
struct InstanceBody {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    instance: Option<WireInstance>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    checked: Option<Text>,
}

impl InstanceBody {
    fn of(view: Option<Box<InstanceView>>, checked: Option<Text>) -> InstanceBody {
        InstanceBody { instance: view.map(|view| WireInstance::from(*view)), checked }
    }

    fn answer(self) -> Answer {
        let view = self.instance.map(|wire| Box::new(wire.into()));
        match self.checked {
            Some(output) => Answer::Checked(view, output),
            None => Answer::Instance(view),
        }
    }
}

#[derive(Deserialize)]
struct InstancesBody {
    instances: Vec<WireInstance>,
}

#[derive(Serialize, Deserialize)]
struct TokensBody {
    tokens: Vec<TokenView>,
}

#[derive(Deserialize)]
struct JobsBody {
    jobs: Vec<WireJob>,
}

#[derive(Deserialize)]
struct TimelineBody {
    times: Vec<WireTimeline>,
}

#[derive(Deserialize)]
struct ProgramsBody {
    programs: Vec<WireProgram>,
}

#[derive(Deserialize)]
struct CountsBody {
    counts: Vec<CountView>,
}

#[derive(Deserialize)]
struct ConfiguredBody {
    configured: Vec<ConfiguredView>,
}

#[derive(Deserialize)]
struct SourcesBody {
    sources: Vec<SourceView>,
}

#[derive(Deserialize)]
struct PlanBody {
    plan: Vec<PlanRow>,
}

#[derive(Serialize, Deserialize)]
struct UsageBody {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    usage: Option<Text>,
}

#[derive(Serialize, Deserialize)]
struct PriorityBody {
    priority: Level,
}

#[derive(Serialize, Deserialize)]
struct TakenBody {
    taken: u64,
}

#[derive(Serialize, Deserialize)]
struct PathBody {
    path: Text,
}

#[derive(Serialize, Deserialize)]
struct ValueBody {
    value: Text,
}

#[derive(Serialize, Deserialize)]
struct VariablesBody {
    variables: Vec<Text>,
}

#[derive(Serialize, Deserialize)]
struct DoneBody {}

/// The parameters of an answer as JSON.
enum Body {
    /// One object.
    One(Vec<u8>),
    /// An object with one list of that name.
    Many(&'static str, Vec<Vec<u8>>),
}

impl Answer {
    /// Returns the answer that a reply of the machine is; `output` is what the job wrote last, for
    /// callers who may read its log, `concern` what of its file a failure is about.
    pub fn of_reply(
        reply: Reply,
        output: Option<Text>,
        concern: Option<Text>,
    ) -> Result<Answer, Fault> {
        match reply {
            Reply::Done(instance) => Ok(match output {
                Some(output) => Answer::Checked(instance.map(Box::new), output),
                None => Answer::Instance(instance.map(Box::new)),
            }),
            Reply::Refused(refusal) => {
                let mut fault = Fault::refused(&refusal, output);
                if let Fault::Refused(refused) = &mut fault {
                    refused.concern = concern;
                }
                Err(fault)
            }
        }
    }

    /// Appends the answer as one frame or more, each with its NUL. `ExpectedMore` where it takes
    /// more than one and the caller did not say that it wants them.
    pub(super) fn encode(self, more: bool, out: &mut Vec<u8>) -> Result<(), Fault> {
        match self.body() {
            Body::Many(name, items) => pages(name, items, more, Continues::No, out),
            Body::One(one) => {
                fits(one.len())?;
                codec::write_frame(&one, Continues::No, out);
                Ok(())
            }
        }
    }

    /// Appends a part of a list, each frame saying that another follows. Nothing that is no list.
    pub(super) fn encode_part(self, out: &mut Vec<u8>) -> Result<(), Fault> {
        match self.body() {
            Body::Many(name, items) => pages(name, items, true, Continues::Yes, out),
            Body::One(_) => Ok(()),
        }
    }

    fn body(self) -> Body {
        Body::One(match self {
            Answer::Instances(views) => {
                let items = views.into_iter().map(|view| codec::encoded(&WireInstance::from(view)));
                return Body::Many("instances", items.collect());
            }
            Answer::Jobs(views) => {
                let items = views.into_iter().map(|view| codec::encoded(&WireJob::from(view)));
                return Body::Many("jobs", items.collect());
            }
            Answer::Timeline(views) => {
                let items = views.into_iter().map(|view| codec::encoded(&WireTimeline::from(view)));
                return Body::Many("times", items.collect());
            }
            Answer::Programs(views) => {
                let items = views.into_iter().map(|view| codec::encoded(&WireProgram::from(view)));
                return Body::Many("programs", items.collect());
            }
            Answer::Counts(views) => {
                let items = views.iter().map(codec::encoded);
                return Body::Many("counts", items.collect());
            }
            Answer::Configured(views) => {
                let items = views.iter().map(codec::encoded);
                return Body::Many("configured", items.collect());
            }
            Answer::Sources(views) => {
                let items = views.iter().map(codec::encoded);
                return Body::Many("sources", items.collect());
            }
            Answer::Plan(rows) => {
                let items = rows.iter().map(codec::encoded);
                return Body::Many("plan", items.collect());
            }
            Answer::Why(view) => why(*view),
            Answer::Instance(view) => codec::encoded(&InstanceBody::of(view, None)),
            Answer::Checked(view, output) => codec::encoded(&InstanceBody::of(view, Some(output))),
            Answer::Settings(view) => codec::encoded(&WireSettings::from(*view)),
            Answer::Usage(usage) => codec::encoded(&UsageBody { usage }),
            Answer::Version(version) => codec::encoded(&version),
            Answer::Priority(priority) => codec::encoded(&PriorityBody { priority }),
            Answer::Notice(notice) => codec::encoded(&WireNotice::from(notice)),
            Answer::Speech(speech) => codec::encoded(&speech),
            Answer::Taken(taken) => codec::encoded(&TakenBody { taken }),
            Answer::Path(path) => codec::encoded(&PathBody { path }),
            Answer::Value(value) => codec::encoded(&ValueBody { value }),
            Answer::Variables(variables) => codec::encoded(&VariablesBody { variables }),
            Answer::Supervisor(view) => codec::encoded(&*view),
            Answer::Groups(view) => codec::encoded(&view),
            Answer::Log(view) => codec::encoded(&view),
            Answer::Tokens(tokens) => codec::encoded(&TokensBody { tokens }),
            Answer::Done => codec::encoded(&DoneBody {}),
        })
    }

    /// Returns the answer's parameters as one JSON object, however long, as the interface describes
    /// them.
    pub fn to_json(self) -> String {
        let json = match self.body() {
            Body::One(one) => one,
            Body::Many(name, items) => {
                let open = format!("{{\"{name}\":[");
                [open.as_bytes(), &items.join(&b","[..]), b"]}"].concat()
            }
        };
        String::from_utf8(json).unwrap_or_default()
    }

    /// Reads a reply to a call of this command, without its NUL, and whether another follows.
    pub fn decode(command: Command, message: &[u8]) -> Result<(Answer, Continues), Fault> {
        if command == Command::List {
            if let Some((body, continues)) = codec::read_reply::<InstancesBody>(message) {
                return Ok((Answer::of_list(body), continues));
            }
        }
        let continues = codec::read_head(message)?;
        Ok((body(command, message)?, continues))
    }

    fn of_list(body: InstancesBody) -> Answer {
        Answer::Instances(body.instances.into_iter().map(InstanceView::from).collect())
    }

    /// Adds what a following frame of the same list brings; of anything else the later one stays.
    pub fn join(&mut self, later: Answer) {
        match (&mut *self, later) {
            (Answer::Instances(all), Answer::Instances(more)) => all.extend(more),
            (Answer::Jobs(all), Answer::Jobs(more)) => all.extend(more),
            (Answer::Programs(all), Answer::Programs(more)) => all.extend(more),
            (Answer::Timeline(all), Answer::Timeline(more)) => all.extend(more),
            (Answer::Counts(all), Answer::Counts(more)) => all.extend(more),
            (Answer::Configured(all), Answer::Configured(more)) => all.extend(more),
            (Answer::Sources(all), Answer::Sources(more)) => all.extend(more),
            (Answer::Plan(all), Answer::Plan(more)) => all.extend(more),
            (whole, later) => *whole = later,
        }
    }
}

fn body(command: Command, message: &[u8]) -> Result<Answer, Fault> {
    use codec::read_body;
    Ok(match command {
        Command::Start
        | Command::Stop
        | Command::Restart
        | Command::Reload
        | Command::Check
        | Command::Signal
        | Command::Intend
        | Command::Emit
        | Command::EmitFile
        | Command::Status => read_body::<InstanceBody>(message)?.answer(),
        Command::List => Answer::of_list(read_body(message)?),
        Command::Why => Answer::Why(Box::new(read_body::<WireWhy>(message)?.into())),
        Command::ShowConfig => {
            let body: JobsBody = read_body(message)?;
            Answer::Jobs(body.jobs.into_iter().map(JobView::from).collect())
        }
        Command::Timeline => {
            let body: TimelineBody = read_body(message)?;
            Answer::Timeline(body.times.into_iter().map(TimelineView::from).collect())
        }
        Command::Programs => {
            let body: ProgramsBody = read_body(message)?;
            Answer::Programs(body.programs.into_iter().map(ProgramView::from).collect())
        }
        Command::Settings => Answer::Settings(Box::new(read_body::<WireSettings>(message)?.into())),
        Command::Usage => Answer::Usage(read_body::<UsageBody>(message)?.usage),
        Command::Version => Answer::Version(read_body(message)?),
        Command::GetLogPriority => Answer::Priority(read_body::<PriorityBody>(message)?.priority),
        Command::Events => match read_body::<WireNotice>(message)?.notice() {
            Some(notice) => Answer::Notice(notice),
            None => Answer::Done,
        },
        Command::Outputs => Answer::Speech(read_body(message)?),
        Command::SendInput => Answer::Taken(read_body::<TakenBody>(message)?.taken),
        Command::LogPath => Answer::Path(read_body::<PathBody>(message)?.path),
        Command::GetEnv => Answer::Value(read_body::<ValueBody>(message)?.value),
        Command::ListEnv => Answer::Variables(read_body::<VariablesBody>(message)?.variables),
        Command::Supervisor => Answer::Supervisor(Box::new(read_body(message)?)),
        Command::Reread => Answer::Groups(read_body(message)?),
        Command::OpenLog => Answer::Log(read_body(message)?),
        Command::LogCounts => Answer::Counts(read_body::<CountsBody>(message)?.counts),
        Command::Configured => Answer::Configured(read_body::<ConfiguredBody>(message)?.configured),
        Command::Sources => Answer::Sources(read_body::<SourcesBody>(message)?.sources),
        Command::Plan | Command::Apply => Answer::Plan(read_body::<PlanBody>(message)?.plan),
        Command::ListTokens => Answer::Tokens(read_body::<TokensBody>(message)?.tokens),
        Command::ReloadConfiguration
        | Command::AddGroup
        | Command::RemoveGroup
        | Command::ClearLog
        | Command::Hold
        | Command::CreateToken
        | Command::RevokeToken
        | Command::SetLogPriority
        | Command::NotifyDiskWriteable
        | Command::Upgrade
        | Command::NotifyDbusAddress
        | Command::NotifyCgroupManagerAddress
        | Command::Shutdown
        | Command::SetEnv
        | Command::UnsetEnv
        | Command::ResetEnv => Answer::Done,
    })
}

/// Room for what stands around the parameters in a frame.
const AROUND: usize = 64;

fn fits(length: usize) -> Result<(), Fault> {
    if length + AROUND > MESSAGE_MAX {
        let why = format!("the answer has {length} bytes, more than {MESSAGE_MAX} in one frame");
        return Err(Fault::Unavailable(why));
    }
    Ok(())
}

/// The oldest decisions go first where the whole history does not fit.
fn why(view: WhyView) -> Vec<u8> {
    let mut wire = WireWhy::from(view);
    loop {
        let encoded = codec::encoded(&wire);
        if encoded.len() + AROUND <= FRAME_MAX || !wire.forget_oldest() {
            return encoded;
        }
    }
}

/// Appends a list as frames that each are as full as they may be.
fn pages(
    name: &str,
    items: Vec<Vec<u8>>,
    more: bool,
    last: Continues,
    out: &mut Vec<u8>,
) -> Result<(), Fault> {
    let open = format!("{{\"{name}\":[").into_bytes();
    let begun = out.len();
    let mut page = open.clone();
    for item in items {
        fits(open.len() + item.len())?;
        if page.len() > open.len() {
            if page.len() + item.len() + AROUND > FRAME_MAX {
                if !more {
                    out.truncate(begun);
                    return Err(Fault::ExpectedMore);
                }
                page.extend_from_slice(b"]}");
                codec::write_frame(&page, Continues::Yes, out);
                page.clone_from(&open);
            } else {
                page.push(b',');
            }
        }
        page.extend_from_slice(&item);
    }
    page.extend_from_slice(b"]}");
    codec::write_frame(&page, last, out);
    Ok(())
}

/// What `GetInfo` answers.
#[derive(Serialize)]
struct Info<'a> {
    vendor: &'a str,
    product: &'a str,
    version: &'a str,
    url: &'a str,
    interfaces: [&'a str; 2],
}

#[derive(Serialize)]
struct Description<'a> {
    description: &'a str,
}

/// Returns the parameters of the answer to a method of the interface that every service has.
pub(super) fn service(method: &str, interface: Option<&str>) -> Result<Vec<u8>, Fault> {
    match method {
        "GetInfo" => Ok(codec::encoded(&Info {
            vendor: "Upright",
            product: "Upright",
            version: env!("CARGO_PKG_VERSION"),
            url: "",
            interfaces: [super::SERVICE, super::INTERFACE],
        })),
        "GetInterfaceDescription" => {
            let description = match interface {
                Some(super::INTERFACE) => super::DESCRIPTION,
                Some(super::SERVICE) => super::SERVICE_DESCRIPTION,
                Some(other) => return Err(Fault::InterfaceNotFound(other.to_owned())),
                None => return Err(Fault::parameter("interface", "is missing")),
            };
            Ok(codec::encoded(&Description { description }))
        }
        _ => Err(Fault::MethodNotFound(format!("{}.{method}", super::SERVICE))),
    }
}
