//! Whether a gateway can run as somebody who may do nothing, and its program be executed then.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// The capabilities that it takes to become somebody else. Source: capabilities(7).
const SETGID: u32 = 6;
const SETUID: u32 = 7;

/// The number of who owns nothing, where no file names such a user. Source: the kernel's overflow user.
pub const NOBODY: u32 = 65534;

/// Reports whether this process may become the user and group of these numbers: it is root with the
/// capabilities for it, in a user namespace that knows them.
pub fn may_become(uid: u32, gid: u32) -> bool {
    let read = |name: &str| fs::read_to_string(format!("/proc/self/{name}")).unwrap_or_default();
    allows(&read("status"), SETUID, SETGID)
        && knows(&read("uid_map"), uid)
        && knows(&read("gid_map"), gid)
        && read("setgroups").trim() != "deny"
}

/// Reports whether a process's status shows both capabilities in effect.
fn allows(status: &str, one: u32, other: u32) -> bool {
    let line = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
    let held = line.and_then(|digits| u64::from_str_radix(digits.trim(), 16).ok()).unwrap_or(0);
    held >> one & held >> other & 1 == 1
}

/// Reports whether a map of a user namespace has a number. Source: user_namespaces(7).
fn knows(map: &str, number: u32) -> bool {
    map.lines().any(|line| {
        let mut numbers = line.split_whitespace().map_while(|word| word.parse::<u64>().ok());
        let (Some(first), Some(_), Some(count)) = (numbers.next(), numbers.next(), numbers.next())
        else {
            return false;
        };
        (first..first.saturating_add(count)).contains(&u64::from(number))
    })
}

/// Reports whether everybody can execute the program at this path: may walk there, and run it.
pub fn all_can_execute(program: &Path) -> bool {
    let can = |path: &Path| fs::metadata(path).is_ok_and(|it| it.permissions().mode() & 1 == 1);
    program.ancestors().all(can)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scratch::Scratch;

    #[test]
    fn who_lacks_a_capability_or_is_not_mapped_cannot_become_somebody_else() {
        let status = |caps: &str| format!("Name:\tx\nCapPrm:\t0\nCapEff:\t{caps}\n");
        for (caps, wanted) in
            [("00000000000000c0", true), ("0000000000000040", false), ("80", false), ("", false)]
        {
            assert_eq!(allows(&status(caps), SETUID, SETGID), wanted, "{caps}");
        }
        assert!(!allows("", SETUID, SETGID));
        let all = "         0          0 4294967295\n";
        let some = "0 1000 1\n1 100000 65536\n";
        for (map, number, wanted) in [
            (all, NOBODY, true),
            (some, 0, true),
            (some, NOBODY, true),
            (some, 65537, false),
            ("0 1000 1\n", NOBODY, false),
            ("nonsense", 0, false),
            ("", 0, false),
        ] {
            assert_eq!(knows(map, number), wanted, "{map} {number}");
        }
    }

    #[test]
    fn a_program_behind_a_private_directory_is_not_for_all() {
        assert!(all_can_execute(Path::new("/bin/sh")));
        let private = Scratch::directory("private");
        let program = private.join("program");
        fs::write(&program, "").unwrap();
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
        fs::set_permissions(&private, fs::Permissions::from_mode(0o700)).unwrap();
        assert!(!all_can_execute(&program));
    }
}
