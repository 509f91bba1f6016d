#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# links.sh SPLIT_TRAIN PROXY: a training whose connections break, lose, double and change bytes, wait
# and stop, and one of whose processes is stopped for half a minute, ends with the same bits. PROXY is
# the program of proxy.cpp.
set -euo pipefail

program=$1
proxy=$2
source "$(dirname "${BASH_SOURCE[0]}")/pair.sh"

new_pair undisturbed
start_client
finish
expected=$run

# through NAME LEAST FAULT...: over at least so many connections with these faults
through() {
  local name=$1 least=$2 broken process
  shift 2
  new_pair "$name"
  "$proxy" "127.0.0.1:$port" 1 "$@" >"$run/proxy.log" 2>&1 &
  process=$!
  await proxy.log 10 '^listening on'
  start_client "$(sed -n 's/^listening on //p' "$run/proxy.log")"
  finish
  kill "$process"
  wait "$process" 2>/dev/null || true
  same_as "$expected"
  broken=$(grep -c '^connection' "$run/proxy.log")
  ((broken >= least)) || fail "$name: only $broken connections"
  echo "$name: $broken connections, the same bits, $SECONDS s"
}
through cut 5 cut:30000 cut:30000 cut:30000 cut:30000 none
through flipped 4 flip:30000 flip:30000 flip:30000 none
through doubled 3 twice:20000 twice:20000 none
through slow 1 delay:20
through "in pieces" 1 pieces:500
through stalled 2 stall:20000 none

# Both at the same time, in pairs of their own: the link may be closed after 11 s.
new_pair "client stopped"
start_client
await out/metrics.jsonl 60 '"step":20,'
kill -STOP "$client"
frozen_client=$client of_frozen_client=$server stopped_client=$run
new_pair "server stopped"
start_client
await out/metrics.jsonl 60 '"step":20,'
kill -STOP "$server"
sleep 30
kill -CONT "$server" "$frozen_client"
finish
same_as "$expected"
await client.log 1 'dialling again'
client=$frozen_client server=$of_frozen_client run=$stopped_client
finish
same_as "$expected"
await server.log 1 'lost after'
echo "stopped for 30 s: the same bits, $SECONDS s"
