//! What differs between two descriptions of a job, key by key, in the words of job files.

use crate::dialect::upstart::show;
use crate::process::Role;
use crate::spec::{
    Command, Condition, EnvRow, Expect, JobSpec, LogPlace, LogPolicy, NormalExit, Resource,
    Respawn, RespawnLimit,
};
use crate::text::Text;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;
use serde::{Deserialize, Serialize};

/// A key that differs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// Its row.
    pub key: &'static Key,
    /// The variable, where it is one of the environment.
    pub variable: Option<String>,
    /// What it says before: `none` where nothing is said. Of a script each of its lines.
    pub old: String,
    /// What it says now.
    pub new: String,
}

impl Change {
    /// Returns what is to be called different: the words of the stanza, of a program its option.
    pub fn name(&self, of_program: bool) -> String {
        let option = self.key.options.first().filter(|_| of_program);
        let words = option.copied().unwrap_or(self.key.words);
        match &self.variable {
            Some(variable) => format!("{words} {variable}"),
            None => String::from(words),
        }
    }

    /// Reports whether its values are shown to those alone who may see variables.
    pub fn is_secret(&self) -> bool {
        self.variable.is_some()
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let line = |text: &str| text.trim_end().replace('\n', "; ");
        write!(f, "{}: {} -> {}", self.name(false), line(&self.old), line(&self.new))
    }
}

/// When a key that has changed can take effect for what runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Takes {
    /// While it runs: the machine decides by it.
    AtOnce,
    /// With another process: this one was made with the old value.
    Restart,
    /// When no instance is left: it says which there are.
    Stop,
}

/// A key of a description: everything about it that a plan needs.
pub struct Key {
    /// When a change takes effect.
    pub takes: Takes,
    /// The words of the stanza; of what only programs have, some of ours.
    pub words: &'static str,
    /// Other stanzas that say the same.
    pub also: &'static [&'static str],
    /// The options of programs that come to it.
    pub options: &'static [&'static str],
    show: Show,
}

impl PartialEq for Key {
    fn eq(&self, other: &Key) -> bool {
        self.words == other.words
    }
}

impl Eq for Key {}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.words)
    }
}

/// Returns the keys in which two descriptions differ, each variable by itself.
pub fn changes(old: &JobSpec, new: &JobSpec) -> Vec<Change> {
    let mut changes = Vec::new();
    for key in KEYS {
        let (before, now) = ((key.show)(old), (key.show)(new));
        if before == now {
            continue;
        }
        if key.words != ENV {
            changes.push(Change { key, variable: None, old: before, new: now });
            continue;
        }
        let (before, now) = (variables(old), variables(new));
        let names: BTreeSet<&String> = before.keys().chain(now.keys()).collect();
        let value =
            |of: &BTreeMap<String, String>, name| of.get(name).cloned().unwrap_or_else(none);
        let each = names.into_iter().filter(|name| before.get(*name) != now.get(*name));
        let each = each.map(|name| Change {
            key,
            variable: Some(name.clone()),
            old: value(&before, name),
            new: value(&now, name),
        });
        let there = changes.len();
        changes.extend(each);
        if changes.len() == there {
            // Only their order: what a later one refers to may be another.
            let order = |of: &JobSpec| texts(&of.env.iter().map(variable).collect::<Vec<_>>());
            let (old, new) = (order(old), order(new));
            changes.push(Change { key, variable: None, old, new });
        }
    }
    changes
}

/// Says what a description has for a key.
type Show = fn(&JobSpec) -> String;

const ENV: &str = "env";

const fn row(
    takes: Takes,
    words: &'static str,
    also: &'static [&'static str],
    options: &'static [&'static str],
    show: Show,
) -> Key {
    Key { takes, words, also, options, show }
}

