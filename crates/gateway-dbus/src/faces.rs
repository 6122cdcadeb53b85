//! THE TABLE of interfaces: what each kind of object can be called, tells and has. The router, the
//! introspection and the policy of the bus are read from its rows. Source: spec 12; dbus/*.xml of Upstart
//! 1.13.2.

use crate::objects::Object;

/// What a method does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Act {
    /// Read the job files again.
    ReloadConfiguration,
    /// A job's path.
    GetJobByName,
    /// The paths of all jobs.
    GetAllJobs,
    /// Everything that is known.
    GetState,
    /// Go on in a new binary.
    Restart,
    /// The value of a variable.
    GetEnv,
    /// Set one variable.
    SetEnv,
    /// Set variables.
    SetEnvList,
    /// Remove one variable.
    UnsetEnv,
    /// Remove variables.
    UnsetEnvList,
    /// All variables.
    ListEnv,
    /// Put the variables back.
    ResetEnv,
    /// Emit an event.
    EmitEvent,
    /// Emit an event with a descriptor.
    EmitEventWithFile,
    /// The disk can be written.
    NotifyDiskWriteable,
    /// A D-Bus daemon can be reached.
    NotifyDBusAddress,
    /// A control group manager can be reached.
    NotifyCGroupManagerAddress,
    /// End the session.
    EndSession,
    /// The path of the instance of an environment.
    GetInstance,
    /// The path of the instance of a name.
    GetInstanceByName,
    /// The paths of all instances.
    GetAllInstances,
    /// Start the instance of an environment.
    StartJob,
    /// Stop the instance of an environment.
    StopJob,
    /// Restart the instance of an environment.
    RestartJob,
    /// Start this instance.
    StartInstance,
    /// Stop this instance.
    StopInstance,
    /// Restart this instance.
    RestartInstance,
    /// Send this instance its reload signal.
    ReloadInstance,
    /// A property.
    Get,
    /// Change a property.
    Set,
    /// All properties.
    GetAll,
    /// What the object is.
    Introspect,
    /// An answer is enough.
    Ping,
    /// The machine's number.
    GetMachineId,
}

/// An argument: its name and its signature.
pub type Arg = (&'static str, &'static str);

/// A method.
#[derive(Debug)]
pub struct Method {
    /// What it does.
    pub act: Act,
    /// Its name.
    pub name: &'static str,
    /// What it takes.
    pub takes: &'static [Arg],
    /// What it returns.
    pub gives: &'static [Arg],
}

/// A signal.
#[derive(Debug)]
pub struct Signal {
    /// Its name.
    pub name: &'static str,
    /// What it tells.
    pub tells: &'static [Arg],
}

/// Whether a property can be set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// It can only be read.
    Read,
    /// It can be set too.
    ReadWrite,
}

/// A property.
#[derive(Debug)]
pub struct Property {
    /// Its name.
    pub name: &'static str,
    /// Its signature.
    pub signature: &'static str,
    /// Whether it can be set.
    pub access: Access,
}

/// An interface.
#[derive(Debug)]
pub struct Face {
    /// Its name.
    pub name: &'static str,
    /// Its methods.
    pub methods: &'static [Method],
    /// Its signals.
    pub signals: &'static [Signal],
    /// Its properties.
    pub properties: &'static [Property],
}

const fn method(
    act: Act,
    name: &'static str,
    takes: &'static [Arg],
    gives: &'static [Arg],
) -> Method {
    Method { act, name, takes, gives }
}

const fn signal(name: &'static str, tells: &'static [Arg]) -> Signal {
    Signal { name, tells }
}

const fn property(name: &'static str, signature: &'static str, access: Access) -> Property {
    Property { name, signature, access }
}

