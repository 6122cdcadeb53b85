#!/usr/bin/env bash
# Installs Upright: scripts/install.sh BIN_DIR DESTDIR PREFIX
# Removes it:       scripts/install.sh --remove DESTDIR PREFIX
# Nothing of the system is overwritten: names that Upstart and Supervisor had are links in
# PREFIX/lib/upright/bin.
set -euo pipefail
cd "$(dirname "$0")/.."

# The names of Upstart's programs that the command line answers to, besides init.
names="initctl start stop restart reload status emit list telinit runlevel shutdown halt poweroff reboot init-checkconf initctl2dot"
completed=$names
# The names of Supervisor's programs that its client answers to.
supervisor_names="supervisorctl pidproxy echo_supervisord_conf"

[ $# = 3 ] || { echo "usage: scripts/install.sh BIN_DIR|--remove DESTDIR PREFIX" >&2; exit 2; }
bin=$1
root=$2$3
case $3 in /*) ;; *) echo "install: PREFIX=$3: give an absolute path" >&2; exit 2 ;; esac
lib=$root/lib/upright
doc=$root/share/doc/upright
man=$root/share/man
vim=$root/share/vim/vimfiles/syntax
nano=$root/share/nano/upright-job.nanorc
bash=$root/share/bash-completion/completions
zsh=$root/share/zsh/site-functions/_upright
fish=$root/share/fish/vendor_completions.d
policy=$root/share/dbus-1/system.d/com.ubuntu.Upstart.conf

if [ "$bin" = --remove ]; then
    rm -f "$root/bin/upright"
    rm -rf "$lib" "$doc"
    rm -f "$policy" "$man"/man[157]/upright{,-job,-supervisord.conf,-events}.[157]
    rm -f "$vim/upright-job.vim" "$nano" "$zsh" "$bash/upright" "$fish/upright.fish"
    for name in $names; do
        # Another package's may have the name.
        for file in "$bash/$name" "$fish/$name.fish"; do
            case $(readlink "$file") in upright | upright.fish) rm -f "$file" ;; esac
        done
    done
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
# Pages of the originals' names stand beside those names, where man(1) finds them by PATH.
for page in dist/man/*.[157] dist/man/originals/*; do
    case $page in */originals/*) to=$lib/share/man ;; *) to=$man ;; esac
    install -D -m 644 "$page" "$to/man${page##*.}/${page##*/}"
done
install -D -m 644 dist/vim/syntax/upright-job.vim "$vim/upright-job.vim"
install -D -m 644 dist/nano/upright-job.nanorc "$nano"
install -d "$lib/vscode"
install -m 644 dist/vscode/* "$lib/vscode/"
# bash and fish look for a file of the command's name.
install -D -m 644 dist/completions/_upright "$zsh"
install -D -m 644 dist/completions/upright.bash "$bash/upright"
install -D -m 644 dist/completions/upright.fish "$fish/upright.fish"
for name in $completed; do
    [ -e "$bash/$name" ] || ln -s upright "$bash/$name"
    [ -e "$fish/$name.fish" ] || ln -s upright.fish "$fish/$name.fish"
done
cat << TXT
installed Upright in $root
  bin/upright              the command line
  lib/upright/upright-core keeper, daemon and logger
  lib/upright/bin/         init, supervisord, $(echo "$names" | sed 's/ /, /g')
  share/doc/upright/       documents
  share/man/               manual pages; those of the names above in lib/upright/share/man
  share/                   completions for bash, zsh and fish, syntax for vim and nano; for VS Code in lib/upright/vscode
For these names, put $3/lib/upright/bin first in PATH.
TXT
