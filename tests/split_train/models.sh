#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# models.sh SPLIT_TRAIN: what a saved model knows, and weights under the names of other programs, as
# a test.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/folder.sh"
samples=$here/../fuzz/corpus/image_files

run() { "$program" --threads 1 --progress none "$@" 2>stderr; }
train() { run --batch 16 "$@" >stdout || fail "$(cat stderr): $*"; }
# refused TEXT OPTIONS...: not done, and one line with this text.
refused() {
  local text=$1
  shift
  run "$@" >stdout && fail "accepted: $*"
  [[ $(wc -l <stderr) == 1 ]] || fail "not one line: $(cat stderr)"
  grep -qF -- "$text" stderr || fail "no '$text' in: $(cat stderr)"
}
said() { grep -qF -- "$1" stderr || fail "no '$1' in: $(cat stderr)"; }
# The test accuracy of the last row, all digits.
score() { tail -n 1 "$1/metrics.csv" | cut -d, -f6; }
# scores_again FOLDER OPTIONS...: the model there scores the same when it is evaluated again.
scores_again() {
  local out=$1
  shift
  rm -rf again
  train --weights "$out/model.safetensors" --eval-only --out again "$@"
  [[ $(score "$out") == "$(score again)" ]] ||
    fail "$(score "$out") at the end of training, $(score again) from the file: $*"
}

bytes() { printf '%b' "$(printf '\\x%02x' "$@")"; }
grey() { head -c "$2" /dev/zero | tr '\0' "$(printf '\\%o' "$1")"; }  # grey VALUE COUNT
# Dark images, as from a microscope: with ImageNet's normalisation they all look alike.
cifar() {  # cifar CLASSES COUNT
  local i
  for ((i = 0; i < $2; ++i)); do
    bytes $((i % $1))
    grey $((i % $1 * 6 + i % 7)) 1024
    grey $((i % 11)) 1024
    grey $((30 - i % 5)) 1024
  done
}
cifar 4 60 >train.bin
cifar 4 30 >test.bin
cifar 3 30 >three.bin
dark=(--data cifar:train.bin,test.bin)
{ bytes 0 0 8 3 0 0 0 40 0 0 0 28 0 0 0 28; for ((i = 0; i < 40; ++i)); do grey $((i % 10 * 4)) 784; done; } >images
{ bytes 0 0 8 1 0 0 0 40; for ((i = 0; i < 40; ++i)); do bytes $((i % 10)); done; } >labels
idx=(--data idx:images,labels,images,labels)

# Saved models score the same, for several data, starts and methods.
train "${dark[@]}" --epochs 6 --out dark
scores_again dark "${dark[@]}"
# The best of all evaluations is kept beside the last one.
best=$(tail -n +2 dark/metrics.csv | cut -d, -f6 | sort -g | tail -n 1)
train "${dark[@]}" --weights dark/model-best.safetensors --eval-only --out best
[[ $(score best) == "$best" ]] || fail "$(score best) from the best model, wanted $best"
train "${dark[@]}" --epochs 1 --out dark_again --epochs 6 --recompute
cmp dark/model.safetensors dark_again/model.safetensors || fail "equal weights in files that differ"
train "${dark[@]}" --epochs 2 --compress adc:0.3@q:8 --weights dark/model.safetensors --out fine
said "vit_micro trained on train.bin; normalised as in its training"
grep -q '"weights":"vit_micro trained on train.bin; normalised' fine/metrics.jsonl || fail "not in the metrics"
grep -q 'normalised as in its training' fine/report.html || fail "not in the report"
scores_again fine "${dark[@]}"
train "${idx[@]}" --steps 4 --model vit_mini --compress merge-tokens:0.31@q:4 --out grey
scores_again grey "${idx[@]}"
train --steps 3 --seed 3 --image 16 --out shapes
scores_again shapes  # which are the same whatever the seed
train --data shapes --steps 3 --cut 1 --compress bottleneck:0.25:start=pca@float16 --out narrow
scores_again narrow
refused "--cut 2: the bottleneck in narrow/model.safetensors comes after block 1" \
  --weights narrow/model.safetensors --eval-only --cut 2

