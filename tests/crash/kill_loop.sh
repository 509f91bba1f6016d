#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# kill_loop.sh N SEED [SPLIT_TRAIN [KILL_AT]]: trains in two processes with checkpoints, kills one of
# them or both N times with SIGKILL, starts them again with the same command, and compares model and
# metrics with those of an undisturbed run. KILL_AT is the library made from kill_at.cpp.
#
# The kills are spread over four methods. Most hit a process at one of the places listed below: before,
# in and after each call by which others can see what it does; the others come at a random moment. Each
# training is killed before its first checkpoint, and both its parties at its very end.
set -euo pipefail

kills=${1:?usage: kill_loop.sh N SEED [SPLIT_TRAIN [KILL_AT]]}
seed=${2:?usage: kill_loop.sh N SEED [SPLIT_TRAIN [KILL_AT]]}
program=$(realpath "${3:-build/release/examples/split_train}")
library=$(realpath "${4:-build/release/tests/crash/libkill_at.so}")
RANDOM=$seed
# A process that is killed loses nothing that it has written, so that no disk need be waited for.
if [[ -w /dev/shm ]]; then folder=$(mktemp -d -p /dev/shm); else folder=$(mktemp -d); fi
exec 2> >(grep -v ' Killed ' >&2)  # what the shell says of each kill
declare -A process=() place=() visited=()

source "$(dirname "${BASH_SOURCE[0]}")/../support/cifar_images.sh"
images 120 >"$folder/train.bin"
images 20 >"$folder/test.bin"

# shellcheck disable=SC2317  # called by trap
clean_up() {
  local one
  for one in "${process[@]}"; do kill -9 "$one" 2>/dev/null || true; done
  rm -rf "$folder"
}
trap clean_up EXIT

