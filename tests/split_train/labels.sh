#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# labels.sh SPLIT_TRAIN: with the labels at the client the model is the same as with the labels at the
# server, byte for byte, in one process and over TCP; and which options go together, as a test.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/folder.sh"

images 24 >train.bin
images 16 >test.bin
common=(--data cifar:train.bin,test.bin --progress none --batch 8 --steps 6 --threads 1 --seed 4)

"$program" "${common[@]}" --cut 1 --out at_server >table
for cuts in 1,2 1,4; do
  "$program" "${common[@]}" --labels client --cut $cuts --out at_client-$cuts >table
  cmp at_server/model.safetensors at_client-$cuts/model.safetensors || fail "--cut $cuts: another model"
  cmp <(cut -d, -f 1-6 at_server/metrics.csv) <(cut -d, -f 1-6 at_client-$cuts/metrics.csv) ||
    fail "--cut $cuts: $(diff at_server/metrics.csv at_client-$cuts/metrics.csv)"
done
grep -q '"cut after block":"1,4"' at_client-1,4/metrics.jsonl || fail "no cuts in the metrics"

# Over TCP, with a stage and a codec, and images of which nobody knows the class.
serve --classes 4 --labels client --cut 1,3 --seed 4
"$program" "${common[@]}" --role client --connect "$address" --labels client --cut 1,3 --compress adc:0.5@q:8 \
  --out by_tcp >table || fail "the client ended with $?"
served
"$program" "${common[@]}" --labels client --cut 1,3 --compress adc:0.5@q:8 --out in_one >table
cmp by_tcp/model.safetensors in_one/model.safetensors || fail "over TCP another model"

# Several clients: where each has a server part of its own, the model is that with the labels at the
# server; and processes give what one process gives that simulates them, the accuracy as client 1 tells
# it, but none by client, since the server does not know it by class.
several=(--compress none --sharing averaged --average-every 2)
"$program" "${common[@]}" "${several[@]}" --clients 2 --cut 1 --out several_at_server >table
for cuts in 1,3 1,4; do
  options=("${common[@]}" "${several[@]}" --labels client --cut $cuts)
  "$program" "${options[@]}" --clients 2 --out simulated-$cuts >table
  cmp several_at_server/model.safetensors simulated-$cuts/model.safetensors || fail "--clients 2 --cut $cuts: another model"
  port=0
  listen "${options[@]}" --clients 2 --out served-$cuts
  "$program" "${options[@]}" --role client --connect "$address" --client 2/2 >client-2 2>&1 &
  second=$!
  "$program" "${options[@]}" --role client --connect "$address" --client 1/2 >client-1 2>&1 || fail "$(cat client-1)"
  wait $second || fail "$(cat client-2)"
  served
  cmp {simulated,served}-$cuts/model.safetensors || fail "--cut $cuts: another model over TCP"
  for columns in "clients.csv 1-4,6-" "metrics.csv 1,2,4-10"; do
    read -r file wanted <<<"$columns"
    cmp <(cut -d, -f"$wanted" simulated-$cuts/$file) <(cut -d, -f"$wanted" served-$cuts/$file) ||
      fail "--cut $cuts: $file: $(cat {simulated,served}-$cuts/$file)"
  done
  [[ $(cut -d, -f5 served-$cuts/clients.csv | xargs) == accuracy ]] || fail "$(cat served-$cuts/clients.csv)"
done

# What is not alike is refused by name.
port=0
listen --classes 4 --cut 1 --seed 4
"$program" "${common[@]}" --role client --connect "$address" --labels client --cut 1,3 >stdout 2>stderr &&
  fail "not refused"
grep -qF "cut: the client has 1,3, the server has 1" stderr || fail "$(cat stderr)"

# Wrong words.
must_refuse "--labels client needs two cuts, such as --cut 2,4" --labels client
must_refuse "--labels client needs two cuts" --labels client --cut 2
must_refuse "--cut 1,2: two cuts go with --labels client" --cut 1,2
must_refuse "--cut 2,2: vit_micro has 4 blocks: the second cut comes after 3 to 4" --labels client --cut 2,2
must_refuse "--cut 2,5: vit_micro has 4 blocks: the second cut comes after 3 to 4" --labels client --cut 2,5
for value in 1, ,1 1,x 1,2,3 0,2 1.5,2; do
  must_refuse "--cut '$value': wanted a whole number from 1 to 1000, or two" --labels client --cut "$value"
done
must_refuse "--labels client does not go with --micro-batches" --labels client --cut 1,2 --micro-batches 2
must_refuse "--evaluate does not go with --labels client" --labels client --cut 1,2 --evaluate both
must_refuse "feedback:local does not go with --labels client" --labels client --cut 1,2 --feedback local
