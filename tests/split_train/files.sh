#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# files.sh SPLIT_TRAIN: methods that fail, parties with other files, files that are there already,
# and output that cannot be written, as a test.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/folder.sh"
samples=$here/../fuzz/corpus/image_files

said() { grep -qF -- "$1" stderr || fail "no '$1' in: $(cat stderr)"; }
run() { "$program" --threads 1 --progress none "$@" >stdout 2>stderr; }
train() { run "${data[@]}" --batch 8 --steps 2 "$@" || fail "$(cat stderr): $*"; }
# ends CODE OPTIONS...: a training that ends with this code.
ends() {
  local wanted=$1 code=0
  shift
  run "${data[@]}" --batch 8 "$@" || code=$?
  [[ $code == "$wanted" ]] || fail "exit code $code instead of $wanted: $*: $(cat stderr)"
}
# refused TEXT OPTIONS...: exit code 2, and one line with this text.
refused() {
  local text=$1
  shift
  ends 2 "$@"
  [[ $(wc -l <stderr) == 1 ]] || fail "not one line: $(cat stderr)"
  said "$text"
}

images 24 >train.bin
images 10 >test.bin
images 24 >other.bin
data=(--data cifar:train.bin,test.bin)

# A method that fails is recorded with its reason, and the next one is run.
ends 1 --lr 1e5 --epochs 20 --compress adc:0.5 none@float16 --out diverged
said "split_train: adc:0.5, seed 0, failed at step"
grep -qE "^adc:0.5 +failed " stdout || fail "$(cat stdout)"
grep -qE "^adc:0.5 failed: seed 0, step [0-9]+: " stdout || fail "$(cat stdout)"
grep -qE "^adc:0.5,0,[0-9]+,[0-9]+,[^,]*,,[1-9]" diverged/metrics.csv || fail "$(cat diverged/metrics.csv)"
grep -q "^none@float16," diverged/metrics.csv || fail "the second method was not run"
grep -qE '"record":"end","method":"adc:0.5",.*"failure":"' diverged/metrics.jsonl || fail "no reason"
grep -q "<h2>Failed</h2>" diverged/report.html || fail "not in the report"
# It fails again at the same step, and the files say so once.
cp diverged/metrics.csv before.csv
ends 1 --lr 1e5 --epochs 20 --compress adc:0.5 none@float16 --out diverged --resume --retry-failed
said "split_train: resumed at step"
cmp <(cut -d, -f1-10 before.csv | sort) <(cut -d, -f1-10 diverged/metrics.csv | sort) || fail "other rows"

train --compress bottleneck:0.25 --out narrow
refusing=(--weights narrow/model.safetensors --compress none bottleneck:0.25 --steps 2 --out refusing)
ends 1 "${refusing[@]}"
said "unexpected: decoder."
grep -q '^none,0,0,0,,,0,' refusing/metrics.csv || fail "$(cat refusing/metrics.csv)"
grep -qE "^bottleneck:0.25 +[0-9.]+ " stdout || fail "$(cat stdout)"
[[ $(ls refusing) == *model-bottleneck-0.25.safetensors* ]] || fail "$(ls refusing)"
# It is finished for --resume, but not for --retry-failed.
cp refusing/metrics.jsonl before.jsonl
ends 1 "${refusing[@]}" --resume
cmp before.jsonl refusing/metrics.jsonl || fail "a run was run again"
grep -qE "^none +failed " stdout || fail "$(cat stdout)"
! grep -q "failed at step" stderr || fail "the method was tried again: $(cat stderr)"
ends 1 "${refusing[@]}" --resume --retry-failed
said "split_train: none, seed 0, failed at step 0: "
[[ $(grep -c '"record":"end"' refusing/metrics.jsonl) == 2 ]] || fail "$(cat refusing/metrics.jsonl)"
refused "--retry-failed goes with --resume" --retry-failed --out diverged

# A failure of the link is not the method's: --resume begins the run again.
ends 1 --role client --connect 127.0.0.1:1 --steps 2 --out unreachable
! grep -q '"record":"end"' unreachable/metrics.jsonl || fail "$(cat unreachable/metrics.jsonl)"
train --out unreachable --resume

# The same files on both sides.
train --seed 5 --out five
train --seed 6 --out six
stop() {
  kill "$running" 2>/dev/null || true
  wait "$running" || true
  running=
}
client() { run --role client --connect "$address" --batch 8 "$@"; }
serve --classes 4 --weights six/model.safetensors
client "${data[@]}" --weights five/model.safetensors --eval-only && fail "other weights were joined"
said "start: the client has weights with digest"
grep -q "start: the client has weights with digest .* the server has weights with digest" errors ||
  fail "$(cat errors)"
