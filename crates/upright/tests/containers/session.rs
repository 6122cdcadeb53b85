//! A user's session: `upright up --session`.

use crate::container::Image;

const LOGIN: &str = r#"
export XDG_RUNTIME_DIR=/app/runtime HOME=/app/home
mkdir -m 700 "$XDG_RUNTIME_DIR" "$HOME"
upright up --session &
echo "session $!"
wait $!
echo "ended $?"
exec sleep 1000
"#;

/// What it starts leaves its session and group, and ignores who asks it to end.
const JOB: &str = r#"
start on go
script
    setsid sh -c 'trap "" TERM; echo > /app/stray; while :; do sleep 0.02; done' &
    exec sleep 1000
end script
"#;

const BYE: &str = "start on session-end\ntask\nexec sh -c 'echo \"$TYPE\" > /app/bye'";

pub fn ends() {
    let image = Image::new().writable().file("/app/login", LOGIN);
    let image = image.file("/app/new/web.conf", JOB).file("/app/new/bye.conf", BYE);
    let container = image.run(&["sh", "/app/login"]);
    let line = container.line("session ");
    let pid = line.trim_start_matches("session ");
    let ok = |command: &str| {
        let output = container.exec(command);
        (output.status.success())
            .then(|| String::from_utf8_lossy(&output.stdout).trim_end().to_owned())
    };
    let file = format!("/app/runtime/upstart/sessions/{pid}.session");
    let session = container.until("there is a session file", || {
        ok(&format!("cat {file}")).filter(|text| !text.is_empty())
    });
    assert!(session.starts_with("UPSTART_SESSION=unix:abstract=/com/ubuntu/upstart-session/0/"));
    let modes = ok("stat -c %a /app/home/.config /app/home/.config/upstart /app/runtime/upstart");
    assert_eq!(modes.as_deref(), Some("700\n700\n700"));
    ok("cp /app/new/*.conf /app/home/.config/upstart/").unwrap();
    let ask = format!("export {session}; ");
    container.until("its job files are read as they come", || {
        ok(&format!("{ask} initctl status web && initctl status bye"))
    });
    ok(&format!("{ask} initctl emit go")).unwrap();
    container.until("what web left is there", || ok("cat /app/stray"));
    ok(&format!("kill -TERM {pid}")).unwrap();
    container.line("ended 0");
    assert_eq!(ok("cat /app/bye").as_deref(), Some("shutdown"));
    assert_eq!(ok("ls /app/runtime/upstart/sessions").as_deref(), Some(""));
    // PID 1, and those that look.
    let left = ok("cat /proc/[0-9]*/comm").unwrap_or_default();
    let ours = ["sh", "cat", "sleep", "timeout"];
    assert!(left.lines().all(|name| ours.contains(&name)), "{left}");
    assert_eq!(left.lines().filter(|name| *name == "sleep").count(), 1, "{left}");
}
