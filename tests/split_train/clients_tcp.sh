#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# clients_tcp.sh SPLIT_TRAIN: a server and several clients in processes of their own give what one
# process gives that simulates them, as a test.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/folder.sh"
source "$here/same_files.sh"
scripts=$here/../../examples/slurm

images 24 >train.bin
images 16 >test.bin
common=(--data cifar:train.bin,test.bin --progress none --batch 4)

# client NUMBER OPTIONS...: one of three clients, in the background.
client() {
  "$program" --role client --connect "$address" --client "$1/3" --threads 1 --steps 3 "${common[@]}" \
    "${@:2}" >"client-$1" 2>&1 &
  clients+=($!)
}
# ended: waits for the clients and the server.
ended() {
  local i
  for i in "${!clients[@]}"; do
    wait "${clients[i]}" || fail "a client ended with $?: $(cat client-*) $(cat errors listening)"
  done
  served
}

for sharing in shared averaged relay; do
  for method in none adc:0.3; do
    name=$sharing-$method
    options=(--sharing $sharing --partition dirichlet:0.5 --compress $method --seed 1)
    [[ $sharing == relay ]] && options+=(--turn 2) || options+=(--average-every 2)
    "$program" --clients 3 --steps 3 --threads 1 "${common[@]}" "${options[@]}" --out simulated-$name >table
    port=0
    listen --clients 3 "${common[@]}" "${options[@]}" --out served-$name
    clients=()
    for number in 2 3; do client $number "${options[@]}"; done
    sleep 0.1
    client 1 "${options[@]}"
    ended
    same $name
    grep -qE "^$method, seed 1 .*\(client [123]\)" listening || fail "$name: $(cat listening)"
    grep -qE "^$method .*%" client-1 || fail "$name: client 1 tells no accuracy: $(cat client-1)"
  done
done

# Steps as they arrive: as many of them, and the report says that it cannot be repeated.
port=0
listen --clients 3 "${common[@]}" --order arrival --average-every 2 --out arrival
clients=()
for number in 1 2 3; do client $number --average-every 2 --out of-$number; done
ended
grep -q '"order of steps"' of-1/metrics.jsonl && fail "a client tells the order, which only the server knows"
grep -q '"order of steps":"as they arrive: not repeatable"' arrival/metrics.jsonl || fail "no order in the metrics"
[[ $(awk -F, '$4 == 3' arrival/clients.csv | wc -l) == 3 ]] || fail "not 3 steps: $(cat arrival/clients.csv)"

# The script for Slurm, as its jobs run it.
if "$program" --version | grep -q '^TLS: built in' && command -v openssl >/dev/null; then
  slurm() {
    SPLIT_TRAIN=$program SLURM_ARRAY_TASK_ID=${2:-} timeout 60 bash "$scripts/tcp.sbatch" shared 2 "$1" --seed 1 \
      --steps 3 "${common[@]}" "${@:3}" >"slurm-${2:-server}" 2>&1
  }
  "$program" --clients 2 --steps 3 --threads 1 --seed 1 "${common[@]}" --out simulated-slurm >table
  slurm client 1 &
  clients=($!)
  slurm client 2 &
  clients+=($!)
  slurm server "" --out served-slurm || fail "tcp.sbatch ended with $?: $(cat slurm-*)"
  wait "${clients[@]}" || fail "a client of tcp.sbatch failed: $(cat slurm-*)"
  same slurm
fi

# What is not alike is refused by name, and a client that is not registered, or came before, too.
port=0
listen --clients 3 "${common[@]}" --sharing averaged
refused() {  # refused TEXT NUMBER/N OPTIONS...
  "$program" --role client --connect "$address" --client "$2" --threads 1 --steps 1 "${common[@]}" "${@:3}" \
    >stdout 2>stderr && fail "not refused: ${*:2}"
  grep -qF -- "$1" stderr || fail "no '$1' in: $(cat stderr)"
}
refused "sharing: the client has shared, the server has averaged" 1/3
refused "clients: the client has 4, the server has 3" 3/4 --sharing averaged
refused "client: the client has number 4, the server has numbers 1 to 3" 4/4 --sharing averaged
refused "partition: the client has by-class:2, the server has iid" 1/3 --sharing averaged --partition by-class:2
refused "turn: the client has 2, the server has epoch" 1/3 --sharing averaged --average-every 2
refused "method: the client has" 1/3 --sharing averaged --compress adc:0.3
refused "seed: the client has 1, the server has 0" 1/3 --sharing averaged --seed 1
clients=()
client 2 --sharing averaged
first=$!
for _ in $(seq 100); do kill -USR1 "$running" && grep -q "serving .*: 0 steps" listening && break || sleep 0.1; done
refused "client: the client has number 2 in a new session, the server has that client already" 2/3 --sharing averaged
for _ in $(seq 150); do grep -q "waiting for clients 1, 3" errors && break || sleep 0.1; done
grep -q "waiting for clients 1, 3" errors || fail "it does not say for whom it waits: $(cat errors)"

# A client that is killed before its first step may begin again; the others wait for it.
kill -KILL $first
wait $first 2>/dev/null || true
for _ in $(seq 100); do grep -q "lost after 0 steps" errors && break || sleep 0.1; done
clients=()
for number in 1 3 2; do client $number --sharing averaged; done
ended

# A signal ends a client and a server at once, and a line says what can go on.
port=0
listen --clients 3 "${common[@]}" --checkpoint of_server
clients=()
client 1
for _ in $(seq 100); do kill -USR1 "$running" && grep -q "serving .*: 0 steps" listening && break || sleep 0.1; done
stopped() {  # stopped PROCESS FILE TEXT
  local code=0
  kill -TERM "$1"
  wait "$1" || code=$?
  [[ $code == 143 ]] && grep -qF -- "split_train: stopped; $3" "$2" || fail "$code: $(cat "$2")"
}
stopped "${clients[0]}" client-1 "nothing is kept without --out or --checkpoint"
stopped "$running" errors "the same command with --resume goes on from the beginning of the round"
running=

# Wrong words.
for value in "" 1 0/3 4/3 1/0 1/x /3 1/3/3 -1/3 1/100001; do
  must_refuse "--client '$value': wanted I/N, such as 2/5" --role client --connect localhost:1 --client "$value"
done
must_refuse "--client goes with --role client" --client 1/2
must_refuse "--clients does not go with --role client" --role client --connect localhost:1 --clients 2
must_refuse "--sharing goes with --clients" --role client --connect localhost:1 --sharing relay
must_refuse "--sessions does not go with --clients" --role server --listen localhost:0 --clients 2 --sessions 1
must_refuse "--evaluate goes with --clients in --role both only" --role client --connect localhost:1 --client 1/2 --evaluate both
must_refuse "--compress any is for servers of one client" --role server --listen localhost:0 --clients 2 --compress any
