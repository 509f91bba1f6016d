#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# crowd.sh SPLIT_TRAIN CROWD [ROUNDS]: what 1,000 connections that are silent, dribble or send garbage
# cost one honest client, and its server in memory. CROWD is the program of crowd.cpp. A round, of 5
# unless given, is five seconds without them and five with them. It fails if steps are more than 10 %
# slower, if a connection costs more than 64 KiB, or if that is not given back. Then the server has room
# for 40 descriptors only.
set -euo pipefail

program=$1
crowd=$2
rounds=${3:-5}
source "$(dirname "${BASH_SOURCE[0]}")/pair.sh"

step_now() { tail -n 1 "$run/out/metrics.jsonl" | sed -n 's/.*"step":\([0-9]*\).*/\1/p'; }
memory() { awk '/^VmRSS:/ { print $2 }' "/proc/$server/status"; }
# steps_in_5_s: $taken
steps_in_5_s() {
  local before
  before=$(step_now)
  sleep 5
  taken=$(($(step_now) - before))
}
gather() {
  "$crowd" "$port" 1000 >>"$run/crowd.log" &
  strangers=$!
  sleep 1
}
disperse() {
  kill "$strangers"
  wait "$strangers" || true
  sleep 1
}

steps=100000000 method=none every=1000
new_pair crowded
start_client
await out/metrics.jsonl 60 '"step":200,'
without=0 with=0 most=0
gather  # the first one lets the server make what it keeps
disperse
base=$(memory)
for ((round = 0; round < rounds; ++round)); do
  steps_in_5_s
  without=$((without + taken))
  gather
  steps_in_5_s
  with=$((with + taken))
  ((most > $(memory))) || most=$(memory)
  disperse
done
after=$(memory)
slower=$((1000 * (without - with) / without))
printf '%d steps without, %d with 1,000 strangers, who made %s: %d.%d %% slower\n' "$without" "$with" \
  "$(awk '{ n += $1 } END { print n " connections" }' "$run/crowd.log")" $((slower / 10)) $((slower < 0 ? 0 : slower % 10))
echo "memory of the server: $base KiB before, $most KiB at most, $after KiB after"
kill -9 "$client"
((slower <= 100)) || fail "more than 10 % slower"
((most - base <= 64 * 1000)) || fail "more than 64 KiB a connection"
((after - base <= 1024)) || fail "memory is not given back"

around_server=(bash -c 'ulimit -n 40; exec "$@"' -)
steps=200
new_pair "few descriptors"
gather
start_client
finish
disperse
echo "a server of 40 descriptors: $(wc -l <"$run/server.log") lines in its log, the training has come to its end"