# CIFAR-10's class names lie beside its files.
mkdir ten
for i in 1 2 3 4 5; do cp train.bin ten/data_batch_$i.bin; done
cp test.bin ten/test_batch.bin
printf '%s\n' airplane automobile bird cat deer dog frog horse ship truck '' >ten/batches.meta.txt
train --data cifar10:ten --steps 2 --out ten_out
grep -aqF '\"class_names\":[\"airplane\",' ten_out/model.safetensors || fail "no class names"
scores_again ten_out --data cifar10:ten

# What a file says, an option must not contradict.
refused "--model deit_tiny: the weights in dark/model.safetensors are of vit_micro" \
  "${dark[@]}" --weights dark/model.safetensors --model deit_tiny
refused "the data has 10 classes, dark/model.safetensors has 4" \
  "${idx[@]}" --weights dark/model.safetensors --eval-only
refused "--classes 6: dark/model.safetensors has 4" \
  "${dark[@]}" --weights dark/model.safetensors --eval-only --classes 6
refused "--out is for the side that has the images" --role server --listen 127.0.0.1:0 --out here
refused "--classes 3: there are 4 classes" "${dark[@]}" --classes 3
train "${dark[@]}" --weights dark/model.safetensors --eval-only --image 16
said "positions resampled from 4 x 4 to 2 x 2"
train "${idx[@]}" --weights dark/model.safetensors --steps 1
said "the classifier starts anew: the file's has 4 classes, wanted 10"

# Data without the last class still has it, where the model knows it or --classes says so.
train --data cifar:three.bin,three.bin --weights dark/model.safetensors --eval-only
said "the data have 3 of 4 classes"
train --data cifar:three.bin,three.bin --steps 1 --classes 4 --out four
train --data cifar:three.bin,three.bin --steps 1 --out three
[[ $(wc -c <four/model.safetensors) -gt $(wc -c <three/model.safetensors) ]] || fail "--classes was ignored"
serve --classes 4
train --role client --connect "$address" --data cifar:three.bin,three.bin --classes 4 --steps 1
served
serve --classes 4
train --role client --connect "$address" "${dark[@]}" --epochs 6 --out linked
served
cmp dark/model.safetensors linked/model.safetensors || fail "a model trained over a link is another file"
serve --weights dark/model.safetensors
train --role client --connect "$address" "${dark[@]}" --weights dark/model.safetensors --eval-only --out apart
served
grep -q "dark/model.safetensors: vit_micro trained on train.bin" errors || fail "$(cat errors)"
[[ $(score apart) == "$(score dark)" ]] || fail "another score over a link"

