#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# run.sh SPLIT_TRAIN: short trainings with the main program, wrong options, and a comparison that is
# cut short and resumed, as a test.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/folder.sh"
out=$folder/out

train() { "$program" --steps 2 --batch 32 --threads 1 --progress none "$@"; }

must_refuse "wanted a number in (0, 1]" --compress adc:2
must_refuse "possible are" --compress merge:0.5@nothing
must_refuse "needs a value behind its name" --bottleneck start=pca
must_refuse "leaves nothing" --compress bottleneck:0.001
must_refuse "can be cut after 1 to 3" --cut 4
must_refuse "is for servers" --compress any
must_refuse "--resume needs --out" --resume
must_refuse "--seed 2 is given twice" --seed 1 2 2
must_refuse "--compress none is given twice" --compress none adc:0.1 none
must_refuse "wanted shapes" --data nothing
must_refuse "there are" --model nothing

must_refuse "needs to know the steps" --schedule cosine --budget-mib 1
must_refuse "are for the client" --role server --listen 127.0.0.1:0 --warmup 5
must_refuse "wanted a number from 0 on and below" --weight-decay -1

must_refuse "wanted none, or some of flip" --augment sepia
must_refuse "flip is given twice" --augment flip,crop,flip
must_refuse "wanted none, or some of flip" --augment none,flip
must_refuse "goes with --data folder:DIR only" --test-share 0.2
must_refuse "wanted a number above 0 and below 1" --test-share 20 --data folder:x
must_refuse "wanted npz:FILE" --data npz:

must_refuse "wanted gradient, local, or every:K" --feedback sometimes
must_refuse "wanted gradient, local, or every:K" --compress none,feedback:every:0
must_refuse "--feedback is for the client" --role server --listen 127.0.0.1:0 --feedback local
must_refuse "wanted a number from 0 on and below 1" --drop-patches 1
must_refuse "are for the side that has the images" --role server --listen 127.0.0.1:0 --drop-patches 0.5
must_refuse "--distance-correlation '-1'" --distance-correlation -1
must_refuse "are for the side that has the images" --role server --listen 127.0.0.1:0 --distance-correlation 1
must_refuse "--micro-batches '0': wanted a whole number from 1 to 64" --micro-batches 0
must_refuse "--micro-batches '65': wanted a whole number from 1 to 64" --micro-batches 65
must_refuse "--micro-batches is for the side that has the images" --role server --listen 127.0.0.1:0 --micro-batches 2
must_refuse "wanted a number above 0 and below" --link-mbit 0
must_refuse "wanted a number from 0 on and below" --link-ms -1
must_refuse "go without --clients in one process" --link-ms 5 --clients 2
must_refuse "wanted uncompressed|compressed|both" --evaluate often
must_refuse "--evaluate-at goes with --budget-mib" --evaluate-at 4 --steps 9

# Folders of images: those that the fuzzer of image files begins with.
samples=$(cd "$(dirname "${BASH_SOURCE[0]}")/../fuzz/corpus/image_files" && pwd)
photos=$folder/photos
mkdir -p "$photos/colour" "$photos/other" "$folder/divided/train/a" "$folder/divided/val"
cp "$samples"/{baseline,progressive,png_rgb,png_alpha} "$photos/colour"
cp "$samples"/{grey,turned,png_palette,png_1,png_16} "$photos/other"
photo_run() { train --data "folder:$photos" --batch 2 --image 32 --test-share 0.3 "$@"; }
if photo_run --out "$folder/kept" >"$folder/stdout" 2>"$folder/stderr"; then
  must_refuse "needs --test-share S, such as 0.2" --data "folder:$photos"
  must_refuse "folder:$folder/divided/train,$folder/divided/val" --data "folder:$folder/divided"
  photo_run --data-memory-mib 0 --out "$folder/read_again" >/dev/null
  cmp "$folder/kept/model.safetensors" "$folder/read_again/model.safetensors" ||
    fail "images that are not kept give other weights"
  train --data "folder:$photos,$photos" --batch 2 --augment paper,resized-crop >/dev/null ||
    fail "the paper's augmentation"
  cp "$samples/cmyk" "$photos/other/ink.jpg"
  photo_run >/dev/null 2>"$folder/stderr" && fail "a CMYK image was taken"
  grep -q "other/ink.jpg: a CMYK JPEG, wanted RGB or grey" "$folder/stderr" || fail "$(cat "$folder/stderr")"
  photo_run --on-bad-file skip >/dev/null 2>"$folder/stderr" || fail "$(cat "$folder/stderr")"
  grep -q "1 file could not be read and was skipped" "$folder/stderr" || fail "$(cat "$folder/stderr")"
