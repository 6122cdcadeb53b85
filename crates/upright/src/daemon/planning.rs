//! From what the machine wants to run to what the keeper's child does: users looked up, paths
//! searched, the log file named.

use super::lookup::{Answers, Question};
use super::nobody::NOBODY;
use super::outputs;
use super::settings::Settings;
use crate::options::{Inherit, Mode};
use engine::command::{argv, Launch};
use engine::keeper::Wants;
use engine::machine::SpawnOrder;
use engine::process::{Role, Step, Stream};
use engine::spec::{Attrs, Command, Console, Reader, StandardInput};
use engine::text::Text;
use std::ffi::{CString, OsStr};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use sys::plan::{self, Chdir, Debug, Identity, Plan, Refused};
use sys::users::{self, Unknown};
use sys::Errno;

/// Where the kernel shows descriptors by name, if it does.
const DESCRIPTORS: &str = "/proc/self/fd";

/// Where programs are searched when the job has no PATH. Source: execvp(3).
const DEFAULT_PATH: &[u8] = b"/bin:/usr/bin";

/// Everything the keeper is sent for one spawn.
pub struct Prepared {
    /// What it makes for the process.
    pub wants: Wants,
    /// Who owns the log pipe.
    pub pipe_owner: (u32, u32),
    /// The encoded plan.
    pub plan: Vec<u8>,
    /// The encoded route of the output; empty where there is none.
    pub route: Vec<u8>,
    /// That of standard error, where it has one of its own.
    pub errors: Vec<u8>,
    /// The script, to become descriptor 9.
    pub script: Option<OwnedFd>,
}

/// Why there can be no process.
pub struct Refusal(pub Step, pub Errno);

/// Why there is no plan.
pub enum Unready {
    /// There can be no process.
    Refused(Refusal),
    /// A name service has to be asked first, in this root.
    Asks(Question, Option<CString>),
}

impl From<Refusal> for Unready {
    fn from(refusal: Refusal) -> Unready {
        Unready::Refused(refusal)
    }
}

/// Prepares a spawn; `given` is what descriptors become that the keeper is sent with it, `group` the
/// file that a process writes to which joins its control group, `answers` what a name service has said.
pub fn prepare(
    settings: &Settings,
    order: &SpawnOrder,
    given: Vec<u8>,
    group: Option<CString>,
    answers: &Answers,
) -> Result<Prepared, Unready> {
    let role = order.slot.role;
    let malformed = Refusal(Step::Plan, Errno::INVAL);
    let Some(command) = order.spec.commands.get(&role) else { return Err(malformed.into()) };
    let launched = launched(command);
    let strings = |texts: &[Text]| -> Result<Vec<CString>, Refusal> {
        let all = texts.iter().map(|text| CString::new(text.bytes()));
        all.collect::<Result<_, _>>().map_err(|_| Refusal(Step::Plan, Errno::INVAL))
    };
    // What loads a profile has the rights of Upright. Source: spec 8.2.
    let plain = Attrs::default();
    let attrs = if role == Role::Security { &plain } else { &order.spec.attrs };
    let console = settings.console(attrs.console);
    let is_read = matches!(console, Console::Log | Console::LogPty | Console::Stdout);
    let identity = identity(settings, attrs, answers)?;
    let owner = (identity.uid.unwrap_or(settings.uid), identity.gid.unwrap_or(settings.gid));
    let plan = Plan {
        argv: strings(&launched.argv)?,
        env: strings(&order.env)?,
        candidates: candidates(&launched.argv, &order.env)?,
        cgroups: group.into_iter().collect(),
        console: match console {
            Console::Log | Console::LogPty | Console::Stdout => plan::Console::Log,
            Console::Output => plan::Console::Output,
            Console::Owner => plan::Console::Owner,
            Console::None | Console::Default => plan::Console::Null,
        },
        given,
        profile: profile(order)?,
        oom_score_adj: attrs.oom_score_adj,
        limits: attrs.limits.iter().map(|(resource, limits)| (*resource, *limits)).collect(),
        umask: umask(settings, attrs),
        nice: attrs.nice,
        chroot: path(attrs.chroot.as_ref(), Step::Chroot)?,
        chdir: chdir(settings, attrs)?,
        identity,
        debug: if attrs.debug && settings.debugs { Debug::Stop } else { Debug::Run },
    };
    let script = match &launched.script {
        Some(text) => {
            let made = sys::memfd::sealed(c"upright-script", text.bytes());
            Some(made.map_err(|errno| Refusal(Step::Fork, errno))?)
        }
        None => None,
    };
    let pty = console == Console::LogPty;
    let piped = |wanted: bool| is_read && role == Role::Main && wanted;
    let wants = Wants {
        log: is_read && !pty,
        pty,
        plan_in_fd: false,
        script_fd: script.is_some(),
        input: piped(attrs.input == StandardInput::Pipe),
        errors: piped(attrs.log.errors.is_some()) && !pty,
        tap: piped(attrs.reader == Reader::Gateway),
        group_fd: false,
    };
    let route = |wanted: bool, stream: Stream| match wanted {
        true => outputs::route(settings, order, stream),
        false => Vec::new(),
    };
    let (route, errors) = (route(is_read, Stream::Stdout), route(wants.errors, Stream::Stderr));
    Ok(Prepared { wants, pipe_owner: owner, plan: plan.encode(), route, errors, script })
}

