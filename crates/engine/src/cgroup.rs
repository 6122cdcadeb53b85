//! Control groups: where a job's group is, and what the settings of version 1, which Upstart's job
//! files use, are in version 2.
//!
//! In version 2 a process is in one group for all controllers. So a job has one group, its own, or its
//! own within one that it shares with all jobs that name it.

use crate::dialect::meant::did_you_mean;
use crate::expand::{expand_by, ExpandError};
use crate::names::{InstanceName, JobName};
use crate::spec::Cgroup;
use crate::text::Text;
use alloc::collections::BTreeSet;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

/// The longest part of a group's path that is made of a name, in bytes: a file's name may have 255.
const PART_MAX: usize = 200;

/// The most that bytes can be limited to; more is no limit. The kernel counts pages.
const SIZE_MAX: u64 = 1 << 62;

/// A setting of a controller.
#[derive(Debug)]
pub struct Row {
    /// The controller.
    pub controller: &'static str,
    /// The setting, in the words of version 1 or of version 2.
    pub key: &'static str,
    becomes: Becomes,
    /// What it is for; of one that version 2 does not have, what to do instead.
    pub help: &'static str,
}

/// What a setting becomes in version 2.
#[derive(Clone, Copy, Debug)]
enum Becomes {
    /// A file whose value is read like this.
    File(&'static str, Reading),
    /// A part of a file that several settings make together.
    Part(Part),
    /// Version 2 has no such thing.
    Nothing,
}

/// A part of a file that several settings of version 1 make together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    /// The first half of `cpu.max`.
    Quota,
    /// Its second half.
    Period,
    /// `memory.max`, which `memory.swap.max` is reckoned from.
    Memory,
    /// Memory and swap together.
    Both,
}

/// How a value is read, and what it becomes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reading {
    /// Taken as it is; the kernel knows whether it is one.
    Same,
    /// Bytes, with K, M, G or T behind them; -1 is no limit.
    Size,
    /// A number, or `max`; -1 is `max`.
    Number,
    /// Shares of the processor: 1024 are a weight of 100. Source: systemd.exec, CPUShares=.
    Shares,
    /// A weight of version 1: 500 are 100. Source: systemd.exec, BlockIOWeight=.
    Weight,
    /// `MAJOR:MINOR NUMBER`, a key of `io.max` before the number; 0 is no limit.
    Device(&'static str),
}

const fn file(
    controller: &'static str,
    key: &'static str,
    file: &'static str,
    reading: Reading,
    help: &'static str,
) -> Row {
    Row { controller, key, becomes: Becomes::File(file, reading), help }
}

const fn part(controller: &'static str, key: &'static str, part: Part, help: &'static str) -> Row {
    Row { controller, key, becomes: Becomes::Part(part), help }
}

const fn gone(controller: &'static str, key: &'static str, help: &'static str) -> Row {
    Row { controller, key, becomes: Becomes::Nothing, help }
}

