#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# clients_late.sh SPLIT_TRAIN: a server goes on without clients that are killed, stopped, or never come,
# and takes them again when they do, as a test.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/folder.sh"

images 24 >train.bin
images 16 >test.bin
common=(--data cifar:train.bin,test.bin --progress none --batch 4 --average-every 20)

# client NUMBER: one of four clients, in the background; its process is in process[NUMBER]
process=()
client() {
  "$program" --role client --connect "$address" --client "$1/4" --threads 1 --steps 400 "${common[@]}" \
    >>"client-$1" 2>&1 &
  process[$1]=$!
}
# says TEXT: waits until the server has said it
says() {
  local i
  for i in $(seq 300); do
    grep -q -- "$1" errors && return 0
    sleep 0.1
  done
  fail "no '$1' in: $(cat errors client-*)"
}

listen --clients 4 "${common[@]}" --on-late skip --deadline 1 --out out
for number in 1 2 3; do client $number; done
says "client 4 is late; the others go on without it"
kill -KILL ${process[2]}
kill -STOP ${process[3]}
wait ${process[2]} 2>/dev/null || true
says "client 2 is late; the others go on without it"
says "client 3 is late; the others go on without it"
kill -CONT ${process[3]}
client 2
for number in 1 2 3; do
  wait ${process[$number]} || fail "client $number ended with $?: $(cat client-$number errors)"
done
served

# Whether steps of client 3 were under way when it was stopped is chance; client 2 had begun anew.
grep -q "the other clients have gone on; request the next turn" client-3 || [[ ! -s client-3 ]] ||
  fail "client 3 says: $(cat client-3)"
left_out() { awk -F, -v client=$1 '$1 == client { print $NF }' out/clients.csv; }
for number in 2 3 4; do
  (($(left_out $number) > 0)) || fail "client $number was not left out: $(cat out/clients.csv errors)"
done
[[ $(awk -F, '$1 == 1 { print $4 }' out/clients.csv) == 400 ]] || fail "client 1: $(cat out/clients.csv)"
grep -q "client 4, round 0, .*: the others have waited" out/report.html || fail "nothing of client 4 in the report"
grep -q '"late clients":"skipped after 1 s: not repeatable"' out/metrics.jsonl || fail "nothing in the metrics"

# Wrong words.
must_refuse "--on-late skip needs --deadline SECONDS" --role server --listen localhost:0 --clients 2 --on-late skip
must_refuse "--deadline goes with --on-late skip" --role server --listen localhost:0 --clients 2 --deadline 5
must_refuse "--on-late goes with --clients" --role server --listen localhost:0 --on-late skip --deadline 5
must_refuse "--on-late and --deadline are for the server" --role client --connect localhost:1 --client 1/2 \
  --on-late skip --deadline 5
must_refuse "nobody is late who is simulated" --clients 2 --on-late skip --deadline 5
must_refuse "does not go with --checkpoint" --role server --listen localhost:0 --clients 2 --on-late skip \
  --deadline 5 --checkpoint kept
must_refuse "--deadline '0': wanted a whole number from 1" --role server --listen localhost:0 --clients 2 \
  --on-late skip --deadline 0
