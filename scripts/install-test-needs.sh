#!/usr/bin/env bash
# Installs the software that tests run, where Debian's packages can be had and we are root.
# What stays away is named; the tests that need it are then counted as skipped.
set -uo pipefail

# A row: a program, and its package.
needs="
python3          python3
node             nodejs
curl             curl
sshd             openssh-server
nagios4          nagios4-core
busybox          busybox
logger           bsdutils
script           bsdutils
last             util-linux
start-stop-daemon dpkg
puma             puma
thin             thin
gunicorn         gunicorn
redis-server     redis-server
ssh              openssh-client
nginx            nginx-light
dbus-daemon      dbus-daemon
dbus-send        dbus-bin
gdbus            libglib2.0-bin
cron             cron
haproxy          haproxy
ip               iproute2
chromium         chromium
zsh              zsh
fish             fish
mandoc           mandoc
"

# The original that supervisorctl is tested with, as PyPI has it: Debian's is older.
supervisor="supervisor==4.3.0 superlance==2.0.0 setuptools<80"
venv=$(dirname "$0")/../target/test-needs/supervisor

# Users that job files of examples/ name. They stay: whoever got a removed one's number next would own
# what it left somewhere.
users="node deploy"

PATH=$PATH:/usr/sbin:/sbin
if [ "$(id -u)" = 0 ]; then
    for user in $users; do
        getent passwd "$user" > /dev/null ||
            useradd --system --user-group --no-create-home --shell /usr/sbin/nologin "$user" ||
            echo "cannot make the user $user"
    done
fi
# A virtual environment below target/, for any user; quick where it is there already.
install_supervisor() {
    [ -x "$venv/bin/supervisord" ] && return
    echo "installing $supervisor into target/test-needs"
    mkdir -p "$(dirname "$venv")"
    # shellcheck disable=SC2086 # a list of words
    python3 -m venv "$venv" > /dev/null && timeout 120 "$venv/bin/pip" install -q $supervisor ||
        echo "cannot install supervisor from PyPI; its tests are skipped"
}

missing= packages=
python3 -c 'import ensurepip' 2> /dev/null || { missing=" venv" packages=" python3-venv"; }
# Debian's own Python has the modules, whichever comes first in PATH.
/usr/bin/python3 -c 'import dbus, gi' 2> /dev/null || {
    missing="$missing python3-dbus" packages="$packages python3-dbus python3-gi gir1.2-glib-2.0"
}
/usr/bin/python3 -c 'import pyramid' 2> /dev/null || {
    missing="$missing python3-pyramid" packages="$packages python3-pyramid"
}
ruby -e 'require "redis"' 2> /dev/null || {
    missing="$missing ruby-redis" packages="$packages ruby-redis"
}
# A name service that needs no network.
[ -e /usr/lib/libnss_extrausers.so.2 ] || {
    missing="$missing libnss-extrausers" packages="$packages libnss-extrausers"
}
while read -r program package; do
    [ -n "$program" ] || continue
    if ! command -v "$program" > /dev/null; then
        missing="$missing $program"
        packages="$packages $package"
    fi
done <<< "$needs"
if [ -z "$missing" ]; then
    install_supervisor
    echo "everything is there"
    exit 0
fi

by_hand() {
    install_supervisor
    echo "not there:$missing. The tests that need them are skipped. $1"
    exit 0
}
command -v apt-get > /dev/null || by_hand "Install them by your system's means."
[ "$(id -u)" = 0 ] || by_hand "As root: apt-get install --no-install-recommends$packages"

# Packages must not start their services here.
policy=/usr/sbin/policy-rc.d
if [ ! -e $policy ]; then
    printf '#!/bin/sh\nexit 101\n' > $policy
    chmod 755 $policy
    trap 'rm -f $policy' EXIT
fi
export DEBIAN_FRONTEND=noninteractive
echo "installing$packages"
install() { timeout 300 apt-get install -y -q --no-install-recommends "$@" > /dev/null; }
# One that cannot be had must not keep the others away.
# shellcheck disable=SC2086 # a list of words
if ! { timeout 120 apt-get update -q > /dev/null && install $packages; }; then
    for package in $packages; do
        install "$package" || echo "cannot install $package; its tests are skipped"
    done
fi
install_supervisor
exit 0
