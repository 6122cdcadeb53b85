//! `upright up` and `init` as PID 1, with jobs.

use crate::container::{Container, Image};
use std::time::{Duration, Instant};

const UP: &[&str] = &["upright", "up", "/app/jobs"];

/// Says what it is and lives until it is told.
const WEB: &str = r#"
start on startup
script
    trap 'echo asked; exit 0' TERM
    echo "serving as $(id -u)"
    while :; do sleep 0.02; done
end script
"#;

fn up(image: Image) -> Container {
    image.run(UP)
}

/// Starts with a service, looks at it from inside, and stops it.
fn lives(image: Image) {
    let mut container = up(image.job("web", WEB));
    container.line("web | serving");
    let status = container.until("status is seen", || {
        let seen = container.exec("upright status web");
        let seen = String::from_utf8_lossy(&seen.stdout).into_owned();
        seen.contains("start/running").then_some(seen)
    });
    assert!(status.contains("web"), "{status}");
    let main = "initctl status web | sed 's/.*process //'";
    let killed = container
        .exec(&format!("kill -KILL $({main}); until initctl start web; do sleep 0.01; done"));
    assert!(killed.status.success(), "{}", String::from_utf8_lossy(&killed.stderr));
    container.signal("TERM");
    assert_eq!(container.end(), 0);
    container.line("web | asked");
}

pub fn output() {
    let loud = "start on startup\ntask\nexec sh -c 'echo out; echo err >&2; printf unfinished'";
    let stdout = "start on startup\ntask\nconsole stdout\nexec echo here";
    let direct = "start on startup\ntask\nexec sh -c 'echo by the name > /dev/stdout'";
    // What the shell reads its script from is not there for what the script starts.
    let script = "start on startup\ntask\nscript\n  test -e /proc/self/fd/9 || echo closed\n\
                  sh -c 'test -e /proc/self/fd/9 || echo not handed on'\nend script\n";
    let image = Image::new().writable().env("HOME", "/app");
    let image = image.job("loud", loud).job("said", stdout).job("named", direct);
    let mut container = up(image.job("script", script));
    for words in ["loud | out", "loud | err", "loud | unfinished", "said | here"] {
        container.line(words);
    }
    container.line("named | by the name");
    container.line("script | closed");
    container.line("script | not handed on");
    let files =
        container.exec("find /app /var/log /root /home -name 'loud*.log' -o -path /app/.cache");
    assert_eq!(String::from_utf8_lossy(&files.stdout), "");
    let log = container.exec("upright log loud");
    assert!(String::from_utf8_lossy(&log.stderr).contains("not kept in a file"), "{log:?}");
    container.signal("INT");
    assert_eq!(container.end(), 0);
}

pub fn arbitrary_user() {
    lives(Image::new().user(12345));
    lives(Image::new());
}

pub fn refused_eperm() {
    lives(Image::new().user(12345).refusing(1));
}

pub fn refused_enosys() {
    lives(Image::new().user(12345).refusing(38));
}

pub fn init() {
    let image = Image::new().user(12345).file("/etc/init/web.conf", WEB);
    let mut container = image.run(&["init", "--default-console", "stdout"]);
    container.line("web | serving as 12345");
    container.until("initctl answers", || {
        let seen = container.exec("initctl status web");
        String::from_utf8_lossy(&seen.stdout).contains("start/running").then_some(())
    });
    container.signal("TERM");
    assert_eq!(container.end(), 0);
}

/// Orphans of a job, and of a process that came into the container from outside.
pub fn orphans() {
    let job = "start on startup\nscript\n( sleep 0.01 & )\necho up\nexec sleep 1000\nend script";
    let mut container = up(Image::new().job("web", job));
    container.line("web | up");
    for _ in 0..20 {
        assert!(container.exec("( ( sleep 0.01 & ) & )").status.success());
    }
    container.until("nobody is left behind", || {
        let seen = container.exec("cat /proc/[0-9]*/stat").stdout;
        let zombies = String::from_utf8_lossy(&seen).lines().filter(|l| l.contains(") Z ")).count();
        let sleeps =
            String::from_utf8_lossy(&seen).lines().filter(|l| l.contains("(sleep)")).count();
        (zombies == 0 && sleeps == 1).then_some(())
    });
    container.signal("TERM");
    assert_eq!(container.end(), 0);
}

/// The second is stopped before the first, which it needs, as its conditions say.
pub fn term() {
    let db = "start on startup\npost-stop exec echo db is down\nexec sleep 1000";
    let web = "start on started db\nstop on stopping db\nscript\ntrap 'echo web goes; exit 0' TERM
echo web is up\nwhile :; do sleep 0.02; done\nend script";
    let mut container = up(Image::new().job("db", db).job("web", web));
    container.line("web | web is up");
    container.signal("TERM");
    assert_eq!(container.end(), 0);
    let out = container.out();
    assert!(out.contains("web | web goes") && out.contains("db | db is down"), "{out}");
}

