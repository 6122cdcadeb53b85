#!/usr/bin/env bash
# Builds the static binaries into out/, prints their sizes, and says so where the core is over its
# budget, of which 0.7 MB are in any static program with glibc.
set -euo pipefail
cd "$(dirname "$0")/.."

core_max=1300000 # bytes

host=$(rustc -vV | sed -n 's/^host: //p')
# Only with a named target do the flags spare what runs while building (procedural macros).
# Position independent: PID 1 is not to lie at an address that everybody knows. It costs 70 KB of the
# file and 40 KiB of memory in each of our three processes.
flags="-C target-feature=+crt-static -C force-unwind-tables=no"
# Equal functions once, relocations packed (RELR), no tables for unwinding: together 0.3 MB, where the
# linker is LLVM's, as the Rust toolchain brings it.
small="-C link-arg=-Wl,--icf=all -C link-arg=-Wl,--pack-dyn-relocs=relr -C link-arg=-Wl,-T,scripts/no-unwind.ld"
probe=$(mktemp -d)
trap 'rm -rf "$probe"' EXIT
# shellcheck disable=SC2086 # several words each
if echo 'fn main() {}' | rustc $flags $small -C panic=abort -o "$probe/probe" - 2> "$probe/why" && "$probe/probe"; then
    flags="$flags $small"
else
    echo "release: this linker cannot make the programs small: $(tail -n 1 "$probe/why")" >&2
fi
RUSTFLAGS="$flags" \
    cargo build --release --quiet --target "$host" -p upright -p supervisorctl -p gateway-dbus -p gateway-http --bins \
    --example demo-web
mkdir -p out/examples
for program in upright upright-core upright-dbus upright-http supervisorctl examples/demo-web; do
    cp -f "target/$host/release/$program" "out/$program.new"
    mv -f "out/$program.new" "out/$program" # a running one keeps its file
done
for program in upright upright-core upright-dbus upright-http supervisorctl; do
    printf 'out/%-14s %9d bytes\n' "$program" "$(wc -c < "out/$program")"
done
size=$(wc -c < out/upright-core)
if [ "$size" -gt "$core_max" ]; then
    echo "release: upright-core is over its budget of $core_max bytes by $((size - core_max))" >&2
fi
