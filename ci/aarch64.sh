#!/usr/bin/env bash
# Builds the fiber crate and its tests for aarch64 and runs them under user-mode emulation, with
# Debian's own Rust and cross compiler. The programs are linked statically: dynamically linked ones
# hang in this emulator when they create a thread.
set -euo pipefail
cd "$(dirname "$0")/.."

packages=(
    rustc-web cargo-web libstd-rust-web-dev:arm64
    gcc-aarch64-linux-gnu libc6-dev-arm64-cross qemu-user
)
as_root=()
if [ "$(id -u)" -ne 0 ]; then as_root=(sudo); fi
# `dpkg-query` fails for packages that are not known at all.
missing=0
for package in "${packages[@]}"; do
    status="$(dpkg-query --show --showformat='${db:Status-Status}' "$package" 2> /dev/null || true)"
    if [ "$status" != installed ]; then missing=1; fi
done
if [ "$missing" -eq 1 ]; then
    "${as_root[@]}" dpkg --add-architecture arm64
    "${as_root[@]}" apt-get update
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
        apt-get install -y --no-install-recommends "${packages[@]}"
fi

# Debian's compiler, which knows the target, before any other one.
export PATH="/usr/bin:$PATH"
export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-target}/aarch64"
export CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER=aarch64-linux-gnu-gcc
export CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_RUNNER=qemu-aarch64
# For tests that start their own program again.
export WEFTWORK_FIBER_TEST_RUNNER=qemu-aarch64
export RUSTFLAGS="-C target-feature=+crt-static"
export PROPTEST_CASES=10
unset RUSTUP_TOOLCHAIN RUSTC CARGO

for profile in dev release; do
    cargo test --package weftwork-fiber --tests --profile "$profile" \
        --target aarch64-unknown-linux-gnu
done
