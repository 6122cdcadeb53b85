//! Who may do what. Decided in one place, from the command's row, by the roles that the file of rights
//! and a job's own `allow` grant.

use super::audit::Origin;
use super::command::{Command, Row, Touch};
use super::fault::Fault;
use super::params::Params;
use crate::expand;
use crate::rights::{pattern_of, Granted, Nameless, Names, Role, Who};
use crate::spec::JobSpec;
use crate::text::Text;
use crate::token::{Digest, Tokens};
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

/// The user number that the kernel shows for a user it cannot name here (another user namespace).
pub const OVERFLOW_UID: u32 = 65534;

/// Why a server does not do something.
const ITS_SECTION: &str = "its section says `access = read-only'";
const NO_SERVER: &str = "no server changes Upright itself";

/// Who is at the other end, as the kernel says (SO_PEERCRED, SO_PEERGROUPS).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    /// User.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Process; for messages only.
    pub pid: i32,
    /// The other groups.
    pub groups: Vec<u32>,
}

/// In whose name a connection speaks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Caller {
    /// In that of who is at the other end.
    Peer(Peer),
    /// In that of whoever a server of a gateway lets in.
    Server(Grant),
    /// In that of whoever shows a token to a server.
    Token(Shown),
}

/// What the daemon grants a gateway for one of its servers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Grant {
    /// The server's number.
    pub server: u16,
    /// What may be done through it.
    pub reach: Reach,
}

/// A token that was shown to a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shown {
    /// What the server grants at most.
    pub grant: Grant,
    /// The token's digest, by which it is found again at each call.
    pub digest: Digest,
    /// Its name.
    pub name: String,
}

/// What may be done through a server, the least first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reach {
    /// Whoever gets in may see, and read output.
    Look,
    /// Also start and stop jobs, read the configuration again, end everything. Never change Upright
    /// itself.
    Manage,
}

/// What the rules are of this Upright.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rights {
    /// The user that Upright runs as.
    pub owner: u32,
    /// What the file of rights grants.
    pub granted: Vec<Granted>,
    /// That file, for messages; none: there is no place for one.
    pub file: Option<Text>,
    /// What clients of servers may show.
    pub tokens: Tokens,
}

/// What is asked for.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// The command.
    pub row: &'static Row,
    /// The job that is named.
    pub job: Option<&'a Text>,
    /// The variables that come along.
    pub env: &'a [Text],
    /// All that came along, for the log.
    pub(super) params: Option<&'a Params>,
    /// Where a gateway says that it came from.
    pub origin: Option<&'a Origin>,
}

/// Decides what a caller may do.
pub trait Judge {
    /// Decides on one call; a refusal names the rule and the way in.
    fn decide(&self, caller: &Caller, asked: &Asked<'_>) -> Result<(), Fault>;
}

/// Which rule is missing, and how to come by it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// What was asked for.
    pub command: &'static str,
    /// The same in words, after "permission to".
    pub right: &'static str,
    /// Who asked, after "you".
    pub who: String,
    /// What keeps them from it, after "and".
    pub rule: String,
    /// What would be right.
    pub way_in: String,
}

/// How much of an answer a caller may see.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sight {
    /// Everything.
    Full,
    /// Names, but no values of variables.
    NamesOnly,
}

impl Caller {
    /// Reports whether two count as one where there are only so many of each.
    pub fn is_same(&self, other: &Caller) -> bool {
        match (self, other) {
            (Caller::Peer(one), Caller::Peer(other)) => one.uid == other.uid,
            (Caller::Server(one), Caller::Server(other)) => one.server == other.server,
            (Caller::Token(one), Caller::Token(other)) => one.name == other.name,
            (Caller::Peer(_) | Caller::Server(_) | Caller::Token(_), _) => false,
        }
    }
}

