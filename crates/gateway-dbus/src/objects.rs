//! Paths of objects. Source: spec 12; nih_dbus_path of libnih 1.0.4.

use engine::control::{InstanceName, Text};

/// The path of Upstart itself.
pub const ROOT: &str = "/com/ubuntu/Upstart";

/// Where the paths of jobs begin.
const JOBS: &str = "/com/ubuntu/Upstart/jobs";

/// What a path names. That it can be named does not say that it is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Object {
    /// Upstart itself.
    Root,
    /// What stands above the jobs.
    Jobs,
    /// What stands above Upstart itself; the next part of the path.
    Above(&'static str),
    /// A job.
    Job(Text),
    /// An instance of a job.
    Instance(Text, InstanceName),
}

/// Returns what a path names; nothing where it is none of ours.
pub fn object(path: &str) -> Option<Object> {
    match path {
        ROOT => return Some(Object::Root),
        JOBS => return Some(Object::Jobs),
        "/" => return Some(Object::Above("com")),
        "/com" => return Some(Object::Above("ubuntu")),
        "/com/ubuntu" => return Some(Object::Above("Upstart")),
        _ => {}
    }
    let mut parts = path.strip_prefix(JOBS)?.strip_prefix('/')?.split('/');
    let job = unescaped(parts.next()?)?;
    let object = match parts.next() {
        None => Object::Job(job),
        Some(part) => Object::Instance(job, InstanceName::try_from(unescaped(part)?).ok()?),
    };
    parts.next().is_none().then_some(object)
}

/// Returns the path of a job.
pub fn of_job(job: &Text) -> String {
    format!("{JOBS}/{}", escaped(job))
}

/// Returns the path of an instance.
pub fn of_instance(job: &Text, instance: &InstanceName) -> String {
    format!("{JOBS}/{}/{}", escaped(job), escaped(instance.text()))
}

/// Returns a name as one part of a path: letters and digits stay, any other byte is `_` and two
/// digits, nothing at all is `_`.
pub fn escaped(name: &Text) -> String {
    if name.is_empty() {
        return String::from("_");
    }
    let mut out = String::new();
    for byte in name.bytes() {
        if byte.is_ascii_alphanumeric() {
            out.push(char::from(*byte));
        } else {
            out += &format!("_{byte:02x}");
        }
    }
    out
}

fn unescaped(part: &str) -> Option<Text> {
    if part == "_" {
        return Some(Text::default());
    }
    let mut out = Vec::new();
    let mut bytes = part.bytes();
    while let Some(byte) = bytes.next() {
        if byte != b'_' {
            out.push(byte);
            continue;
        }
        let mut digit = || char::from(bytes.next()?).to_digit(16);
        let (high, low) = (digit()?, digit()?);
        out.push((high * 16 + low) as u8);
    }
    (!out.is_empty()).then(|| Text::from(&out[..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_a_path_that_names_it() {
        let rows: [(&[u8], &str); 6] = [
            (b"a-b", "a_2db"),
            (b"x/y.z", "x_2fy_2ez"),
            (b"_", "_5f"),
            (b"", "_"),
            (b"b\xff\xc3\xa4", "b_ff_c3_a4"),
            (b"Web2", "Web2"),
        ];
        for (name, part) in rows {
            let name = Text::from(name);
            assert_eq!(escaped(&name), part);
            assert_eq!(unescaped(part), Some(name));
        }
        let (job, instance) = (Text::from("a-b"), InstanceName::try_from("x/y.z").unwrap());
        let path = of_instance(&job, &instance);
        assert_eq!(path, "/com/ubuntu/Upstart/jobs/a_2db/x_2fy_2ez");
        assert_eq!(object(&path), Some(Object::Instance(job.clone(), instance)));
        assert_eq!(object(&of_job(&job)), Some(Object::Job(job)));
    }

    #[test]
    fn a_path_that_is_none_of_ours_names_nothing() {
        let none = [
            "/com/ubuntu/Upstart/job",
            "/org",
            "/com/ubuntu/Upstart/jobs/a_2",
            "/com/",
            "/com/ubuntu/Upstart/jobs/a/b/c",
            "/com/ubuntu/Upstart/jobs/a_zz",
            "",
            "x",
        ];
        for path in none {
            assert_eq!(object(path), None, "{path}");
        }
        assert_eq!(object("/com"), Some(Object::Above("ubuntu")));
        assert_eq!(object("/com/ubuntu/Upstart/jobs"), Some(Object::Jobs));
    }
}
