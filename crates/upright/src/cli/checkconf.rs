//! `init-checkconf`: whether a job file is one, in the original's words. Source: init-checkconf(8) of
//! Upstart 1.13.2, which copies the file and runs init on it; here it is read as init reads it, and
//! nothing is run but `sh -n`.

use super::people::check;
use super::shape::{Flag, Needed, Place, Shape, Times};
use super::World;
use engine::process::Role;
use engine::spec::Command as Run;
use std::ffi::{OsStr, OsString};
use std::io::Write;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// What the options say.
#[derive(Default)]
struct Settings {
    file: Option<PathBuf>,
    debug: bool,
    scripts: Scripts,
}

/// Whether a shell looks at the scripts.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Scripts {
    #[default]
    Checked,
    Passed,
}

const USAGE: &str = "Description: Determine if specified Upstart (init(8)) job configuration
             file is valid.

Usage: init-checkconf [options] -f <conf_file>
       init-checkconf [options]    <conf_file>

Options:

 -d, --debug         : Show some debug output.
 -f <file>           : Job configuration file to check.
 -i <path>           : Path of initctl; accepted, as nothing is run.
 -s, --noscript      : Do not check script sections.
 -x <path>           : Path of init; accepted, as nothing is run.
 -h, --help          : Show this help.
";

/// Runs the command; returns the exit code.
pub fn run(world: &mut World<'_>) -> u8 {
    let settings = match settings(std::mem::take(&mut world.args)) {
        Ok(Some(settings)) => settings,
        Ok(None) => {
            world.print(USAGE);
            return 0;
        }
        Err(mistake) => {
            world.say(&format!("ERROR: {mistake}"));
            return 1;
        }
    };
    match verdict(world, &settings) {
        Ok(words) => {
            world.print(&format!("{words}\n"));
            0
        }
        Err(words) => {
            world.say(&format!("ERROR: {words}"));
            1
        }
    }
}

/// Returns what its command line may have.
pub fn shape() -> Shape {
    let flag = |(short, long, value, help): (char, &str, Option<&str>, &str)| Flag {
        short: Some(short),
        long: Some(long.to_owned()),
        value: value.map(str::to_owned),
        help: Some(help.to_owned()),
    };
    let file = Place {
        value: String::from("FILE"),
        needed: Needed::Yes,
        times: Times::One,
        help: String::from("Job configuration file to check."),
    };
    Shape {
        name: String::from("init-checkconf"),
        about: String::from("Determine if an Upstart job configuration file is valid."),
        more: String::new(),
        flags: OPTIONS.into_iter().map(flag).collect(),
        places: vec![file],
        commands: Vec::new(),
    }
}

/// Every option: letter, name, value, help.
#[rustfmt::skip]
const OPTIONS: [(char, &str, Option<&str>, &str); 6] = [
    ('d', "debug", None, "Show some debug output."),
    ('f', "file", Some("FILE"), "Job configuration file to check."),
    ('i', "initctl-path", Some("FILE"), "Path of initctl; accepted, as nothing is run."),
    ('s', "noscript", None, "Do not check script sections."),
    ('x', "upstart-path", Some("FILE"), "Path of init; accepted, as nothing is run."),
    ('h', "help", None, "Show this help."),
];

/// Reads the options; nothing where help is wanted.
fn settings(args: Vec<Vec<u8>>) -> Result<Option<Settings>, String> {
    let mut settings = Settings::default();
    let mut rest = args.into_iter();
    while let Some(arg) = rest.next() {
        let shown = String::from_utf8_lossy(&arg).into_owned();
        let path = |rest: &mut dyn Iterator<Item = Vec<u8>>| {
            rest.next().ok_or_else(|| format!("Option {shown} needs a path"))
        };
        match arg.as_slice() {
            b"-h" | b"--help" => return Ok(None),
            b"-d" | b"--debug" => settings.debug = true,
            b"-s" | b"--noscript" => settings.scripts = Scripts::Passed,
            b"-f" | b"--file" => {
                settings.file = Some(PathBuf::from(OsString::from_vec(path(&mut rest)?)));
            }
            b"-i" | b"--initctl-path" | b"-x" | b"--upstart-path" => drop(path(&mut rest)?),
            b"--" => {}
            option if option.starts_with(b"-") => return Err(format!("Invalid option: {shown}")),
            file => settings.file = Some(PathBuf::from(OsStr::from_bytes(file))),
        }
    }
    Ok(Some(settings))
}

