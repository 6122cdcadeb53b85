//! THE TABLE of commands: a row is everything about one.

use crate::acts::{changes, daemon, group, logs, status};
use crate::control::{Control, Next};
use crate::failure::Outcome;
use crate::foreground;
use crate::python;

/// What a command's words are completed with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Completes {
    /// Nothing.
    Nothing,
    /// Commands.
    Commands,
    /// Groups.
    Groups,
    /// Processes, and groups as `group:*`.
    Processes,
}

/// Everything about one command.
pub struct Command {
    /// The word.
    pub name: &'static str,
    /// What `help NAME` prints, without the last line's end.
    pub help: &'static str,
    /// What its words are completed with.
    pub completes: Completes,
    /// Carries it out.
    pub run: fn(&mut Control, &str) -> Outcome<Next>,
}

/// Every command by name. The texts of help are the original's.
/// Source: Supervisor 4.3.0, supervisorctl.py.
pub const COMMANDS: &[Command] = &[
    Command {
        name: "EOF",
        help: "To quit, type ^D or use the quit command",
        completes: Completes::Nothing,
        run: leave,
    },
    Command {
        name: "add",
        help: "add <name> [...]\tActivates any updates in config for process/group",
        completes: Completes::Groups,
        run: changes::add,
    },
    Command {
        name: "avail",
        help: "avail\t\t\tDisplay all configured processes",
        completes: Completes::Nothing,
        run: changes::avail,
    },
    Command {
        name: "clear",
        help: "clear <name>\t\tClear a process' log files.\n\
               clear <name> <name>\tClear multiple process' log files\n\
               clear all\t\tClear all process' log files",
        completes: Completes::Processes,
        run: logs::clear,
    },
    Command {
        name: "exit",
        help: "exit\tExit the supervisor shell.",
        completes: Completes::Nothing,
        run: leave,
    },
    Command {
        name: "fg",
        help: "fg <process>\tConnect to a process in foreground mode\n\t\tCtrl-C to exit",
        completes: Completes::Processes,
        run: foreground::fg,
    },
    Command {
        name: "help",
        help: "help\t\tPrint a list of available actions\n\
               help <action>\tPrint help for <action>",
        completes: Completes::Commands,
        run: help,
    },
    Command {
        name: "maintail",
        help: "maintail -f \tContinuous tail of supervisor main log file (Ctrl-C to exit)\n\
               maintail -100\tlast 100 *bytes* of supervisord main log file\n\
               maintail\tlast 1600 *bytes* of supervisor main log file\n",
        completes: Completes::Nothing,
        run: logs::maintail,
    },
    Command {
        name: "open",
        help: "open <url>\tConnect to a remote supervisord process.\n\
               \t\t(for UNIX domain socket, use unix:///socket/path)",
        completes: Completes::Nothing,
        run: daemon::open,
    },
    Command {
        name: "pid",
        help: "pid\t\t\tGet the PID of supervisord.\n\
               pid <name>\t\tGet the PID of a single child process by name.\n\
               pid all\t\t\tGet the PID of every child process, one per line.",
        completes: Completes::Processes,
        run: status::pid,
    },
    Command {
        name: "quit",
        help: "quit\tExit the supervisor shell.",
        completes: Completes::Nothing,
        run: leave,
    },
    Command {
        name: "reload",
        help: "reload \t\tRestart the remote supervisord.",
        completes: Completes::Nothing,
        run: daemon::reload,
    },
    Command {
        name: "remove",
        help: "remove <name> [...]\tRemoves process/group from active config",
        completes: Completes::Groups,
        run: changes::remove,
    },
    Command {
        name: "reread",
        help: "reread \t\t\tReload the daemon's configuration files without add/remove",
        completes: Completes::Nothing,
        run: changes::reread,
    },
    Command {
        name: "restart",
        help: "restart <name>\t\tRestart a process\n\
               restart <gname>:*\tRestart all processes in a group\n\
               restart <name> <name>\tRestart multiple processes or groups\n\
               restart all\t\tRestart all processes\n\
               Note: restart does not reread config files. For that, see reread and update.",
        completes: Completes::Processes,
        run: group::restart,
    },
    Command {
        name: "shutdown",
        help: "shutdown \tShut the remote supervisord down.",
        completes: Completes::Nothing,
        run: daemon::shutdown,
    },
    Command {
        name: "signal",
        help: "signal <signal name> <name>\t\tSignal a process\n\
               signal <signal name> <gname>:*\t\tSignal all processes in a group\n\
               signal <signal name> <name> <name>\tSignal multiple processes or groups\n\
               signal <signal name> all\t\tSignal all processes",
        completes: Completes::Processes,
        run: group::signal,
    },
    Command {
        name: "start",
        help: "start <name>\t\tStart a process\n\
               start <gname>:*\t\tStart all processes in a group\n\
               start <name> <name>\tStart multiple processes or groups\n\
               start all\t\tStart all processes",
        completes: Completes::Processes,
        run: group::start,
    },
    Command {
        name: "status",
        help: "status <name>\t\tGet status for a single process\n\
               status <gname>:*\tGet status for all processes in a group\n\
               status <name> <name>\tGet status for multiple named processes\n\
               status\t\t\tGet all process status info",
        completes: Completes::Processes,
        run: status::status,
    },
    Command {
        name: "stop",
        help: "stop <name>\t\tStop a process\n\
               stop <gname>:*\t\tStop all processes in a group\n\
               stop <name> <name>\tStop multiple processes or groups\n\
               stop all\t\tStop all processes",
        completes: Completes::Processes,
        run: group::stop,
    },
    Command {
        name: "tail",
        help: "tail [-f] <name> [stdout|stderr] (default stdout)\n\
               Ex:\n\
               tail -f <name>\t\tContinuous tail of named process stdout\n\
               \t\t\tCtrl-C to exit.\n\
               tail -100 <name>\tlast 100 *bytes* of process stdout\n\
               tail <name> stderr\tlast 1600 *bytes* of process stderr",
        completes: Completes::Processes,
        run: logs::tail,
    },
    Command {
        name: "update",
        help: "update\t\t\tReload config and add/remove as necessary, and will restart affected \
               programs\n\
               update all\t\tReload config and add/remove as necessary, and will restart affected \
               programs\n\
               update <gname> [...]\tUpdate specific groups",
        completes: Completes::Groups,
        run: changes::update,
    },
    Command {
        name: "version",
        help: "version\t\t\tShow the version of the remote supervisord process",
        completes: Completes::Nothing,
        run: daemon::version,
    },
];

