# The commands of the README. `make help` lists them.
PREFIX ?= /usr/local
DESTDIR ?=
CORPUS ?= ../shared/corpus
DIALECT ?= all
# Where the binaries are that `demo` shows and `install` copies; by default those of `release`.
BIN ?= out

.PHONY: help demo test test-boot check corpus bench release install uninstall built
.DEFAULT_GOAL := help

help: ## list the commands
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 12

demo: built ## build, then show real services under supervision (two minutes at most)
	@scripts/demo.sh $(BIN)

test: ## install what the tests need, run everything, sum up
	@scripts/test.sh

test-boot: built ## boot a Debian with Upright as PID 1 in QEMU, five times (root, x86_64)
	@scripts/test-boot.sh "$(BIN)"

check: ## formatting, lints (warnings are errors), dependencies where cargo-deny is there
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --quiet -- -D warnings
	@if command -v cargo-deny > /dev/null; then cargo deny --log-level error check licenses sources bans; fi

corpus: ## compare with recorded verdicts and specs: CORPUS=DIR DIALECT=upstart|supervisor|all
	@cargo run --release -q -p upright --example corpus -- --corpus $(CORPUS) --dialect $(DIALECT)

bench: built ## measure next to the floor (root, gcc, python3; SUPBENCH=DIR of the harness)
	@BIN=$(BIN) bench/run.sh

release: ## build the static binaries into out/ and print their sizes
	@scripts/release.sh

install: built ## install below PREFIX (/usr/local), staged in DESTDIR
	@scripts/install.sh "$(BIN)" "$(DESTDIR)" "$(PREFIX)"

uninstall: ## remove what install put there
	@scripts/install.sh --remove "$(DESTDIR)" "$(PREFIX)"

# Builds, unless binaries were named, or were built before and cargo is not there (`sudo make install`).
built:
	@if [ "$(BIN)" = out ] && { command -v cargo > /dev/null || [ ! -x out/upright ]; }; then \
		scripts/release.sh; \
	fi
