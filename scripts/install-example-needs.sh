#!/bin/sh
# Installs the real software that the tests of examples/ and of `expect` run, from Debian's packages,
# and makes the users that the examples name. Quick when all is there. Starts no service.
#
# Where it cannot (not root, no apt-get, no network) it says so and ends well: the tests then count
# what is missing as skipped, with the reason.
set -eu

# command it is there by | package
NEEDS='
/usr/sbin/sshd               openssh-server
/usr/bin/ssh                 openssh-client
/usr/sbin/nagios4            nagios4-core
/usr/bin/puma                puma
/usr/bin/busybox             busybox
/usr/bin/logger              bsdutils
/usr/sbin/nginx              nginx-light
/usr/bin/dbus-daemon         dbus-daemon
/usr/sbin/cron               cron
/usr/sbin/haproxy            haproxy
/usr/bin/python3             python3-minimal
/usr/sbin/start-stop-daemon  dpkg
'

# Users that the examples' job files name. They stay: removing a user while a file of its may be
# left somewhere gives the file to whoever gets the number next.
USERS='node deploy'

missing=$(echo "$NEEDS" | while read -r command package; do
    [ -z "$command" ] || [ -x "$command" ] || [ -x "/sbin${command#/usr/sbin}" ] ||
        [ -x "/bin${command#/usr/bin}" ] || echo "$package"
done)
command -v node >/dev/null || missing="$missing nodejs"
missing=$(echo $missing)

if [ "$(id -u)" != 0 ]; then
    [ -z "$missing" ] || echo "examples: not root, not installed: $missing" >&2
    exit 0
fi

for user in $USERS; do
    getent passwd "$user" >/dev/null ||
        useradd --system --user-group --no-create-home --home-dir "/home/$user" \
            --shell /usr/sbin/nologin "$user"
done

[ -n "$missing" ] || exit 0
command -v apt-get >/dev/null || {
    echo "examples: no apt-get here, not installed: $missing" >&2
    exit 0
}

# While it is there, no package starts what it installs. Not ours to touch where one is already.
POLICY=/usr/sbin/policy-rc.d
if [ ! -e "$POLICY" ]; then
    trap 'rm -f "$POLICY"' EXIT INT TERM
    printf '#!/bin/sh\nexit 101\n' >"$POLICY"
    chmod 755 "$POLICY"
fi
export DEBIAN_FRONTEND=noninteractive
log=$(mktemp)
if apt-get update >"$log" 2>&1 &&
    apt-get install -y --no-install-recommends $missing >>"$log" 2>&1; then
    echo "examples: installed $missing"
else
    tail -n 5 "$log" >&2
    echo "examples: could not install: $missing" >&2
fi
rm -f "$log"
