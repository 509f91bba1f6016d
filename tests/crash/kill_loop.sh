#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# kill_loop.sh N SEED [SPLIT_TRAIN]: trains in two processes with checkpoints, kills one of them or
# both N times with SIGKILL, starts them again with the same command, and compares model and metrics
# with those of an undisturbed run. The kills are spread over four methods and over each training:
# some while a process starts, some at random moments between steps, some at the very end.
set -euo pipefail

kills=${1:?usage: kill_loop.sh N SEED [SPLIT_TRAIN]}
seed=${2:?usage: kill_loop.sh N SEED [SPLIT_TRAIN]}
program=${3:-build/release/examples/split_train}
RANDOM=$seed
folder=$(mktemp -d)
server='' client=''

# Images of CIFAR-10's form: drawing shapes would take longer than the rest.
images() {
  local i
  for ((i = 0; i < $1; ++i)); do
    printf "\\x$((i % 4))"
    head -c 3072 /dev/urandom
  done
}
images 120 >"$folder/train.bin"
images 20 >"$folder/test.bin"
data=(--data "cifar:$folder/train.bin,$folder/test.bin")

# shellcheck disable=SC2317  # called by trap
clean_up() {
  local process
  for process in $server $client; do kill -9 "$process" 2>/dev/null || true; done
  rm -rf "$folder"
}
trap clean_up EXIT

fail() {
  echo "kill_loop.sh $kills $seed: $1" >&2
  tail -n 5 "$run"/*.log >&2 || true
  exit 1
}

# The port is free at the first start and then stays the same.
start_server() {
  "$program" --role server --listen "127.0.0.1:$port" --classes 4 --threads 1 --progress none \
    --sessions 1 --checkpoint "$run/server" --resume >>"$run/server.log" 2>&1 &
  server=$!
}
start_client() {
  "$program" --role client --connect "127.0.0.1:$port" "${data[@]}" --threads 1 --progress none \
    --steps "$steps" --batch 8 --compress "$method" --checkpoint-every 4 --out "$run/out" --resume \
    --log-steps --reconnect-for 60 >>"$run/client.log" 2>&1 &
  client=$!
}

# begin NAME: a pair of processes in a folder of their own
begin() {
  run=$folder/$1 port=0
  mkdir "$run"
  start_server
  for _ in $(seq 300); do
    port=$(sed -n 's/^listening on .*://p' "$run/server.log")
    [[ -n $port ]] && break
    sleep 0.1
  done
  [[ -n $port ]] || fail "the server does not listen"
  start_client
}

is_running() { kill -0 "$1" 2>/dev/null; }
stop_now() {
  kill -9 "$1" 2>/dev/null || true
  wait "$1" 2>/dev/null || true
}
wait_a_moment() { sleep "$(printf '0.%03d' $((RANDOM % $1)))"; }

# The last step that the client has written down; 0 before the first.
step_now() {
  { sed -n 's/.*"step":\([0-9]*\).*/\1/p' "$run/out/metrics.jsonl" 2>/dev/null || true; } |
    tail -n 1 | grep . || echo 0
}

# wait_for_step STEP: until the client is there, or has ended
wait_for_step() {
  for _ in $(seq 3000); do
    if ! is_running "$client" || (($(step_now) >= $1)); then return 0; fi
    sleep 0.02
  done
  fail "step $1 is not reached"
}

# kill_some WHO: 0 the client, 1 the server, 2 both
kill_some() {
  (($1 != 1)) && stop_now "$client"
  (($1 != 0)) && stop_now "$server"
  if (($1 != 0)); then start_server; fi
  if (($1 != 1)); then start_client; fi
}

finish() {
  local code=0
  wait "$client" || code=$?
  client=''
  ((code == 0)) || fail "the client ended with $code"
  # A server whose client was killed after its end is not told of it.
  for _ in $(seq 50); do
    is_running "$server" || break
    sleep 0.1
  done
  stop_now "$server"
  server=''
}

done_kills=0
methods=(none adc:0.3 none@slacc merge:0.5@q:4,rounding=stochastic)
for index in "${!methods[@]}"; do
  method=${methods[index]}
  share=$(((kills * (index + 1)) / ${#methods[@]} - (kills * index) / ${#methods[@]}))
  ((share > 0)) || continue
  steps=$((100 * (share + 2)))
  begin "undisturbed-$index"
  finish
  expected=$run

  begin "killed-$index"
  for ((i = 0; i < share; ++i)); do
    # a third while the processes start, the others at a step of their own
    ((RANDOM % 3 == 0)) || wait_for_step $((100 * i + RANDOM % 100))
    wait_a_moment 150
    is_running "$client" || fail "$method: the training has ended before kill $((i + 1))"
    kill_some $((RANDOM % 3))
    done_kills=$((done_kills + 1))
  done
  # At the very end, where there is nothing to kill if it is late.
  wait_for_step "$steps"
  wait_a_moment 200
  if is_running "$client"; then kill_some $((RANDOM % 3)); fi
  finish

  cmp <(cd "$expected/out" && sha256sum ./*.safetensors) <(cd "$run/out" && sha256sum ./*.safetensors) ||
    fail "$method: another model"
  # All but the seconds, which are the last four.
  cmp <(cut -d, -f1-10 "$expected/out/metrics.csv") <(cut -d, -f1-10 "$run/out/metrics.csv") ||
    fail "$method: other metrics"
  echo "$method: $share kills in $steps steps, the same model and metrics"
done
echo "$done_kills kills, no difference"
