#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# resume.sh SPLIT_TRAIN: trainings that are stopped by a signal and go on, in all roles, as a test.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/folder.sh"

images 120 >train.bin
images 20 >test.bin
data=(--data cifar:train.bin,test.bin)

said() { grep -qF -- "$1" stderr || fail "no '$1' in: $(cat stderr)"; }
refused() {
  local text=$1 code=0
  shift
  "$program" --progress none "$@" >stdout 2>stderr || code=$?
  [[ $code == 2 ]] || fail "exit code $code instead of 2: $*"
  said "$text"
}

refused "--resume needs --out or --checkpoint" --resume
refused "--checkpoint-every needs --out or --checkpoint" --checkpoint-every 3
refused "--checkpoint-every '0': wanted a whole number from 1" --checkpoint-every 0
refused "--checkpoint-every needs --out or --checkpoint" --role server --listen localhost:0 --checkpoint-every 3
refused "--keep '1': wanted a whole number from 2 to 64" --keep 1
refused "--reconnect-for '-1': wanted a whole number from 0" --reconnect-for=-1

steps=40
train() {
  "$program" "${data[@]}" --threads 1 --progress none --batch 8 --steps $steps --compress adc:0.3@slacc \
    --augment flip,crop --schedule cosine --checkpoint-every 7 --log-steps "$@"
}
# stop_at STEP SIGNAL FOLDER OPTIONS...: stops a training, all of its processes at the same time, as Ctrl-C
# and `timeout` do; $code is its exit code
stop_at() {
  local step=$1 signal=$2 out=$3 process
  shift 3
  # In the background Ctrl-C has no effect, unless it is asked for.
  setsid env --default-signal=INT "$program" "${data[@]}" --threads 1 --progress none --batch 8 --steps $steps \
    --compress adc:0.3@slacc --augment flip,crop --schedule cosine --checkpoint-every 7 \
    --log-steps --out "$out" --resume "$@" >stdout 2>stderr &
  process=$!
  for _ in $(seq 600); do
    grep -q "\"record\":\"step\".*\"step\":$step," "$out/metrics.jsonl" 2>/dev/null && break
    sleep 0.05
  done
  kill -s "$signal" -- -$process
  code=0
  wait $process || code=$?
}
# one_line: of a training that was stopped, and nothing of a server that has ended with it
one_line() { [[ $(grep -vcE ": the run begins$|: resumed at step" stderr) == 1 ]] || fail "not one line: $(cat stderr)"; }
# as_undisturbed FOLDER: the same model and metrics, but for the seconds, which are the last four
as_undisturbed() {
  cmp <(cd undisturbed && cksum ./*.safetensors) <(cd "$1" && cksum ./*.safetensors) || fail "$1: another model"
  cmp <(cut -d, -f1-10 undisturbed/metrics.csv) <(cut -d, -f1-10 "$1/metrics.csv") || fail "$1: other rows"
  cmp <(grep -c '"record":"step"' undisturbed/metrics.jsonl) <(grep -c '"record":"step"' "$1/metrics.jsonl") ||
    fail "$1: steps are lost or there twice"
}

train --out undisturbed --resume >stdout 2>stderr || fail "$(cat stderr)"
said "no checkpoint in undisturbed/checkpoints/adc-0.3-slacc-seed0/client-0: the run begins"
[[ $(cd undisturbed/checkpoints/adc-0.3-slacc-seed0 && echo ./*/*.ckpt) == \
  "./client-0/gen-0000$steps.ckpt ./server/gen-0000$steps.ckpt" ]] || fail "not the last generation alone"
train --out undisturbed --resume >stdout 2>stderr || fail "$(cat stderr)"
said "finished before"
refused "holds results already" --out undisturbed

# One process at a time writes to a folder.
cksum undisturbed/metrics.* >before
exec 7>>undisturbed/lock
flock 7
train --out undisturbed --resume --seed 1 >stdout 2>stderr && fail "two processes write to one folder"
said "undisturbed/lock: in use by process "
exec 7>&-
cmp before <(cksum undisturbed/metrics.*) || fail "a folder in use was changed"

# Both processes by one command: each signal, then to the end.
stop_at 5 TERM both
[[ $code == 143 ]] || fail "exit code $code after SIGTERM: $(cat stderr)"
said "; the same command with --resume goes on from there"
one_line
ls both/*.safetensors >/dev/null || fail "no model of the step at which it was stopped"
step=$(sed -n 's/.*stopped at step \([0-9]*\);.*/\1/p' stderr)
stop_at $((step + 3)) INT both
[[ $code == 130 ]] || fail "exit code $code after SIGINT: $(cat stderr)"
one_line
said "resumed at step $step of both/checkpoints/adc-0.3-slacc-seed0/client-0"
train --out both --resume --batch 16 >stdout 2>stderr && fail "resumed with another batch"
said "batch is '8', wanted '16'"
train --out both --resume --threads 2 >stdout 2>stderr || fail "$(cat stderr)"
as_undisturbed both

# Nothing to go on from.
"$program" "${data[@]}" --threads 1 --progress none --batch 8 --steps 100000 >stdout 2>stderr &
process=$!
sleep 1
kill $process
code=0
wait $process || code=$?
[[ $code == 143 ]] || fail "exit code $code without checkpoints"
said "; nothing is kept without --out or --checkpoint"
one_line

# The server's process dies alone: that is a failure.
"$program" "${data[@]}" --threads 1 --progress none --batch 8 --steps 100000 --out widowed --log-steps >stdout 2>stderr &
process=$!
for _ in $(seq 200); do
  grep -q '"step":5,' widowed/metrics.jsonl 2>/dev/null && break
  sleep 0.05
