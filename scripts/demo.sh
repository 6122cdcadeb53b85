#!/usr/bin/env bash
# The demonstration: Upright on a real example, as any user, without a terminal.
#   scripts/demo.sh BIN_DIR      (the directory of upright, upright-core and examples/demo-web)
# Ends with 0 when everything it shows came true; else says what did not.
set -Eeuo pipefail

patience=15 # seconds to wait for one fact

bin=$(cd "${1:?usage: scripts/demo.sh BIN_DIR}" && pwd)
cd "$(dirname "$0")/.."
home=$PWD/demo
dir=$(mktemp -d "${TMPDIR:-/tmp}/upright-demo.XXXXXX")
upright=

# ---- saying -------------------------------------------------------------------------------------

bold= plain=
if [ -t 1 ] && [ -z "${NO_COLOR:-}" ]; then bold=$'\e[1m' plain=$'\e[0m'; fi

chapter() { printf '\n%s%s%s\n' "$bold" "$*" "$plain"; }
note() { printf '%s\n' "$*"; }

# Shows a command, then runs it.
show() {
    printf '  %s$ %s%s\n' "$bold" "$*" "$plain"
    "$@" 2>&1 | sed 's/^/  /'
}

fail() {
    printf '\ndemo: %s\n' "$*" >&2
    if [ -s "$dir/output" ]; then
        echo "demo: what Upright wrote:" >&2
        sed 's/^/  | /' "$dir/output" >&2
    fi
    exit 1
}

# ---- doing --------------------------------------------------------------------------------------

clean_up() {
    if [ -n "$upright" ] && kill -TERM "$upright" 2> /dev/null; then wait "$upright" || true; fi
    rm -rf "$dir"
}
trap clean_up EXIT
trap 'exit 130' INT TERM
trap 'fail "line $LINENO went wrong: $BASH_COMMAND"' ERR

# wait_for FACT COMMAND...: until the command succeeds.
wait_for() {
    local fact=$1 end=$((SECONDS + patience))
    shift
    until "$@" > /dev/null 2>&1; do
        [ $SECONDS -lt $end ] || fail "waited $patience s in vain: $fact"
        sleep 0.02
    done
}

# is JOB TEXT: its line of `initctl status` begins with the text.
is() { case $(initctl status "$1") in "$1 $2"*) ;; *) return 1 ;; esac; }

pid_of() {
    local line
    line=$(initctl status "$1")
    case $line in *process*) echo "${line##* }" ;; *) fail "$1 has no process: $line" ;; esac
}

# Gets a page, with bash alone where there is no curl.
fetch() {
    if command -v curl > /dev/null; then
        curl --silent --show-error --fail --noproxy '*' --max-time 5 "http://127.0.0.1:$1/"
        return
    fi
    exec 3<> "/dev/tcp/127.0.0.1/$1" || return
    printf 'GET / HTTP/1.0\r\n\r\n' >&3
    sed '1,/^\r*$/d' <&3
    exec 3>&-
}

free_port() {
    local port
    for _ in {1..100}; do
        port=$((20000 + RANDOM % 10000))
        if ! (exec 3<> "/dev/tcp/127.0.0.1/$port") 2> /dev/null; then
            echo $port
            return
        fi
    done
    return 1
}

