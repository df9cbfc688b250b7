#!/usr/bin/env bash
# The commands that README.md promises are those that are checked, and the first of them works.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

main_job='cargo run --release --example c50k'
test_all='cargo test --workspace'

# The commands in the fenced blocks of the README, without comments and prompts.
commands=$(awk '/^ *```/ { inside = !inside; next } inside' README.md |
    sed -E 's/^ *(\$ )?//; s/ +#.*$//; s/ +$//' | grep -E '^cargo (run|test)' || true)
say "README.md tells:"
printf '%s\n' "${commands:-(no command)}"
for command in "$main_job" "$test_all"; do
    grep -qxF -- "$command" <<<"$commands" || fail "README.md does not tell: $command"
done

grep -qxF -- "run $test_all" ci/test.sh || fail "ci/test.sh does not run: $test_all"

# As a newcomer types it, but small.
say "$main_job"
# shellcheck disable=SC2086 # The words of the command.
WEFTWORK_SMALL=1 limited 900 $main_job
