#!/usr/bin/env bash
# The published crates and the examples build with panic=abort, where nothing unwinds, and the
# programs so built still run.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

own_target_dir panic-abort
# The profile rather than RUSTFLAGS: it leaves build scripts and procedural macros alone.
export CARGO_PROFILE_RELEASE_PANIC=abort

packages=()
for package in $(published_packages); do
    packages+=(-p "$package")
done
[ ${#packages[@]} -gt 0 ] || fail "no published package was found"
run cargo build --release "${packages[@]}"
run cargo build --release -p weftwork-examples --examples
run_examples "$CARGO_TARGET_DIR/release/examples"
