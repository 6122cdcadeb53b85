# The commands of the README. `make help` lists them.
.PHONY: help check test

help: ## list the commands
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 12

check: ## formatting, lints (warnings are errors)
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --quiet -- -D warnings

test: check ## install what the tests need, run everything
	cargo test --workspace --quiet
