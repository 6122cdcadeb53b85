#!/usr/bin/env bash
# Installs Upright: scripts/install.sh BIN_DIR DESTDIR PREFIX
# Removes it:       scripts/install.sh --remove DESTDIR PREFIX
# Nothing of the system is overwritten: names that Upstart and Supervisor had are links in
# PREFIX/lib/upright/bin.
set -euo pipefail
cd "$(dirname "$0")/.."

# The names of Upstart's programs that the command line answers to, besides init.
names="initctl start stop restart reload status emit list telinit runlevel shutdown halt poweroff reboot init-checkconf initctl2dot"
# The names of Supervisor's programs that its client answers to.
supervisor_names="supervisorctl pidproxy echo_supervisord_conf"

[ $# = 3 ] || { echo "usage: scripts/install.sh BIN_DIR|--remove DESTDIR PREFIX" >&2; exit 2; }
bin=$1
root=$2$3
case $3 in /*) ;; *) echo "install: PREFIX=$3: give an absolute path" >&2; exit 2 ;; esac
lib=$root/lib/upright
doc=$root/share/doc/upright
man=$root/share/man/man5
vim=$root/share/vim/vimfiles/syntax
policy=$root/share/dbus-1/system.d/com.ubuntu.Upstart.conf

if [ "$bin" = --remove ]; then
    rm -f "$root/bin/upright"
    rm -rf "$lib" "$doc"
    rm -f "$policy" "$man/upright-job.5" "$man/upright-supervisord.conf.5" "$vim/upright-job.vim"
    echo "removed Upright from $root"
    exit
fi

install -d "$root/bin" "$lib/bin" "$doc/docs"
# A file that runs is replaced, not written over.
install -m 755 "$bin/upright" "$root/bin/upright"
install -m 755 "$bin/upright-core" "$lib/upright-core"
ln -sfn ../upright-core "$lib/bin/init"
ln -sfn ../upright-core "$lib/bin/supervisord"
for name in $names; do
    ln -sfn ../../../bin/upright "$lib/bin/$name"
done
# Optional: an image that has none of Supervisor's configuration does without.
if [ -e "$bin/supervisorctl" ]; then
    install -m 755 "$bin/supervisorctl" "$lib/supervisorctl"
    for name in $supervisor_names; do
        ln -sfn ../supervisorctl "$lib/bin/$name"
        names="$names $name"
    done
fi
# Optional: XML-RPC clients of Supervisor.
if [ -e "$bin/upright-http" ]; then
    install -m 755 "$bin/upright-http" "$lib/upright-http"
fi
# Optional too: without it D-Bus clients are refused.
if [ -e "$bin/upright-dbus" ]; then
    install -m 755 "$bin/upright-dbus" "$lib/upright-dbus"
    install -D -m 644 dist/com.ubuntu.Upstart.conf "$policy"
fi
install -m 644 README.md ARCHITECTURE.md CHANGELOG.md LICENSE-MIT LICENSE-APACHE "$doc/"
install -m 644 docs/*.md "$doc/docs/"
install -d "$man" "$vim"
install -m 644 dist/man/*.5 "$man/"
install -m 644 dist/vim/syntax/upright-job.vim "$vim/"
cat << TXT
installed Upright in $root
  bin/upright              the command line
  lib/upright/upright-core keeper, daemon and logger
  lib/upright/bin/         init, supervisord, $(echo "$names" | sed 's/ /, /g')
  share/doc/upright/       documents
For these names, put $3/lib/upright/bin first in PATH.
TXT