else
  grep -q "was built without libjpeg-turbo" "$folder/stderr" || fail "$(cat "$folder/stderr")"
  echo "skipped: folders of images, for which libjpeg-turbo, libpng and zlib are needed"
fi

train --out "$folder/stored" >"$folder/stdout"
train --recompute --out "$folder/recomputed" >"$folder/stdout"
cmp "$folder/stored/model.safetensors" "$folder/recomputed/model.safetensors" ||
  fail "--recompute gives other weights"

# Bfloat16 where the processor has a unit for it; else a sentence.
if "$program" --steps 1 --compute bf16 --progress none >"$folder/stdout" 2>"$folder/stderr"; then
  train --compute bf16 --out "$folder/bf16" >"$folder/stdout"
  train --compute bf16 --threads 2 --out "$folder/bf16_2" >"$folder/stdout"
  cmp "$folder/bf16/model.safetensors" "$folder/bf16_2/model.safetensors" ||
    fail "--compute bf16 depends on the number of threads"
  ! cmp -s "$folder/bf16/model.safetensors" "$folder/stored/model.safetensors" ||
    fail "--compute bf16 changes nothing"
  grep -q '"compute"' "$folder/bf16/metrics.jsonl" || fail "--compute is not in the metrics"
else
  must_refuse "compute bf16: this program was compiled for" --compute bf16
fi

comparison=(--compress none adc:0.1@q:8 bottleneck:0.25:start=pca@float16 --seed 1 2 --out "$out")
train "${comparison[@]}" --log-steps >"$folder/first"
[[ $(grep -c . "$folder/first") == 6 ]] || fail "no table of three methods: $(cat "$folder/first")"
[[ $(grep -c . "$out/metrics.csv") == 7 ]] || fail "not a row for each run"
for model in model model-best; do
  for method in none adc-0.1-q-8 bottleneck-0.25-start-pca-float16; do
    for seed in 1 2; do
      [[ -s $out/$model-$method-seed$seed.safetensors ]] || fail "not a model of each run: $(ls "$out")"
    done
  done
done
[[ $(ls "$out" | wc -l) == 17 ]] || fail "other files: $(ls "$out")"
[[ -s $out/report.html ]] || fail "no report"
must_refuse "--resume" "${comparison[@]}"

# As if it had been killed in the middle of the last run.
cp "$out/metrics.csv" "$folder/whole.csv"
head -n -1 "$out/metrics.jsonl" >"$folder/cut.jsonl"
printf '{"record":"ep' >>"$folder/cut.jsonl"
cp "$folder/cut.jsonl" "$out/metrics.jsonl"
must_refuse "batch is 16, but 32" --steps 2 --batch 16 --threads 1 "${comparison[@]}" --resume
must_refuse "length is 1 step, but 2 steps" --steps 1 --batch 32 --threads 1 "${comparison[@]}" --resume
cmp "$folder/cut.jsonl" "$out/metrics.jsonl" || fail "a refused --resume has changed something"
train "${comparison[@]}" --resume >"$folder/second"
cmp <(head -n 6 "$folder/whole.csv") <(head -n 6 "$out/metrics.csv") ||
  fail "a finished run was run again"
