//! An upgrade of PID 1 to a binary that dies of it: nothing else may.

use crate::container::{Container, Image};

const WEB: &str = "start on startup\nscript\necho serving\nexec sleep 1000\nend script\n";

/// Passes the trial, as the real one does for it, and dies when it is to be the keeper.
const DIES: &str = r#"
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
int main(int count, char **words) {
    if (count > 1 && strcmp(words[1], "--role=try") == 0) execv("/app/good", words);
    abort();
}
"#;

/// Faults in PID 1, of a binary that was started when `/app/fault` was there: a place, the how-manieth
/// time that it comes there while `/app/armed` is there, and what becomes of it. The places: when it makes what it hears signals by,
/// when it sends a signal, just before and just after a process is made, and after one was reaped.
const FAULT: &str = r#"
#define _GNU_SOURCE
#include <dlfcn.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>
static char place[16], how[16];
static int left;
__attribute__((constructor)) static void read_plan(void) {
    FILE *plan = getpid() == 1 ? fopen("/app/fault", "r") : NULL;
    if (!plan) return;
    if (fscanf(plan, "%15s %d %15s", place, &left, how) != 3) left = 0;
    fclose(plan);
}
static void at(const char *here) {
    if (getpid() != 1 || strcmp(here, place) || access("/app/armed", F_OK) || --left != 0) return;
    unlink("/app/fault");
    if (!strcmp(how, "segv")) *(volatile int *)8 = 0;
    if (!strcmp(how, "abort")) abort();
    if (!strcmp(how, "exit")) exit(3);
    struct itimerval late;
    if (!strcmp(how, "late") && !getitimer(ITIMER_PROF, &late) && late.it_value.tv_sec) raise(SIGPROF);
}
long syscall(long number, ...) {
    long (*real)(long, ...) = dlsym(RTLD_NEXT, "syscall");
    long a[6];
    va_list all;
    va_start(all, number);
    for (int i = 0; i < 6; i++) a[i] = va_arg(all, long);
    va_end(all);
    if (number == SYS_signalfd4) at("signals");
    if (number == SYS_clone) at("before");
    long made = real(number, a[0], a[1], a[2], a[3], a[4], a[5]);
    if (number == SYS_clone && made > 0) at("after");
    return made;
}
int kill(pid_t pid, int signal) {
    int (*real)(pid_t, int) = dlsym(RTLD_NEXT, "kill");
    at("kill");
    return real(pid, signal);
}
int waitid(idtype_t kind, id_t id, siginfo_t *about, int flags) {
    int (*real)(idtype_t, id_t, siginfo_t *, int) = dlsym(RTLD_NEXT, "waitid");
    int done = real(kind, id, about, flags);
    if (done == 0 && !(flags & WNOWAIT) && about && about->si_pid) at("reaped");
    return done;
}
"#;

/// A fault while it shows what it can, which is the upgrade's failure. `late` is the end of the time
/// that it has for that, brought forward: a busy machine makes it long.
const AT_ONCE: &[(&str, &str)] = &[
    ("signals 1 segv", "it was ended by SEGV signal"),
    ("kill 1 segv", "it was ended by SEGV signal"),
    ("kill 3 abort", "it was ended by ABRT signal"),
    ("kill 4 exit", "it ended"),
    ("reaped 1 segv", "it was ended by SEGV signal"),
    ("reaped 1 exit", "it ended"),
    ("kill 3 late", "it was ended by PROF signal"),
];

/// A fault in what comes later, and what brings it about: the command is done all the same. A job with
/// another user is begun by a fork, whose two sides the fault can tell apart.
const LATER: &[(&str, &str)] = &[
    ("kill 1 segv", "initctl stop web && initctl start web"),
    ("kill 1 exit", "initctl restart web"),
    ("before 1 abort", "initctl start other && initctl stop other"),
    ("after 1 segv", "initctl start other && initctl stop other"),
    ("after 1 exit", "initctl start other && initctl stop other"),
];

/// Starts `up` as PID 1, by a command of the shell, and waits until its job serves.
fn up(image: Image, command: &str) -> Container {
    let image = image.writable().privileged().job("web", WEB);
    let container = image.run(&["sh", "-ec", command]);
    container.line("web | serving");
    container
}

fn done(container: &Container, command: &str) -> String {
    let done = container.exec(command);
    assert!(done.status.success(), "{command}: {done:?}");
    String::from_utf8_lossy(&done.stdout).into_owned()
}

/// What it writes may be seen before the daemon has heard that it runs.
fn main_of_web(container: &Container) -> String {
    container.until("web runs", || {
        let seen = done(container, "initctl status web");
        seen.starts_with("web start/running, process ").then_some(seen)
    })
}

