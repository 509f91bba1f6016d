#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# clients_resume.sh SPLIT_TRAIN: several clients and their server are killed, simulated and in processes
# of their own; the same commands with --resume go on. Each ends with the files of the same training
# without a kill, and all with the model of the simulation, as a test.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/folder.sh"
source "$here/same_files.sh"

images 24 >train.bin
images 16 >test.bin
common=(--data cifar:train.bin,test.bin --progress none --batch 4 --seed 1)

# after FOLDER NUMBER: waits until so many turns are in its newest checkpoint
after() {
  local file number
  for _ in $(seq 600); do
    for file in $1/gen-*.ckpt; do
      number=${file##*/gen-}
      [[ -e $file && 10#${number%.ckpt} -ge $2 ]] && return 0
    done
    sleep 0.01
  done
  fail "no checkpoint after $2 turns: $(ls $1 2>&1) $(cat errors client-* 2>/dev/null)"
}
hits=0
# kill_hard PROCESS...; hits counts those that were alive
kill_hard() {
  local one
  for one in "$@"; do
    kill -0 "$one" 2>/dev/null && hits=$((hits + 1))
  done
  kill -KILL "$@" 2>/dev/null || true
  wait "$@" 2>/dev/null || true
}

# In the background, keeping checkpoints in kept-$name:
# client NUMBER: one of three clients; its process is in process[NUMBER]
# server: writes into $out
process=()
client() {
  "$program" --role client --connect "127.0.0.1:$port" --client "$1/3" --threads 1 --steps 9 "${common[@]}" \
    "${options[@]}" --checkpoint kept-$name --resume >>"client-$1" 2>&1 &
  process[$1]=$!
}
server() {
  listen --clients 3 "${common[@]}" "${options[@]}" --out $out --checkpoint kept-$name --resume
}
ended() {
  local number
  for number in 1 2 3; do
    wait "${process[$number]}" || fail "$name: client $number ended with $?: $(cat client-$number errors)"
  done
  served
}

for sharing in shared averaged relay; do
  for method in none adc:0.3@q:8,rounding=stochastic; do
    name=$sharing-${method%%:*}
    options=(--sharing $sharing --partition dirichlet:0.5 --compress $method)
    [[ $sharing == relay ]] && options+=(--turn 3) || options+=(--average-every 3)
    simulate=("$program" --clients 3 --steps 9 --threads 1 "${common[@]}" "${options[@]}")
    "${simulate[@]}" --out simulated-$name >table

    # The simulation, killed twice.
    for pause in 0 0.05; do
      "${simulate[@]}" --out served-$name --resume >table 2>errors &
      process[0]=$!
      after served-$name/checkpoints/*/group 1
      sleep $pause
      kill_hard "${process[0]}"
    done
    "${simulate[@]}" --out served-$name --resume >table 2>errors || fail "$name: ended with $?: $(cat errors)"
    grep -q "resumed at turn" errors || fail "$name: does not say that it goes on: $(cat errors)"
    same $name

    # Over TCP, whose handshakes name the checkpoints: undisturbed, and then the server is killed, two
    # clients are, and all of them are.
    out=simulated-tcp-$name port=0
    server
    for number in 1 2 3; do client $number; done
    ended
    cmp simulated-$name/model.safetensors $out/model.safetensors || fail "$name: another model over TCP"
    rm -r kept-$name
    out=served-tcp-$name port=0
    server
    for number in 1 2 3; do client $number; done
    after kept-$name/*/server 3
    kill_hard "$running"
    server
    after kept-$name/*/server 5
    kill_hard "${process[1]}" "${process[3]}"
    client 3
    client 1
    after kept-$name/*/server 7
    kill_hard "$running" "${process[@]:1:3}"
    server
    for number in 2 1 3; do client $number; done
    ended
    same tcp-$name
  done
done
# Each training of the six: two of the simulation, two of the server, and two and then three clients.
((hits >= 30)) || fail "only $hits of 54 kills came in time"
