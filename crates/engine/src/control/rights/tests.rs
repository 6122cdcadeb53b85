use super::*;
use crate::control::command::{Command, COMMANDS};
use crate::names::JobName;
use crate::rights::Allow;
use crate::shared::Shared;
use crate::spec::Policy;
use crate::token::{Token, TokenView};
use alloc::vec;

const BOB: u32 = 1001;
const NOW: u64 = 1000;

/// A machine where bob is 1001 and the group team is 50.
struct Machine;

impl Names for Machine {
    fn user(&self, name: &Text) -> Option<u32> {
        (name.bytes() == b"bob").then_some(BOB)
    }
    fn group(&self, name: &Text) -> Option<u32> {
        (name.bytes() == b"team").then_some(50)
    }
    fn name_of(&self, uid: u32) -> Option<Text> {
        (uid == BOB).then(|| Text::from("bob"))
    }
    fn now(&self) -> u64 {
        NOW
    }
}

fn peer(uid: u32) -> Caller {
    Caller::Peer(Peer { uid, gid: uid, pid: 1, groups: Vec::new() })
}

fn rights(lines: &str) -> Rights {
    let rules = crate::dialect::rights::read(lines.as_bytes(), None);
    assert_eq!(rules.error(), None, "{lines}");
    let file = Some(Text::from("/etc/upright/upright.rights"));
    Rights { granted: rules.granted, file, ..Rights::of_owner(1000) }
}

fn spec(name: &str, allow: &[&str], instance: &str) -> JobSpec {
    let mut spec = JobSpec::new(JobName::try_from(name).unwrap());
    let allow = allow.iter().map(|text| {
        let words: Vec<&[u8]> = text.split(' ').map(str::as_bytes).collect();
        crate::rights::read(&words).unwrap().0
    });
    let policy = Policy { allow: allow.collect::<Vec<Allow>>(), ..Policy::default() };
    spec.policy = Shared::from(policy);
    spec.instance = Text::from(instance);
    spec
}

fn row(command: Command) -> &'static Row {
    crate::control::command::row(command)
}

fn may(rights: &Rights, caller: &Caller, command: Command, job: Option<&str>) -> bool {
    let job = job.map(Text::from);
    let asked =
        Asked { row: row(command), job: job.as_ref(), env: &[], params: None, origin: None };
    rights.allowed(caller, &asked, None, &Machine).is_ok()
}

/// Who asks in the columns of the table, and what is granted to them; `web` is the job that is named.
const COLUMNS: [(&str, &str); 8] = [
    ("nobody in particular", ""),
    ("look at the job", "look user bob web"),
    ("operate the job", "operate user bob web"),
    ("administer the job", "administer user bob web"),
    ("look at everything", "look user bob *"),
    ("operate everything", "operate user bob *"),
    ("administer everything", "administer user bob *"),
    ("another job", "administer user bob db"),
];

#[test]
fn every_command_is_granted_to_every_role_as_its_row_says_and_to_no_other() {
    let mut cells = 0;
    for row in COMMANDS {
        for (held, lines) in COLUMNS {
            let rights = rights(lines);
            for named in [true, false] {
                let job = named.then(|| Text::from("web")).filter(|_| row.is_over_job());
                let asked = Asked { row, job: job.as_ref(), env: &[], params: None, origin: None };
                let allowed = rights.allowed(&peer(BOB), &asked, None, &Machine).is_ok();
                let over =
                    held.ends_with("everything") || (held.ends_with("the job") && job.is_some());
                let words = held.split(' ').next().unwrap_or_default();
                let role = Role::from_word(words.as_bytes()).filter(|_| over);
                assert_eq!(allowed, row.role <= role, "{row:?}, {held}, job {job:?}");
                cells += 1;
            }
            // Root and the owner need nothing; what is granted to bob is granted to no other.
            for (uid, owns) in [(0, true), (1000, true), (1002, false), (OVERFLOW_UID, false)] {
                let job = Text::from("web");
                let job = Some(&job).filter(|_| row.is_over_job());
                let asked = Asked { row, job, env: &[], params: None, origin: None };
                let allowed = rights.allowed(&peer(uid), &asked, None, &Machine).is_ok();
                assert_eq!(allowed, owns || row.role.is_none(), "{row:?}, {held}, uid {uid}");
                cells += 1;
            }
        }
        for reach in [Reach::Look, Reach::Manage] {
            let server = Caller::Server(Grant { server: 0, reach });
            let asked = Asked { row, job: None, env: &[], params: None, origin: None };
            let allowed = rights("").allowed(&server, &asked, None, &Machine).is_ok();
            assert_eq!(allowed, row.reach.is_some_and(|least| least <= reach), "{reach:?} {row:?}");
            cells += 1;
        }
    }
    assert_eq!(cells, COMMANDS.len() * (COLUMNS.len() * 6 + 2));
}

