#!/usr/bin/env bash
# Every file is formatted as rustfmt.toml says.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

run cargo fmt --all --check
