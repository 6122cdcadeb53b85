//! Supervisor's configuration.
//!
//! Source of everything not marked otherwise: behaviour of Supervisor 4.3.0 on CPython 3.11.

mod config;
mod configured;
mod expand;
mod facts;
mod getopt;
mod ini;
mod job;
mod options;
mod programs;
mod python;
mod read;
mod unknown;
mod value;

pub use config::{
    Access, Config, Daemon, Group, GroupKind, Listen, LogFile, Output, Owner, Plugin, Pool,
    Program, Remark, Restart, Server, Socket, SocketPlace, Source, EVENTS,
};
pub use configured::{configured, Said};
pub use expand::{expand, Names, Word};
pub use facts::{Extent, Facts, File, User, Want};
pub use getopt::{getopt, Form, Found};
pub use ini::{Ini, Section, Spot, Value};
pub use job::{is_foreign_descriptor, namespec};
pub use options::{help, Client, Head, Key, Kind, Scope, OPTIONS};
pub use programs::PROCESSES_MAX;
pub use python::repr;
pub use read::{first_wants, judge, read, read_client, FILES_MAX, MAIN_INTERFACE};
pub use value::LEVELS;

#[cfg(test)]
mod tests;
