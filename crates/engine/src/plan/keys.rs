//! What differs between two descriptions of a job, key by key, in the words of job files.

use crate::dialect::upstart::show;
use crate::process::Role;
use crate::spec::{
    Command, Condition, EnvRow, Expect, JobSpec, LogPlace, LogPolicy, NormalExit, Resource,
    Respawn, RespawnLimit,
};
use crate::text::Text;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;

/// A key that differs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The words of the stanza; of a program, what its option is as a stanza.
    pub key: &'static str,
    /// What it says before: `none` where nothing is said.
    pub old: String,
    /// What it says now.
    pub new: String,
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} -> {}", self.key, self.old, self.new)
    }
}

/// Returns the keys in which two descriptions differ.
pub fn changes(old: &JobSpec, new: &JobSpec) -> Vec<Change> {
    let both = KEYS.iter().map(|(key, show)| Change { key, old: show(old), new: show(new) });
    both.filter(|change| change.old != change.new).collect()
}

/// Says what a description has for a key.
type Show = fn(&JobSpec) -> String;

/// Every key, in the order of the stanzas' table.
const KEYS: &[(&str, Show)] = &[
    ("description", |s| text(s.about.description.as_ref())),
    ("author", |s| text(s.about.author.as_ref())),
    ("version", |s| text(s.about.version.as_ref())),
    ("usage", |s| text(s.about.usage.as_ref())),
    ("emits", |s| texts(&s.about.emits)),
    ("exec", |s| exec(s, Role::Main)),
    ("script", |s| script(s, Role::Main)),
    ("pre-start exec", |s| exec(s, Role::PreStart)),
    ("pre-start script", |s| script(s, Role::PreStart)),
    ("pre-start timeout", |s| timeout(s, Role::PreStart)),
    ("post-start exec", |s| exec(s, Role::PostStart)),
    ("post-start script", |s| script(s, Role::PostStart)),
    ("post-start timeout", |s| timeout(s, Role::PostStart)),
    ("pre-stop exec", |s| exec(s, Role::PreStop)),
    ("pre-stop script", |s| script(s, Role::PreStop)),
    ("pre-stop timeout", |s| timeout(s, Role::PreStop)),
    ("post-stop exec", |s| exec(s, Role::PostStop)),
    ("post-stop script", |s| script(s, Role::PostStop)),
    ("post-stop timeout", |s| timeout(s, Role::PostStop)),
    ("check exec", |s| exec(s, Role::Check)),
    ("check script", |s| script(s, Role::Check)),
    ("check timeout", |s| timeout(s, Role::Check)),
    ("start on", |s| condition(s.start_on.as_deref())),
    ("stop on", |s| condition(s.stop_on.as_deref())),
    ("autostart", |s| said(s.policy.autostart)),
    ("allow", |s| list(s.policy.allow.iter().map(|allow| format!("{allow:?}")))),
    ("instance", |s| text(Some(&s.instance).filter(|name| !name.is_empty()))),
    ("env", |s| list(s.env.iter().map(env))),
    ("export", |s| texts(&s.export)),
    ("task", |s| said(s.policy.task)),
    ("essential", |s| said(s.policy.essential)),
    ("respawn", |s| respawn(s.policy.respawn)),
    ("respawn pace", |s| s.policy.backoff.pace.to_string()),
    ("start retries", |s| option(s.policy.start_retries)),
    ("respawn limit", |s| limit(s.policy.respawn_limit)),
    ("respawn backoff", backoff),
    ("respawn jitter", |s| format!("{} %", s.policy.backoff.jitter_percent)),
    ("respawn reset", |s| s.policy.backoff.reset.to_string()),
    ("respawn retry", |s| option(s.policy.backoff.retry)),
    ("normal exit", |s| list(s.policy.normal_exit.iter().map(exit))),
    ("kill timeout", |s| s.policy.kill_timeout.to_string()),
    ("kill signal", |s| s.policy.kill_signal.to_string()),
    ("kill mode", |s| format!("{:?}", s.policy.kill_mode).to_lowercase()),
    ("reload signal", |s| option(s.policy.reload_signal)),
    ("expect", |s| expect(s.policy.expect)),
    ("expect timeout", |s| s.policy.expect_timeout.to_string()),
    ("group and priority", |s| match &s.policy.order {
        Some(order) => format!("{} {} {}", order.group, order.group_priority, order.priority),
        None => none(),
    }),
    ("console", |s| format!("{:?}", s.attrs.console).to_lowercase()),
    ("input", |s| format!("{:?}", s.attrs.input).to_lowercase()),
    ("reader", |s| format!("{:?}", s.attrs.reader).to_lowercase()),
    ("log", |s| log(&s.attrs.log)),
    ("log stderr", |s| s.attrs.log.errors.as_deref().map_or_else(none, log)),
    ("socket", |s| match s.attrs.socket.as_deref() {
        Some(socket) => format!("{:?} {}", socket.place, option(socket.backlog)),
        None => none(),
    }),
    ("umask", |s| octal(s.attrs.umask)),
    ("nice", |s| option(s.attrs.nice)),
    ("oom score", |s| option(s.attrs.oom_score_adj)),
    ("limit", limits),
    ("chroot", |s| text(s.attrs.chroot.as_ref())),
    ("chdir", |s| text(s.attrs.chdir.as_ref())),
    ("setuid", |s| text(s.attrs.setuid.as_ref())),
    ("setgid", |s| text(s.attrs.setgid.as_ref())),
    ("apparmor load", |s| text(s.attrs.apparmor_load.as_ref())),
    ("apparmor switch", |s| text(s.attrs.apparmor_switch.as_ref())),
    ("cgroup", cgroups),
    ("debug", |s| said(s.attrs.debug)),
];

