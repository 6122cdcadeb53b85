//! Who may do what. Decided in one place, from the command's row.

use super::command::{Privilege, Row};
use super::fault::Fault;
use alloc::format;
use alloc::string::String;
use serde::{Deserialize, Serialize};

/// The user number that the kernel shows for a user it cannot name here (another user namespace).
pub const OVERFLOW_UID: u32 = 65534;

/// Who is at the other end, as the kernel says (SO_PEERCRED).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer {
    /// User.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Process; for messages only.
    pub pid: i32,
}

/// In whose name a connection speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Caller {
    /// In that of who is at the other end.
    Peer(Peer),
    /// In that of whoever a server of a gateway lets in.
    Server(Grant),
}

/// What the daemon grants a gateway for one of its servers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Grant {
    /// The server's number.
    pub server: u16,
    /// What may be done through it.
    pub reach: Reach,
}

/// What may be done through a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reach {
    /// Whoever gets in may see, and read output.
    Look,
    /// Also start and stop jobs, read the configuration again, end everything. Never change Upright
    /// itself.
    Manage,
}

/// What the rules are of this Upright.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rights {
    /// The user that Upright runs as.
    pub owner: u32,
}

/// How much of an answer a caller may see.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sight {
    /// Everything.
    Full,
    /// Names, but no values of variables and no output.
    NamesOnly,
}

impl Caller {
    /// Reports whether two count as one where there are only so many of each.
    pub fn is_same(self, other: Caller) -> bool {
        match (self, other) {
            (Caller::Peer(one), Caller::Peer(other)) => one.uid == other.uid,
            (Caller::Server(one), Caller::Server(other)) => one.server == other.server,
            (Caller::Peer(_), Caller::Server(_)) | (Caller::Server(_), Caller::Peer(_)) => false,
        }
    }
}

impl Reach {
    fn has(self, privilege: Privilege) -> bool {
        match (self, privilege) {
            (Reach::Look | Reach::Manage, Privilege::See | Privilege::Logs) => true,
            (Reach::Look, Privilege::Act | Privilege::Manage) => false,
            (Reach::Manage, Privilege::Act | Privilege::Manage) => true,
            (Reach::Look | Reach::Manage, Privilege::Environment | Privilege::Admin) => false,
        }
    }
}

impl Rights {
    /// Reports how much the caller may see.
    pub fn sight(&self, caller: Caller) -> Sight {
        let full = match caller {
            Caller::Peer(peer) => self.owns(peer),
            Caller::Server(grant) => grant.reach.has(Privilege::Logs),
        };
        match full {
            true => Sight::Full,
            false => Sight::NamesOnly,
        }
    }

    /// Decides whether the caller may do what the row says; a refusal names the rule and the way in.
    pub fn decide(&self, caller: Caller, row: &Row) -> Result<(), Fault> {
        let (rule, who, way_in) = match caller {
            Caller::Peer(peer) if row.privilege == Privilege::See || self.owns(peer) => {
                return Ok(());
            }
            Caller::Server(grant) if grant.reach.has(row.privilege) => return Ok(()),
            Caller::Peer(peer) => {
                (rule(row.privilege), format!("you are uid {}", peer.uid), self.way_in())
            }
            Caller::Server(grant) => {
                let rule = match (grant.reach, row.privilege) {
                    (_, Privilege::Environment) => "no server shows the environment of jobs",
                    (Reach::Look, _) => "its section says `access = read-only'",
                    (Reach::Manage, _) => "no server changes Upright itself",
                };
                (rule, String::from("you came through a server"), self.way_in())
            }
        };
        Err(Fault::NotPermitted {
            command: String::from(row.method),
            rule: String::from(rule),
            message: format!(
                "You do not have permission to {}: {who} and {rule}. Do it as {way_in}",
                row.right,
            ),
        })
    }

    /// Root and the owner own; the overflow user never does, whoever the owner is.
    fn owns(&self, peer: Peer) -> bool {
        peer.uid != OVERFLOW_UID && (peer.uid == 0 || peer.uid == self.owner)
    }

    fn way_in(&self) -> String {
        match self.owner {
            0 | OVERFLOW_UID => String::from("root, for example with sudo."),
            owner => format!("uid {owner} or as root, for example with sudo."),
        }
    }
}

fn rule(privilege: Privilege) -> &'static str {
    match privilege {
        Privilege::See => "everybody may see",
        Privilege::Logs | Privilege::Environment => {
            "output, environment and command lines are the owner's"
        }
        Privilege::Act => "only the owner starts and stops jobs",
        Privilege::Manage | Privilege::Admin => "only the owner changes Upright itself",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::command::COMMANDS;

    fn allowed(uid: u32, owner: u32, privilege: Privilege) -> bool {
        let row = COMMANDS.iter().find(|row| row.privilege == privilege).unwrap();
        Rights { owner }.decide(Caller::Peer(Peer { uid, gid: uid, pid: 1 }), row).is_ok()
    }

    #[test]
    fn root_and_the_owner_do_everything_and_everybody_sees() {
        for privilege in Privilege::ALL {
            assert!(allowed(0, 1000, privilege));
            assert!(allowed(0, 0, privilege));
            assert!(allowed(1000, 1000, privilege));
            assert_eq!(allowed(1001, 1000, privilege), privilege == Privilege::See);
            assert_eq!(allowed(1000, 0, privilege), privilege == Privilege::See);
        }
    }

    #[test]
    fn the_overflow_user_owns_nothing_not_even_what_runs_as_it() {
        assert!(!allowed(OVERFLOW_UID, OVERFLOW_UID, Privilege::Act));
        assert!(allowed(OVERFLOW_UID, OVERFLOW_UID, Privilege::See));
        let overflow = Caller::Peer(Peer { uid: OVERFLOW_UID, gid: 0, pid: 1 });
        assert_eq!(Rights { owner: OVERFLOW_UID }.sight(overflow), Sight::NamesOnly);
    }

    #[test]
    fn a_refusal_names_the_rule_and_the_way_in() {
        let row = COMMANDS.iter().find(|row| row.method == "Start").unwrap();
        let peer = Peer { uid: 1001, gid: 1001, pid: 7 };
        let refusal = Rights { owner: 1000 }.decide(Caller::Peer(peer), row).unwrap_err();
        assert_eq!(
            format!("{refusal}"),
            "You do not have permission to start jobs: you are uid 1001 and only the owner starts \
             and stops jobs. Do it as uid 1000 or as root, for example with sudo."
        );
    }

    #[test]
    fn a_server_grants_what_its_section_says_and_never_upright_itself() {
        let rights = Rights { owner: 0 };
        for (reach, granted) in [
            (Reach::Look, &[Privilege::See, Privilege::Logs][..]),
            (
                Reach::Manage,
                &[Privilege::See, Privilege::Logs, Privilege::Act, Privilege::Manage][..],
            ),
        ] {
            let caller = Caller::Server(Grant { server: 0, reach });
            assert_eq!(rights.sight(caller), Sight::Full);
            for row in COMMANDS {
                let may = rights.decide(caller, row).is_ok();
                assert_eq!(may, granted.contains(&row.privilege), "{reach:?} {row:?}");
            }
        }
        let row = COMMANDS.iter().find(|row| row.method == "Stop").unwrap();
        let caller = Caller::Server(Grant { server: 0, reach: Reach::Look });
        let refusal = rights.decide(caller, row).unwrap_err();
        assert_eq!(
            format!("{refusal}"),
            "You do not have permission to stop jobs: you came through a server and its section \
             says `access = read-only'. Do it as root, for example with sudo."
        );
    }
}
