//! The command line: THE TABLE of options, and what they come to.

use crate::auth::Login;
use std::path::PathBuf;

/// An option.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Opt {
    Unix,
    Mode,
    Owner,
    Inet,
    Username,
    PasswordFile,
    Control,
    Identifier,
    Help,
    Version,
}

/// Everything about one option.
struct Row {
    opt: Opt,
    name: &'static str,
    takes: Option<&'static str>,
    help: &'static str,
}

/// Every option. The names are those of the keys of Supervisor's server sections, where there is one.
const OPTIONS: &[Row] = &[
    Row { opt: Opt::Unix, name: "unix", takes: Some("PATH"), help: "listen at this socket" },
    Row {
        opt: Opt::Mode,
        name: "chmod",
        takes: Some("OCTAL"),
        help: "the socket's mode; 0700 if not said",
    },
    Row { opt: Opt::Owner, name: "chown", takes: Some("USER[:GROUP]"), help: "the socket's owner" },
    Row {
        opt: Opt::Inet,
        name: "inet",
        takes: Some("HOST:PORT"),
        help: "listen at this port; *:PORT is every address",
    },
    Row {
        opt: Opt::Username,
        name: "username",
        takes: Some("NAME"),
        help: "ask clients for this name and a password",
    },
    Row {
        opt: Opt::PasswordFile,
        name: "password-file",
        takes: Some("PATH"),
        help: "its first line is the password, or {SHA} and 40 hex digits",
    },
    Row {
        opt: Opt::Control,
        name: "control",
        takes: Some("ADDRESS"),
        help: "Upright's socket, a path or @NAME; found by itself if not said",
    },
    Row {
        opt: Opt::Identifier,
        name: "identifier",
        takes: Some("NAME"),
        help: "what getIdentification answers; supervisor if not said",
    },
    Row { opt: Opt::Help, name: "help", takes: None, help: "print this" },
    Row { opt: Opt::Version, name: "version", takes: None, help: "print the version" },
];

/// What to do.
#[derive(Debug)]
pub struct Options {
    /// Where to listen.
    pub places: Vec<Place>,
    /// Who may ask; everybody who can connect where there is none.
    pub login: Option<Login>,
    /// Where Upright listens, if it was said.
    pub control: Option<String>,
    /// What this one is called.
    pub identifier: String,
}

/// Where to listen.
#[derive(Debug, PartialEq, Eq)]
pub enum Place {
    /// At a socket in the file system.
    Unix {
        /// Where.
        path: PathBuf,
        /// Who may connect.
        mode: u32,
        /// Whose it is, as given.
        owner: Option<String>,
    },
    /// At a port: the host (`None` is every address) and the number.
    Inet(Option<String>, u16),
}

/// Why nothing is served.
#[derive(Debug, PartialEq, Eq)]
pub enum Instead {
    /// This was asked for.
    Text(String),
    /// The options are wrong.
    Mistake(String),
}

impl From<String> for Instead {
    fn from(text: String) -> Instead {
        Instead::Mistake(text)
    }
}

/// Reads the arguments.
pub fn read(arguments: &[String]) -> Result<Options, Instead> {
    let given = given(arguments)?;
    let value = |opt: Opt| {
        given.iter().rev().find(|(known, _)| *known == opt).map(|(_, value)| value.as_str())
    };
    if value(Opt::Help).is_some() {
        return Err(Instead::Text(help()));
    }
    if value(Opt::Version).is_some() {
        return Err(Instead::Text(format!("upright-http {}\n", env!("CARGO_PKG_VERSION"))));
    }
    let mode = value(Opt::Mode).unwrap_or("0700");
    let mode = u32::from_str_radix(mode, 8).ok().filter(|mode| *mode <= 0o7777);
    let mode = mode.ok_or_else(|| "--chmod: give an octal mode, such as 0770".to_owned())?;
    let mut places = Vec::new();
    for (opt, text) in &given {
        if *opt == Opt::Unix {
            let owner = value(Opt::Owner).map(str::to_owned);
            places.push(Place::Unix { path: PathBuf::from(text), mode, owner });
        } else if *opt == Opt::Inet {
            places.push(inet(text)?);
        }
    }
    if places.is_empty() {
        return Err("say where to listen: --unix PATH, --inet HOST:PORT or both".to_owned().into());
    }
    let login = match (value(Opt::Username), value(Opt::PasswordFile)) {
        (None, None) => None,
        (Some(name), Some(path)) => {
            let text = std::fs::read_to_string(path)
                .map_err(|error| format!("--password-file: {path}: {error}"))?;
            let password = text.lines().next().unwrap_or_default();
            Some(Login::new(name, password).map_err(|why| format!("--password-file: {why}"))?)
        }
        (Some(_), None) | (None, Some(_)) => {
            let why = "--username and --password-file belong together: give both or neither";
            return Err(why.to_owned().into());
        }
    };
    Ok(Options {
        places,
        login,
        control: value(Opt::Control).map(str::to_owned),
        identifier: value(Opt::Identifier).unwrap_or("supervisor").to_owned(),
    })
}