/// Every key, in the order of the stanzas' table.
#[rustfmt::skip]
pub const KEYS: &[Key] = &[
    row(Takes::AtOnce, "description", &[], &["description"], |s| text(s.about.description.as_ref())),
    row(Takes::AtOnce, "author", &[], &[], |s| text(s.about.author.as_ref())),
    row(Takes::AtOnce, "version", &[], &[], |s| text(s.about.version.as_ref())),
    row(Takes::AtOnce, "usage", &[], &[], |s| text(s.about.usage.as_ref())),
    row(Takes::AtOnce, "emits", &[], &["emits"], |s| texts(&s.about.emits)),
    row(Takes::Restart, "exec", &[], &["command"], |s| exec(s, Role::Main)),
    row(Takes::Restart, "script", &[], &[], |s| script(s, Role::Main)),
    row(Takes::Restart, "pre-start exec", &[], &["pre_start"], |s| exec(s, Role::PreStart)),
    row(Takes::Restart, "pre-start script", &[], &[], |s| script(s, Role::PreStart)),
    row(Takes::AtOnce, "pre-start timeout", &[], &[], |s| timeout(s, Role::PreStart)),
    row(Takes::Restart, "post-start exec", &[], &["post_start"], |s| exec(s, Role::PostStart)),
    row(Takes::Restart, "post-start script", &[], &[], |s| script(s, Role::PostStart)),
    row(Takes::AtOnce, "post-start timeout", &[], &[], |s| timeout(s, Role::PostStart)),
    row(Takes::AtOnce, "pre-stop exec", &[], &["pre_stop"], |s| exec(s, Role::PreStop)),
    row(Takes::AtOnce, "pre-stop script", &[], &[], |s| script(s, Role::PreStop)),
    row(Takes::AtOnce, "pre-stop timeout", &[], &[], |s| timeout(s, Role::PreStop)),
    row(Takes::AtOnce, "post-stop exec", &[], &["post_stop"], |s| exec(s, Role::PostStop)),
    row(Takes::AtOnce, "post-stop script", &[], &[], |s| script(s, Role::PostStop)),
    row(Takes::AtOnce, "post-stop timeout", &[], &[], |s| timeout(s, Role::PostStop)),
    row(Takes::AtOnce, "check exec", &[], &["check"], |s| exec(s, Role::Check)),
    row(Takes::AtOnce, "check script", &[], &[], |s| script(s, Role::Check)),
    row(Takes::AtOnce, "check timeout", &[], &["check_timeout"], |s| timeout(s, Role::Check)),
    row(Takes::AtOnce, "start on", &["manual"], &["start_on"], |s| condition(s.start_on.as_deref())),
    row(Takes::AtOnce, "stop on", &[], &["stop_on"], |s| condition(s.stop_on.as_deref())),
    row(Takes::AtOnce, "autostart", &[], &["autostart"], |s| said(s.policy.autostart)),
    row(Takes::AtOnce, "allow", &[], &["allow"], allowed),
    row(Takes::Stop, "instance", &[], &[], |s| text(Some(&s.instance).filter(|name| !name.is_empty()))),
    row(Takes::Restart, "env", &[], &["environment", "serverurl"], |s| list(s.env.iter().map(env))),
    row(Takes::AtOnce, "export", &[], &[], |s| texts(&s.export)),
    row(Takes::Restart, "task", &[], &["task"], |s| said(s.policy.task)),
    row(Takes::AtOnce, "essential", &[], &["essential"], |s| said(s.policy.essential)),
    row(Takes::AtOnce, "respawn", &["respawn always"], &["autorestart"], |s| respawn(s.policy.respawn)),
    row(Takes::AtOnce, "respawn pace", &[], &["restart_pace"], |s| s.policy.backoff.pace.to_string()),
    row(Takes::AtOnce, "start retries", &[], &["startretries"], |s| option(s.policy.start_retries)),
    row(Takes::AtOnce, "respawn limit", &[], &["respawn_limit"], |s| limit(s.policy.respawn_limit)),
    row(Takes::AtOnce, "respawn backoff", &[], &["backoff_delay", "backoff_cap", "backoff_factor"], backoff),
    row(Takes::AtOnce, "respawn jitter", &[], &["backoff_jitter"], |s| format!("{} %", s.policy.backoff.jitter_percent)),
    row(Takes::AtOnce, "respawn reset", &[], &["backoff_reset"], |s| s.policy.backoff.reset.to_string()),
    row(Takes::AtOnce, "respawn retry", &[], &["backoff_retry"], |s| option(s.policy.backoff.retry)),
    row(Takes::AtOnce, "normal exit", &[], &["exitcodes"], |s| list(s.policy.normal_exit.iter().map(exit))),
    row(Takes::AtOnce, "kill timeout", &[], &["stopwaitsecs"], |s| s.policy.kill_timeout.to_string()),
    row(Takes::AtOnce, "kill signal", &[], &["stopsignal"], |s| s.policy.kill_signal.to_string()),
    row(Takes::AtOnce, "kill mode", &[], &["stopasgroup", "killasgroup", "kill_mode"], |s| format!("{:?}", s.policy.kill_mode).to_lowercase()),
    row(Takes::AtOnce, "reload signal", &[], &["reload_signal"], |s| option(s.policy.reload_signal)),
    row(Takes::AtOnce, "expect", &["expect up"], &["startsecs", "expect"], |s| expect(s.policy.expect)),
    row(Takes::AtOnce, "expect timeout", &[], &["expect_timeout"], |s| s.policy.expect_timeout.to_string()),
    row(Takes::AtOnce, "group and priority", &[], &["priority"], order),
    row(Takes::Restart, "console", &[], &[], |s| format!("{:?}", s.attrs.console).to_lowercase()),
    row(Takes::Restart, "input", &[], &[], |s| format!("{:?}", s.attrs.input).to_lowercase()),
    row(Takes::Restart, "reader", &[], &[], |s| format!("{:?}", s.attrs.reader).to_lowercase()),
    row(Takes::Restart, "log", &[], &["stdout_logfile"], |s| place(&s.attrs.log)),
    row(Takes::Restart, "log rotate", &[], &["stdout_logfile_maxbytes", "stdout_logfile_backups"], |s| rotation(&s.attrs.log)),
    row(Takes::Restart, "log mode", &[], &["log_mode"], |s| octal(s.attrs.log.mode)),
    row(Takes::Restart, "log owner", &[], &["log_owner"], |s| owner(&s.attrs.log)),
    row(Takes::Restart, "log on-full", &[], &["log_on_full"], |s| full(&s.attrs.log)),
    row(Takes::Restart, "log treatment", &[], &["stdout_capture_maxbytes", "stdout_events_enabled", "stdout_syslog"], |s| treatment(&s.attrs.log)),
    row(Takes::Restart, "log stderr", &[], &["redirect_stderr", "stderr_logfile"], |s| errors(s, place)),
    row(Takes::Restart, "log stderr rotate", &[], &["stderr_logfile_maxbytes", "stderr_logfile_backups"], |s| errors(s, rotation)),
    row(Takes::Restart, "log stderr mode", &[], &[], |s| errors(s, |log| format!("{}, {}, {}", octal(log.mode), owner(log), full(log)))),
    row(Takes::Restart, "log stderr treatment", &[], &["stderr_capture_maxbytes", "stderr_events_enabled", "stderr_syslog"], |s| errors(s, treatment)),
    row(Takes::Restart, "socket", &[], &["socket", "socket_backlog", "socket_owner", "socket_mode"], socket),
    row(Takes::Restart, "umask", &[], &["umask"], |s| octal(s.attrs.umask)),
    row(Takes::Restart, "nice", &[], &["nice"], |s| option(s.attrs.nice)),
    row(Takes::Restart, "oom score", &["oom"], &["oom_score"], |s| option(s.attrs.oom_score_adj)),
    row(Takes::Restart, "limit", &[], &["limit"], limits),
    row(Takes::Restart, "chroot", &[], &["chroot"], |s| text(s.attrs.chroot.as_ref())),
    row(Takes::Restart, "chdir", &[], &["directory"], |s| text(s.attrs.chdir.as_ref())),
    row(Takes::Restart, "setuid", &[], &["user"], |s| text(s.attrs.setuid.as_ref())),
    row(Takes::Restart, "setgid", &[], &["group"], |s| text(s.attrs.setgid.as_ref())),
    row(Takes::Restart, "apparmor load", &[], &[], |s| text(s.attrs.apparmor_load.as_ref())),
    row(Takes::Restart, "apparmor switch", &[], &[], |s| text(s.attrs.apparmor_switch.as_ref())),
    row(Takes::Restart, "cgroup", &[], &["cgroup"], cgroups),
    row(Takes::Restart, "debug", &[], &[], |s| said(s.attrs.debug)),
];