impl Asked<'_> {
    /// Asks once more for what goes on: a command that names nothing.
    pub fn again(row: &'static Row) -> Asked<'static> {
        Asked { row, job: None, env: &[], params: None, origin: None }
    }

    /// Asks for what is told of a job beside what was asked.
    pub fn about<'a>(row: &'static Row, job: &'a Text) -> Asked<'a> {
        Asked { job: Some(job), ..Asked::again(row) }
    }

    /// Returns the role that is needed for it: none, where everybody may. `spec` is the named job's.
    fn needed(&self, spec: Option<&JobSpec>) -> Option<Role> {
        let role = self.row.role?;
        match self.row.touch == Touch::Changes && self.foreign(spec).is_some() {
            true => Some(Role::Administer),
            false => Some(role),
        }
    }

    /// Returns the first variable that does more than name the instance. A process with a variable of
    /// somebody's choice (`LD_PRELOAD`, `PATH`) does what they choose.
    fn foreign(&self, spec: Option<&JobSpec>) -> Option<&[u8]> {
        let keys = self.env.iter().map(|row| {
            let row = row.bytes();
            row.split(|byte| *byte == b'=').next().unwrap_or(row)
        });
        let template = spec.map_or(&[][..], |spec| spec.instance.bytes());
        keys.into_iter().find(|key| !expand::mentions(template, key))
    }
}

impl Rights {
    /// Returns the rules where nothing is granted to anybody but root and the owner.
    pub fn of_owner(owner: u32) -> Rights {
        Rights { owner, granted: Vec::new(), file: None, tokens: Tokens::default() }
    }

    /// Reports how much the caller may see.
    pub fn sight(&self, caller: &Caller, names: &dyn Names) -> Sight {
        let full = match caller {
            Caller::Peer(peer) => {
                self.owns(peer) || self.grants(peer, Role::Administer, None, None, names)
            }
            Caller::Server(grant) => match grant.reach {
                Reach::Look | Reach::Manage => true,
            },
            Caller::Token(shown) => {
                let token = self.tokens.find(&shown.digest, names.now());
                token.is_some_and(|token| token.gives(Role::Administer, None))
            }
        };
        match full {
            true => Sight::Full,
            false => Sight::NamesOnly,
        }
    }

    /// Decides whether the caller may do what is asked; `spec` is that of the job that is named, where
    /// there is one.
    pub fn allowed(
        &self,
        caller: &Caller,
        asked: &Asked<'_>,
        spec: Option<&JobSpec>,
        names: &dyn Names,
    ) -> Result<(), Refusal> {
        match caller {
            Caller::Peer(peer) => {
                let Some(role) = asked.needed(spec) else { return Ok(()) };
                if self.owns(peer) || self.grants(peer, role, asked.job, spec, names) {
                    return Ok(());
                }
                Err(self.refusal(peer, role, asked, spec, names))
            }
            Caller::Server(grant) => match asked.row.reach {
                Some(least) if least <= grant.reach => Ok(()),
                Some(_) => Err(self.refused_by(asked.row, ITS_SECTION)),
                None => Err(self.refused_by(asked.row, none_may(asked.row.command))),
            },
            Caller::Token(shown) => self.allowed_by_token(shown, asked, spec, names),
        }
    }

    /// A token gives no more than the server that it is shown to grants.
    fn allowed_by_token(
        &self,
        shown: &Shown,
        asked: &Asked<'_>,
        spec: Option<&JobSpec>,
        names: &dyn Names,
    ) -> Result<(), Refusal> {
        let Row { method: command, right, reach, .. } = asked.row;
        let who = format!("came with the token {}", shown.name);
        let refusal = |rule: String, way_in: &str| {
            let (who, way_in) = (who.clone(), String::from(way_in));
            Refusal { command, right, who, rule, way_in }
        };
        let make = "Make one with `upright token-create`.";
        let Some(token) = self.tokens.find(&shown.digest, names.now()) else {
            return Err(refusal(String::from("it has ended or was revoked"), make));
        };
        match reach {
            Some(least) if *least <= shown.grant.reach => {}
            Some(_) => return Err(self.refused_by(asked.row, ITS_SECTION)),
            None => return Err(self.refused_by(asked.row, NO_SERVER)),
        }
        let Some(role) = asked.needed(spec) else { return Ok(()) };
        match token.gives(role, asked.job.map(Text::bytes)) {
            true => Ok(()),
            false => {
                let over = asked.job.map_or(String::from("everything"), |job| format!("{job}"));
                Err(refusal(format!("it does not give `{role}' over {over}"), make))
            }
        }
    }

    /// Root and the owner own; the overflow user never does, whoever the owner is.
    pub fn owns(&self, peer: &Peer) -> bool {
        peer.uid != OVERFLOW_UID && (peer.uid == 0 || peer.uid == self.owner)
    }