/// THE TABLE of settings: of each controller those of version 1, then those of version 2. Source: the
/// kernel's cgroup-v1 and cgroup-v2 documents.
pub const SETTINGS: &[Row] = &[
    part("memory", "limit_in_bytes", Part::Memory, "limits memory"),
    part("memory", "memsw.limit_in_bytes", Part::Both, "limits memory and swap together"),
    file("memory", "soft_limit_in_bytes", "memory.low", Reading::Size, "keeps so much the longest"),
    gone("memory", "kmem.limit_in_bytes", "the kernel's memory counts towards limit_in_bytes"),
    gone("memory", "kmem.tcp.limit_in_bytes", "it counts towards limit_in_bytes"),
    gone("memory", "swappiness", "say `cgroup memory swap.max 0` for no swap"),
    gone(
        "memory",
        "oom_control",
        "the job is ended when it has too much; say `oom score` for whom",
    ),
    gone("memory", "use_hierarchy", "it is always so"),
    gone("memory", "move_charge_at_immigrate", "the job is in its group before it uses memory"),
    part("memory", "max", Part::Memory, "limits memory"),
    file("memory", "high", "memory.high", Reading::Size, "slows the job down above it"),
    file("memory", "low", "memory.low", Reading::Size, "keeps so much the longest"),
    file("memory", "min", "memory.min", Reading::Size, "keeps so much whatever happens"),
    file("memory", "swap.max", "memory.swap.max", Reading::Size, "limits swap"),
    file("memory", "swap.high", "memory.swap.high", Reading::Size, "slows the job down above it"),
    file("memory", "zswap.max", "memory.zswap.max", Reading::Size, "limits compressed swap"),
    file("memory", "oom.group", "memory.oom.group", Reading::Number, "1 ends all of it together"),
    file("cpu", "shares", "cpu.weight", Reading::Shares, "shares the processor; 1024 is usual"),
    part("cpu", "cfs_quota_us", Part::Quota, "limits processor time to so much in a period"),
    part("cpu", "cfs_period_us", Part::Period, "says how long that period is"),
    gone("cpu", "rt_runtime_us", "say `limit rtprio` for real-time priorities"),
    gone("cpu", "rt_period_us", "say `limit rtprio` for real-time priorities"),
    file("cpu", "weight", "cpu.weight", Reading::Same, "shares the processor; 100 is usual"),
    file("cpu", "weight.nice", "cpu.weight.nice", Reading::Same, "shares it by niceness"),
    file("cpu", "max", "cpu.max", Reading::Same, "limits processor time: \"QUOTA PERIOD\""),
    file("cpu", "max.burst", "cpu.max.burst", Reading::Same, "lets so much be saved up"),
    file("cpu", "idle", "cpu.idle", Reading::Same, "1 gives it only what nobody else wants"),
    file("cpu", "uclamp.min", "cpu.uclamp.min", Reading::Same, "asks for at least that speed"),
    file("cpu", "uclamp.max", "cpu.uclamp.max", Reading::Same, "asks for at most that speed"),
    file("cpuset", "cpus", "cpuset.cpus", Reading::Same, "says on which processors it runs"),
    file("cpuset", "mems", "cpuset.mems", Reading::Same, "says where its memory is"),
    gone("cpuset", "cpu_exclusive", "say `cgroup cpuset cpus.partition`"),
    gone("cpuset", "mem_exclusive", "there is no such thing in version 2"),
    gone("cpuset", "memory_migrate", "it is always so"),
    gone("cpuset", "sched_load_balance", "say `cgroup cpuset cpus.partition`"),
    file("cpuset", "cpus.partition", "cpuset.cpus.partition", Reading::Same, "has them alone"),
    file("blkio", "weight", "io.weight", Reading::Weight, "shares the disks; 500 is usual"),
    file("blkio", "bfq.weight", "io.bfq.weight", Reading::Same, "shares the disks; 100 is usual"),
    device("blkio", "throttle.read_bps_device", "rbps", "limits reading, in bytes"),
    device("blkio", "throttle.write_bps_device", "wbps", "limits writing, in bytes"),
    device("blkio", "throttle.read_iops_device", "riops", "limits reading, in operations"),
    device("blkio", "throttle.write_iops_device", "wiops", "limits writing, in operations"),
    gone("blkio", "weight_device", "say `cgroup io weight \"MAJOR:MINOR WEIGHT\"`"),
    file("io", "weight", "io.weight", Reading::Same, "shares the disks; 100 is usual"),
    file("io", "bfq.weight", "io.bfq.weight", Reading::Same, "shares the disks; 100 is usual"),
    file("io", "max", "io.max", Reading::Same, "limits a disk: \"MAJOR:MINOR rbps=NUMBER\""),
    file("io", "latency", "io.latency", Reading::Same, "asks for answers within a time"),
    file("pids", "max", "pids.max", Reading::Number, "limits how many processes there are"),
    file("hugetlb", "2MB.limit_in_bytes", "hugetlb.2MB.max", Reading::Size, "limits large pages"),
    file("hugetlb", "1GB.limit_in_bytes", "hugetlb.1GB.max", Reading::Size, "limits large pages"),
    file("hugetlb", "2MB.max", "hugetlb.2MB.max", Reading::Size, "limits large pages"),
    file("hugetlb", "1GB.max", "hugetlb.1GB.max", Reading::Size, "limits large pages"),
    file("rdma", "max", "rdma.max", Reading::Same, "limits what RDMA uses"),
    file("misc", "max", "misc.max", Reading::Same, "limits what else the kernel counts"),
    gone("freezer", "state", "a job does not start frozen"),
    gone("devices", "allow", "version 2 has no devices controller"),
    gone("devices", "deny", "version 2 has no devices controller"),
    gone("net_cls", "classid", "version 2 has no net_cls controller: match the group's path"),
    gone("net_prio", "ifpriomap", "version 2 has no net_prio controller: match the group's path"),
];

