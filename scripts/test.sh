#!/usr/bin/env bash
# Everything that can be checked, summed up in the last line: N passed, N failed, N skipped.
# A test that cannot run here prints `passed over: WHY` and returns; it counts as skipped. Those with a
# harness of their own print `skipped: TEST: WHY` and count it themselves, as ignored. What fails is run once
# more, alone; what passes then is named.
set -uo pipefail
cd "$(dirname "$0")/.."

corpus=../shared/corpus
longest=2400   # seconds for the tests of the workspace: a machine may be slow, a test must not hang for ever
boot_until=720 # seconds after which the boots, three to six minutes with what they build, are left out

# Not in /tmp, where others may clean up.
mkdir -p target
log=$(mktemp target/test.XXXXXX)
again=$(mktemp target/test.XXXXXX)
trap 'rm -f "$log" "$again"' EXIT
passed=0 failed=0 skipped=0
repeated=      # tests that failed among the others, and passed alone

# step NAME COMMAND...: one thing that is right or wrong as a whole.
step() {
    local name=$1
    shift
    echo "== $name"
    if "$@"; then
        passed=$((passed + 1))
    else
        echo "FAILED: $name"
        failed=$((failed + 1))
    fi
}

skip() {
    echo "passed over: $*"
    skipped=$((skipped + 1))
}

# Runs what failed once more, alone: a stalled machine is told from a defect, and both are said. Sets
# `repeated` to what has passed now, `broken` to what has not.
once_more() {
    local targets names name target
    mapfile -t targets < <(sed -n 's/^ *`\(-p .*\)`$/\1/p' "$log")
    mapfile -t names < <(sed -n 's/^test \([^ ]*\)\( - should panic\)\? \.\.\. FAILED.*/\1/p' "$log")
    # More than a few are no accident.
    [ ${#targets[@]} -ge 1 ] && [ ${#targets[@]} -le 3 ] && [ "$broken" -le 5 ] || return
    local still=0
    for target in "${targets[@]}"; do
        echo "== once more, alone: cargo test $target -- ${names[*]}"
        # shellcheck disable=SC2086 # a target is several words
        timeout --kill-after=10 300 cargo test $target -- "${names[@]}" --show-output >"$again" 2>&1
        result=$?
        shown <"$again"
        if [ $result -ne 0 ] || ! grep -q '^test result:.* [1-9][0-9]* passed' "$again"; then
            still=$((still + 1))
            sed -n '/^failures:$/,/^test result:/p' "$again" | tail -n 100
        fi
    done
    if [ $still = 0 ]; then
        repeated="${names[*]:-${targets[*]}}"
        passed=$((passed + broken))
        broken=0
    fi
}

# Prints the lines of the log that a person wants to see, once each.
shown() {
    grep --line-buffered -E '^ +(Running|Doc-tests) |^test result:|\.\.\. FAILED|^error|panicked at|^passed over:|^skipped:|^---- .* stdout'
}

# sum WORD: the total of `N WORD` in the result lines of the test programs.
sum() {
    sed -n "s/^test result:.* \([0-9][0-9]*\) $1;.*/\1/p" "$log" | awk '{ n += $1 } END { print n + 0 }'
}

echo "== what the tests need"
scripts/install-test-needs.sh

step "formatting, lints" make --no-print-directory check

echo "== tests"
timeout --kill-after=10 "$longest" \
    cargo test --workspace --no-fail-fast -- --show-output > >(tee "$log" | shown) 2>&1
result=$?
wait # for the pipe to be read
over=$(grep -c '^passed over: ' "$log")
broken=$(sum failed)
# A program that did not compile, was lost or took too long has no result line.
if [ $result -ne 0 ] && [ "$broken" = 0 ]; then
    tail -n 40 "$log"
    echo "FAILED: cargo test ended with status $result"
    broken=1
fi
passed=$((passed + $(sum passed) - over))
skipped=$((skipped + over + $(sum ignored)))
if [ "$broken" != 0 ]; then
    sed -n '/^failures:$/,/^test result:/p' "$log" | tail -n 200
    # Tests with a harness of their own say what is wrong as it happens.
    grep -B 40 '^test .* \.\.\. FAILED' "$log" | grep -v ' \.\.\. ok' | tail -n 200
    cp "$log" target/test-failed.log
    echo "all that was written: target/test-failed.log"
    once_more
fi
failed=$((failed + broken))

if [ -d $corpus ]; then
    step "corpus" make --no-print-directory corpus CORPUS=$corpus
else
    skip "corpus: $corpus is not there"
fi

echo "== boots in an emulated machine"
if [ $SECONDS -gt $boot_until ]; then
    skip "make test-boot: the tests have taken $((SECONDS / 60)) minutes; run it by itself"
else
    make --no-print-directory test-boot > >(tee "$log") 2>&1
    result=$?
    wait
    fine=$(sed -n 's/^took .*; \([0-9]\) boots as they should be, .*/\1/p' "$log")
    wrong=$(sed -n 's/^took .* boots as they should be, \([0-9]\) not.*/\1/p' "$log")
    if [ $result != 0 ]; then
        echo "FAILED: make test-boot"
        wrong=${wrong:-1}
    elif [ -z "$fine" ]; then
        skipped=$((skipped + 1)) # it has said why
    fi
    passed=$((passed + ${fine:-0}))
    failed=$((failed + ${wrong:-0}))
fi

echo
echo "took $((SECONDS / 60)) min $((SECONDS % 60)) s"
if [ -n "$repeated" ]; then
    echo "failed among the others, passed alone (each is a defect of the test or of what it tests): $repeated"
fi
echo "$passed passed, $failed failed, $skipped skipped"
[ $failed = 0 ]