/// Upstart itself.
pub const ROOT: Face = Face {
    name: "com.ubuntu.Upstart0_6",
    methods: &[
        method(Act::ReloadConfiguration, "ReloadConfiguration", &[], &[]),
        method(Act::GetJobByName, "GetJobByName", &[("name", "s")], &[("job", "o")]),
        method(Act::GetAllJobs, "GetAllJobs", &[], &[("jobs", "ao")]),
        method(Act::GetState, "GetState", &[], &[("state", "s")]),
        method(Act::Restart, "Restart", &[], &[]),
        method(Act::GetEnv, "GetEnv", &[("job_details", "as"), ("name", "s")], &[("value", "s")]),
        method(
            Act::SetEnv,
            "SetEnv",
            &[("job_details", "as"), ("var", "s"), ("replace", "b")],
            &[],
        ),
        method(
            Act::SetEnvList,
            "SetEnvList",
            &[("job_details", "as"), ("vars", "as"), ("replace", "b")],
            &[],
        ),
        method(Act::UnsetEnv, "UnsetEnv", &[("job_details", "as"), ("name", "s")], &[]),
        method(Act::UnsetEnvList, "UnsetEnvList", &[("job_details", "as"), ("name", "as")], &[]),
        method(Act::ListEnv, "ListEnv", &[("job_details", "as")], &[("env", "as")]),
        method(Act::ResetEnv, "ResetEnv", &[("job_details", "as")], &[]),
        method(Act::EmitEvent, "EmitEvent", &[("name", "s"), ("env", "as"), ("wait", "b")], &[]),
        method(
            Act::EmitEventWithFile,
            "EmitEventWithFile",
            &[("name", "s"), ("env", "as"), ("wait", "b"), ("file", "h")],
            &[],
        ),
        method(Act::NotifyDiskWriteable, "NotifyDiskWriteable", &[], &[]),
        method(Act::NotifyDBusAddress, "NotifyDBusAddress", &[("address", "s")], &[]),
        method(
            Act::NotifyCGroupManagerAddress,
            "NotifyCGroupManagerAddress",
            &[("address", "s")],
            &[],
        ),
        method(Act::EndSession, "EndSession", &[], &[]),
    ],
    signals: &[
        signal("JobAdded", &[("job", "o")]),
        signal("JobRemoved", &[("job", "o")]),
        signal("EventEmitted", &[("name", "s"), ("env", "as")]),
        signal("Restarted", &[]),
    ],
    properties: &[
        property("version", "s", Access::Read),
        property("log_priority", "s", Access::ReadWrite),
    ],
};

/// A job.
pub const JOB: Face = Face {
    name: "com.ubuntu.Upstart0_6.Job",
    methods: &[
        method(Act::GetInstance, "GetInstance", &[("env", "as")], &[("instance", "o")]),
        method(Act::GetInstanceByName, "GetInstanceByName", &[("name", "s")], &[("instance", "o")]),
        method(Act::GetAllInstances, "GetAllInstances", &[], &[("instances", "ao")]),
        method(Act::StartJob, "Start", &[("env", "as"), ("wait", "b")], &[("instance", "o")]),
        method(Act::StopJob, "Stop", &[("env", "as"), ("wait", "b")], &[]),
        method(Act::RestartJob, "Restart", &[("env", "as"), ("wait", "b")], &[("instance", "o")]),
    ],
    signals: &[
        signal("InstanceAdded", &[("instance", "o")]),
        signal("InstanceRemoved", &[("instance", "o")]),
    ],
    properties: &[
        property("name", "s", Access::Read),
        property("description", "s", Access::Read),
        property("author", "s", Access::Read),
        property("version", "s", Access::Read),
        property("usage", "s", Access::Read),
        property("start_on", "aas", Access::Read),
        property("stop_on", "aas", Access::Read),
        property("emits", "as", Access::Read),
    ],
};

/// An instance.
pub const INSTANCE: Face = Face {
    name: "com.ubuntu.Upstart0_6.Instance",
    methods: &[
        method(Act::StartInstance, "Start", &[("wait", "b")], &[]),
        method(Act::StopInstance, "Stop", &[("wait", "b")], &[]),
        method(Act::RestartInstance, "Restart", &[("wait", "b")], &[]),
        method(Act::ReloadInstance, "Reload", &[], &[]),
    ],
    signals: &[
        signal("GoalChanged", &[("goal", "s")]),
        signal("StateChanged", &[("state", "s")]),
        signal("Failed", &[("status", "i")]),
    ],
    properties: &[
        property("name", "s", Access::Read),
        property("goal", "s", Access::Read),
        property("state", "s", Access::Read),
        property("processes", "a(si)", Access::Read),
    ],
};

/// What every object of ours has beside its own.
pub const PROPERTIES: Face = Face {
    name: "org.freedesktop.DBus.Properties",
    methods: &[
        method(
            Act::Get,
            "Get",
            &[("interface_name", "s"), ("property_name", "s")],
            &[("value", "v")],
        ),
        method(
            Act::Set,
            "Set",
            &[("interface_name", "s"), ("property_name", "s"), ("value", "v")],
            &[],
        ),
        method(Act::GetAll, "GetAll", &[("interface_name", "s")], &[("props", "a{sv}")]),
    ],
    signals: &[],
    properties: &[],
};

/// What every object has, also those above ours.
pub const INTROSPECTABLE: Face = Face {
    name: "org.freedesktop.DBus.Introspectable",
    methods: &[method(Act::Introspect, "Introspect", &[], &[("data", "s")])],
    signals: &[],
    properties: &[],
};

/// What every connection answers, whatever the object. Not told of, as libdbus does not.
pub const PEER: Face = Face {
    name: "org.freedesktop.DBus.Peer",
    methods: &[
        method(Act::Ping, "Ping", &[], &[]),
        method(Act::GetMachineId, "GetMachineId", &[], &[("machine_uuid", "s")]),
    ],
    signals: &[],
    properties: &[],
};