fn none() -> String {
    String::from("none")
}

fn said(flag: bool) -> String {
    String::from(if flag { "said" } else { "none" })
}

fn option<T: ToString>(value: Option<T>) -> String {
    value.map_or_else(none, |value| value.to_string())
}

fn octal(bits: Option<u16>) -> String {
    option(bits.map(|bits| format!("{bits:03o}")))
}

fn text(text: Option<&Text>) -> String {
    text.map_or_else(none, |text| text.lossy().into_owned())
}

fn list(words: impl Iterator<Item = String>) -> String {
    let words: Vec<String> = words.collect();
    if words.is_empty() {
        none()
    } else {
        words.join(" ")
    }
}

fn texts(words: &[Text]) -> String {
    list(words.iter().map(|word| word.lossy().into_owned()))
}

fn exec(spec: &JobSpec, role: Role) -> String {
    match spec.commands.get(&role) {
        Some(Command::Exec(line) | Command::Words(line)) => line.lossy().into_owned(),
        Some(Command::Script(_)) | None => none(),
    }
}

fn script(spec: &JobSpec, role: Role) -> String {
    match spec.commands.get(&role) {
        Some(Command::Script(lines)) => lines.lossy().trim_end().replace('\n', "; "),
        Some(Command::Exec(_) | Command::Words(_)) | None => none(),
    }
}

fn timeout(spec: &JobSpec, role: Role) -> String {
    option(spec.policy.timeouts.get(&role))
}

fn condition(condition: Option<&Condition>) -> String {
    condition.map_or_else(none, |condition| show::condition(condition).to_string())
}

fn env(row: &EnvRow) -> String {
    match row {
        EnvRow::Set(key, value) => format!("{key}={value}"),
        EnvRow::Inherit(key) => key.to_string(),
        EnvRow::InheritAll => String::from("all of Upright's own"),
    }
}

fn respawn(respawn: Respawn) -> String {
    String::from(match respawn {
        Respawn::Never => "never",
        Respawn::Failed => "failed",
        Respawn::Always => "always",
    })
}

fn limit(limit: RespawnLimit) -> String {
    match limit {
        RespawnLimit::Within { count, interval } => format!("{count} in {interval}"),
        RespawnLimit::Unlimited => String::from("unlimited"),
    }
}

fn backoff(spec: &JobSpec) -> String {
    let backoff = &spec.policy.backoff;
    let (delay, cap, step) = (backoff.delay, backoff.cap, backoff.step);
    format!(
        "{delay} to {cap}, times {}.{:02} and {step}",
        backoff.factor_percent / 100,
        backoff.factor_percent % 100
    )
}

fn exit(exit: &NormalExit) -> String {
    match exit {
        NormalExit::Status(status) => status.to_string(),
        NormalExit::Signal(signal) => signal.to_string(),
    }
}

fn expect(expect: Expect) -> String {
    match expect {
        Expect::None => none(),
        Expect::Stop => String::from("stop"),
        Expect::Fork => String::from("fork"),
        Expect::Daemon => String::from("daemon"),
        Expect::Up(span) => format!("up {span}"),
    }
}

fn log(log: &LogPolicy) -> String {
    let place = match &log.place {
        LogPlace::Usual => String::from("usual"),
        LogPlace::None => none(),
        LogPlace::File(path) => path.to_string(),
        LogPlace::Auto => String::from("auto"),
        LogPlace::Own(stream) => String::from(stream.name()),
    };
    let (size, count) = (option(log.rotate_size), option(log.rotate_count));
    let owner = match &log.owner {
        Some((user, Some(group))) => format!("{user}:{group}"),
        Some((user, None)) => user.to_string(),
        None => none(),
    };
    let full = option(log.on_full.map(|full| format!("{full:?}").to_lowercase()));
    let (mode, treat) = (octal(log.mode), &log.treat);
    format!("{place}, rotate {size} {count}, mode {mode}, owner {owner}, on-full {full}, {treat:?}")
}

fn limits(spec: &JobSpec) -> String {
    let bound = |bound: Option<u64>| bound.map_or_else(|| "unlimited".into(), |n| n.to_string());
    list(spec.attrs.limits.iter().map(|(resource, limits)| {
        let word = Resource::TABLE.iter().find(|row| row.0 == *resource).map_or("", |row| row.1);
        format!("{word} {} {}", bound(limits.soft), bound(limits.hard))
    }))
}

fn cgroups(spec: &JobSpec) -> String {
    list(spec.attrs.cgroups.iter().map(|row| {
        let mut words = row.controller.to_string();
        words += &row.name.as_ref().map_or_else(String::new, |name| format!(" {name}"));
        let setting = row.setting.as_ref();
        words + &setting.map_or_else(String::new, |(key, value)| format!(" {key} {value};"))
    }))
}