fn launched(command: &Command) -> Launch {
    let launch = argv(command);
    // Looked at for a script alone: nothing else is opened by the name of a descriptor.
    match launch.script.is_none() || Path::new(DESCRIPTORS).exists() {
        true => launch,
        false => launch.without_names(),
    }
}

fn path(text: Option<&Text>, step: Step) -> Result<Option<CString>, Refusal> {
    let made = text.map(|text| CString::new(text.bytes())).transpose();
    made.map_err(|_| Refusal(step, Errno::INVAL))
}

/// Returns the paths to try. Source: execvp(3).
fn candidates(argv: &[Text], env: &[Text]) -> Result<Vec<CString>, Refusal> {
    // No word: a command in which a quote is not closed, or none at all.
    let no_command = Refusal(Step::Exec, Errno::INVAL);
    let program = argv.first().ok_or(no_command)?.bytes();
    let made = |bytes: Vec<u8>| CString::new(bytes).map_err(|_| Refusal(Step::Plan, Errno::INVAL));
    if program.is_empty() {
        return Err(Refusal(Step::Exec, Errno::NOENT));
    }
    if program.contains(&b'/') {
        return Ok(vec![made(program.to_vec())?]);
    }
    let said = env.iter().find_map(|row| row.bytes().strip_prefix(b"PATH="));
    let search = said.unwrap_or(DEFAULT_PATH).split(|byte| *byte == b':');
    let joined = search.map(|directory| {
        let mut bytes = if directory.is_empty() { b".".to_vec() } else { directory.to_vec() };
        bytes.push(b'/');
        bytes.extend_from_slice(program);
        made(bytes)
    });
    joined.collect()
}

/// Who knows a user.
enum Known {
    ByFile,
    ByService,
}

/// Reports whether the kernel has AppArmor, and it is not turned off.
pub fn has_apparmor() -> bool {
    std::fs::read("/sys/module/apparmor/parameters/enabled")
        .is_ok_and(|text| text.starts_with(b"Y"))
}

/// Returns the profile that main runs under, its variables replaced.
fn profile(order: &SpawnOrder) -> Result<Option<CString>, Refusal> {
    let named = order.spec.attrs.apparmor_switch.as_ref();
    let Some(named) = named.filter(|_| order.slot.role == Role::Main) else { return Ok(None) };
    if !has_apparmor() {
        return Err(Refusal(Step::Profile, Errno::OPNOTSUPP));
    }
    let wrong = |_| Refusal(Step::Profile, Errno::INVAL);
    let name = engine::expand::expand(named, &order.env).map_err(wrong)?;
    CString::new(name.bytes()).map(Some).map_err(|_| Refusal(Step::Profile, Errno::INVAL))
}

/// Source: spec 4, umask.
fn umask(settings: &Settings, attrs: &Attrs) -> Option<u16> {
    const USUAL: u16 = 0o022;
    match (attrs.umask, settings.options.mode, settings.options.inherit) {
        (Some(umask), _, _) => Some(umask),
        (None, Mode::User | Mode::Up | Mode::Supervisord, Inherit::All) => None,
        (None, Mode::System, _) | (None, _, Inherit::Little) => Some(USUAL),
    }
}