fail() {
  echo "kill_loop.sh $kills $seed: $1" >&2
  tail -n 5 "$run"/*.log >&2 || true
  exit 1
}

# Where a process ends, as kill_at.cpp reads it; ~N is a number from 1 to N. Before a call is after the
# one that comes before it, so not all calls have both. The first ones are for a new folder.
first_places=("open */gen-000000.* 1 before" "write */gen-000000.* 1 half" "rename */gen-000000.* 1 after")
common=("open */lock 1 after" "open */gen-* ~2 before" "write */gen-* ~2 half" "write */gen-* ~2 after"
  "fsync */gen-* ~2 after" "rename */gen-* ~2 after" "read */gen-* ~8 after" "unlink */gen-* ~2 before"
  "unlink */gen-* ~2 after" "send socket:* ~30 before" "send socket:* ~30 half" "send socket:* ~30 after"
  "recv socket:* ~60 before" "recv socket:* ~60 after")
of_client=("${common[@]}" "fsync */client-0 ~2 after" "write */metrics.jsonl ~9 half"
  "write */metrics.csv 1 half" "write */metrics.csv 1 after" "rename */model.* 1 before" "rename */model-best.* 1 after")
of_server=("${common[@]}" "fsync */server ~2 after")
# Of each training, for a client and a server at its end. The last checkpoint is written twice: when it
# is due, and when the training has ended, which lets all older ones go.
end_places=("rename */gen-LAST.* 1 after:rename */gen-LAST.* 1 after"
  "unlink */gen-OLDER.* 1 after:open */gen-LAST.* 2 before"
  "write */gen-LAST.* 2 half:rename */gen-LAST.* 1 after"
  "rename */report.html 1 after:rename */gen-LAST.* 2 after")

shuffled() { printf '%s\n' "$@" | shuf --random-source=<(yes "$seed"); }
mapfile -t of_client < <(shuffled "${of_client[@]}")
mapfile -t of_server < <(shuffled "${of_server[@]}")
declare -A next_place=([client]=0 [server]=0)

# choose_place PARTY: the next of its places
choose_place() {
  local -n places=of_$1
  place[$1]=${places[next_place[$1]++ % ${#places[@]}]}
}

# start PARTY: the same command each time, but for the place. The server's port is free at the first
# start and then stays the same.
start() {
  local command call pattern number moment
  read -r call pattern number moment <<<"${place[$1]}"
  [[ $number == ~* ]] && number=$((1 + RANDOM % ${number#\~}))
  pattern=${pattern/LAST/$(printf '%06d' "$steps")}
  pattern=${pattern/OLDER/$(printf '%06d' $((steps - 4)))}
  if [[ $1 == server ]]; then
    command=(--role server --listen "127.0.0.1:$port" --classes 4 --sessions 1 --checkpoint "$run/server")
  else
    command=(--role client --connect "127.0.0.1:$port" --data "cifar:$folder/train.bin,$folder/test.bin"
      --steps "$steps" --batch 8 --compress "$method" --checkpoint-every 4 --out "$run/out"
      --log-steps --reconnect-for 60)
  fi
  env ${call:+LD_PRELOAD="$library" SPLITVIT_KILL_AT="$call $pattern $number $moment"} \
    "$program" "${command[@]}" --threads 1 --progress none --resume >>"$run/$1.log" 2>&1 &
  process[$1]=$!
}
listen() {
  for _ in $(seq 1000); do
    port=$(sed -n '/^listening on .*:/{s///p;q}' "$run/server.log" 2>/dev/null || true)
    [[ -n $port ]] && return
    sleep 0.03
  done
  fail "the server does not listen"
}

is_running() { kill -0 "${process[$1]}" 2>/dev/null; }
kill_now() {
  kill -9 "${process[$1]}" 2>/dev/null || true
  wait "${process[$1]}" 2>/dev/null || true
}
# The last step that the client has written down; 0 before the first.
step_now() {
  { tail -n 1 "$run/out/metrics.jsonl" 2>/dev/null || true; } |
    sed -n 's/.*"step":\([0-9]*\).*/\1/p' | grep . || echo 0
}

# died PARTY: it has ended at its place
died() {
  local code=0
  wait "${process[$1]}" || code=$?
  ((code == 137)) || fail "$method: $1 ended with $code after $done_here of $share kills"
  visited["$1 ${place[$1]}"]=1
  done_here=$((done_here + 1))
}
# wait_for_place PARTY...: $dead is the first of them that comes to its place
wait_for_place() {
  local _ one
  for _ in $(seq 3000); do
    for one in "$@"; do
      if ! is_running "$one"; then
        dead=$one
        died "$one"
        return
      fi
    done
    sleep 0.02
  done
  fail "$method: no party has come to its place: ${place[*]}"
}

# In a new folder, both at their first checkpoint.
kill_at_the_first_checkpoint() {
  place=([client]=${first_places[$1 % 3]} [server]=${first_places[($1 + 1) % 3]})
  kill_now server
  start server
  start client
  wait_for_place client
  place[client]=''
  start client
  wait_for_place server
  kill_now client
  choose_place client
  choose_place server
  start server
  start client
}
# Of the party that is the first at its place and, one time in four, of the other one, too.
kill_at_place() {
  wait_for_place client server
  choose_place "$dead"
  if ((RANDOM % 4 == 0)); then
    kill_now client
    kill_now server
    start server
    start client
  else
    start "$dead"
  fi
}
# Of one party or both, some steps on. They keep their places. Nothing happens if one is there before.
kill_at_some_moment() {
  local _ who=$((RANDOM % 3)) wanted=$(($(step_now) + RANDOM % 8))
  for _ in $(seq 1000); do
    is_running client && is_running server || return 0
    (($(step_now) >= wanted)) && break
    sleep 0.01
  done
  ((who == 1)) || kill_now client
  ((who == 0)) || kill_now server
  ((who == 0)) || start server
  ((who == 1)) || start client
  done_here=$((done_here + 1))
}
# Both at places that only the end of a training has.
kill_at_the_end() {
  local pair=${end_places[$1 % ${#end_places[@]}]}
  place=([client]=${pair%%:*} [server]=${pair#*:})
  kill_now client
  kill_now server
  start server
  start client
  until_end
}

# Waits for the end of both, and starts again who ends at its place. A server whose client was killed
# after its end is not told of it.
until_end() {
  local _ one code waits=100 was_killed=
  for _ in $(seq 30000); do
    for one in client server; do
      [[ -n ${process[$one]:-} ]] && ! is_running "$one" || continue
      if [[ -n ${place[$one]} ]]; then
        died "$one"
        place[$one]=''
        was_killed=1
        start "$one"
        continue
      fi
      code=0
      wait "${process[$one]}" || code=$?
      ((code == 0)) || fail "$method: $one ended with $code"
      unset "process[$one]"
    done
    [[ -n ${process[client]:-} ]] && { sleep 0.02; continue; }
    [[ -n ${process[server]:-} ]] || return 0
    ((waits-- > 0)) || break
    sleep 0.02
  done
  [[ -z ${process[client]:-} && -n $was_killed ]] || fail "$method: the training does not end"
  kill_now server
  unset "process[server]"
}

done_kills=0 missed=()
methods=(none adc:0.3 none@slacc merge:0.5@q:4,rounding=stochastic)
((kills >= 5 * ${#methods[@]})) || { echo "kill_loop.sh: wanted $((5 * ${#methods[@]})) kills or more" >&2; exit 2; }
for index in "${!methods[@]}"; do
  method=${methods[index]}
  share=$(((kills * (index + 1)) / ${#methods[@]} - (kills * index) / ${#methods[@]}))
  steps=$((32 * (share + 2)))
  done_here=0
  expected=$folder/undisturbed-$index run=$folder/undisturbed-$index port=0
  place=([client]='' [server]='')
  mkdir "$run"
  start server
  listen
  start client
  until_end

  run=$folder/killed-$index port=0
  mkdir "$run"
  start server
  listen
  kill_at_the_first_checkpoint "$index"
  while ((done_here < share - 2)); do
    if ((RANDOM % 4 == 0)); then kill_at_some_moment; else kill_at_place; fi
  done
  kill_at_the_end "$index"
  ((done_here == share)) || fail "$method: $done_here kills instead of $share"
  done_kills=$((done_kills + done_here))

  cmp <(cd "$expected/out" && sha256sum ./*.safetensors) <(cd "$run/out" && sha256sum ./*.safetensors) ||
    fail "$method: another model"
  # All but the seconds, which are the last four.
  cmp <(cut -d, -f1-10 "$expected/out/metrics.csv") <(cut -d, -f1-10 "$run/out/metrics.csv") ||
    fail "$method: other metrics"
  cmp <(grep -c '"record":"step"' "$expected/out/metrics.jsonl") <(grep -c '"record":"step"' "$run/out/metrics.jsonl") ||
    fail "$method: steps are lost or there twice"
  echo "$method: $done_here kills in $steps steps, the same model and metrics, $SECONDS s"
done
for one in "${of_client[@]}"; do [[ -n ${visited[client $one]:-} ]] || missed+=("client $one"); done
for one in "${of_server[@]}"; do [[ -n ${visited[server $one]:-} ]] || missed+=("server $one"); done
echo "$done_kills kills, no difference; ${#visited[@]} places, not ${#missed[@]} others: ${missed[*]:-}"
