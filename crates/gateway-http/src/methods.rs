//! THE TABLE of methods: a row is everything about one.

/// What a method does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// Something about the daemon.
    Daemon(Daemon),
    /// Something is done to processes.
    Act(Act),
    /// Something about processes.
    Process(Process),
    /// Something about calls.
    System(System),
}

/// What is asked of the daemon.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Daemon {
    /// The version of the interface.
    ApiVersion,
    /// The version of Supervisor that this stands for.
    Version,
    /// What this one is called.
    Identification,
    /// The daemon's state.
    State,
    /// The daemon's process.
    Pid,
    /// The daemon's own log.
    ReadMainLog,
    /// Empty it.
    ClearMainLog,
    /// Stop everything and end.
    Shutdown,
    /// Stop everything and begin anew.
    Restart,
    /// Read the configuration again.
    Reload,
    /// Make a group of the configuration active.
    AddGroup,
    /// Forget a group.
    RemoveGroup,
    /// Make an event.
    SendEvent,
}

/// What is done to processes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Act {
    /// Start one.
    Start,
    /// Start a group.
    StartGroup,
    /// Start all.
    StartAll,
    /// Stop one.
    Stop,
    /// Stop a group.
    StopGroup,
    /// Stop all.
    StopAll,
    /// Send one a signal.
    Signal,
    /// Send a group a signal.
    SignalGroup,
    /// Send all a signal.
    SignalAll,
}

/// What is asked of processes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Process {
    /// What one is doing.
    Info,
    /// What all are doing.
    AllInfo,
    /// How all are configured.
    Configuration,
    /// A part of a standard output's log.
    ReadStdout,
    /// A part of a standard error's log.
    ReadStderr,
    /// The end of a standard output's log.
    TailStdout,
    /// The end of a standard error's log.
    TailStderr,
    /// Empty one's logs.
    ClearLogs,
    /// Empty all logs.
    ClearAllLogs,
    /// Write to a standard input.
    SendStdin,
}

/// What is asked of the interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum System {
    /// All methods.
    List,
    /// What a method does.
    Help,
    /// What a method takes and returns.
    Signature,
    /// Several calls at once.
    Multicall,
}

/// Everything about one method.
pub struct Row {
    /// Its name, with its namespace.
    pub name: &'static str,
    /// What it does.
    pub method: Method,
    /// What it returns, then what it takes.
    pub signature: &'static [&'static str],
    /// How many parameters it must have.
    pub needed: usize,
    /// One sentence.
    pub help: &'static str,
}

const fn row(
    name: &'static str,
    method: Method,
    signature: &'static [&'static str],
    needed: usize,
    help: &'static str,
) -> Row {
    Row { name, method, signature, needed, help }
}