# The last run gives the same numbers but for the seconds, which are the last four.
cmp <(tail -n 1 "$folder/whole.csv" | cut -d, -f1-10) <(tail -n 1 "$out/metrics.csv" | cut -d, -f1-10) ||
  fail "the last run was not repeated"
[[ $(grep -c '"record":"end"' "$out/metrics.jsonl") == 6 ]] || fail "not all runs have ended"
[[ $(grep -c '"record":"step"' "$out/metrics.jsonl") == 12 ]] || fail "steps of finished runs are lost"
[[ $(grep -c . "$folder/second") == 6 ]] || fail "another table: $(cat "$folder/second")"
rm "$out/metrics.jsonl"
train "${comparison[@]}" --resume 2>"$folder/stderr" && fail "resumed without metrics.jsonl"
grep -q "nothing can be resumed" "$folder/stderr" || fail "$(cat "$folder/stderr")"

# A model with a bottleneck can be loaded again, but only into such a model.
model=$out/model-bottleneck-0.25-start-pca-float16-seed1.safetensors
train --weights "$model" --compress bottleneck:0.25:start=pca@float16 --eval-only >/dev/null
train --weights "$model" --compress none --eval-only 2>"$folder/stderr" && fail "loaded elsewhere"
grep -q "unexpected" "$folder/stderr" || fail "$(cat "$folder/stderr")"

# A budget is looked at five times, and spent.
"$program" --budget-mib 16 --batch 32 --threads 1 --progress none --out "$folder/budget" >/dev/null
[[ $(grep -c . "$folder/budget/metrics.csv") == 6 ]] || fail "$(cat "$folder/budget/metrics.csv")"

# More often if it is asked for; a training may be cut short before the budget is spent.
"$program" --budget-mib 16 --steps 3 --evaluate-at 4 --batch 32 --threads 1 --progress none \
  --out "$folder/often" >/dev/null
[[ $(cut -d, -f4 "$folder/often/metrics.csv" | tr '\n' ' ') == "step 1 3 " ]] ||
  fail "$(cat "$folder/often/metrics.csv")"

# Local feedback: messages without a gradient, of 60 bytes.
train --feedback local --compress none none,feedback:every:2 --log-steps --out "$folder/local" >/dev/null
down_of() { # METHOD: bytes of its first and of its second step, back to the client
  grep "\"record\":\"step\",\"method\":\"$1\"" "$folder/local/metrics.jsonl" |
    sed 's/.*"bytes_down":\([0-9]*\).*/\1/' | awk 'NR > 1 { print $1 - before } { before = $1 }'
}
[[ $(down_of none,feedback:local) == 60 ]] || fail "$(down_of none,feedback:local) bytes came back"
(($(down_of none,feedback:every:2) > 1000)) || fail "$(down_of none,feedback:every:2) bytes came back"
[[ -s $folder/local/model-none-feedback-local.safetensors ]] || fail "no model: $(ls "$folder/local")"
train --weights "$folder/local/model-none-feedback-local.safetensors" --eval-only >/dev/null ||
  fail "the model with local feedback cannot be used"

train --drop-patches 0.5 --out "$folder/half" >/dev/null
grep -q '"augmentation":"none, share of patches dropped 0.5"' "$folder/half/metrics.jsonl" ||
  fail "$(cat "$folder/half/metrics.jsonl")"

train --distance-correlation 0.5 --out "$folder/decorrelated" >/dev/null
grep -q ', distance correlation times 0.5"' "$folder/decorrelated/metrics.jsonl" ||
  fail "$(cat "$folder/decorrelated/metrics.jsonl")"