fn given(arguments: &[String]) -> Result<Vec<(Opt, String)>, String> {
    let mut found = Vec::new();
    let mut rest = arguments.iter();
    while let Some(argument) = rest.next() {
        let (name, value) = match argument.split_once('=') {
            Some((name, value)) => (name, Some(value.to_owned())),
            None => (argument.as_str(), None),
        };
        let name = name.strip_prefix("--").unwrap_or_default();
        let row = OPTIONS.iter().find(|row| row.name == name);
        let row = row.ok_or_else(|| format!("{argument}: there is no such option"))?;
        let value = match (row.takes, value) {
            (None, None) => String::new(),
            (None, Some(_)) => return Err(format!("--{name}: takes no value")),
            (Some(_), Some(value)) => value,
            (Some(takes), None) => {
                rest.next().cloned().ok_or_else(|| format!("--{name}: give {takes}"))?
            }
        };
        found.push((row.opt, value));
    }
    Ok(found)
}

/// Splits at the last colon, as Supervisor does. Source: Supervisor 4.3.0, datatypes.py,
/// `inet_address`.
fn inet(text: &str) -> Result<Place, String> {
    let (host, port) = text.rsplit_once(':').unwrap_or(("", text));
    let port = port.parse().ok().filter(|port| *port != 0);
    let port =
        port.ok_or_else(|| format!("--inet {text}: give HOST:PORT, such as 127.0.0.1:9001"))?;
    let host = Some(host.trim_matches(['[', ']']).to_lowercase());
    Ok(Place::Inet(host.filter(|host| !host.is_empty() && host != "*"), port))
}

fn help() -> String {
    let mut out = String::from(
        "Answers Supervisor's clients (supervisorctl, XML-RPC, log tails) for an Upright.\n\n\
         Usage: upright-http --unix PATH | --inet HOST:PORT [OPTION...]\n\n",
    );
    for row in OPTIONS {
        let shown = match row.takes {
            Some(takes) => format!("--{} {takes}", row.name),
            None => format!("--{}", row.name),
        };
        out.push_str(&format!("  {shown:22}{}\n", row.help));
    }
    out.push_str(
        "\nIt may do what the user may do that it runs as: root and the owner of that Upright\n\
         everything, anybody else look.\n",
    );
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Vec<String> {
        line.split_whitespace().map(str::to_owned).collect()
    }

    #[track_caller]
    fn check_mistake(line: &str, wanted: &str) {
        match read(&words(line)) {
            Err(Instead::Mistake(text)) => assert!(text.contains(wanted), "{text}"),
            other => panic!("{line}: {other:?}"),
        }
    }

    #[test]
    fn places_are_read_with_their_mode_and_owner() {
        let line = "--unix /s --chmod=0770 --chown web:adm --inet *:9001 --inet LOCALHOST:1";
        let options = read(&words(line)).unwrap();
        let owner = Some("web:adm".to_owned());
        let unix = Place::Unix { path: "/s".into(), mode: 0o770, owner };
        let wanted = [unix, Place::Inet(None, 9001), Place::Inet(Some("localhost".into()), 1)];
        assert_eq!(options.places, wanted);
        assert_eq!((options.login.is_none(), options.identifier.as_str()), (true, "supervisor"));
    }

    #[test]
    fn mistakes_say_what_would_be_right() {
        check_mistake("", "--unix PATH");
        check_mistake("--unix", "give PATH");
        check_mistake("--inet localhost", "127.0.0.1:9001");
        check_mistake("--unix /s --chmod 9", "octal");
        check_mistake("--unix /s --username a", "both or neither");
        check_mistake("--nonsense", "no such option");
        check_mistake("--unix /s --username a --password-file /no/such", "/no/such");
    }
}
