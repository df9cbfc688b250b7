#!/usr/bin/env bash
# All tests and the examples in the documentation: the command the README gives.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

run cargo test --workspace
