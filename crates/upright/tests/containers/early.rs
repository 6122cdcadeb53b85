//! Output from before the disk can be written: kept in its pipes, within a bound, and written later.

use crate::container::{Container, Image};

/// What was said in the early moments, by jobs that have ended, too.
const EARLY: &str = "start on startup\ntask\nexec echo said early\n";

/// More than any pipe holds.
const LOUD: &str = r#"
script
    head -c 3000000 /dev/zero | tr '\0' x
    echo
    echo "the end of it"
    exec sleep 1000
end script
"#;

/// Finds a process by its name.
fn find(container: &Container, name: &str, than: Option<&str>) -> String {
    container.until(&format!("{name} is there"), || {
        let look = format!("grep -lx {name} /proc/[0-9]*/comm | cut -d/ -f3");
        let seen = container.exec(&look).stdout;
        let seen = String::from_utf8_lossy(&seen).trim().to_owned();
        (!seen.is_empty() && !seen.contains('\n') && than != Some(&seen)).then_some(seen)
    })
}

fn done(container: &Container, command: &str) -> String {
    let done = container.exec(command);
    assert!(done.status.success(), "{command}: {done:?}");
    String::from_utf8_lossy(&done.stdout).into_owned()
}

pub fn kept() {
    let image = Image::new().privileged().file("/etc/init/early.conf", EARLY);
    let mut container = image.file("/etc/init/loud.conf", LOUD).run(&["init"]);
    container.says("early: log /var/log/upstart/early.log: cannot be written: Read-only file");
    for name in ["upright-logger", "upright-daemon"] {
        let before = find(&container, name, None);
        done(&container, &format!("kill -KILL {before}"));
        find(&container, name, Some(&before));
    }
    // It does not wait: what does not fit is dropped, and its end comes.
    done(&container, "initctl start loud");
    container.until("the loud one has said everything", || {
        let all = container.exec("cat /proc/[0-9]*/cmdline").stdout;
        String::from_utf8_lossy(&all).contains("sleep\u{0}1000").then_some(())
    });
    done(&container, "mount -o remount,rw / && mkdir -p /var/log");
    done(&container, "initctl notify-disk-writeable");
    let log = |name: &str| {
        let seen = container.exec(&format!("cat /var/log/upstart/{name}.log")).stdout;
        String::from_utf8_lossy(&seen).into_owned()
    };
    let early = || (log("early") == "said early\n").then_some(());
    container.until("what was said early is there", early);
    let loud = container.until("the end of the loud one is there", || {
        Some(log("loud")).filter(|log| log.ends_with("the end of it\n"))
    });
    let note = "bytes of output were dropped here: Read-only file system\n";
    assert!(loud.contains(note), "the hole is named: {} bytes", loud.len());
    assert!(loud.len() < 3_000_000, "it was bounded: {} bytes", loud.len());
    container.signal("TERM");
    assert_eq!(container.end(), 0);
}
