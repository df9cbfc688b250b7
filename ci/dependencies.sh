#!/usr/bin/env bash
# The crates depend on each other, and on others, only as the architecture allows, and take atomics
# and threads through the one door.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

run cargo test -p weftwork-tests --test dependency_direction --test one_door
