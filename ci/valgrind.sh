#!/usr/bin/env bash
# Runs the fiber tests under valgrind's memcheck. Any error, leak or failed test fails the stage.
set -euo pipefail
cd "$(dirname "$0")/.."

if ! command -v valgrind > /dev/null; then
    as_root=()
    if [ "$(id -u)" -ne 0 ]; then as_root=(sudo); fi
    "${as_root[@]}" apt-get update
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
        apt-get install -y --no-install-recommends valgrind libc6-dbg
fi

target_dir="${CARGO_TARGET_DIR:-target}/valgrind"
host="$(rustc -vV | sed -n 's/^host: //p')"
runner="CARGO_TARGET_$(echo "$host" | tr 'a-z-' 'A-Z_')_RUNNER"

# Children that overflow on purpose die by a signal, which is their test; they are not traced, so
# that they may. `--max-stackframe` stays at its default: unregistered stacks would be reported.
# Reachable memory is what statics hold.
env "$runner=valgrind --quiet --error-exitcode=101 --leak-check=full \
--errors-for-leak-kinds=definite,indirect --show-leak-kinds=definite,indirect \
--fair-sched=yes --trace-children=no" \
    CARGO_TARGET_DIR="$target_dir" \
    RUSTFLAGS="--cfg weftwork_valgrind -C debuginfo=1" \
    PROPTEST_CASES=5 \
    cargo test --package weftwork-fiber --tests --target "$host" -- --test-threads=1