const fn device(
    controller: &'static str,
    key: &'static str,
    word: &'static str,
    help: &'static str,
) -> Row {
    file(controller, key, "io.max", Reading::Device(word), help)
}

/// THE TABLE of controllers: what a job file calls them, and what version 2 does; none: it has none,
/// and a job that joins one is in its group like any other.
pub const CONTROLLERS: [(&str, Option<&str>); 17] = [
    ("memory", Some("memory")),
    ("cpu", Some("cpu")),
    ("cpuset", Some("cpuset")),
    ("blkio", Some("io")),
    ("io", Some("io")),
    ("pids", Some("pids")),
    ("hugetlb", Some("hugetlb")),
    ("rdma", Some("rdma")),
    ("misc", Some("misc")),
    ("cpuacct", None),
    ("freezer", None),
    ("devices", None),
    ("net_cls", None),
    ("net_prio", None),
    ("perf_event", None),
    ("debug", None),
    ("systemd", None),
];

impl Row {
    /// Returns the file of version 2 that it becomes, or is a part of.
    pub fn file(&self) -> Option<&'static str> {
        match self.becomes {
            Becomes::File(file, _) => Some(file),
            Becomes::Part(Part::Quota | Part::Period) => Some("cpu.max"),
            Becomes::Part(Part::Memory) => Some("memory.max"),
            Becomes::Part(Part::Both) => Some("memory.swap.max"),
            Becomes::Nothing => None,
        }
    }
}

/// What is written into a file of a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting {
    /// The file.
    pub file: &'static str,
    /// What is written.
    pub value: String,
    /// Whose group: the instance's own, or the one that it shares.
    pub whose: Whose,
}

/// Which of the groups that an instance is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whose {
    /// Its own.
    Own,
    /// The one that all jobs share which name it.
    Shared,
}

/// Where an instance is, and what it wants there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// The directories below Upright's own, from the outside to the inside; the last is its own.
    pub parts: Vec<String>,
    /// The controllers that it needs.
    pub controllers: BTreeSet<&'static str>,
    /// What is to be set.
    pub settings: Vec<Setting>,
}

/// Returns the directory of an instance's own group. Two instances never have the same.
pub fn own(job: &JobName, instance: &InstanceName) -> String {
    let mut name = escaped(job.text().bytes());
    if !instance.text().is_empty() {
        name.push(':');
        name.push_str(&escaped(instance.text().bytes()));
    }
    // No file of a controller ends like that.
    format!("{}.job", shortened(name))
}

/// Returns where an instance belongs. `env` is its environment, which the name of a shared group may
/// use; where that cannot be expanded there is none, and the error.
pub fn place(
    rows: &[Cgroup],
    job: &JobName,
    instance: &InstanceName,
    env: &[Text],
) -> (Place, Option<ExpandError>) {
    let mut error = None;
    let shared = match shared(rows, job, instance, env) {
        Ok(shared) => shared,
        Err(why) => {
            error = Some(why);
            None
        }
    };
    let mut place = Place::default();
    let outer = shared.as_ref().map(|name| format!("{}.group", shortened(escaped(name.bytes()))));
    place.parts.extend(outer);
    place.parts.push(own(job, instance));
    let known = rows.iter().filter_map(|row| controller(&row.controller)?.1);
    place.controllers.extend(known);
    for whose in [Whose::Shared, Whose::Own] {
        let theirs = rows.iter().filter(|row| {
            let shares = shared.is_some() && row.name.as_ref().is_some_and(|name| !is_own(name));
            shares == (whose == Whose::Shared)
        });
        place.settings.extend(settings(theirs, whose));
    }
    (place, error)
}

