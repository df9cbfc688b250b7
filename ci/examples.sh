#!/usr/bin/env bash
# Every example runs to its end in small mode, without arguments and without input.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

run cargo build --release -p weftwork-examples --examples
run_examples "$target_base/release/examples"
