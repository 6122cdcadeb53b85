#!/usr/bin/env bash
# Builds the static binaries into out/, prints their sizes, and says so where the core is over its
# budget, of which 0.37 MB are in any static program with Rust's standard library.
set -euo pipefail
cd "$(dirname "$0")/.."

core_max=1300000 # bytes

host=$(rustc -vV | sed -n 's/^host: //p')
# musl's programs are a quarter smaller than glibc's and begin in a third of the time: glibc asks the
# processor dozens of questions first, each of which a virtual machine pays for. The allocator is our
# own either way.
target=${host%-gnu}
target=${target%-musl}-musl
base="-C target-feature=+crt-static -C force-unwind-tables=no"
probe=$(mktemp -d)
trap 'rm -rf "$probe"' EXIT
# Whether such flags make a program that runs. Only with a named target do flags spare what runs while
# building (procedural macros). Position independent: PID 1 is not to lie at an address that everybody
# knows.
works() {
    # shellcheck disable=SC2086 # several words
    echo 'fn main() {}' | rustc --target "$1" $2 -C panic=abort -o "$probe/probe" - 2> "$probe/why" && "$probe/probe"
}
# Equal functions once, relocations packed (RELR), no tables for unwinding: together 0.3 MB, where the
# linker is LLVM's, as the Rust toolchain brings it. It links musl by itself, without gcc.
small="--icf=all --pack-dyn-relocs=relr -Tscripts/no-unwind.ld"
lld="-C linker=rust-lld -C linker-flavor=ld.lld -C link-self-contained=yes"
musl="$base $lld"
glibc=$base
for argument in $small; do
    musl="$musl -C link-arg=$argument"
    glibc="$glibc -C link-arg=-Wl,$argument"
done
flags=$musl
if ! works "$target" "$flags"; then
    echo "release: linked with glibc; \`rustup target add $target\` makes smaller programs" >&2
    target=$host flags=$glibc
    if ! works "$target" "$flags"; then
        echo "release: this linker cannot make the programs small: $(tail -n 1 "$probe/why")" >&2
        flags=$base
    fi
fi
RUSTFLAGS="$flags" \
    cargo build --release --quiet --target "$target" -p upright -p supervisorctl -p gateway-dbus -p gateway-http --bins \
    --example demo-web
mkdir -p out/examples
for program in upright upright-core upright-dbus upright-http supervisorctl examples/demo-web; do
    cp -f "target/$target/release/$program" "out/$program.new"
    mv -f "out/$program.new" "out/$program" # a running one keeps its file
done
for program in upright upright-core upright-dbus upright-http supervisorctl; do
    printf 'out/%-14s %9d bytes\n' "$program" "$(wc -c < "out/$program")"
done
size=$(wc -c < out/upright-core)
if [ "$size" -gt "$core_max" ]; then
    echo "release: upright-core is over its budget of $core_max bytes by $((size - core_max))" >&2
fi