/// Says what is wrong with a row, or that it takes no effect; nothing where all is well.
pub fn doubt(row: &Cgroup) -> Option<String> {
    let Some((name, known)) = controller(&row.controller) else {
        let names: Vec<&str> = CONTROLLERS.iter().map(|row| row.0).collect();
        let otherwise = format!("the controllers are {}", names.join(", "));
        return Some(did_you_mean(row.controller.bytes(), &names, &otherwise));
    };
    let Some((key, value)) = &row.setting else {
        return known.is_none().then(|| {
            format!("control groups of version 2 have no {name} controller; the job has a group of its own all the same")
        });
    };
    let Some(setting) = find(name, key) else {
        let theirs = SETTINGS.iter().filter(|row| row.controller == name);
        let keys: Vec<&str> = theirs.map(|row| row.key).collect();
        let otherwise = match keys.is_empty() {
            true => format!("the {name} controller has no settings"),
            false => format!("the settings of {name} are {}", keys.join(", ")),
        };
        return Some(did_you_mean(bare(name, key.bytes()), &keys, &otherwise));
    };
    let wants = match setting.becomes {
        Becomes::Nothing => return Some(setting.help.to_string()),
        Becomes::Part(part) => match read_part(part, value) {
            Some(_) => return None,
            None if matches!(part, Part::Memory | Part::Both) => Reading::Size.wants(),
            None => "a number of microseconds",
        },
        Becomes::File(_, reading) => match reading.read(value) {
            Some(_) => return None,
            None => reading.wants(),
        },
    };
    Some(format!("`{value}` is not {wants}"))
}

/// Reports whether the names of two rows are two groups: a job can be in one of them only.
pub fn apart(one: &Cgroup, other: &Cgroup) -> bool {
    let shared = |row: &Cgroup| row.name.clone().filter(|name| !is_own(name));
    shared(one).is_some_and(|one| shared(other).is_some_and(|other| one != other))
}

/// Returns how many processes of a group the kernel has ended for want of memory, as `memory.events`
/// tells it.
pub fn oom_kills(events: &str) -> Option<u64> {
    let row = events.lines().find_map(|line| line.strip_prefix("oom_kill "));
    row?.trim().parse().ok()
}

fn controller(name: &Text) -> Option<(&'static str, Option<&'static str>)> {
    let name = name.bytes().strip_prefix(b"name=").unwrap_or(name.bytes());
    CONTROLLERS.iter().find(|row| row.0.as_bytes() == name).copied()
}

/// A key may have its controller before it, as the files of version 1 do.
fn bare<'k>(controller: &str, key: &'k [u8]) -> &'k [u8] {
    let rest = key.strip_prefix(controller.as_bytes()).and_then(|rest| rest.strip_prefix(b"."));
    rest.unwrap_or(key)
}

fn find(controller: &str, key: &Text) -> Option<&'static Row> {
    let key = bare(controller, key.bytes());
    SETTINGS.iter().find(|row| row.controller == controller && row.key.as_bytes() == key)
}

/// Reports whether a name is the job's own, as Upstart calls it.
fn is_own(name: &Text) -> bool {
    matches!(name.bytes(), b"$UPSTART_CGROUP" | b"${UPSTART_CGROUP}")
}

/// Source: spec 4, cgroup: `upstart/JOB[-INSTANCE]`, with `_` for `/`.
fn upstart_cgroup(job: &JobName, instance: &InstanceName) -> Vec<u8> {
    let mut name = job.text().bytes().to_vec();
    if !instance.text().is_empty() {
        name.push(b'-');
        name.extend_from_slice(instance.text().bytes());
    }
    name.iter_mut().filter(|byte| **byte == b'/').for_each(|byte| *byte = b'_');
    [b"upstart/", name.as_slice()].concat()
}

fn shared(
    rows: &[Cgroup],
    job: &JobName,
    instance: &InstanceName,
    env: &[Text],
) -> Result<Option<Text>, ExpandError> {
    let named = rows.iter().filter_map(|row| row.name.as_ref()).find(|name| !is_own(name));
    let Some(named) = named else { return Ok(None) };
    let own = upstart_cgroup(job, instance);
    let name = expand_by(named.bytes(), |name| match name {
        b"UPSTART_CGROUP" => Some(&own[..]),
        name => env.iter().rev().find_map(|row| row.bytes().strip_prefix(name)?.strip_prefix(b"=")),
    })?;
    Ok(Some(name).filter(|name| !name.is_empty() && name.bytes() != own))
}

