//! A container whose only file is a `supervisord.conf`, as many have.

use crate::container::Image;

/// As it stands in many images: in the foreground, no log of its own, output to the container's.
const CONFIGURATION: &str = r#"
[supervisord]
nodaemon=true
logfile=/dev/null
logfile_maxbytes=0
pidfile=/tmp/supervisord.pid

[unix_http_server]
file=/tmp/supervisor.sock

[rpcinterface:supervisor]
supervisor.rpcinterface_factory = supervisor.rpcinterface:make_main_rpcinterface

[supervisorctl]
serverurl=unix:///tmp/supervisor.sock

[program:web]
command=sh /app/web
stdout_logfile=/dev/stdout
stdout_logfile_maxbytes=0
redirect_stderr=true

[program:worker]
command=sh -c 'echo worker is up >&2; exec sleep 1000'
stdout_logfile=/dev/stdout
stdout_logfile_maxbytes=0
stderr_logfile=/dev/fd/2
stderr_logfile_maxbytes=0
"#;

/// Leaves an orphan, and says that it was asked to end.
const WEB: &str = r#"
trap 'echo web was asked; exit 0' TERM
echo "web serves as $(id -u)"
(sleep 0.05 &)
while :; do sleep 0.02; done
"#;

/// The entry point that the image had.
const ENTRY: &[&str] = &["supervisord", "-n", "-c", "/app/supervisord.conf"];

pub fn supervisord() {
    let image =
        Image::new().writable().user(12345).program("upright-http").program("supervisorctl");
    let image = image.file("/app/supervisord.conf", CONFIGURATION).file("/app/web", WEB);
    let mut container = image.run(ENTRY);
    // As the program wrote it, without a name before it: what reads the container's log knows it so.
    assert_eq!(container.line("web serves"), "web serves as 12345");
    container.says("worker is up");
    let ask = "supervisorctl -c /app/supervisord.conf";
    let status = container.until("both are RUNNING", || {
        let status = container.exec(&format!("{ask} status"));
        let status = String::from_utf8_lossy(&status.stdout).into_owned();
        (status.matches("RUNNING").count() == 2).then_some(status)
    });
    assert!(status.starts_with("web "), "{status}");
    let restarted = container.exec(&format!("{ask} restart worker"));
    let restarted = String::from_utf8_lossy(&restarted.stdout).into_owned();
    assert_eq!(restarted, "worker: stopped\nworker: started\n");
    container.signal("TERM");
    assert_eq!(container.end(), 0);
    container.line("web was asked");
}
