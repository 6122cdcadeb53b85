//! What a container may lack beside what engines take away by default: each of these is met somewhere.

use crate::container::{Container, Image};

const WEB: &str =
    "start on startup\nrespawn\nscript\necho serving $$\nexec sleep 1000\nend script\n";

/// Starts another program as one of the container's user, who has no name and may do nothing.
const NOBODY: &str = "setpriv --no-new-privs --bounding-set=-all --inh-caps=-all --clear-groups \
    --reuid 12345 --regid 0";

/// Runs a command of the shell as PID 1 that ends in Upright, and looks whether that does all that it
/// is for: it runs its job, shows its output, starts it again, answers, and stops in order.
fn works(image: &Image, command: &str) {
    works_for(image, "", command);
}

/// The same, where whoever asks has to become somebody else by these words first.
fn works_for(image: &Image, who: &str, command: &str) {
    let mut container = begun(image, &format!("{command} upright up /app/jobs"));
    let main_of_web = |container: &Container| main_of_web(container, who);
    let main = main_of_web(&container);
    done(&container, &format!("kill -KILL {main}"));
    container.until("the job was started again", || {
        let said = container.out();
        (said.lines().filter(|line| line.contains("web | serving")).count() == 2).then_some(())
    });
    done(&container, &format!("{who} initctl restart web"));
    assert_ne!(main_of_web(&container), main);
    ends(&mut container);
}

fn begun(image: &Image, command: &str) -> Container {
    let container = image.clone().job("web", WEB).run(&["sh", "-ec", command]);
    container.line("web | serving");
    container
}

fn ends(container: &mut Container) {
    container.signal("TERM");
    assert_eq!(container.end(), 0);
}

fn done(container: &Container, command: &str) -> String {
    let done = container.exec(command);
    assert!(done.status.success(), "{command}: {done:?}");
    String::from_utf8_lossy(&done.stdout).into_owned()
}

/// What it writes may be seen before the daemon has heard that it runs.
fn main_of_web(container: &Container, who: &str) -> String {
    container.until("web runs", || {
        let seen = done(container, &format!("{who} initctl status web"));
        seen.trim().strip_prefix("web start/running, process ").map(String::from)
    })
}

pub fn no_proc() {
    let empty = format!("mount -t tmpfs none /proc; exec {NOBODY}");
    works_for(&Image::new().privileged(), NOBODY, &empty);
}

pub fn hidden_processes() {
    let hidden = format!("mount -o remount,hidepid=2 /proc; exec {NOBODY}");
    works_for(&Image::new().privileged(), NOBODY, &hidden);
}

pub fn no_null() {
    works(&Image::new().privileged(), "rm /dev/null; exec");
}

pub fn few_descriptors() {
    works(&Image::new(), "ulimit -n 64; exec");
}

/// As many as there may be: nothing goes through all of them.
pub fn many_descriptors() {
    let most = "ulimit -n $(ulimit -Hn); exec";
    works(&Image::new().privileged(), most);
}

/// The user's processes are counted over all containers, so this one is nobody else's. Keeper, daemon,
/// logger and the first job are four.
pub fn few_processes() {
    let second = "start on started web\nscript\necho there is room\nexec sleep 1000\nend script\n";
    let image = Image::new().user(1_000_000 + std::process::id()).job("second", second);
    let mut container = begun(&image, "exec prlimit --nproc=4 upright up /app/jobs");
    container.until("it is said what the second waits for", || {
        let seen = container.exec("upright why second");
        String::from_utf8_lossy(&seen.stdout)
            .contains("room for it: Resource temporarily")
            .then_some(())
    });
    assert!(!container.out().contains("there is room"));
    done(&container, "initctl stop --no-wait web");
    container.line("second | there is room");
    ends(&mut container);
}

pub fn closed() {
    works(&Image::new(), "exec <&-; exec");
    // Nothing can be said to anybody; everything else is done.
    let image = Image::new().job("web", WEB);
    let mut container = image.run(&["sh", "-ec", "exec upright up /app/jobs <&- >&- 2>&-"]);
    container.until("it answers", || {
        container.exec("initctl status web").status.success().then_some(())
    });
    ends(&mut container);
}

pub fn ignored_and_blocked() {
    let python = "import os, signal, sys\n\
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)\n\
        signal.signal(signal.SIGTERM, signal.SIG_IGN)\n\
        signal.pthread_sigmask(signal.SIG_BLOCK, range(1, signal.NSIG))\n\
        os.execvp(sys.argv[1], sys.argv[1:])\n";
    let image = Image::new().file("/app/blocked.py", python);
    works(&image, "exec python3 /app/blocked.py");
}

pub fn masked() {
    works(&Image::new().user(12_345), "umask 077; exec");
    works(&Image::new().writable(), "umask 777; exec");
}

pub fn no_environment() {
    let shell = r#"exec env -i sh -c 'unset PATH; exec /usr/local/bin/"$@"' sh"#;
    works(&Image::new(), shell);
}