done
kill -9 "$(pgrep -P $process)"
code=0
wait $process || code=$?
[[ $code == 1 ]] || fail "exit code $code without a server: $(cat stderr)"
grep -qE "failed at step [0-9]+: .*(closed the link|reset by peer|Broken pipe)" stderr || fail "$(cat stderr)"

# A client and a server; each is stopped once. The server needs a folder for checkpoints only.
begin() { listen --classes 4 --progress none --checkpoint of_server --sessions 1 --resume; }
begin
stop_at 9 TERM two --role client --connect "127.0.0.1:$port"
[[ $code == 143 ]] || fail "exit code $code of the client: $(cat stderr)"
for _ in $(seq 100); do grep -q "lost after [0-9]* steps" errors && break || sleep 0.05; done
grep -q "lost after [0-9]* steps" errors || fail "the server does not tell that its client is lost: $(cat errors)"
kill "$running"
code=0
wait "$running" || code=$?
[[ $code == 143 ]] || fail "exit code $code of the server: $(cat errors)"
begin
train --role client --connect "127.0.0.1:$port" --out two --resume >stdout 2>stderr ||
  fail "$(cat stderr)"
served
as_undisturbed two
begin
served
grep -q "had come to their end" errors || fail "$(cat errors)"

# Checkpoints alone: a finished run needs no server, and a longer one goes on.
alone() {
  "$program" --role client --connect "127.0.0.1:$port" "${data[@]}" --threads 1 --progress none \
    --batch 8 --checkpoint alone "$@" >stdout 2>stderr
}
of_alone=(--classes 4 --progress none --checkpoint alone)
listen "${of_alone[@]}" --sessions 1
alone --steps 3 || fail "$(cat stderr)"
served
alone --steps 3 && fail "a folder with checkpoints was taken for a new training"
said "holds a checkpoint of step 3; go on from it, or name another folder"
alone --steps 3 --resume || fail "$(cat stderr)"
said "the run had come to its end at step 3"
listen "${of_alone[@]}" --resume
alone --steps 5 --resume || fail "$(cat stderr)"
said "resumed at step 3 of alone/none-seed0/client-0"
kill "$running"
wait "$running" 2>/dev/null || true
running=

# The smaller one of a client's and a server's --checkpoint-every holds: here the server's.
listen --classes 4 --progress none --checkpoint asked --checkpoint-every 4 --sessions 1 --resume
"$program" --role client --connect "127.0.0.1:$port" "${data[@]}" --threads 1 --progress none --batch 8 \
  --checkpoint asked --checkpoint-every 1000 --steps 100000 --resume >stdout 2>stderr &
process=$!
# Two at least beside that of step 0, and none but of a fourth step.
written() {
  local name count=0
  for name in asked/none-seed0/"$1"/gen-*.ckpt; do
    [[ -e $name ]] || return 1
    name=${name##*gen-}
    name=$((10#${name%.ckpt}))
    ((name % 4 == 0)) || return 1
    ((name == 0)) || count=$((count + 1))
  done
  ((count >= 2))
}
for _ in $(seq 600); do
  written client-0 && written server && break
  sleep 0.05
done
written client-0 && written server || fail "no checkpoint every four steps: $(ls -R asked)"
kill -9 $process "$running"
wait $process "$running" 2>/dev/null || true
running=

# A longer run goes on from the end of a finished one, a shorter one is refused. The model of a run that
# is joined by another one gets the name that it has beside it.
grow() {
  "$program" "${data[@]}" --threads 1 --progress none --batch 8 --out grown --resume "$@" \
    >stdout 2>stderr
}
grow --steps 6 || fail "$(cat stderr)"
grow --steps 9 --compress none || fail "$(cat stderr)"
said "resumed at step 6 of grown/checkpoints/none-seed0/client-0"
[[ $(cut -d, -f4 grown/metrics.csv) == $'step\n6\n9' ]] || fail "$(cat grown/metrics.csv)"
refused "--resume: length is 5 steps, but 9 steps in the finished run of none" \
  "${data[@]}" --batch 8 --steps 5 --out grown --resume
refused "--resume: batch is 4, but 8 in the finished run of none" \
  "${data[@]}" --batch 4 --steps 12 --out grown --resume
grow --steps 12 --compress none adc:0.5 || fail "$(cat stderr)"
[[ $(cd grown && echo *.safetensors) == "model-adc-0.5.safetensors model-best-adc-0.5.safetensors \
model-best-none.safetensors model-none.safetensors" ]] || fail "$(ls grown)"
"$program" "${data[@]}" --threads 1 --progress none --batch 8 --out whole --steps 12 >stdout 2>stderr || fail "$(cat stderr)"
cmp grown/model-none.safetensors whole/model.safetensors || fail "a longer run has another model"

# In role both a busy machine may leave either process without time for long: no link is lost by that.
"$program" "${data[@]}" --threads 1 --progress none --batch 8 --epochs 100000 --out starved --log-steps \
  >stdout 2>stderr &
process=$!
running=$process
for _ in $(seq 200); do
  grep -q '"step":20,' starved/metrics.jsonl 2>/dev/null && break
  sleep 0.05
done
child=$(pgrep -P $process)
for one in $child $process; do
  kill -STOP "$one"
  sleep 13
  before=$(wc -l <starved/metrics.jsonl)
  kill -CONT "$one"
  for _ in $(seq 100); do
    (($(wc -l <starved/metrics.jsonl) > before)) && break
    sleep 0.05
  done
  (($(wc -l <starved/metrics.jsonl) > before)) || fail "the training did not go on: $(cat stderr)"
done
grep -q "lost after" stderr && fail "$(cat stderr)"
kill -TERM $process
code=0
wait $process || code=$?
running=
[[ $code == 143 ]] || fail "exit code $code: $(cat stderr)"