/// Returns what the rows of one group set. The last row of a key counts.
fn settings<'r>(rows: impl Iterator<Item = &'r Cgroup>, whose: Whose) -> Vec<Setting> {
    let mut all = Vec::new();
    let (mut quota, mut period, mut memory, mut both) = (None, None, None, None);
    for row in rows {
        let Some((name, _)) = controller(&row.controller) else { continue };
        let Some((key, value)) = &row.setting else { continue };
        match find(name, key).map(|row| row.becomes) {
            Some(Becomes::File(file, reading)) => {
                all.extend(reading.read(value).map(|value| Setting { file, value, whose }));
            }
            Some(Becomes::Part(part)) => {
                let Some(number) = read_part(part, value) else { continue };
                match part {
                    Part::Quota => quota = Some(number),
                    Part::Period => period = Some(number),
                    Part::Memory => memory = Some(number),
                    Part::Both => both = Some(number),
                }
            }
            Some(Becomes::Nothing) | None => {}
        }
    }
    let mut say = |file, value| all.push(Setting { file, value, whose });
    if quota.is_some() || period.is_some() {
        let quota = shown(quota.flatten());
        say("cpu.max", period.flatten().map_or(quota.clone(), |p| format!("{quota} {p}")));
    }
    // Version 2 counts swap by itself. Without a limit of memory both together are the limit of it.
    let limit = match (memory, both) {
        (None | Some(None), Some(Some(both))) => Some(Some(both)),
        (memory, _) => memory,
    };
    if let Some(limit) = limit {
        say("memory.max", shown(limit));
    }
    if let Some(both) = both {
        let swap = both.map(|both| both.saturating_sub(limit.flatten().unwrap_or(both)));
        say("memory.swap.max", shown(swap));
    }
    all
}

fn shown(number: Option<u64>) -> String {
    number.map_or_else(|| "max".to_string(), |number| number.to_string())
}

/// Reads a number that may be unlimited.
fn read_part(part: Part, value: &Text) -> Option<Option<u64>> {
    match part {
        Part::Memory | Part::Both => size(value),
        Part::Quota => number(value),
        Part::Period => number(value).filter(Option::is_some),
    }
}

/// Bytes; none is no limit.
fn size(value: &Text) -> Option<Option<u64>> {
    let text = core::str::from_utf8(value.bytes()).ok()?.trim();
    if let Some(number) = number(&Text::from(text)) {
        return Some(number.filter(|number| *number < SIZE_MAX));
    }
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let shift = match unit {
        "k" | "K" => 10,
        "m" | "M" => 20,
        "g" | "G" => 30,
        "t" | "T" => 40,
        _ => return None,
    };
    let number: u64 = digits.parse().ok()?;
    Some(number.checked_mul(1 << shift).filter(|number| *number < SIZE_MAX))
}

/// A number; none is no limit.
fn number(value: &Text) -> Option<Option<u64>> {
    match core::str::from_utf8(value.bytes()).ok()?.trim() {
        "-1" | "max" => Some(None),
        text => text.parse().ok().map(Some),
    }
}

impl Reading {
    fn wants(self) -> &'static str {
        match self {
            Reading::Same => "a value of one line",
            Reading::Size => "a number of bytes, with K, M, G or T behind it, or -1 for no limit",
            Reading::Number => "a whole number, or `max`",
            Reading::Shares => "a number of shares, 2 or more",
            Reading::Weight => "a weight from 10 to 1000",
            Reading::Device(_) => "a device and a number: \"8:0 1048576\"",
        }
    }

    /// Returns what is written.
    fn read(self, value: &Text) -> Option<String> {
        match self {
            Reading::Same => {
                let text = core::str::from_utf8(value.bytes()).ok()?.trim();
                (!text.is_empty() && !text.contains('\n')).then(|| text.to_string())
            }
            Reading::Size => size(value).map(shown),
            Reading::Number => number(value).map(shown),
            Reading::Shares => {
                let shares = number(value)?.filter(|shares| *shares >= 2)?;
                Some((shares.saturating_mul(100) / 1024).clamp(1, 10_000).to_string())
            }
            Reading::Weight => {
                let weight = number(value)?.filter(|weight| (10..=1000).contains(weight))?;
                Some((weight * 100 / 500).clamp(1, 10_000).to_string())
            }
            Reading::Device(word) => {
                let text = core::str::from_utf8(value.bytes()).ok()?;
                let (device, most) = text.trim().split_once(char::is_whitespace)?;
                let (major, minor) = device.split_once(':')?;
                let plain = |text: &str| text.parse::<u32>().is_ok();
                let most: u64 = most.trim().parse().ok()?;
                (plain(major) && plain(minor))
                    .then(|| format!("{device} {word}={}", shown(Some(most).filter(|m| *m > 0))))
            }
        }
    }
}

