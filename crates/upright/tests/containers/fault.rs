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

/// A fault in PID 1, once, when it makes what it hears signals by.
const FAULT: &str = r#"
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdarg.h>
#include <sys/syscall.h>
#include <unistd.h>
long syscall(long number, ...) {
    long (*real)(long, ...) = dlsym(RTLD_NEXT, "syscall");
    long a[6];
    va_list all;
    va_start(all, number);
    for (int i = 0; i < 6; i++) a[i] = va_arg(all, long);
    va_end(all);
    if (number == SYS_signalfd4 && getpid() == 1 && unlink("/app/fault") == 0) *(volatile int *)8 = 0;
    return real(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}
"#;

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

fn main_of_web(container: &Container) -> String {
    let seen = done(container, "initctl status web");
    assert!(seen.starts_with("web start/running, process "), "{seen}");
    seen
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

pub fn a_binary_that_dies_of_a_fault_as_pid_1_gives_its_place_back() {
    let command = "TMPDIR=/app cc -shared -fPIC -o /app/fault.so /app/fault.c
        export LD_PRELOAD=/app/fault.so
        exec upright up /app/jobs";
    let mut container = up(Image::new().file("/app/fault.c", FAULT), command);
    let before = main_of_web(&container);
    done(&container, "touch /app/fault && upright upgrade");
    container.says("the new keeper has died of a fault; the one before goes on");
    assert_eq!(main_of_web(&container), before, "no service noticed");
    assert_eq!(done(&container, "cat /proc/1/comm"), "upright-keeper\n");
    // It does what it did: starts, stops, and goes on in a binary without a fault.
    done(&container, "initctl stop web && initctl start web");
    let before = main_of_web(&container);
    done(&container, "upright upgrade");
    assert_eq!(main_of_web(&container), before);
    container.signal("TERM");
    assert_eq!(container.end(), 0);
}