/// Every method by name, the second names of some among them.
/// Source: Supervisor 4.3.0, rpcinterface.py and xmlrpc.py.
pub const METHODS: &[Row] = &[
    row(
        "supervisor.addProcessGroup",
        Method::Daemon(Daemon::AddGroup),
        &["boolean", "string"],
        1,
        "Makes a group of the configuration active.",
    ),
    row(
        "supervisor.clearAllProcessLogs",
        Method::Process(Process::ClearAllLogs),
        &["array"],
        0,
        "Empties the logs of all processes.",
    ),
    row(
        "supervisor.clearLog",
        Method::Daemon(Daemon::ClearMainLog),
        &["boolean"],
        0,
        "Empties the daemon's log.",
    ),
    row(
        "supervisor.clearProcessLog",
        Method::Process(Process::ClearLogs),
        &["boolean", "string"],
        1,
        "Empties the logs of a process.",
    ),
    row(
        "supervisor.clearProcessLogs",
        Method::Process(Process::ClearLogs),
        &["boolean", "string"],
        1,
        "Empties the logs of a process.",
    ),
    row(
        "supervisor.getAPIVersion",
        Method::Daemon(Daemon::ApiVersion),
        &["string"],
        0,
        "Returns the version of this interface.",
    ),
    row(
        "supervisor.getAllConfigInfo",
        Method::Process(Process::Configuration),
        &["array"],
        0,
        "Returns how all processes are configured.",
    ),
    row(
        "supervisor.getAllProcessInfo",
        Method::Process(Process::AllInfo),
        &["array"],
        0,
        "Returns what all processes are doing.",
    ),
    row(
        "supervisor.getIdentification",
        Method::Daemon(Daemon::Identification),
        &["string"],
        0,
        "Returns what this supervisor is called.",
    ),
    row(
        "supervisor.getPID",
        Method::Daemon(Daemon::Pid),
        &["int"],
        0,
        "Returns the daemon's process number.",
    ),
    row(
        "supervisor.getProcessInfo",
        Method::Process(Process::Info),
        &["struct", "string"],
        1,
        "Returns what a process is doing.",
    ),
    row(
        "supervisor.getState",
        Method::Daemon(Daemon::State),
        &["struct"],
        0,
        "Returns the daemon's state.",
    ),
    row(
        "supervisor.getSupervisorVersion",
        Method::Daemon(Daemon::Version),
        &["string"],
        0,
        "Returns the version of Supervisor that this stands for.",
    ),
    row(
        "supervisor.getVersion",
        Method::Daemon(Daemon::ApiVersion),
        &["string"],
        0,
        "Returns the version of this interface.",
    ),
    row(
        "supervisor.readLog",
        Method::Daemon(Daemon::ReadMainLog),
        &["string", "int", "int"],
        2,
        "Returns a part of the daemon's log, from an offset, of a length.",
    ),
    row(
        "supervisor.readMainLog",
        Method::Daemon(Daemon::ReadMainLog),
        &["string", "int", "int"],
        2,
        "Returns a part of the daemon's log, from an offset, of a length.",
    ),
    row(
        "supervisor.readProcessLog",
        Method::Process(Process::ReadStdout),
        &["string", "string", "int", "int"],
        3,
        "Returns a part of a standard output's log, from an offset, of a length.",
    ),
    row(
        "supervisor.readProcessStderrLog",
        Method::Process(Process::ReadStderr),
        &["string", "string", "int", "int"],
        3,
        "Returns a part of a standard error's log, from an offset, of a length.",
    ),
    row(
        "supervisor.readProcessStdoutLog",
        Method::Process(Process::ReadStdout),
        &["string", "string", "int", "int"],
        3,
        "Returns a part of a standard output's log, from an offset, of a length.",
    ),
    row(
        "supervisor.reloadConfig",
        Method::Daemon(Daemon::Reload),
        &["array"],
        0,
        "Reads the configuration again; returns what was added, changed and removed.",
    ),
    row(
        "supervisor.removeProcessGroup",
        Method::Daemon(Daemon::RemoveGroup),
        &["boolean", "string"],
        1,
        "Forgets a group that has stopped.",
    ),
    row(
        "supervisor.restart",
        Method::Daemon(Daemon::Restart),
        &["boolean"],
        0,
        "Stops everything and begins anew.",
    ),
    row(
        "supervisor.sendProcessStdin",
        Method::Process(Process::SendStdin),
        &["boolean", "string", "string"],
        2,
        "Writes to the standard input of a process.",
    ),
    row(
        "supervisor.sendRemoteCommEvent",
        Method::Daemon(Daemon::SendEvent),
        &["boolean", "string", "string"],
        2,
        "Makes an event of a type with data.",
    ),
    row(
        "supervisor.shutdown",
        Method::Daemon(Daemon::Shutdown),
        &["boolean"],
        0,
        "Stops everything and ends.",
    ),
    row(
        "supervisor.signalAllProcesses",
        Method::Act(Act::SignalAll),
        &["array", "string"],
        1,
        "Sends all processes a signal.",
    ),
    row(
        "supervisor.signalProcess",
        Method::Act(Act::Signal),
        &["boolean", "string", "string"],
        2,
        "Sends a process a signal.",
    ),
    row(
        "supervisor.signalProcessGroup",
        Method::Act(Act::SignalGroup),
        &["array", "string", "string"],
        2,
        "Sends the processes of a group a signal.",
    ),
    row(
        "supervisor.startAllProcesses",
        Method::Act(Act::StartAll),
        &["array", "boolean"],
        0,
        "Starts all processes; waits for them, unless told not to.",
    ),
    row(
        "supervisor.startProcess",
        Method::Act(Act::Start),
        &["boolean", "string", "boolean"],
        1,
        "Starts a process; waits for it, unless told not to.",
    ),
    row(
        "supervisor.startProcessGroup",
        Method::Act(Act::StartGroup),
        &["array", "string", "boolean"],
        1,
        "Starts the processes of a group; waits for them, unless told not to.",
    ),
    row(
        "supervisor.stopAllProcesses",
        Method::Act(Act::StopAll),
        &["array", "boolean"],
        0,
        "Stops all processes; waits for them, unless told not to.",
    ),
    row(
        "supervisor.stopProcess",
        Method::Act(Act::Stop),
        &["boolean", "string", "boolean"],
        1,
        "Stops a process; waits for it, unless told not to.",
    ),
    row(
        "supervisor.stopProcessGroup",
        Method::Act(Act::StopGroup),
        &["array", "string", "boolean"],
        1,
        "Stops the processes of a group; waits for them, unless told not to.",
    ),
    row(
        "supervisor.tailProcessLog",
        Method::Process(Process::TailStdout),
        &["array", "string", "int", "int"],
        3,
        "Returns the end of a standard output's log, its size, and whether more was written.",
    ),
    row(
        "supervisor.tailProcessStderrLog",
        Method::Process(Process::TailStderr),
        &["array", "string", "int", "int"],
        3,
        "Returns the end of a standard error's log, its size, and whether more was written.",
    ),
    row(
        "supervisor.tailProcessStdoutLog",
        Method::Process(Process::TailStdout),
        &["array", "string", "int", "int"],
        3,
        "Returns the end of a standard output's log, its size, and whether more was written.",
    ),
    row(
        "system.listMethods",
        Method::System(System::List),
        &["array"],
        0,
        "Returns the names of all methods.",
    ),
    row(
        "system.methodHelp",
        Method::System(System::Help),
        &["string", "string"],
        1,
        "Returns what a method does.",
    ),
    row(
        "system.methodSignature",
        Method::System(System::Signature),
        &["array", "string"],
        1,
        "Returns the types of a method's result and parameters.",
    ),
    row(
        "system.multicall",
        Method::System(System::Multicall),
        &["array", "array"],
        1,
        "Carries several calls out, one after the other.",
    ),
];

/// Finds a method by its name.
pub fn find(name: &str) -> Option<&'static Row> {
    METHODS.iter().find(|row| row.name == name)
}

impl Row {
    /// Reports whether the method is answered while the daemon ends.
    pub fn outlives(&self) -> bool {
        match self.method {
            Method::System(_) | Method::Daemon(Daemon::SendEvent) => true,
            Method::Daemon(_) | Method::Act(_) | Method::Process(_) => false,
        }
    }

    /// Reports whether it may be called with so many parameters.
    pub fn takes(&self, count: usize) -> bool {
        (self.needed..self.signature.len()).contains(&count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn methods_stand_in_the_order_of_their_names_each_with_a_sentence() {
        let names: Vec<&str> = METHODS.iter().map(|row| row.name).collect();
        assert!(names.windows(2).all(|pair| pair[0] < pair[1]), "{names:?}");
        assert_eq!(names.len(), 41);
        for row in METHODS {
            assert!(
                row.help.ends_with('.') && row.needed < row.signature.len().max(1),
                "{}",
                row.name
            );
        }
    }
}
