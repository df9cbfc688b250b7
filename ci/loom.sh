#!/usr/bin/env bash
# Every loom model holds in all interleavings it is bounded to, and every canary, a model with one
# step weakened, fails.
#
#   ci/loom.sh                all crates
#   ci/loom.sh crates/sched   one crate
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

own_target_dir loom
export LOOM_MAX_PREEMPTIONS=${LOOM_MAX_PREEMPTIONS:-2}
export LOOM_MAX_BRANCHES=${LOOM_MAX_BRANCHES:-10000}
# A canary prints the backtrace of the panic it is there for.
export RUST_BACKTRACE=0

logs=$CARGO_TARGET_DIR/logs
rm -rf "$logs"
mkdir -p "$logs"

# models CFG PACKAGE TEST LOG [FILTER]: runs the models of one file and keeps what they print.
models() {
    RUSTFLAGS="$loom_flags$1" limited 900 \
        cargo test --profile loom -p "$2" --test "$3" -- --nocapture --test-threads=1 ${5:+"$5"} \
        2>&1 | tee "$4"
}

# passed LOG: how many tests the log says have passed.
passed() {
    sed -n 's/^test result: ok\. \([0-9]*\) passed.*/\1/p' "$1"
}

crates=${1:-$(loom_crates)}
[ -n "$crates" ] || fail "no crate has a tests/loom_*.rs"
total=0
canaries=0
for crate in $crates; do
    package=$(package_of "$crate")
    for test in $(loom_tests "$crate"); do
        log=$logs/$package-$test.log
        say "$package $test"
        models '' "$package" "$test" "$log" || fail "a model of $package $test fails; see above"
        count=$(grep -c 'loom model .*: [0-9]* interleavings$' "$log" || true)
        [ "$count" -gt 0 ] ||
            fail "$package $test printed no count of interleavings; do its models run in testkit::model?"
        total=$((total + count))

        say "$package $test, canaries"
        models ' --cfg weftwork_canary' "$package" "$test" "$log.canary" canary_ ||
            fail "a canary of $package $test survives its weakening, or ends the process; see above"
        count=$(passed "$log.canary")
        [ "${count:-0}" -gt 0 ] || fail "$package $test has no canary_* test"
        # A panic outside the model would satisfy `should_panic`, too.
        failed=$(grep -c 'loom model .*: failed in interleaving [0-9]*$' "$log.canary" || true)
        [ "$failed" -ge "$count" ] ||
            fail "$count canaries of $package $test panic, but only $failed in a model; see above"
        canaries=$((canaries + count))
    done
done
say "$total models hold, $canaries canaries fail as they must:"
grep -ho 'loom model .*: [0-9]* interleavings$' "$logs"/*.log
