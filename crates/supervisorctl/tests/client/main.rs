//! The client as it is run, against a server of the test's own: what it sends, prints and returns.

mod programs;
mod terminal;
mod world;

use std::io::Write;
use std::process::{Command, Stdio};
use world::{process, run, until, Folder, Server, PROGRAM};
use xmlrpc::states::State;
use xmlrpc::{Code, Fault, Value};

fn processes(method: &str, _: &[Value]) -> Result<Value, Fault> {
    match method {
        "getAllProcessInfo" => Ok(Value::List(vec![
            process("cat", "cat", State::Running),
            process("grp", "a", State::Stopped),
            process("grp", "b", State::Backoff),
        ])),
        "getProcessInfo" => Ok(process("cat", "cat", State::Running)),
        _ => Err(Code::UnknownMethod.fault()),
    }
}

#[test]
fn status_lists_what_was_asked_for_and_says_by_its_code_what_is_stopped_or_unknown() {
    let server = Server::new(processes);
    let line = |name: &str, rest: &str| format!("{name:33}{rest}\n");
    let (cat, a, b) = (
        line("cat", "RUNNING   of cat"),
        line("grp:a", "STOPPED   of a"),
        line("grp:b", "BACKOFF   of b"),
    );
    for (arguments, code, out) in [
        ("status cat grp:b", 0, format!("{cat}{b}")),
        ("status", 3, format!("{cat}{a}{b}")),
        ("status grp:*", 3, format!("{a}{b}")),
        ("status grp", 4, "grp: ERROR (no such process)\n".into()),
        ("status x:* cat", 4, format!("x: ERROR (no such group)\n{cat}")),
    ] {
        let ran = server.run(arguments, "");
        assert_eq!((ran.code, ran.out), (Some(code), out), "{arguments}");
        assert_eq!(ran.err, "");
    }
}

#[test]
fn a_run_uses_one_connection_and_says_who_it_is() {
    let server = Server::new(processes);
    let ran = server.run("-u me -p pass:word pid cat", "");
    assert_eq!((ran.code, ran.out.as_str()), (Some(0), "7\n"));
    let asked = server.asked.lock().unwrap();
    let methods: Vec<&str> = asked.iter().map(|(method, _)| method.as_str()).collect();
    assert_eq!(methods, ["getVersion", "getProcessInfo"]);
    assert!(asked.iter().all(|(_, head)| head.contains("Authorization: Basic bWU6cGFzczp3b3Jk")));
}

#[test]
fn a_failure_that_no_command_has_words_for_is_one_line_in_the_originals_form() {
    let server = Server::new(|_, _| Err(Code::ShutdownState.fault()));
    let ran = server.run("start cat", "");
    let wanted = "error: <class 'xmlrpc.client.Fault'>, <Fault 6: 'SHUTDOWN_STATE'>: file: ";
    assert!(ran.out.starts_with(wanted), "{ran:?}");
    assert_eq!((ran.out.lines().count(), ran.code), (1, Some(1)));
}

#[test]
fn what_a_hostile_server_sends_is_an_error_and_never_harm() {
    let many = "HTTP/1.1 200 OK\r\n".to_owned() + &"A: b\r\n".repeat(1000);
    for (answer, wanted) in [
        ("", "RemoteDisconnected"),
        ("SSH-2.0-x\r\n", "ResponseError"),
        (&many, "ResponseError"),
        ("HTTP/1.1 500 Oh\r\n\r\n", "<ProtocolError for 127.0.0.1/RPC2: 500 Oh>"),
        ("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n<a>", "ResponseError"),
        ("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n<a>", "RemoteDisconnected"),
        ("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n\u{0}", "ResponseError"),
    ] {
        let answer = answer.to_owned();
        let server = Server::raw(move |_, mut stream| {
            world::request(&mut stream, &mut Default::default());
            let _ = stream.write_all(answer.as_bytes());
        });
        let ran = server.run("avail", "");
        assert_eq!(ran.code, Some(1));
        assert!(ran.out.contains(wanted), "{wanted}: {ran:?}");
    }
}

#[test]
fn first_contact_says_what_to_type_next_and_finds_the_socket_by_itself() {
    let server = Server::new(processes);
    let text = "[unix_http_server]\nfile=%(here)s/s.sock\n[supervisorctl]\n";
    std::fs::write(server.file(), text).unwrap();
    assert_eq!(server.run("pid cat", "").out, "7\n");
    // Found in the working directory, as the original does.
    std::fs::rename(server.file(), server.folder.0.join("supervisord.conf")).unwrap();
    assert_eq!(run(&["pid", "cat"], &server.folder.0, "").out, "7\n");
    let folder = Folder::new();
    let lost = folder.0.join("lost.conf");
    std::fs::write(&lost, "[supervisorctl]\nserverurl=unix://%(here)s/no.sock\n").unwrap();
    let lost = lost.display().to_string();
    let ran = run(&["-c", &lost, "status"], &folder.0, "");
    let wanted = format!("unix://{}/no.sock no such file\n", folder.0.display());
    assert_eq!((ran.out, ran.err.as_str(), ran.code), (wanted, "", Some(4)));
}

#[test]
fn the_shell_of_a_pipe_prompts_and_goes_on_after_mistakes() {
    let server = Server::new(processes);
    let ran = server.run("", "pid cat\nnonsense\n\nhelp exit\nshutdown\nn\n");
    let (_, after) = ran.out.split_once("of b\n").unwrap();
    let wanted = "supervisor> 7\nsupervisor> *** Unknown syntax: nonsense\nsupervisor> \
                  supervisor> exit\tExit the supervisor shell.\nsupervisor> \
                  Really shut the remote supervisord process down y/N? supervisor> \n";
    assert_eq!((after, ran.code), (wanted, Some(0)));
    assert!(!server.methods().contains(&"shutdown".to_owned()));
}

#[test]
fn a_log_is_followed_until_ctrl_c() {
    let server = Server::new(processes);
    let mut child = Command::new(PROGRAM)
        .args(["-c", &server.file().display().to_string(), "tail", "-f", "cat", "stderr"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut out = child.stdout.take().unwrap();
    let wanted = b"==> Press Ctrl-C to exit <==\nline\n";
    let mut came = vec![0; wanted.len()];
    std::io::Read::read_exact(&mut out, &mut came).unwrap();
    assert_eq!(came, wanted);
    let pid = i32::try_from(child.id()).unwrap();
    sys::signals::send(pid, engine::signal::Signal::INT).unwrap();
    let mut rest = String::new();
    std::io::Read::read_to_string(&mut out, &mut rest).unwrap();
    assert_eq!((rest.as_str(), child.wait().unwrap().code()), ("\n", Some(0)));
    assert_eq!(server.methods(), ["getVersion", "GET /logtail/cat/stderr"]);
}

#[test]
fn the_foreground_sends_lines_and_ends_with_its_input() {
    let server = Server::new(|method, parameters| match method {
        "sendProcessStdin" => {
            assert_eq!(parameters, ["cat".into(), "hello\n".into()]);
            Ok(Value::Bool(true))
        }
        _ => processes(method, parameters),
    });
    let ran = server.run("fg cat", "hello\n");
    assert!(ran.out.starts_with("==> Press Ctrl-C to exit <==\n"), "{ran:?}");
    assert!(ran.out.ends_with("Exiting foreground\n"), "{ran:?}");
    let asked = server.methods();
    assert_eq!(asked.iter().filter(|method| *method == "sendProcessStdin").count(), 1);
    until("both logs are asked for", || {
        server.methods().iter().filter(|what| what.starts_with("GET /logtail/cat/")).count() == 2
    });
}