# Names and formats of other programs. renamed FROM TO SED: the header is changed, the data are not.
renamed() {
  local n header i length=()
  n=$(od -An -tu8 -N8 "$1" | tr -d ' ')
  header=$(head -c $((8 + n)) "$1" | tail -c +9 | sed -E "$3")
  for ((i = 0; i < 8; ++i)); do length+=($(((${#header} >> (8 * i)) & 255))); done
  { bytes "${length[@]}"; printf '%s' "$header"; tail -c +$((9 + n)) "$1"; } >"$2"
}
model=dark/model.safetensors
foreign='s/"splitvit":"([^"\\]|\\.)*"/"by":"another"/'
renamed $model plain.safetensors "$foreign"
train "${dark[@]}" --weights plain.safetensors --eval-only --out plain
serve --weights dark/model.safetensors  # the same tensors beside other metadata
train --role client --connect "$address" "${dark[@]}" --weights plain.safetensors --eval-only
served
said "plain.safetensors: vit_micro; normalised as for ImageNet"
renamed $model module.safetensors "$foreign; s/\"(blocks|cls_|pos_|patch_|norm|head)/\"_orig_mod.module.\1/g"
train "${dark[@]}" --weights module.safetensors --eval-only --out module
said "prefix '_orig_mod.module.' removed"
renamed $model torchvision.safetensors "$foreign; s/blocks\.([0-9])/encoder.layers.encoder_layer_\1/g
  s/norm([12])/ln_\1/g; s/attn\.qkv\./self_attention.in_proj_/g; s/attn\.proj/self_attention.out_proj/g
  s/mlp\.fc1/mlp.0/g; s/mlp\.fc2/mlp.3/g; s/patch_embed\.proj/conv_proj/g; s/cls_token/class_token/
  s/pos_embed/encoder.pos_embedding/; s/\"norm/\"encoder.ln/g; s/\"head\./\"heads.head./g"
train "${dark[@]}" --weights torchvision.safetensors --eval-only --out torchvision
said "torchvision's names"
for other in module torchvision; do
  [[ $(score plain) == "$(score $other)" ]] || fail "$other gives another score"
done
renamed $model headless.safetensors "$foreign; s/\"head\./\"decoder_pred./g"
train "${dark[@]}" --weights headless.safetensors --eval-only
said "left out: decoder_pred.bias, decoder_pred.weight; the classifier starts anew: the file has none"
renamed $model unknown.safetensors "$foreign; s/\"blocks.3.norm2.bias/\"blocks.3.attn.rope/"
refused "missing: blocks.3.norm2.bias; unexpected: blocks.3.attn.rope" "${dark[@]}" --weights unknown.safetensors
{ printf 'PK\3\4\0\0\10\10'; head -c 100 /dev/zero; } >model.pt
refused "model.pt: a pickle of PyTorch, wanted safetensors" --weights model.pt

# Predictions.
refused "--predict needs --weights" --predict a.png
refused "--eval-only needs --weights" --eval-only
refused "--json goes with --predict" --json
if ! run --predict "$samples/png_rgb" --weights $model >stdout; then
  said "was built without libjpeg-turbo, libpng and zlib"
  [[ $(wc -l <stderr) == 1 ]] || fail "$(cat stderr)"
  echo "skipped: predictions, for which libjpeg-turbo, libpng and zlib are needed"
  exit 0
fi
mkdir -p photos/{colour,grey,other} one/grey
cp "$samples"/{baseline,png_rgb,png_alpha} photos/colour
cp "$samples"/{grey,png_1,png_16} photos/grey
cp "$samples"/{turned,png_palette,progressive} photos/other
cp photos/grey/* one/grey
train --data folder:photos,photos --epochs 3 --image 32 --out photo_model
scores_again photo_model --data folder:photos,photos
model=photo_model/model.safetensors
run --predict photos/*/* --weights $model --json >found.json || fail "$(cat stderr)"
# As many are right as the evaluation says.
right=0
for class in colour grey other; do
  right=$((right + $(grep -cE "photos/$class/.*\"classes\":\[\{\"label\":[0-9],\"name\":\"$class\"" found.json || true)))
done
[[ $(awk "BEGIN { printf \"%.6g\", $right / 9 }") == $(printf '%.6g' "$(score photo_model)") ]] ||
  fail "$right of 9 right, but the accuracy is $(score photo_model)"
[[ $(grep -c . found.json) == 9 ]] || fail "not a line an image: $(cat found.json)"
run --predict photos/grey/grey --weights $model >table || fail "$(cat stderr)"
[[ $(grep -c ' %$' table) == 3 ]] || fail "$(cat table)"
grep -qE '^photos/grey/grey +(colour|grey|other) +[0-9.]+ %$' table || fail "$(cat table)"
serve --weights $model
run --predict photos/*/* --weights $model --json --role client --connect "$address" >linked.json || fail "$(cat stderr)"
served
cmp found.json linked.json || fail "other predictions over a link"
refused "nothing.png: No such file" --predict nothing.png --weights $model
cp "$samples/cmyk" ink.jpg
refused "ink.jpg: a CMYK JPEG" --predict photos/grey/grey ink.jpg photos/grey/png_1 --weights $model
run --predict photos/grey/grey ink.jpg photos/grey/png_1 --on-bad-file skip --weights $model --json >skipped ||
  fail "$(cat stderr)"
said "1 file could not be read and was skipped, the first: ink.jpg: a CMYK JPEG"
run --predict photos/grey/grey photos/grey/png_1 --weights $model --json >readable || fail "$(cat stderr)"
cmp readable skipped ||
  fail "other predictions beside a file that was skipped: $(cat skipped)"
refused "headless.safetensors has no classifier" --predict photos/grey/grey --weights headless.safetensors

# Classes are matched by name.
train --data folder:one,one --weights $model --eval-only --out one_class
right=$(grep -cE 'photos/grey/.*"classes":\[\{"label":1,' found.json || true)
[[ $(awk "BEGIN { printf \"%.6g\", $right / 3 }") == $(printf '%.6g' "$(score one_class)") ]] ||
  fail "$right of 3 right, but the accuracy is $(score one_class)"
mv photos/other photos/others
refused "the classes of the data are colour, grey, others, those of $model are colour, grey, other" \
  --data folder:photos,photos --weights $model --eval-only
