#!/usr/bin/env bash
# Boots a Debian with Upright as PID 1 in an emulated machine, five times: as it is; with the daemon
# killed twenty times meanwhile; to be ended by a failing supply, and by TERM; without a single job.
# Prints the time of each step.
# scripts/test-boot.sh BIN_DIR: static binaries. What is built is kept in target/boot.
set -uo pipefail
cd "$(dirname "$0")/.."
bin=$1
dir=target/boot

scripts/boot/build.sh "$bin" "$dir"
result=$?
# 3: it cannot be done here, and has been said.
[ $result != 3 ] || exit 0
[ $result = 0 ] || { echo "FAILED: the machine could not be built"; exit 1; }

failed=0
for boot in plain killed power term rescue; do
    python3 scripts/boot/boot.py "$dir" $boot || failed=$((failed + 1))
done
echo "took $SECONDS s; $((5 - failed)) boots as they should be, $failed not (their consoles: $dir/*.console)"
[ $failed = 0 ]