/// Returns the interface that an object has of its own; nothing where it only has others below it.
pub fn own(object: &Object) -> Option<&'static Face> {
    match object {
        Object::Root => Some(&ROOT),
        Object::Job(_) => Some(&JOB),
        Object::Instance(..) => Some(&INSTANCE),
        Object::Jobs | Object::Above(_) => None,
    }
}

/// Returns what a method of an object does; `interface` may be left out by the caller.
pub fn find(
    object: Option<&Object>,
    interface: Option<&str>,
    member: &str,
    takes: &str,
) -> Option<Act> {
    let own = object.and_then(own);
    let faces = [own, own.map(|_| &PROPERTIES), object.map(|_| &INTROSPECTABLE), Some(&PEER)];
    let faces = faces.into_iter().flatten();
    let meant = faces.filter(|face| interface.is_none_or(|interface| interface == face.name));
    let mut methods = meant.flat_map(|face| face.methods);
    let row = methods.find(|row| {
        row.name == member && row.takes.iter().flat_map(|arg| arg.1.bytes()).eq(takes.bytes())
    });
    row.map(|row| row.act)
}

/// Describes an object with the names of those below it, in the words of libnih; `path` is told only of
/// objects of ours, as libdbus describes the others.
pub fn describe(object: &Object, path: &str, below: impl IntoIterator<Item = String>) -> String {
    let mut out = String::from(
        "<!DOCTYPE node PUBLIC \"-//freedesktop//DTD D-BUS Object Introspection 1.0//EN\"\n\
         \"http://www.freedesktop.org/standards/dbus/1.0/introspect.dtd\">\n",
    );
    match own(object) {
        Some(face) => {
            out += &format!("<node name=\"{path}\">\n");
            [face, &PROPERTIES, &INTROSPECTABLE]
                .iter()
                .for_each(|face| describe_face(face, &mut out));
        }
        None => out += "<node>\n",
    }
    below.into_iter().for_each(|name| out += &format!("  <node name=\"{name}\"/>\n"));
    out + "</node>\n"
}

fn describe_face(face: &Face, out: &mut String) {
    *out += &format!("  <interface name=\"{}\">\n", face.name);
    for method in face.methods {
        *out += &format!("    <method name=\"{}\">\n", method.name);
        for (args, direction) in [(method.takes, "in"), (method.gives, "out")] {
            for (name, signature) in args {
                *out += &format!(
                    "      <arg name=\"{name}\" type=\"{signature}\" direction=\"{direction}\"/>\n"
                );
            }
        }
        *out += "    </method>\n";
    }
    for signal in face.signals {
        *out += &format!("    <signal name=\"{}\">\n", signal.name);
        for (name, signature) in signal.tells {
            *out += &format!("      <arg name=\"{name}\" type=\"{signature}\"/>\n");
        }
        *out += "    </signal>\n";
    }
    for property in face.properties {
        let Property { name, signature, access } = property;
        let access = match access {
            Access::Read => "read",
            Access::ReadWrite => "readwrite",
        };
        *out +=
            &format!("    <property name=\"{name}\" type=\"{signature}\" access=\"{access}\"/>\n");
    }
    *out += "  </interface>\n";
}

#[cfg(test)]
mod tests {
    use super::*;
    use engine::control::{InstanceName, Text};

    #[test]
    fn a_method_is_found_by_object_interface_name_and_signature() {
        let job = Object::Job(Text::from("web"));
        let instance = Object::Instance(Text::from("web"), InstanceName::default());
        assert_eq!(find(Some(&job), Some(JOB.name), "Start", "asb"), Some(Act::StartJob));
        assert_eq!(find(Some(&instance), None, "Start", "b"), Some(Act::StartInstance));
        assert_eq!(find(Some(&instance), Some(INSTANCE.name), "Start", "asb"), None);
        assert_eq!(find(Some(&job), Some(ROOT.name), "GetAllJobs", ""), None);
        assert_eq!(find(Some(&Object::Jobs), None, "Introspect", ""), Some(Act::Introspect));
        assert_eq!(find(Some(&Object::Jobs), None, "GetAll", "s"), None);
        assert_eq!(find(None, Some(PEER.name), "Ping", ""), Some(Act::Ping));
        assert_eq!(find(None, None, "Introspect", ""), None);
    }

    #[test]
    fn what_stands_above_ours_is_described_by_what_stands_below_it() {
        let text = describe(&Object::Above("ubuntu"), "/com", [String::from("ubuntu")]);
        assert!(text.ends_with("<node>\n  <node name=\"ubuntu\"/>\n</node>\n"), "{text}");
        let text = describe(&Object::Root, crate::objects::ROOT, []);
        assert!(text.contains("<node name=\"/com/ubuntu/Upstart\">\n  <interface"), "{text}");
        assert!(text.contains("<property name=\"log_priority\" type=\"s\" access=\"readwrite\"/>"));
    }
}