fn verdict(world: &mut World<'_>, settings: &Settings) -> Result<String, String> {
    let Some(file) = &settings.file else {
        return Err(String::from("Must specify configuration file"));
    };
    let shown = file.display().to_string();
    if !file.is_file() {
        return Err(format!("File {shown} does not exist"));
    }
    if file.extension() != Some(OsStr::new("conf")) {
        return Err(String::from("File must end in .conf"));
    }
    let invalid = |what: &str| format!("File {shown}: syntax invalid:\n{what}");
    let parsed = check::read_job(file).map_err(|why| invalid(&why))?;
    if settings.debug {
        world.print(&format!("DEBUG: job={}\n", parsed.spec.name.text().lossy()));
    }
    let name = file.file_name().map(|name| name.to_string_lossy().into_owned());
    let name = name.unwrap_or_default();
    let errors = parsed.errors().map(|error| format!("init:{}", error.one_line(&name)));
    let errors: Vec<String> = errors.collect();
    if !errors.is_empty() {
        return Err(invalid(&errors.join("\n")));
    }
    if settings.scripts == Scripts::Checked {
        for (role, command) in parsed.spec.commands.iter() {
            let Run::Script(script) = command else { continue };
            let section = match role {
                Role::Main => String::from("script"),
                role => format!("{role} script"),
            };
            shell(script.bytes()).map_err(|why| {
                format!("File {shown}: shell syntax invalid in {section} section:\n{why}")
            })?;
        }
    }
    Ok(format!("File {shown}: syntax ok"))
}

/// Lets the shell read a script; returns what it says against it.
fn shell(script: &[u8]) -> Result<(), String> {
    let shell = Path::new("/bin/sh");
    let failed =
        |error: std::io::Error| format!("{}: {}", shell.display(), super::connect::words(&error));
    let mut child = Command::new(shell)
        .arg("-n")
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(failed)?;
    if let Some(mut input) = child.stdin.take() {
        // A shell that has found a mistake reads no further.
        let _ = input.write_all(script).and_then(|()| input.write_all(b"\n"));
    }
    let output = child.wait_with_output().map_err(failed)?;
    match output.status.success() {
        true => Ok(()),
        false => Err(String::from_utf8_lossy(&output.stderr).trim_end().to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::Look;
    use crate::scratch::Scratch;

    fn run_on(args: &[&str], name: &str, text: &str) -> (u8, String, String) {
        let directory = Scratch::directory(name);
        let file = directory.join(name);
        std::fs::write(&file, text).unwrap();
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let shown = file.display().to_string();
        let args = args.iter().map(|arg| arg.replace("FILE", &shown).into_bytes());
        let code = crate::cli::run(&mut World {
            program: String::from("init-checkconf"),
            args: args.collect(),
            env: &|_| None,
            uid: 0,
            out: &mut out,
            err: &mut err,
            look: Look::Plain,
        });
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap().replace(&shown, "FILE");
        (code, text(out), text(err))
    }

    #[test]
    fn a_file_is_judged_in_the_originals_words() {
        let good = "script\n  if true; then echo x; fi\nend script\n";
        assert_eq!(
            run_on(&["-f", "FILE"], "ok.conf", good),
            (0, "File FILE: syntax ok\n".into(), String::new())
        );
        assert_eq!(
            run_on(&["FILE"], "x.conf", "respwan\n"),
            (
                1,
                String::new(),
                "ERROR: File FILE: syntax invalid:\ninit:x.conf:1: Unknown stanza\n".into()
            )
        );
        let (code, _, err) =
            run_on(&["FILE"], "sh.conf", "pre-start script\n  if true\nend script\nexec x\n");
        let begins = "ERROR: File FILE: shell syntax invalid in pre-start script section:\n";
        assert!(code == 1 && err.starts_with(begins) && err.len() > begins.len() + 5, "{err}");
        let noscript = ["-s", "-i", "/sbin/initctl", "-x", "/sbin/init", "FILE"];
        assert_eq!(run_on(&noscript, "sh.conf", "script\n  if true\nend script\n").0, 0);
    }

    #[test]
    fn what_is_no_job_file_is_told() {
        for (args, name, words) in [
            (&["FILE.conf"][..], "a", "ERROR: File FILE.conf does not exist\n"),
            (&["FILE"], "a", "ERROR: File must end in .conf\n"),
            (&[], "a.conf", "ERROR: Must specify configuration file\n"),
            (&["-f"], "a.conf", "ERROR: Option -f needs a path\n"),
            (&["-q"], "a.conf", "ERROR: Invalid option: -q\n"),
        ] {
            assert_eq!(run_on(args, name, ""), (1, String::new(), String::from(words)));
        }
        assert!(run_on(&["-h"], "a.conf", "").1.contains("Usage: init-checkconf"));
    }
}
