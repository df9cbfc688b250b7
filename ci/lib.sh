# The few helpers that the stages share. Sourced, not run:
#
#   source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
#
# After that the working directory is the root of the repository, and every command that fails ends
# the stage.

set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

# Where cargo builds. Stages that build with other flags take a folder of their own below it.
target_base=${CARGO_TARGET_DIR:-$PWD/target}
stage=$(basename "$0" .sh)

# Where nobody builds twice, nothing is kept for a second build: it would be a third of the disk.
[ -z "${CI:-}" ] || export CARGO_INCREMENTAL=0

say() { printf '[%s] %s\n' "$stage" "$*"; }

fail() {
    printf '[%s] FAILED: %s\n' "$stage" "$*" >&2
    exit 1
}

# run COMMAND...: prints the command, then runs it.
run() {
    say "$*"
    "$@"
}

# limited SECONDS COMMAND...: runs it without input, and ends it with all it started after that time
# (status 124), or when this stage is interrupted.
limited() {
    local limit=$1 child status=0
    shift
    # With job control the command gets a process group of its own and keeps its handling of SIGINT.
    # It runs in the background because a shell hears of signals only while it waits for such a one.
    set -m
    timeout --kill-after=10 "$limit" "$@" </dev/null &
    child=$!
    set +m
    # shellcheck disable=SC2064 # The number of this child.
    trap "kill $child 2>/dev/null; wait $child || true; exit 130" INT TERM
    wait "$child" || status=$?
    trap - INT TERM
    return "$status"
}

# own_target_dir NAME: builds of this stage go into a folder of their own. In CI it goes when the stage has
# passed: all stages together would need more disk than many a machine has.
own_target_dir() {
    export CARGO_TARGET_DIR=$target_base/$1
    [ -z "${CI:-}" ] || trap '[ "$?" -ne 0 ] || rm -rf "$CARGO_TARGET_DIR"' EXIT
}

# as_root COMMAND...: runs it as root, by sudo where needed.
as_root() {
    if [ "$(id -u)" = 0 ]; then
        "$@"
    else
        command -v sudo >/dev/null || fail "root is needed for: $*"
        sudo "$@"
    fi
}

# need_package PACKAGE...: installs the Debian packages that are missing.
need_package() {
    local missing=() package
    for package in "$@"; do
        dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null | grep -qx installed ||
            missing+=("$package")
    done
    [ ${#missing[@]} -gt 0 ] || return 0
    command -v apt-get >/dev/null || fail "these packages are needed: ${missing[*]}"
    say "installing ${missing[*]}"
    as_root apt-get update -q
    as_root env DEBIAN_FRONTEND=noninteractive \
        apt-get install -q -y --no-install-recommends "${missing[@]}"
}

# need_tool COMMAND PACKAGE: installs PACKAGE unless COMMAND is there.
need_tool() {
    command -v "$1" >/dev/null || need_package "$2"
    command -v "$1" >/dev/null || fail "$1 is missing, and the package $2 did not bring it"
}

# need_toolchain NAME: installs a Rust toolchain unless rustup has it.
need_toolchain() {
    command -v rustup >/dev/null || fail "rustup is needed for the $1 toolchain"
    if ! rustup run "$1" rustc --version >/dev/null 2>&1; then
        run rustup toolchain install "$1" --profile minimal || fail "no $1 toolchain to be had"
    fi
    say "$(rustup run "$1" rustc --version)"
}

# metadata: the members of the workspace as JSON.
metadata() {
    need_tool jq jq >&2
    cargo metadata --format-version 1 --no-deps
}

# published_packages: the names of the members that are published, one per line.
published_packages() {
    metadata | jq -r '.packages[] | select(.publish != []) | .name'
}

# examples: the names of the examples of the workspace's examples package, one per line.
examples() {
    metadata | jq -r '.packages[] | select(.name == "weftwork-examples") | .targets[]
        | select(.kind | index("example")) | .name'
}

# run_examples FOLDER: runs every example that was built into FOLDER, in its small mode.
run_examples() {
    local names name count=0
    names=$(examples)
    for name in $names; do
        say "example $name, small"
        WEFTWORK_SMALL=1 limited 120 "$1/$name" ||
            fail "the example $name ended with status $? (124: it ran for more than 120 s)"
        count=$((count + 1))
    done
    [ "$count" -gt 0 ] || fail "there is no example to run"
    say "examples run: $count"
}

# loom_crates: the folders of the crates that have loom models, one per line.
loom_crates() {
    local file
    for file in crates/*/tests/loom_*.rs; do
        [ -e "$file" ] && printf '%s\n' "${file%/tests/*}"
    done | sort -u
}

# loom_tests CRATE_FOLDER: the names of its test targets with models, one per line.
loom_tests() {
    local file
    for file in "$1"/tests/loom_*.rs; do
        basename "$file" .rs
    done
}

# package_of CRATE_FOLDER: the name of its package.
package_of() {
    sed -n 's/^name = "\(.*\)"/\1/p' "$1/Cargo.toml" | head -n 1
}

# The flags under which models are built, for loom.sh and for clippy.sh.
loom_flags='--cfg weftwork_loom -C debug_assertions'
