#!/usr/bin/env bash
# The tests of the crates with stacks and raw memory under AddressSanitizer and its leak check.
# Fibers announce their stacks to it, so that no warning, and no "false positive" notice, remains.
#
#   ci/asan.sh                  all of them
#   ci/asan.sh weftwork-fiber   one
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

need_toolchain nightly
own_target_dir asan
host=$(rustup run nightly rustc --print host-tuple)
export RUSTFLAGS="-Zsanitizer=address --cfg weftwork_asan"
export ASAN_OPTIONS=${ASAN_OPTIONS:-detect_leaks=1:detect_stack_use_after_return=1}
export LSAN_OPTIONS=suppressions=$PWD/ci/asan-suppressions.txt:print_suppressions=0

[ $# -gt 0 ] || set -- weftwork-{core,fiber,reactor,sched,sync,csp,stm,actor,net}
packages=()
for package in "$@"; do
    packages+=(-p "$package")
done

mkdir -p "$CARGO_TARGET_DIR"
log=$CARGO_TARGET_DIR/asan.log
say "RUSTFLAGS='$RUSTFLAGS' ASAN_OPTIONS='$ASAN_OPTIONS'"
# --target keeps build scripts and procedural macros free of the sanitizer.
run cargo +nightly test --target "$host" "${packages[@]}" --tests --no-fail-fast 2>&1 | tee "$log" ||
    fail "the tests do not pass under AddressSanitizer; see above"

# A test may pass while the sanitizer has something to say.
if grep -nE '^==[0-9]+==|AddressSanitizer|LeakSanitizer|[Ff]alse positive' "$log"; then
    fail "the sanitizer spoke; the lines are above"
fi
say "nothing to report"
