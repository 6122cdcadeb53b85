use super::*;
use crate::cli::Look;

/// Runs a command as a user; returns its exit code, output and words.
fn run_as(uid: u32, env: &[(&str, &str)], line: &str) -> (u8, String, String) {
    let mut words = line.split(' ');
    let program = words.next().unwrap().to_owned();
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let find = |name: &str| {
        let row = env.iter().find(|(key, _)| *key == name)?;
        Some(row.1.as_bytes().to_vec())
    };
    let mut world = World {
        program,
        args: words.map(|word| word.as_bytes().to_vec()).collect(),
        env: &find,
        uid,
        out: &mut out,
        err: &mut err,
        look: Look::Plain,
    };
    let code = crate::cli::run(&mut world);
    (code, String::from_utf8(out).unwrap(), String::from_utf8(err).unwrap())
}

#[test]
fn every_command_has_help_in_the_originals_form() {
    for row in TOOLS {
        let (code, out, err) = run_as(1, &[], &format!("{} --help", row.name));
        assert_eq!((code, err.as_str()), (0, ""));
        assert!(out.starts_with(&format!("Usage: {} [OPTION]...", row.name)), "{out}");
        assert!(out.contains(&format!("\n{}\n\nOptions:\n", row.synopsis)), "{out}");
        assert!(out.ends_with("Report bugs to <upstart-devel@lists.ubuntu.com>\n"), "{out}");
        let (code, out, _) = run_as(1, &[], &format!("{} --version", row.name));
        assert_eq!(code, 0);
        assert!(out.starts_with(&format!("{} (upstart 1.13.2)\n", row.name)), "{out}");
    }
    let (_, out, _) = run_as(1, &[], "telinit --help");
    assert!(out.contains("\n  -e KEY=VALUE                variable of the"), "{out}");
    assert!(!out.contains("-t"), "what has no effect is not shown: {out}");
}

#[test]
fn a_command_line_with_a_mistake_is_told_before_who_may_do_it_is_asked() {
    let table = [
        ("telinit", "missing runlevel"),
        ("telinit 7", "illegal runlevel: 7"),
        ("telinit -e", "missing argument: -e"),
        ("telinit --now 2", "invalid option: --now"),
        ("shutdown", "time expected"),
        ("shutdown -h", "time expected"),
        ("shutdown soon", "illegal time value"),
        ("shutdown 25:00", "illegal hour value"),
        ("shutdown -g 1:99", "illegal minute value"),
        ("reboot -z", "invalid option: -z"),
    ];
    for (line, expected) in table {
        let program = line.split(' ').next().unwrap();
        let said = format!("{program}: {expected}\nTry `{program} --help' for more information.\n");
        assert_eq!(run_as(1, &[], line), (1, String::new(), said), "{line}");
    }
}

#[test]
fn only_root_takes_the_machine_down() {
    let lines = [
        "telinit 0",
        "telinit q",
        "shutdown now",
        "shutdown -c",
        "halt -f",
        "poweroff",
        "reboot -w",
    ];
    for line in lines {
        let program = line.split(' ').next().unwrap();
        let said = format!("{program}: Need to be root\n");
        assert_eq!(run_as(1, &[], line), (1, String::new(), said), "{line}");
    }
}

#[test]
fn the_runlevel_is_that_of_the_environment_and_else_of_the_file() {
    let levels = [("RUNLEVEL", "6"), ("PREVLEVEL", "2")];
    assert_eq!(run_as(1, &levels, "runlevel").1, "2 6\n");
    assert_eq!(run_as(1, &levels[..1], "runlevel").1, "N 6\n");
    let (code, out, _) = run_as(1, &[], "runlevel /dev/null");
    assert_eq!((code, out.as_str()), (1, "unknown\n"));
    let (code, out, _) = run_as(1, &[("RUNLEVEL", "")], "runlevel /nonexistent");
    assert_eq!((code, out.as_str()), (1, "unknown\n"));
}
