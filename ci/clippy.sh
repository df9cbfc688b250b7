#!/usr/bin/env bash
# No warning of rustc or clippy: with all features and with none, and in the builds for models.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

run cargo clippy --workspace --all-targets --all-features -- -D warnings
run cargo clippy --workspace --all-targets --no-default-features -- -D warnings

# What stands behind `cfg(weftwork_loom)` is seen by no ordinary build.
own_target_dir clippy-loom
crates=$(loom_crates)
[ -n "$crates" ] || fail "no crate has a tests/loom_*.rs"
for crate in $crates; do
    package=$(package_of "$crate")
    targets=()
    for test in $(loom_tests "$crate"); do
        targets+=(--test "$test")
    done
    for cfg in '' ' --cfg weftwork_canary'; do
        say "$package, RUSTFLAGS='$loom_flags$cfg'"
        RUSTFLAGS="$loom_flags$cfg" \
            run cargo clippy --profile loom -p "$package" --lib "${targets[@]}" -- -D warnings
    done
done