/// What stands in the documentation: made here, of what is decided.
fn page() -> String {
    let mut out = String::from("| command | what | role | over |");
    for (held, _) in COLUMNS.iter().take(COLUMNS.len() - 1) {
        out += &format!(" {held} |");
    }
    out += " server, `access = read-only` | server, else |\n";
    out += &"|---".repeat(4 + COLUMNS.len() - 1 + 2);
    out += "|\n";
    let mark = |allowed| if allowed { " yes |" } else { " - |" };
    for row in COMMANDS {
        let role = row.role.map_or(String::from("everybody"), |role| format!("{role}"));
        let over = match (row.role, row.is_over_job()) {
            (None, _) => "",
            (Some(_), true) => "the job",
            (Some(_), false) => "everything",
        };
        out += &format!("| `{}` | {} | {role} | {over} |", row.method, row.right);
        for (_, lines) in COLUMNS.iter().take(COLUMNS.len() - 1) {
            let job = row.is_over_job().then_some("web");
            out += mark(may(&rights(lines), &peer(BOB), row.command, job));
        }
        for reach in [Reach::Look, Reach::Manage] {
            let server = Caller::Server(Grant { server: 0, reach });
            out += mark(may(&rights(""), &server, row.command, None));
        }
        out += "\n";
    }
    out
}

#[test]
fn the_table_stands_in_the_documentation() {
    extern crate std;
    let file = "../../docs/rights.md";
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
    let there = std::fs::read_to_string(path).unwrap();
    let (before, rest) = there.split_once("<!-- table -->\n").expect("the beginning of the table");
    let (_, after) = rest.split_once("<!-- end -->\n").expect("the end of the table");
    let text = format!("{before}<!-- table -->\n{}<!-- end -->\n{after}", page());
    crate::expect::same(file, &text);
}

#[test]
fn root_and_the_owner_do_everything_and_everybody_sees() {
    for owner in [0, 1000] {
        let rights = Rights::of_owner(owner);
        for row in COMMANDS {
            assert!(may(&rights, &peer(0), row.command, None));
            assert!(may(&rights, &peer(owner), row.command, None));
            assert_eq!(may(&rights, &peer(BOB), row.command, None), row.role.is_none());
        }
    }
}

#[test]
fn the_overflow_user_owns_nothing_and_is_only_everybody() {
    let overflow = peer(OVERFLOW_UID);
    let rights = Rights::of_owner(OVERFLOW_UID);
    assert!(!may(&rights, &overflow, Command::Start, None));
    assert!(may(&rights, &overflow, Command::Status, None));
    assert_eq!(rights.sight(&overflow, &Machine), Sight::NamesOnly);
    let named = super::tests::rights("operate user 65534 web\noperate group 65534 web\n");
    assert!(!may(&named, &overflow, Command::Start, Some("web")));
    assert!(may(
        &super::tests::rights("operate everybody web"),
        &overflow,
        Command::Start,
        Some("web")
    ));
}

#[test]
fn groups_count_the_first_one_and_the_others() {
    let rights = rights("operate group team web-*\nlook group 51 *\n");
    let member =
        |gid, groups: &[u32]| Caller::Peer(Peer { uid: 7, gid, pid: 1, groups: groups.to_vec() });
    for (caller, may_start, may_look) in [
        (member(50, &[]), true, false),
        (member(7, &[8, 50]), true, false),
        (member(7, &[51]), false, true),
        (member(7, &[52]), false, false),
    ] {
        assert_eq!(may(&rights, &caller, Command::Start, Some("web-1")), may_start, "{caller:?}");
        assert_eq!(may(&rights, &caller, Command::LogPath, Some("db")), may_look, "{caller:?}");
        assert!(!may(&rights, &caller, Command::Start, Some("web")));
    }
}