/// Source: spec 4, chdir.
fn chdir(settings: &Settings, attrs: &Attrs) -> Result<Option<Chdir>, Refusal> {
    let said = path(attrs.chdir.as_ref(), Step::Chdir)?;
    let directory = match settings.options.mode {
        Mode::System => Some(said.unwrap_or_else(|| c"/".to_owned())),
        Mode::User | Mode::Up | Mode::Supervisord => said,
    };
    Ok(directory.map(|path| Chdir { path, refused: Refused::Fails }))
}

/// Finds a user by name, or by number where nobody is called so.
fn user_of(root: &Path, name: &[u8]) -> Result<users::User, Unknown> {
    let number = std::str::from_utf8(name).ok().and_then(|name| name.parse().ok());
    let found = match (users::user(root, name), number) {
        (Err(Unknown::Absent { .. }), Some(uid)) => users::user_by_id(root, uid),
        (found, _) => found,
    };
    match (found, number) {
        // Known everywhere, though no file says so: what owns nothing needs no name.
        (
            Err(Unknown::Absent { .. } | Unknown::Unreadable { errno: Errno::NOENT, .. }),
            Some(NOBODY),
        ) => Ok(users::User {
            name: name.to_vec(),
            uid: NOBODY,
            gid: NOBODY,
            home: b"/".to_vec(),
            shell: Vec::new(),
        }),
        (found, _) => found,
    }
}

/// Looks the user and the group up, in the new root's files where there is one, then asks its name
/// service. `setuid` alone also takes the user's group and groups. Source: spec 15, row 14.
fn identity(settings: &Settings, attrs: &Attrs, answers: &Answers) -> Result<Identity, Unready> {
    let root = attrs.chroot.as_ref().map_or(&b"/"[..], |root| root.bytes());
    let root = Path::new(OsStr::from_bytes(root));
    let asks = |question: Question, step: Step| match question.about() {
        Some(question) => match path(attrs.chroot.as_ref(), Step::Chroot) {
            Ok(chroot) => Unready::Asks(question, chroot),
            Err(refusal) => refusal.into(),
        },
        None => Refusal(step, Errno::NOENT).into(),
    };
    let refused = |step: Step, errno: Errno| Unready::from(Refusal(step, errno));
    let user = match &attrs.setuid {
        Some(name) => Some(match user_of(root, name.bytes()) {
            Ok(user) => (user, Known::ByFile),
            Err(Unknown::Unreadable { errno, .. }) => return Err(refused(Step::User, errno)),
            Err(Unknown::Absent { .. }) => match answers.user(name.bytes()) {
                Some(Ok(user)) => (user, Known::ByService),
                Some(Err(errno)) => return Err(refused(Step::User, errno)),
                None => return Err(asks(Question::User(name.bytes().to_vec()), Step::User)),
            },
        }),
        None => None,
    };
    let group = match &attrs.setgid {
        Some(name) => Some(match users::group(root, name.bytes()) {
            Ok(group) => group,
            Err(Unknown::Unreadable { errno, .. }) => return Err(refused(Step::Group, errno)),
            Err(Unknown::Absent { .. }) => match answers.group(name.bytes()) {
                Some(Ok(group)) => group,
                Some(Err(errno)) => return Err(refused(Step::Group, errno)),
                None => return Err(asks(Question::Group(name.bytes().to_vec()), Step::Group)),
            },
        }),
        None => None,
    };
    let gid = group.or(user.as_ref().map(|(user, _)| user.gid));
    let may = settings.uid == 0;
    let groups = match (&user, gid) {
        (Some((user, Known::ByFile)), Some(gid)) if may => {
            let found = users::groups_of(root, &user.name, gid);
            Some(found.map_err(|unknown| refused(Step::Groups, unknown.errno()))?)
        }
        (Some((user, Known::ByService)), Some(gid)) if may => {
            match answers.groups_of(&user.name, gid) {
                Some(answer) => Some(answer.map_err(|errno| refused(Step::Groups, errno))?),
                None => return Err(asks(Question::Groups(user.name.clone()), Step::Groups)),
            }
        }
        (None, Some(gid)) if may => Some(vec![gid]),
        (_, _) => None,
    };
    let user = user.map(|(user, _)| user);
    Ok(Identity { groups, gid, uid: user.map(|user| user.uid) })
}