pub fn a_binary_that_would_die_as_pid_1_is_refused() {
    let command = "TMPDIR=/app cc -o /app/dies /app/dies.c; exec upright up /app/jobs";
    let mut container = up(Image::new().file("/app/dies.c", DIES), command);
    let before = main_of_web(&container);
    let core = "/usr/local/bin/upright-core";
    done(&container, &format!("cp {core} /app/good && mv /app/dies {core}"));
    let asked = container.exec("upright upgrade");
    let said = String::from_utf8_lossy(&asked.stderr).into_owned();
    assert!(said.contains("take the keeper's place, and it was ended by ABRT signal"), "{said}");
    assert_eq!(main_of_web(&container), before);
    container.signal("TERM");
    assert_eq!(container.end(), 0);
}

const OTHER: &str = "setuid nobody\nexec sleep 1000\n";

const PRELOADED: &str = "TMPDIR=/app cc -shared -fPIC -o /app/fault.so /app/fault.c
    export LD_PRELOAD=/app/fault.so
    exec upright up /app/jobs";

fn faulty() -> Container {
    up(Image::new().file("/app/fault.c", FAULT).job("other", OTHER), PRELOADED)
}

/// Mains that there are: none of them twice.
fn sleeping(container: &Container) -> String {
    let seen = container.exec("pgrep -xc sleep");
    String::from_utf8_lossy(&seen.stdout).trim().to_owned()
}

fn ends(mut container: Container) {
    // It goes on in a binary without a fault, and to an ordered end.
    let before = main_of_web(&container);
    done(&container, "upright upgrade");
    assert_eq!(main_of_web(&container), before);
    assert!(!done(&container, "upright version").contains("last upgrade"));
    container.signal("TERM");
    assert_eq!(container.end(), 0);
}

pub fn a_binary_that_cannot_do_its_work_as_pid_1_gives_its_place_back() {
    let container = faulty();
    let before = main_of_web(&container);
    done(&container, "touch /app/armed");
    for (plan, why) in AT_ONCE {
        done(&container, &format!("echo {plan} > /app/fault"));
        let asked = container.exec("upright upgrade");
        let said = String::from_utf8_lossy(&asked.stderr).into_owned();
        assert_eq!(asked.status.code(), Some(1), "{plan}: {said}");
        let wanted = format!("took the keeper's place and could not do its work: {why}; the old");
        assert!(said.contains(&wanted), "{plan}: {said}");
        assert_eq!(main_of_web(&container), before, "{plan}: no service noticed");
        assert_eq!(done(&container, "cat /proc/1/comm"), "upright-keeper\n", "{plan}");
        assert!(done(&container, "upright version").contains(&wanted), "{plan}");
        assert_eq!(container.exec("test -e /app/fault").status.code(), Some(1), "{plan}");
    }
    ends(container);
}

pub fn a_binary_that_dies_as_pid_1_while_it_is_new_gives_its_place_back() {
    let container = faulty();
    for (plan, command) in LATER {
        done(&container, &format!("echo {plan} > /app/fault"));
        done(&container, "upright upgrade && touch /app/armed");
        done(&container, command);
        done(&container, "rm /app/armed");
        assert_eq!(container.exec("test -e /app/fault").status.code(), Some(1), "{plan}: none");
        main_of_web(&container);
        container.until(&format!("{plan}: there is one main"), || {
            (sleeping(&container) == "1").then_some(())
        });
        assert!(done(&container, "upright version").contains("could not do its work"), "{plan}");
    }
    ends(container);
}

pub fn how_a_process_ended_that_a_new_binary_has_reaped_is_known_to_the_one_before() {
    let text = "start on startup\nrespawn\nscript\necho begun $$\nexec sleep 1001\nend script\n";
    let image = Image::new().file("/app/fault.c", FAULT).job("again", text);
    let container = up(image, PRELOADED);
    container.line("again | begun");
    done(&container, "echo kill 1 segv > /app/fault; upright upgrade");
    done(&container, "pkill -KILL -f '[s]leep 1001'");
    container.until("it was started again", || {
        (container.out().matches("again | begun").count() == 2).then_some(())
    });
    // The fault comes with the next request.
    done(&container, "touch /app/armed");
    done(&container, "initctl stop web && initctl start web");
    assert_eq!(container.exec("test -e /app/fault").status.code(), Some(1));
    container.until("it runs", || {
        let seen = done(&container, "initctl status again");
        seen.starts_with("again start/running, process ").then_some(())
    });
    assert_eq!(container.out().matches("again | begun").count(), 2);
    ends(container);
}
