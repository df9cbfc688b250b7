#!/usr/bin/env bash
# The supervisors of weftwork-actor against those of Erlang/OTP: both play the same scenarios, and the
# same must happen. Erlang comes from Debian.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

need_tool erl erlang-base
need_tool erlc erlang-base
say "Erlang/OTP $(erl -noshell -eval 'io:put_chars(erlang:system_info(otp_release)), halt().')"
run cargo test -p weftwork-actor --test otp_conformance -- --nocapture