/// Returns a name as a directory may be called: no two names become the same.
fn escaped(name: &[u8]) -> String {
    let mut out = String::new();
    for byte in name {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'@' | b'+' => {
                out.push(char::from(*byte));
            }
            byte => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

/// Returns a name that is not too long; of one that is the beginning, and what tells it from others.
fn shortened(name: String) -> String {
    if name.len() <= PART_MAX {
        return name;
    }
    // FNV-1a. Who can name jobs has nothing to gain from two names of one number.
    let hash = name.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    let kept: String = name.chars().take(PART_MAX - 17).collect();
    format!("{kept}~{hash:016x}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;

    fn row(words: &str) -> Cgroup {
        let words: Vec<&str> = words.splitn(4, '|').collect();
        let text = |at: usize| Text::from(words[at]);
        match words.len() {
            1 => Cgroup { controller: text(0), name: None, setting: None },
            2 => Cgroup { controller: text(0), name: Some(text(1)), setting: None },
            3 => Cgroup { controller: text(0), name: None, setting: Some((text(1), text(2))) },
            _ => {
                let setting = Some((text(2), text(3)));
                Cgroup { controller: text(0), name: Some(text(1)), setting }
            }
        }
    }

    fn names(job: &str, instance: &str) -> (JobName, InstanceName) {
        (JobName::try_from(job).unwrap(), InstanceName::try_from(instance).unwrap())
    }

    /// What rows come to: `file=value` each, in order.
    fn written(rows: &[&str]) -> Vec<String> {
        let rows: Vec<Cgroup> = rows.iter().map(|words| row(words)).collect();
        let (job, instance) = names("web", "");
        let (place, error) = place(&rows, &job, &instance, &[]);
        assert_eq!(error, None);
        place.settings.iter().map(|setting| format!("{}={}", setting.file, setting.value)).collect()
    }

    #[test]
    fn settings_of_version_1_become_those_of_version_2() {
        for (given, expected) in [
            ("memory|limit_in_bytes|52428800", "memory.max=52428800"),
            ("memory|memory.limit_in_bytes|64M", "memory.max=67108864"),
            ("memory|limit_in_bytes|-1", "memory.max=max"),
            ("memory|limit_in_bytes|9223372036854771712", "memory.max=max"),
            ("memory|soft_limit_in_bytes|1g", "memory.low=1073741824"),
            ("memory|swap.max|0", "memory.swap.max=0"),
            ("cpu|shares|1024", "cpu.weight=100"),
            ("cpu|shares|2", "cpu.weight=1"),
            ("cpu|shares|262144", "cpu.weight=10000"),
            ("cpu|cfs_quota_us|50000", "cpu.max=50000"),
            ("cpu|max|50000 100000", "cpu.max=50000 100000"),
            ("cpuset|cpus|0-1,3", "cpuset.cpus=0-1,3"),
            ("blkio|weight|500", "io.weight=100"),
            ("blkio|throttle.read_bps_device|8:16 1048576", "io.max=8:16 rbps=1048576"),
            ("blkio|throttle.write_iops_device|8:0 0", "io.max=8:0 wiops=max"),
            ("pids|max|100", "pids.max=100"),
        ] {
            assert_eq!(written(&[given]), [expected], "{given}");
        }
    }

    #[test]
    fn what_version_1_says_in_two_files_is_one_in_version_2() {
        let quota = ["cpu|cfs_quota_us|50000", "cpu|cfs_period_us|200000"];
        assert_eq!(written(&quota), ["cpu.max=50000 200000"]);
        assert_eq!(written(&["cpu|cfs_quota_us|-1"]), ["cpu.max=max"]);
        let both = ["memory|limit_in_bytes|64M", "memory|memsw.limit_in_bytes|96M"];
        assert_eq!(written(&both), ["memory.max=67108864", "memory.swap.max=33554432"]);
        let alone = ["memory|memsw.limit_in_bytes|96M"];
        assert_eq!(written(&alone), ["memory.max=100663296", "memory.swap.max=0"]);
        let free = ["memory|limit_in_bytes|64M", "memory|memsw.limit_in_bytes|-1"];
        assert_eq!(written(&free), ["memory.max=67108864", "memory.swap.max=max"]);
    }

    #[test]
    fn what_cannot_be_set_is_said_with_what_could() {
        for (given, expected) in [
            ("memroy|limit_in_bytes|1", "did you mean `memory`?"),
            ("memory|limit_in_byte|1", "did you mean `limit_in_bytes`?"),
            ("pids|nonsense|1", "the settings of pids are max"),
            ("perf_event|x|1", "the perf_event controller has no settings"),
            ("devices|deny|a", "version 2 has no devices controller"),
            (
                "memory|limit_in_bytes|lots",
                "`lots` is not a number of bytes, with K, M, G or T behind it, or -1 for no limit",
            ),
            ("cpu|cfs_period_us|-1", "`-1` is not a number of microseconds"),
            ("cpu|shares|1", "`1` is not a number of shares, 2 or more"),
        ] {
            let doubt = doubt(&row(given));
            assert_eq!(doubt.as_deref(), Some(expected), "{given}");
            assert_eq!(written(&[given]), Vec::<String>::new());
        }
        assert!(doubt(&row("freezer")).unwrap().contains("no freezer controller"));
        assert_eq!(doubt(&row("memory")), None);
    }

    #[test]
    fn no_two_instances_have_one_group() {
        let pairs = [
            ("a", "b"),
            ("a:b", ""),
            ("a/b", ""),
            ("a_b", ""),
            ("a%2Fb", ""),
            ("a", ""),
            ("memory.max", ""),
        ];
        let all: BTreeSet<String> = pairs
            .iter()
            .map(|(job, instance)| {
                let (job, instance) = names(job, instance);
                own(&job, &instance)
            })
            .collect();
        assert_eq!(all.len(), pairs.len(), "{all:?}");
        let long = ["x".repeat(4000), "x".repeat(3999)].map(|name| {
            let (job, instance) = names(&name, "");
            own(&job, &instance)
        });
        assert!(long[0] != long[1] && long.iter().all(|name| name.len() < 255));
    }

    #[test]
    fn a_name_is_a_group_around_those_of_all_jobs_that_name_it() {
        let (job, instance) = names("web", "1");
        let at = |rows: &[&str]| {
            let rows: Vec<Cgroup> = rows.iter().map(|words| row(words)).collect();
            place(&rows, &job, &instance, &[Text::from("POOL=big")])
        };
        assert_eq!(at(&[]).0.parts, ["web:1.job"]);
        assert_eq!(at(&["cpu|$UPSTART_CGROUP"]).0.parts, ["web:1.job"]);
        let (place, error) = at(&["memory|p/$POOL|limit_in_bytes|1M", "memory|swap.max|0"]);
        assert_eq!(place.parts, ["p%2Fbig.group", "web:1.job"]);
        assert_eq!(error, None);
        let whose: Vec<Whose> = place.settings.iter().map(|setting| setting.whose).collect();
        assert_eq!(whose, [Whose::Shared, Whose::Own]);
        assert_eq!(place.controllers, BTreeSet::from(["memory"]));
        let (place, error) = at(&["memory|$NOWHERE"]);
        assert_eq!(place.parts, ["web:1.job"]);
        assert!(error.is_some());
        assert!(apart(&row("cpu|one"), &row("memory|two")));
        assert!(!apart(&row("cpu|one"), &row("memory|$UPSTART_CGROUP")));
    }

    #[test]
    fn the_page_about_control_groups_has_the_table() {
        let rows: Vec<String> = SETTINGS
            .iter()
            .map(|row| {
                let file = row.file().map_or("none".to_string(), |file| format!("`{file}`"));
                format!("| {} | `{}` | {file} | {} |\n", row.controller, row.key, row.help)
            })
            .collect();
        let page = "../../docs/cgroups.md";
        let text = std::fs::read_to_string(page).unwrap();
        let (head, _) = text.split_once("|---|---|---|---|\n").unwrap();
        crate::expect::same(page, &format!("{head}|---|---|---|---|\n{}", rows.concat()));
    }

    #[test]
    fn the_tables_name_each_thing_once_and_only_controllers_that_there_are() {
        let keys: BTreeSet<(&str, &str)> =
            SETTINGS.iter().map(|row| (row.controller, row.key)).collect();
        assert_eq!(keys.len(), SETTINGS.len());
        for row in SETTINGS {
            let known = controller(&Text::from(row.controller)).unwrap();
            let of = row.file().map(|file| file.split('.').next().unwrap());
            assert!(of.is_none() || of == known.1, "{} {}", row.controller, row.key);
        }
        assert_eq!(oom_kills("low 0\noom 3\noom_kill 2\noom_group_kill 0\n"), Some(2));
        assert_eq!(oom_kills(""), None);
        assert_eq!(vec![shortened("x".into())], ["x"]);
    }
}
