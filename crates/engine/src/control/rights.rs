//! Who may do what. Decided in one place, from the command's row.

use super::command::{Privilege, Row};
use super::fault::Fault;
use alloc::format;
use alloc::string::String;

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

/// What the rules are of this Upright.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rights {
    /// The user that Upright runs as.
    pub owner: u32,
}

/// How much of an answer a peer may see.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sight {
    /// Everything.
    Full,
    /// Names, but no values of variables and no output.
    NamesOnly,
}

impl Rights {
    /// Reports how much the peer may see.
    pub fn sight(&self, peer: Peer) -> Sight {
        if self.owns(peer) {
            Sight::Full
        } else {
            Sight::NamesOnly
        }
    }

    /// Decides whether the peer may do what the row says; a refusal names the rule and the way in.
    pub fn decide(&self, peer: Peer, row: &Row) -> Result<(), Fault> {
        let (open, rule) = match row.privilege {
            Privilege::See => (true, "everybody may see"),
            Privilege::Logs => (false, "output, environment and command lines are the owner's"),
            Privilege::Act => (false, "only the owner starts and stops jobs"),
            Privilege::Admin => (false, "only the owner changes Upright itself"),
        };
        if open || self.owns(peer) {
            return Ok(());
        }
        Err(Fault::NotPermitted {
            command: String::from(row.method),
            rule: String::from(rule),
            message: format!(
                "You do not have permission to {}: you are uid {} and {rule}. Do it as {}",
                row.right,
                peer.uid,
                self.way_in()
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::command::COMMANDS;

    fn allowed(uid: u32, owner: u32, privilege: Privilege) -> bool {
        let row = COMMANDS.iter().find(|row| row.privilege == privilege).unwrap();
        Rights { owner }.decide(Peer { uid, gid: uid, pid: 1 }, row).is_ok()
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
        assert_eq!(
            Rights { owner: OVERFLOW_UID }.sight(Peer { uid: OVERFLOW_UID, gid: 0, pid: 1 }),
            Sight::NamesOnly
        );
    }

    #[test]
    fn a_refusal_names_the_rule_and_the_way_in() {
        let row = COMMANDS.iter().find(|row| row.method == "Start").unwrap();
        let peer = Peer { uid: 1001, gid: 1001, pid: 7 };
        let refusal = Rights { owner: 1000 }.decide(peer, row).unwrap_err();
        assert_eq!(
            format!("{refusal}"),
            "You do not have permission to start jobs: you are uid 1001 and only the owner starts \
             and stops jobs. Do it as uid 1000 or as root, for example with sudo."
        );
    }
}