/// One ignores TERM for as long as its job file allows, another hangs in its pre-stop: the first is
/// ended by Upright in time, the second is asked before that.
pub fn budget() {
    let stubborn = "start on startup\nkill timeout 100\nscript\ntrap '' TERM\necho stubborn is up
while :; do sleep 0.02; done\nend script";
    let held = "start on startup\npre-stop exec sleep 1000\nscript\ntrap 'echo asked after all; exit 0' TERM
echo held is up\nwhile :; do sleep 0.02; done\nend script";
    let image = Image::new().job("stubborn", stubborn).job("held", held);
    let mut container = image.run(&["upright", "up", "--stop-timeout", "4", "/app/jobs"]);
    container.line("stubborn is up");
    container.line("held is up");
    let asked = Instant::now();
    container.signal("TERM");
    assert_eq!(container.end(), 0);
    // Without the limit it would have taken 100 seconds, and the engine would have come first.
    assert!(asked.elapsed() < Duration::from_secs(30), "{:?}", asked.elapsed());
    container.line("held | asked after all");
    container.says("stubborn: its kill timeout of 100s is cut to 3.6s by the stop timeout of 4s");
    container.says("held main process is asked to end now");
}

pub fn nothing() {
    let image = Image::new().file("/app/jobs/README", "none yet");
    let mut container = up(image.clone());
    container.says("no jobs in /app/jobs: a file NAME.conf with a line `exec PROGRAM' becomes one");
    container.signal("TERM");
    assert_eq!(container.end(), 0);

    let mut container = up(image.job("task", "task\nexec true"));
    container
        .says("nothing in /app/jobs starts by itself (jobs: 1): `upright start NAME' starts one");
    // Of all that happened nothing was missed.
    let events = container.until("it has begun", || {
        let seen = container.exec("upright events");
        let seen = String::from_utf8_lossy(&seen.stdout).into_owned();
        seen.contains("event runlevel").then_some(seen)
    });
    assert!(events.starts_with("1 event startup"), "{events}");
    container.signal("TERM");
    assert_eq!(container.end(), 0);
}

pub fn missing() {
    let mut container = Image::new().run(&["upright", "up", "/app/jobs", "/app/nonexistent"]);
    assert_eq!(container.end(), 1);
    container.says("upright: cannot run /app/jobs: No such file or directory");
    container.says("Name a directory of job files (NAME.conf), or a supervisord.conf.");
}

/// A daemon that left its job's session and group is nobody's, but it is asked as well.
pub fn strays() {
    let job = "start on startup\nscript\nsetsid sh /app/stray &\nexec sleep 1000\nend script";
    let stray =
        "trap 'echo stray was asked; exit 0' TERM\necho stray is up\nwhile :; do sleep 0.02; done";
    let mut container = up(Image::new().job("web", job).file("/app/stray", stray));
    container.line("web | stray is up");
    container.signal("TERM");
    assert_eq!(container.end(), 0);
    container.line("web | stray was asked");
}

fn ends(essential: &str, code: i32, why: &str) {
    let image =
        Image::new().user(12345).job("web", &format!("essential\nstart on startup\n{essential}"));
    let mut container = up(image.job("other", "start on startup\nexec sleep 1000"));
    assert_eq!(container.end(), code, "{essential}");
    let said = container.says("web: the job is essential and has ended for good");
    assert!(said.contains(why) && said.ends_with(&format!("exit code {code}")), "{said}");
}

pub fn essential() {
    ends("exec sh -c 'exit 3'", 3, "main process terminated with status 3");
    ends("task\nexec true", 0, "main process exited normally");
    ends("respawn\nrespawn limit 2 10\nexec sh -c 'exit 4'", 4, "respawning too fast");
}

pub fn essential_signal() {
    ends("exec sh -c 'kill -SEGV $$'", 139, "killed by SEGV signal");
}

pub fn essential_missing() {
    ends("exec /no/such/program", 127, "No such file or directory");
}

pub fn passed_on() {
    let job = "essential\nstart on startup\nscript\ntrap 'echo got USR1' USR1\ntrap 'echo got WINCH' WINCH
trap 'exit 0' TERM\necho up\nwhile :; do sleep 0.02; done\nend script";
    let mut container = up(Image::new().job("web", job));
    container.line("web | up");
    for name in ["USR1", "WINCH"] {
        container.signal(name);
        container.line(&format!("web | got {name}"));
    }
    container.signal("QUIT");
    assert_eq!(container.end(), 0);
}

pub fn halt() {
    let image = Image::new().file("/etc/init/web.conf", WEB);
    let mut container = image.run(&["init", "--default-console=stdout"]);
    container.line("web | serving");
    container.signal("37");
    assert_eq!(container.end(), 0);
}

/// The containers of a pod see each other's abstract sockets; so do two in one network here.
pub fn pod() {
    let nested = format!(
        "start on startup\nexec unshare --pid --mount --fork sh -c '{}'",
        "mount -t proc proc /proc && exec upright up /app/inner"
    );
    let other =
        Image::new().file("/app/inner/second.conf", WEB).job("pod", &nested).job("web", WEB);
    let mut container = other.privileged().run(UP);
    container.line("pod | second | serving");
    container.line("web | serving");
    // From outside the inner one there are two; only one is of this container.
    let seen = container.exec("upright status");
    let seen = String::from_utf8_lossy(&seen.stdout).into_owned();
    assert!(seen.contains("web ") && seen.contains("pod ") && !seen.contains("second"), "{seen}");
    container.signal("TERM");
    assert_eq!(container.end(), 0);
}