# A step in parts: the same steps, and more bytes only for the headers of the messages. Resumed with
# another number of parts it would not be the same training.
parts=(--micro-batches 3 --log-steps --out "$folder/parts")
train "${parts[@]}" >/dev/null
train --log-steps --out "$folder/whole" >/dev/null
grep -q '"parts of a batch":"3"' "$folder/parts/metrics.jsonl" || fail "$(cat "$folder/parts/metrics.jsonl")"
loss_of() { # FOLDER: of its last step, to three digits
  grep '"record":"step"' "$folder/$1/metrics.jsonl" | tail -n 1 | sed 's/.*"loss":\([0-9]*\.[0-9]\{3\}\).*/\1/'
}
[[ $(loss_of parts) == $(loss_of whole) ]] || fail "losses: $(loss_of parts) in parts, $(loss_of whole) else"
train "${parts[@]}" --micro-batches 2 --steps 99 --resume >/dev/null 2>"$folder/stderr" && fail "another number of parts"
grep -qi "parts of a batch\|micro-batches" "$folder/stderr" || fail "$(cat "$folder/stderr")"

# Over a slow line, with other parts of the batch under way: the same model, and the line's time.
train --micro-batches 3 --link-mbit 80 --link-ms 30 --out "$folder/slow" >/dev/null
cmp "$folder/slow/model.safetensors" "$folder/parts/model.safetensors" || fail "a slow line gives other weights"
train --link-ms 30 --out "$folder/late" >/dev/null
awk -F, 'NR == 1 { for (i = 1; i <= NF; ++i) if ($i == "seconds_link") column = i }
         NR > 1 { seconds = $column }
         END { exit !(column && seconds >= 2 * 2 * 0.03) }' "$folder/late/metrics.csv" ||
  fail "less than two latencies a step: $(cat "$folder/late/metrics.csv")"

# Evaluation with stages and codec, whose bytes and choices are logged; and resumed.
deployed=(--evaluate both --compress merge-tokens:0.5@transform:rate=0.05 --log-steps --out "$folder/deployed")
train "${deployed[@]}" >"$folder/first"
grep -q "compressed" "$folder/first" || fail "$(cat "$folder/first")"
grep -q '"record":"epoch".*"compressed_accuracy":[0-9.]*,"compressed_bytes":[1-9]' "$folder/deployed/metrics.jsonl" ||
  fail "$(cat "$folder/deployed/metrics.jsonl")"
grep -q '"record":"step".*"codec":"delta=[0-9.e-]*[1-9][^,]*,gradient_delta=[0-9.e-]*[1-9]' "$folder/deployed/metrics.jsonl" ||
  fail "$(cat "$folder/deployed/metrics.jsonl")"
train "${deployed[@]}" --resume >"$folder/second" 2>/dev/null
cmp <(cut -c 1-70 "$folder/first") <(cut -c 1-70 "$folder/second") || fail "another table: $(cat "$folder/second")"
train --weights "$folder/deployed/model.safetensors" --compress adc:0.5@q:4 --eval-only --evaluate compressed \
  >"$folder/stdout" || fail "no compressed evaluation by itself"
grep -q "compressed" "$folder/stdout" || fail "$(cat "$folder/stdout")"

# A server without --compress takes the method that its client names; "any@q:8" insists on the codec.
source "$(dirname "${BASH_SOURCE[0]}")/serving.sh"
shapes=(--data shapes --progress none)
client() { train --role client --connect "$address" "$@"; }

serve "${shapes[@]}"
client --compress select:0.5,bottleneck:0.5:start=pca@q:4 >/dev/null || fail "$(cat "$folder/errors")"
wait "$running" || fail "the server that takes any method ended with $?"
serve "${shapes[@]}" --compress any@q:8
client --compress adc:0.3@float16 2>"$folder/stderr" >/dev/null && fail "float16 passed for q:8"
grep -q "codec: the client has float16.*the server has q:8:" "$folder/stderr" ||
  fail "$(cat "$folder/stderr")"
client --compress adc:0.3@q:8 >/dev/null || fail "$(cat "$folder/errors")"
wait "$running" || fail "the server that wants q:8 ended with $?"
