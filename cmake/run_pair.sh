#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# run_pair.sh SERVER CLIENT: runs two programs that talk over TCP, as a test.
#
# SERVER is started without arguments, takes any free port, and prints (and flushes) a line that
# ends with its address, such as "listening on 127.0.0.1:40123". CLIENT is then started with that
# address. Both must end with 0 within SPLITVIT_PAIR_SECONDS (default 300).
set -euo pipefail

server=$1 client=$2
seconds=${SPLITVIT_PAIR_SECONDS:-300}
log=$(mktemp)
server_id=
finish() {
  if [[ -n $server_id ]]; then kill "$server_id" 2>/dev/null || true; fi
  rm -f "$log"
}
trap finish EXIT

fail() {
  echo "run_pair: $1" >&2
  sed 's/^/server: /' "$log" >&2
  exit 1
}

timeout "$seconds" "$server" >"$log" 2>&1 &
server_id=$!

address=
for ((i = 0; i < 10 * seconds; ++i)); do
  address=$(sed -nE '/:[0-9]+$/{s/.* //p;q}' "$log")
  [[ -n $address ]] && break
  kill -0 "$server_id" 2>/dev/null || fail "the server ended before it printed its address"
  sleep 0.1
done
[[ -n $address ]] || fail "the server printed no address within $seconds s"

timeout "$seconds" "$client" "$address" || fail "the client ended with $?"
code=0
wait "$server_id" || code=$?
server_id=
((code == 0)) || fail "the server ended with $code"
sed 's/^/server: /' "$log"