#[test]
fn a_jobs_own_allow_grants_over_that_job_alone() {
    let rights = Rights::of_owner(0);
    let web = spec("web", &["operate group team"], "");
    let caller = Caller::Peer(Peer { uid: 7, gid: 7, pid: 1, groups: vec![50] });
    let job = Text::from("web");
    for (command, allowed) in
        [(Command::Stop, true), (Command::LogPath, true), (Command::SetEnv, false)]
    {
        let asked =
            Asked { row: row(command), job: Some(&job), env: &[], params: None, origin: None };
        assert_eq!(rights.allowed(&caller, &asked, Some(&web), &Machine).is_ok(), allowed);
    }
    let asked = Asked { row: row(Command::Emit), job: None, env: &[], params: None, origin: None };
    assert!(rights.allowed(&caller, &asked, None, &Machine).is_err());
}

#[test]
fn uprights_own_jobs_are_of_who_administers_everything_or_names_them() {
    let own = Some("upright/http");
    for (lines, allowed) in [
        ("operate user bob *", false),
        ("operate user bob u*", false),
        ("operate user bob upright/*", true),
        ("administer user bob *", true),
    ] {
        assert_eq!(may(&rights(lines), &peer(BOB), Command::Stop, own), allowed, "{lines}");
    }
}

#[test]
fn variables_that_do_more_than_name_an_instance_need_who_administers() {
    let web = spec("web", &[], "$ID-${ZONE:-a}");
    let job = Text::from("web");
    let check = |lines: &str, command, env: &[&str]| {
        let env: Vec<Text> = env.iter().map(|row| Text::from(*row)).collect();
        let named = row(command).is_over_job();
        let asked = Asked {
            row: row(command),
            job: named.then_some(&job),
            env: &env,
            params: None,
            origin: None,
        };
        rights(lines).allowed(&peer(BOB), &asked, named.then_some(&web), &Machine)
    };
    let operator = "operate user bob *";
    assert!(check(operator, Command::Start, &["ID=1", "ZONE=b"]).is_ok());
    for command in [Command::Start, Command::Stop, Command::Restart, Command::Emit] {
        for env in [&["LD_PRELOAD=/tmp/x"][..], &["ID=1", "PATH=/tmp"], &["ZON=1"], &["="], &[""]] {
            assert!(check(operator, command, env).is_err(), "{command:?} {env:?}");
            assert!(check("administer user bob *", command, env).is_ok(), "{command:?} {env:?}");
        }
    }
    assert!(check("", Command::Status, &["ID=1", "X=1"]).is_ok());
    let refusal = check(operator, Command::Start, &["PATH=/tmp"]).unwrap_err();
    assert_eq!(
        refusal.rule,
        "nothing grants you `administer' over web, which the variable PATH needs"
    );
}

#[test]
fn a_refusal_names_the_user_the_job_the_missing_rule_and_the_way_in() {
    let web = spec("web 1", &[], "");
    let said = |rights: &Rights, uid, command, job: Option<&Text>, spec| {
        let asked = Asked { row: row(command), job, env: &[], params: None, origin: None };
        let refusal = rights.allowed(&peer(uid), &asked, spec, &Machine).unwrap_err();
        format!("{}", Fault::from(refusal))
    };
    let job = Text::from("web 1");
    assert_eq!(
        said(&rights(""), BOB, Command::Start, Some(&job), Some(&web)),
        "You do not have permission to start jobs: you are uid 1001 (bob) and nothing grants you \
         `operate' over web 1. Do it as uid 1000 or as root, for example with sudo. It can be \
         granted by the line `operate user bob \"web 1\"' in /etc/upright/upright.rights, or by \
         `allow operate user bob' in the job's file."
    );
    assert_eq!(
        said(&Rights::of_owner(0), 1002, Command::Emit, None, None),
        "You do not have permission to emit events: you are uid 1002 and nothing grants you \
         `operate' over everything. Do it as root, for example with sudo."
    );
    assert_eq!(
        said(&rights(""), OVERFLOW_UID, Command::Shutdown, None, None),
        "You do not have permission to shut down: you are uid 65534 and nothing grants you \
         `administer' over everything. Do it as uid 1000 or as root, for example with sudo."
    );
}

