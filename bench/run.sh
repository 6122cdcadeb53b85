#!/usr/bin/env bash
# Measures Upright next to the floor and whatever peers are there, with supbench: needs root, gcc and
# python3. SUPBENCH is the directory of the harness (supbench.py), BIN that of the static binaries.
# Arguments are passed on; without any it is a short version: one round, the small phases.
set -euo pipefail
cd "$(dirname "$0")/.."

SUPBENCH=${SUPBENCH:-}
BIN=${BIN:-out}
if [ ! -f "$SUPBENCH/supbench.py" ]; then
    echo "bench: no harness at \"$SUPBENCH\"; name the directory of supbench.py with SUPBENCH=" >&2
    exit 1
fi
[ -x "$BIN/upright-core" ] || scripts/release.sh
[ $# -gt 0 ] || set -- --rounds 1 --phases n10,n10log,n100,n1000,logtp,loglat --idle 5 --log-secs 4 --table
mkdir -p out/bench
UPRIGHT_BIN=$(realpath "$BIN") exec python3 "$SUPBENCH/supbench.py" --adapter-file bench/upright.py \
    --peers "${PEERS:-floor,upright}" --out out/bench --result "${RESULT:-results}" "$@"