stop
serve --classes 4
client "${data[@]}" --weights five/model.safetensors --eval-only && fail "drawn weights were joined"
said "the server has random"
stop
mkdir copy
cp train.bin copy/a.bin
cp test.bin copy/b.bin
serve --data cifar:copy/a.bin,copy/b.bin --classes 4
client "${data[@]}" --steps 1 || fail "$(cat stderr)"
served
serve --data cifar:other.bin,test.bin --classes 4
client "${data[@]}" --steps 1 && fail "other data"
said "data: the client has files with digest"
stop
serve --data cifar10 --classes 4  # a name for the classes only
client "${data[@]}" --steps 1 || fail "$(cat stderr)"
served

# --resume: other content under the same name, another number of threads.
cp five/model.safetensors start.safetensors
started=(--weights start.safetensors --steps 2 --out started)
ends 0 "${started[@]}"
ends 0 "${started[@]}" --threads 2 --compress none adc:0.5 --resume
cp started/metrics.jsonl before.jsonl
cp six/model.safetensors start.safetensors
refused "--resume: digest of the weights is" "${started[@]}" --resume
cp five/model.safetensors start.safetensors
cp train.bin saved.bin
cp other.bin train.bin
refused "--resume: digest of the data is" "${started[@]}" --resume
cp saved.bin train.bin
cmp before.jsonl started/metrics.jsonl || fail "a refused --resume has changed something"
[[ -e started/model.safetensors && -e started/model-adc-0.5.safetensors ]] || fail "$(ls started)"

# Folders of images: another image, another size, another name.
mkdir -p photos/{colour,grey}
cp "$samples"/{baseline,png_rgb,png_alpha} photos/colour
cp "$samples"/{grey,png_1,png_16} photos/grey
photos=(--data folder:photos --test-share 0.3 --image 32 --batch 2 --steps 1 --out album)
if run "${photos[@]}"; then
  run "${photos[@]}" --resume || fail "$(cat stderr)"
  printf x >>photos/grey/png_1
  run "${photos[@]}" --resume && fail "another image"
  said "--resume: digest of the data is"
  cp "$samples/png_1" photos/grey/png_1
  run "${photos[@]}" --resume || fail "$(cat stderr)"
  mv photos/grey/png_1 photos/grey/png_2
  run "${photos[@]}" --resume && fail "another name"
  said "--resume: digest of the data is"
else
  said "was built without"
  echo "skipped: folders of images, for which libjpeg-turbo, libpng and zlib are needed"
fi

# Nothing is replaced that the run has not written.
mkdir mine
cp five/model.safetensors mine/
sum=$(sha256sum <mine/model.safetensors)
taken=(--weights mine/model.safetensors --steps 2 --out mine)
refused "mine/model.safetensors is the file of --weights, which would be replaced" "${taken[@]}"
refused "mine/model.safetensors is the file of --weights" "${taken[@]}" --resume
[[ $(ls mine) == model.safetensors && $sum == "$(sha256sum <mine/model.safetensors)" ]] || fail "$(ls mine)"
ends 0 "${taken[@]}" --eval-only
ends 1 --role client --connect 127.0.0.1:1 --steps 2 --out begun
cp five/model.safetensors begun/
refused "begun/model.safetensors is the file of --weights" --steps 2 --out begun --resume \
  --weights begun/model.safetensors
for name in report.html metrics.jsonl model.safetensors model-best.safetensors; do
  rm -rf theirs
  mkdir theirs
  echo mine >theirs/$name
  refused "theirs/$name is there already" --steps 2 --out theirs
  [[ $(ls theirs) == "$name" && $(cat theirs/$name) == mine ]] || fail "$(ls theirs)"
  ends 0 --steps 2 --out theirs --overwrite
  ! grep -q '^mine$' theirs/$name || fail "$name was not replaced"
done
refused "holds results already" --steps 2 --out theirs
ends 0 --steps 3 --out theirs --overwrite
[[ $(cut -d, -f4 theirs/metrics.csv) == $'step\n3' ]] || fail "$(cat theirs/metrics.csv)"
ends 0 "${taken[@]}" --overwrite
[[ $sum != "$(sha256sum <mine/model.safetensors)" ]] || fail "--overwrite has not replaced the weights"
refused "--resume excludes --overwrite" --overwrite --resume --out mine
refused "--overwrite goes with --out" --overwrite

