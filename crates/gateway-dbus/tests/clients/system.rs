//! The machine's own Upright, in a network of its own, where no other has its address.

use crate::scratch::Scratch;
use crate::world::{has, is_root, open_to_all, programs, said, STRANGER};
use std::fs;
use std::process::Command;

/// Starts Upright, then calls what the lines say; each answer in one line.
const SCRIPT: &str = r#"
cd "$1" || exit 1
"$2/upright-core" --system --no-dbus --confdir conf --logdir log --socket "$1/control" > said 2>&1 &
keeper=$!
while [ ! -S control ]; do kill -0 $keeper || exit 1; done
at=unix:abstract=/com/ubuntu/upstart
root=/com/ubuntu/Upstart
call() { dbus-send --address=$at --print-reply=literal "$@" 2>&1 | tr -s ' \n' '  '; echo; }
call $root com.ubuntu.Upstart0_6.GetAllJobs
call $root/jobs/web com.ubuntu.Upstart0_6.Job.Start array:string: boolean:true
gateway=$(UPRIGHT_SOCKET=$1/control "$2/upright" status --json upright/dbus | tr -dc '0-9,:"a-z' | sed 's/.*"pid":\([0-9]*\).*/\1/')
echo "gateway of $(stat -c %U /proc/$gateway)"
setpriv --reuid=$3 --clear-groups dbus-send --address=$at --print-reply=literal $root/jobs/web \
    com.ubuntu.Upstart0_6.Job.Stop array:string: boolean:true 2>&1 | cut -d: -f1
call $root com.ubuntu.Upstart0_6.EndSession
kill -TERM $keeper
wait $keeper
echo "ended with $?"
"#;

#[test]
fn the_machines_upright_answers_where_upstart_did_and_its_gateway_is_nobody() {
    if !has("dbus-send") || !has("unshare") || !has("setpriv") || !is_root() {
        return;
    }
    let dir = Scratch::directory("dbus-system");
    fs::create_dir_all(dir.join("conf")).unwrap();
    fs::write(dir.join("conf/web.conf"), "exec sleep 1000\n").unwrap();
    open_to_all(&dir);
    let mut command = Command::new("unshare");
    command.args(["--net", "timeout", "60", "sh", "-c", SCRIPT, "sh"]);
    command.arg(&*dir).arg(programs()).arg(STRANGER.to_string());
    let output = command.output().unwrap();
    let shown = said(&output);
    if shown.contains("unshare failed") {
        println!("passed over: needs a network namespace");
        return;
    }
    let log = fs::read_to_string(dir.join("said")).unwrap_or_default();
    let expected = "array [ /com/ubuntu/Upstart/jobs/web ] /com/ubuntu/Upstart/jobs/web/_ gateway of nobody \
                    Error com.ubuntu.Upstart0_6.Error.PermissionDenied \
                    Error org.freedesktop.DBus.Error.Failed: this is the machine's Upright, which is \
                    no session that could end ended with 0";
    assert_eq!(shown, expected, "{log}");
}