#[test]
fn a_server_grants_what_its_section_says_and_never_upright_itself() {
    let rights = Rights::of_owner(0);
    let caller = Caller::Server(Grant { server: 0, reach: Reach::Look });
    assert_eq!(rights.sight(&caller, &Machine), Sight::Full);
    let asked = Asked { row: row(Command::Stop), job: None, env: &[], params: None, origin: None };
    let refusal = rights.allowed(&caller, &asked, None, &Machine).unwrap_err();
    assert_eq!(
        format!("{}", Fault::from(refusal)),
        "You do not have permission to stop jobs: you came through a server and its section says \
         `access = read-only'. Do it as root, for example with sudo."
    );
    let manages = Caller::Server(Grant { server: 0, reach: Reach::Manage });
    let asked =
        Asked { row: row(Command::Upgrade), job: None, env: &[], params: None, origin: None };
    let refusal = rights.allowed(&manages, &asked, None, &Machine).unwrap_err();
    assert_eq!(refusal.rule, "no server changes Upright itself");
}

#[test]
fn values_of_variables_are_seen_by_who_administers_everything() {
    for (lines, sight) in [
        ("", Sight::NamesOnly),
        ("operate user bob *", Sight::NamesOnly),
        ("administer user bob web", Sight::NamesOnly),
        ("administer user bob *", Sight::Full),
    ] {
        assert_eq!(rights(lines).sight(&peer(BOB), &Machine), sight, "{lines}");
    }
    assert_eq!(rights("").sight(&peer(1000), &Machine), Sight::Full);
}

/// A token with its role over these jobs, as it is shown to a server that grants this.
fn shown(rights: &mut Rights, role: Role, jobs: &[&str], reach: Reach, lasts: u64) -> Caller {
    let digest = Digest::from([7; 32]);
    let jobs = jobs.iter().map(|job| Text::from(*job)).collect();
    let name = String::from("ci");
    let expires = Some(NOW + lasts);
    let view = TokenView { name: name.clone(), role, jobs, created: 0, by: 0, expires };
    rights.tokens.add(Token { view, digest }, 0).unwrap();
    Caller::Token(Shown { grant: Grant { server: 0, reach }, digest, name })
}

#[test]
fn a_token_is_granted_what_its_role_and_the_server_both_give_for_every_command() {
    for (role, _, _) in Role::TABLE {
        for jobs in ["web", "*"] {
            for reach in [Reach::Look, Reach::Manage] {
                let mut rights = Rights::of_owner(0);
                let caller = shown(&mut rights, role, &[jobs], reach, 1);
                for row in COMMANDS {
                    for named in [Some("web"), Some("db"), None] {
                        let named = named.filter(|_| row.is_over_job());
                        let allowed = may(&rights, &caller, row.command, named);
                        let over = jobs == "*" || named == Some("web");
                        let by_role = row.role.is_none_or(|needed| needed <= role && over);
                        let by_server = row.reach.is_some_and(|least| least <= reach);
                        assert_eq!(
                            allowed,
                            by_role && by_server,
                            "{role} {jobs} {row:?} {named:?}"
                        );
                    }
                }
            }
        }
    }
}

#[test]
fn a_token_that_has_ended_or_was_revoked_gives_nothing_at_all() {
    let mut rights = Rights::of_owner(0);
    let caller = shown(&mut rights, Role::Administer, &["*"], Reach::Manage, 1);
    assert!(may(&rights, &caller, Command::Status, Some("web")));
    assert_eq!(rights.sight(&caller, &Machine), Sight::Full);
    rights.tokens.remove("ci");
    for row in COMMANDS {
        assert!(!may(&rights, &caller, row.command, None), "{row:?}");
    }
    assert_eq!(rights.sight(&caller, &Machine), Sight::NamesOnly);
    let mut ended = Rights::of_owner(0);
    let caller = shown(&mut ended, Role::Administer, &["*"], Reach::Manage, 0);
    let asked =
        Asked { row: row(Command::Status), job: None, env: &[], params: None, origin: None };
    let refusal = ended.allowed(&caller, &asked, None, &Machine).unwrap_err();
    assert_eq!(
        format!("{}", Fault::from(refusal)),
        "You do not have permission to see jobs: you came with the token ci and it has ended or was \
         revoked. Make one with `upright token-create`."
    );
}
