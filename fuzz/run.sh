#!/bin/sh
# run.sh [SECONDS] [TARGET...]: builds the targets with the stable toolchain and runs each of them,
# one after the other; 60 seconds and all targets where nothing is said. What breaks is kept in
# crashes/TARGET, where the tests of the project replay it.
set -eu
cd "$(dirname "$0")"
case ${1-} in
'' | *[!0-9]*) seconds=60 ;;
*) seconds=$1; shift ;;
esac
[ $# -gt 0 ] || set -- dialect supervisord control snapshot journal keeper plan expand

# What cargo-fuzz sets, but for the sanitizer, which only the nightly toolchain has.
RUSTFLAGS="-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
-Cllvm-args=-sanitizer-coverage-trace-compares -Cllvm-args=-sanitizer-coverage-inline-8bit-counters \
-Cllvm-args=-sanitizer-coverage-pc-table -Ccodegen-units=1 --cfg fuzzing"
export RUSTFLAGS
# With a target the flags are not those of build scripts, which could not be linked with them.
host=$(rustc -vV | sed -n 's/^host: //p')
nice -n 19 cargo build --release --quiet --target "$host" --bins

failed=0
for target; do
    mkdir -p "crashes/$target" "target/grown/$target"
    log=target/$target.log
    set -- "target/grown/$target" "corpus/$target"
    # The crashes of before are good beginnings too; the dialect has its own examples.
    [ "$target" != supervisord ] || set -- "$@" ../crates/engine/tests/supervisord
    [ "$target" != dialect ] || set -- "$@" ../crates/engine/tests/dialect
    words=''
    [ ! -e "words/$target" ] || words=-dict=words/$target
    verdict=clean
    nice -n 19 "target/$host/release/$target" "$@" "crashes/$target" $words -fork=0 -max_len=4096 \
        -max_total_time="$seconds" -rss_limit_mb=2048 -timeout=10 -print_final_stats=1 \
        -artifact_prefix="crashes/$target/" >"$log" 2>&1 || { verdict="FOUND SOMETHING, see fuzz/$log"; failed=1; }
    # A run that found something may end before it says its numbers.
    count=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")
    took=$(sed -n 's/^Done [0-9]* runs in \([0-9]*\) second.*/\1/p' "$log")
    echo "$target: ${count:-?} executions, ${took:-?} seconds, $verdict"
    rmdir "crashes/$target" 2>/dev/null || true
done
exit $failed
