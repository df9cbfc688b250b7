#!/usr/bin/env bash
# The documentation builds without a warning: no broken link, no bad HTML. (Its examples run in test.sh.)
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

export RUSTDOCFLAGS="-D warnings"
run cargo doc --workspace --no-deps