# Milliseconds with two decimals between two values of EPOCHREALTIME (its separator may be a comma).
between() {
    local us=$((${2//[.,]/} - ${1//[.,]/}))
    printf '%d.%02d ms' $((us / 1000)) $((us % 1000 / 10))
}

# Sets `children` to the processes of which Upright is the parent. No command is run for it.
look() { read -r children < "/proc/$upright/task/$upright/children" || true; }

# Looks at the keeper's children until there is one that was not there; as often as it can, without
# running a command, so that the time is that of the respawn.
new_child() {
    local child end=$((SECONDS + patience))
    while [ $SECONDS -lt $end ]; do
        look
        for child in $children; do
            case " $1 " in *" $child "*) ;; *) return ;; esac
        done
    done
    fail "waited $patience s in vain: a new process in place of the killed one"
}

# ---- what is shown ------------------------------------------------------------------------------

for program in upright upright-core; do
    [ -x "$bin/$program" ] || fail "$bin/$program is not there: build it first"
done
# The kernel shows that number for every user whom it cannot name, so Upright trusts nobody who has it.
[ "$(id -u)" != 65534 ] || fail "run it as another user: nobody (65534) owns nothing in Upright"
mkdir "$dir/bin"
ln -s "$bin/upright" "$dir/bin/upright"
ln -s "$bin/upright" "$dir/bin/initctl"
export PATH="$dir/bin:$PATH"
DEMO_PORT=$(free_port) || fail "found no free port between 20000 and 29999"
export DEMO_PORT DEMO_DIR="$dir" DEMO_HOME="$home" DEMO_WEB="$bin/examples/demo-web"
export UPRIGHT_SOCKET="$dir/control" UPSTART_LOGDIR="$dir/log"
unset UPSTART_SESSION UPSTART_JOB UPSTART_INSTANCE XDG_RUNTIME_DIR

# Node serves the page; where it is not there and cannot be had, a small server of our own does.
if ! command -v node > /dev/null && [ "$(id -u)" = 0 ] && command -v apt-get > /dev/null; then
    note "node is not there: installing Debian's nodejs"
    timeout 60 apt-get install -y -q --no-install-recommends nodejs > /dev/null 2>&1 || true
fi
if ! command -v node > /dev/null; then
    note "node is not there: web will be the repository's own examples/demo-web"
    [ -x "$DEMO_WEB" ] || fail "$DEMO_WEB is not there: build it first"
fi

chapter "1. Four job files, as Upstart would read them"
for job in site web flaky alarm; do
    note "  demo/jobs/$job.conf: $(sed -n 's/^description "\(.*\)"/\1/p' "$home/jobs/$job.conf")," \
        "$(sed -n '/^start on/p' "$home/jobs/$job.conf")"
done
show upright check demo/jobs/*.conf || fail "a job file is not in order"

chapter "2. Start: as $(id -un), without a terminal, in the background"
note "  $bold\$ upright up demo/jobs &$plain"
"$bin/upright-core" --up --socket "$UPRIGHT_SOCKET" -- demo/jobs < /dev/null > "$dir/output" 2>&1 &
upright=$!
wait_for "upright answers" initctl version
wait_for "web runs" is web start/running
wait_for "flaky is given up" is flaky stop/waiting
wait_for "web answers on port $DEMO_PORT" fetch "$DEMO_PORT"
note "  The task built a page and emitted an event, which started web; the end of the task started flaky:"
show upright status

chapter "3. The service answers"
note "  $bold\$ curl http://127.0.0.1:$DEMO_PORT/$plain"
page=$(fetch "$DEMO_PORT") || fail "web does not answer on port $DEMO_PORT"
printf '%s\n' "$page" | sed 's/^/  /'
first=$(pid_of web)
case $page in *"Served by process $first."*) ;; *) fail "another process than $first answers" ;; esac

chapter "4. The service is killed, and back"
note "  $bold\$ kill -9 $first$plain"
look
before=$children
killed=$EPOCHREALTIME
kill -9 "$first"
new_child "$before"
back=$EPOCHREALTIME
wait_for "web runs in a new process" is web start/running
second=$(pid_of web)
[ "$second" != "$first" ] || fail "web still has process $first"
note "  Process $second is there $(between "$killed" "$back") after the kill of process $first."
wait_for "web answers again" fetch "$DEMO_PORT"
show upright status web
wait_for "alarm ran" test -s "$dir/log/alarm.log"
show upright log alarm

chapter "5. Upright's own daemon is killed: nobody notices"
daemon=
look
for child in $children; do
    if tr '\0' '\n' < "/proc/$child/cmdline" | grep -q -x -e --role=daemon -e upright-daemon; then
        daemon=$child
    fi
done
[ -n "$daemon" ] || fail "found no daemon among the children of process $upright"
note "  $bold\$ kill -9 $daemon   # upright-daemon$plain"
kill -9 "$daemon"
show initctl status web
[ "$(pid_of web)" = "$second" ] || fail "web lost its process $second"
fetch "$DEMO_PORT" > /dev/null || fail "web does not answer"
note "  The same process, no request lost: the keeper is its parent, the journal is in memory."

chapter "6. What web wrote: two lives in one log"
show upright log web
[ "$(grep -c 'listens on port' "$dir/log/web.log")" = 2 ] || fail "web.log does not show two lives"

chapter "7. Why does flaky not run?"
show upright why flaky

chapter "8. A clean stop"
show upright down
wait "$upright" || fail "upright ended with status $?"
upright=
if kill -0 "$second" 2> /dev/null; then fail "web (process $second) is still there"; fi
if fetch "$DEMO_PORT" > /dev/null 2>&1; then fail "somebody still answers on port $DEMO_PORT"; fi
note "  Upright has ended, nothing is left behind. The demonstration took $SECONDS s."