/// Options of programs that come to no key: they say which jobs there are, or what event listeners are
/// told.
pub const NO_KEYS: &[&str] = &[
    "numprocs",
    "numprocs_start",
    "process_name",
    "programs",
    "buffer_size",
    "events",
    "result_handler",
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
        Some(Command::Script(lines)) => String::from(lines.lossy().trim_end()),
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
        EnvRow::InheritAll => String::from("*"),
    }
}

fn variable(row: &EnvRow) -> Text {
    match row {
        EnvRow::Set(key, _) | EnvRow::Inherit(key) => key.clone(),
        EnvRow::InheritAll => Text::from("*"),
    }
}

/// Each variable with what it is set to.
fn variables(spec: &JobSpec) -> BTreeMap<String, String> {
    let value = |row: &EnvRow| match row {
        EnvRow::Set(_, value) => value.lossy().into_owned(),
        EnvRow::Inherit(_) | EnvRow::InheritAll => String::from("Upright's own"),
    };
    spec.env.iter().map(|row| (variable(row).lossy().into_owned(), value(row))).collect()
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

fn allowed(spec: &JobSpec) -> String {
    list(spec.policy.allow.iter().map(ToString::to_string))
}

fn order(spec: &JobSpec) -> String {
    match &spec.policy.order {
        Some(order) => format!("{} {} {}", order.group, order.group_priority, order.priority),
        None => none(),
    }
}

fn socket(spec: &JobSpec) -> String {
    match spec.attrs.socket.as_deref() {
        Some(socket) => format!("{:?} {}", socket.place, option(socket.backlog)),
        None => none(),
    }
}

fn errors(spec: &JobSpec, show: fn(&LogPolicy) -> String) -> String {
    spec.attrs.log.errors.as_deref().map_or_else(none, show)
}

fn place(log: &LogPolicy) -> String {
    match &log.place {
        LogPlace::Usual => String::from("usual"),
        LogPlace::None => none(),
        LogPlace::File(path) => path.to_string(),
        LogPlace::Auto => String::from("auto"),
        LogPlace::Own(stream) => String::from(stream.name()),
    }
}

fn rotation(log: &LogPolicy) -> String {
    match (log.rotate_size, log.rotate_count) {
        (None, None) => none(),
        (size, count) => format!("{} {}", option(size), option(count)),
    }
}

fn owner(log: &LogPolicy) -> String {
    match &log.owner {
        Some((user, Some(group))) => format!("{user}:{group}"),
        Some((user, None)) => user.to_string(),
        None => none(),
    }
}

fn full(log: &LogPolicy) -> String {
    option(log.on_full.map(|full| format!("{full:?}").to_lowercase()))
}

fn treatment(log: &LogPolicy) -> String {
    let treat = &log.treat;
    let capture = (treat.capture > 0).then(|| format!("capture {}", treat.capture));
    let flag = |set: bool, word: &str| set.then(|| String::from(word));
    let flags = [
        flag(treat.events, "events"),
        flag(treat.syslog, "syslog"),
        flag(treat.strip_ansi, "strip-ansi"),
    ];
    list(capture.into_iter().chain(flags.into_iter().flatten()))
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