/// The commands that the original's list of them leaves out, and what it says for help on one.
const UNLISTED: [&str; 2] = ["EOF", "help"];

/// Finds a command by its word.
pub fn find(word: &str) -> Option<&'static Command> {
    COMMANDS.iter().find(|command| command.name == word)
}

/// Returns the words that a command's place is completed with.
pub fn words() -> impl Iterator<Item = &'static str> {
    COMMANDS.iter().map(|command| command.name).filter(|name| *name != "EOF")
}

fn leave(control: &mut Control, _: &str) -> Outcome<Next> {
    control.say("")?;
    Ok(Next::Leave)
}

fn help(control: &mut Control, topic: &str) -> Outcome<Next> {
    if topic.is_empty() {
        let names: Vec<&str> = COMMANDS
            .iter()
            .map(|command| command.name)
            .filter(|name| !UNLISTED.contains(name))
            .collect();
        let title = "default commands (type help <topic>):";
        let list = python::columns(&names, 79);
        control.say(&format!("\n{title}\n{}\n{list}", "=".repeat(title.len())))?;
    } else {
        match find(topic).filter(|command| command.name != "EOF") {
            Some(command) => control.say(command.help)?,
            None => control.say(&format!("*** No help on {topic}"))?,
        }
    }
    Ok(Next::Go)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_stand_in_the_order_of_their_names_once_each() {
        let names: Vec<&str> = COMMANDS.iter().map(|command| command.name).collect();
        assert!(names.windows(2).all(|pair| pair[0] < pair[1]), "{names:?}");
        assert!(COMMANDS.iter().all(|command| !command.help.is_empty()));
    }
}