# What is known at the start is found at the start.
head -c 100000 five/model.safetensors >short.safetensors
cp five/model.safetensors infinite.safetensors
header=$(od -An -tu8 -N8 five/model.safetensors | tr -d ' ')  # its length; then the numbers
begin=$(head -c "$header" five/model.safetensors | grep -aoE '"head.weight":[^[]*\[[^[]*\[[0-9]+' | grep -oE '[0-9]+$')
printf '\xff\xff\xff\x7f' | dd of=infinite.safetensors bs=1 conv=notrunc seek=$((8 + header + begin)) 2>/dev/null
for name in short infinite; do
  code=0
  timeout 20 "$program" --role server --listen 127.0.0.1:0 --weights $name.safetensors --classes 4 \
    >listening 2>stderr || code=$?
  [[ $code == 1 && ! -s listening ]] || fail "$code: $(cat listening)"
  said "$name.safetensors: "
done
ends 2 --data shapes --image 512 --batch 3000 --steps 1
said "--batch 3000: a step without compression would take a message of"
said "--batch may be 255 at most"
ends 2 --model deit_base --cut 1 --steps 1 --out large
said "--out: the server's part of the model would take a message of"
[[ ! -e large ]] || fail "a folder was made"

# Standard output and error that are closed or full.
train --out undisturbed
for closed in "2>&-" "<&- >&-" "<&- >&- 2>&-"; do
  rm -rf closed
  eval "\"\$program\" \"\${data[@]}\" --batch 8 --steps 2 --threads 1 --progress plain --out closed $closed" ||
    fail "$? with $closed"
  cmp undisturbed/model.safetensors closed/model.safetensors || fail "another model with $closed"
done
if [[ -w /dev/full ]]; then
  for arguments in "--out full" "--help" "--version"; do
    code=0
    "$program" "${data[@]}" --batch 8 --steps 2 --threads 1 --progress none $arguments >/dev/full 2>stderr ||
      code=$?
    [[ $code == 1 ]] || fail "exit code $code: $arguments"
    said "not all could be written to standard output"
  done
  cmp undisturbed/model.safetensors full/model.safetensors
  "$program" "${data[@]}" --batch 8 --steps 2 --threads 1 --progress none >/dev/full 2>stderr && fail "0"
  grep -qE "^none +[0-9.]+ " stderr || fail "the table is lost: $(cat stderr)"
fi
"$program" "${data[@]}" --batch 8 --epochs 2 --threads 1 --progress plain --out piped 2>&1 >/dev/null | true
[[ $(grep -c . piped/metrics.csv) == 3 ]] || fail "a reader that went away has ended the training"

# A disk that is full, here for files beyond a size: what fits is written, the rest is said.
limited() {  # limited KIB OPTIONS...
  local kib=$1
  shift
  ulimit -S -f "$kib"
  exec "$program" "${data[@]}" --batch 8 --threads 1 --progress none "$@"
}
code=0
(limited 200 --steps 2 --out limited >stdout 2>stderr) || code=$?
[[ $code == 1 ]] || fail "exit code $code: $(cat stderr)"
said "limited/model.safetensors is lost or not complete: "
said "limited/model-best.safetensors is lost or not complete: "
[[ $(ls limited) == $'checkpoints\nlock\nmetrics.csv\nmetrics.jsonl\nreport.html' ]] || fail "$(ls limited)"
# Not compared are bytes up: a client that could not write its first checkpoint says so in its hello.
metrics() { cut -d, -f1-6,8,10 "$1/metrics.csv"; }
records() {
  sed -E 's/,"seconds_client.*//; s/"(bytes|payload)_up":[0-9]+,//g' "$1/metrics.jsonl" | grep -v '"run"'
}
cmp <(metrics limited) <(metrics undisturbed) || fail "other metrics"
[[ $(wc -l <limited/metrics.jsonl) == 3 ]] || fail "$(cat limited/metrics.jsonl)"
grep -qE "^none +[0-9.]+ " stdout || fail "the table is lost"
if command -v prlimit >/dev/null; then
  ends 0 --epochs 40 --log-steps --out whole
  (limited 1 --epochs 40 --log-steps --checkpoint-every 1000 --out freed >stdout 2>stderr) &
  running=$!
  for _ in $(seq 200); do
    grep -q "model-best.safetensors.*; this is tried again later" stderr && break
    sleep 0.02
  done
  prlimit --pid "$running" --fsize=unlimited:
  wait "$running" || fail "exit code $?: $(cat stderr)"
  running=
  said "freed/metrics.jsonl: a line could not be written: File too large; this is tried again later"
  for name in model model-best; do cmp whole/$name.safetensors freed/$name.safetensors; done
  cmp <(metrics whole) <(metrics freed) || fail "other metrics"
  cmp <(records whole) <(records freed) || fail "other records"
  [[ -s freed/report.html && -z $(ls freed | grep tmp) ]] || fail "$(ls freed)"
else
  echo "skipped: a disk that has room again, for which prlimit is needed"
fi