    /// Reports whether a role is granted over a job, or over everything where none is named. Nobody is
    /// the overflow user: it may be anybody of another user namespace.
    fn grants(
        &self,
        peer: &Peer,
        role: Role,
        job: Option<&Text>,
        spec: Option<&JobSpec>,
        names: &dyn Names,
    ) -> bool {
        let everything = self.granted.iter().filter(|one| one.is_over(None));
        let over = |one: &&Granted| one.is_over(job.map(Text::bytes));
        let lines = self.granted.iter().filter(over).map(|one| &one.allow);
        let own = spec.into_iter().flat_map(|spec| &spec.policy.allow);
        let gives = |role, allow: &crate::rights::Allow| {
            let anybody = peer.uid == OVERFLOW_UID && allow.who != Who::Everybody;
            let groups: Vec<u32> = [&[peer.gid], &peer.groups[..]].concat();
            !anybody && allow.gives(role, peer.uid, &groups, names)
        };
        // Over everything are Upright's own jobs, too, for whoever administers that.
        lines.chain(own).any(|allow| gives(role, allow))
            || everything.into_iter().any(|one| gives(Role::Administer, &one.allow))
    }

    fn refusal(
        &self,
        peer: &Peer,
        role: Role,
        asked: &Asked<'_>,
        spec: Option<&JobSpec>,
        names: &dyn Names,
    ) -> Refusal {
        let name = names.name_of(peer.uid);
        let who = match &name {
            Some(name) => format!("are uid {} ({name})", peer.uid),
            None => format!("are uid {}", peer.uid),
        };
        let over = match asked.job {
            Some(job) => format!("{job}"),
            None => String::from("everything"),
        };
        let rule = match asked.foreign(spec) {
            Some(key) if asked.row.touch == Touch::Changes && asked.row.role != Some(role) => {
                format!(
                    "nothing grants you `{role}' over {over}, which the variable {} needs",
                    String::from_utf8_lossy(key)
                )
            }
            Some(_) | None => format!("nothing grants you `{role}' over {over}"),
        };
        let user = name.map_or(format!("{}", peer.uid), |name| format!("{name}"));
        let way_in = match peer.uid {
            OVERFLOW_UID => self.as_whom(),
            _ => format!("{}{}", self.as_whom(), self.lines(role, &user, asked.job, spec)),
        };
        let Row { method: command, right, .. } = asked.row;
        Refusal { command, right, who, rule, way_in }
    }

    /// Which lines would grant it.
    fn lines(&self, role: Role, user: &str, job: Option<&Text>, spec: Option<&JobSpec>) -> String {
        let who = Who::User(Text::from(user));
        let in_file = self.file.as_ref().map(|file| {
            let over = job.map_or(String::from("*"), |job| pattern_of(job.bytes()));
            format!("the line `{role} {who} {over}' in {file}")
        });
        let of_job = spec.filter(|spec| !spec.name.is_reserved());
        let of_job = of_job.map(|_| format!("`allow {role} {who}' in the job's file"));
        match (in_file, of_job) {
            (Some(file), Some(job)) => format!(" It can be granted by {file}, or by {job}."),
            (Some(one), None) | (None, Some(one)) => format!(" It can be granted by {one}."),
            (None, None) => String::new(),
        }
    }

    fn refused_by(&self, row: &Row, rule: &str) -> Refusal {
        let Row { method: command, right, .. } = row;
        let (who, way_in) = (String::from("came through a server"), self.as_whom());
        Refusal { command, right, who, rule: String::from(rule), way_in }
    }

    fn as_whom(&self) -> String {
        match self.owner {
            0 | OVERFLOW_UID => String::from("Do it as root, for example with sudo."),
            owner => format!("Do it as uid {owner} or as root, for example with sudo."),
        }
    }
}

/// The rule of what no server grants.
fn none_may(command: Command) -> &'static str {
    match matches!(command, Command::GetEnv | Command::ListEnv | Command::Plan) {
        true => "no server shows the environment of jobs",
        false => NO_SERVER,
    }
}

/// The rules without names and jobs: `allow` and names of users count for nothing.
impl Judge for Rights {
    fn decide(&self, caller: &Caller, asked: &Asked<'_>) -> Result<(), Fault> {
        self.allowed(caller, asked, None, &Nameless).map_err(Fault::from)
    }
}

impl From<Refusal> for Fault {
    fn from(refusal: Refusal) -> Fault {
        let Refusal { command, right, who, rule, way_in } = refusal;
        Fault::NotPermitted {
            command: String::from(command),
            message: format!(
                "You do not have permission to {right}: you {who} and {rule}. {way_in}"
            ),
            rule,
        }
    }
}

#[cfg(test)]
mod tests;
