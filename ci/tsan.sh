#!/usr/bin/env bash
# The stress programs under ThreadSanitizer: whether the accesses of channels, locks, transactions and
# actors are ordered where threads, green threads and futures race for them. Any report fails the stage.
#
#   ci/tsan.sh                 all of them
#   ci/tsan.sh weftwork-csp    those of one package
#
# The programs are the tests named stress_* that have a `main` of their own. std comes as it is
# shipped, without the sanitizer, which then does not see what std's locks, its channels and the
# harness of ordinary tests order: those are left out, here and in the programs. The locks behind
# weftwork_core::sync are compiled here, so they are seen, and fibers announce themselves. What is
# left of std's false reports is in tsan-suppressions.txt, with the reason of each line.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

need_toolchain nightly
own_target_dir tsan
host=$(rustup run nightly rustc --print host-tuple)
# The shipped std has no sanitizer, and rustc wants to hear that this is meant.
export RUSTFLAGS="-Zsanitizer=thread -Cunsafe-allow-abi-mismatch=sanitizer --cfg weftwork_tsan"
# History: how far back the other side of a race can be shown.
export TSAN_OPTIONS=${TSAN_OPTIONS:-halt_on_error=0:second_deadlock_stack=1:history_size=4}
TSAN_OPTIONS+=:suppressions=$PWD/ci/tsan-suppressions.txt
# The counts of iterations of the other slow builds, and their patience.
export CI=true WEFTWORK_PATIENCE=${WEFTWORK_PATIENCE:-5}

[ $# -gt 0 ] || set -- weftwork-csp weftwork-sync weftwork-stm weftwork-actor

# stress_tests PACKAGE: the names of its stress programs, one per line.
stress_tests() {
    metadata | jq -r --arg package "$1" '.packages[] | select(.name == $package) | .targets[]
        | select((.kind | index("test")) and (.name | startswith("stress_"))) | .name'
}

mkdir -p "$CARGO_TARGET_DIR"
log=$CARGO_TARGET_DIR/tsan.log
: >"$log"
say "RUSTFLAGS='$RUSTFLAGS' TSAN_OPTIONS='$TSAN_OPTIONS'"
count=0
for package in "$@"; do
    tests=()
    for name in $(stress_tests "$package"); do
        tests+=(--test "$name")
        count=$((count + 1))
    done
    [ ${#tests[@]} -gt 0 ] || fail "$package has no stress_* test"
    # --target keeps build scripts and procedural macros free of the sanitizer.
    run cargo +nightly test --target "$host" -p "$package" "${tests[@]}" --no-fail-fast 2>&1 | tee -a "$log" ||
        fail "a program fails under ThreadSanitizer, or the sanitizer has something to say; see above"
done

# One program has a race when it is asked to: it must be seen, in spite of the suppressions.
say "the canary"
canary=$CARGO_TARGET_DIR/canary.log
if WEFTWORK_CANARY=1 cargo +nightly test --target "$host" -p weftwork-csp --test stress_canary \
    >"$canary" 2>&1; then
    fail "the race of stress_canary is not reported; see $canary"
fi
grep -q 'ThreadSanitizer: data race' "$canary" ||
    fail "stress_canary fails, but not by its race; see $canary"

# A program may end well while the sanitizer has something to say.
if grep -nE 'ThreadSanitizer|^FATAL' "$log"; then
    fail "the sanitizer spoke; the lines are above"
fi
say "$count programs, nothing to report"
