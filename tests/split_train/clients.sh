#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# clients.sh SPLIT_TRAIN: several clients that train one model, simulated in one process, as a test.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/folder.sh"

# Of the four classes 24, 12, 6 and 6 images; of class 0 also most of the test images.
for class in 0 0 0 0 1 1 2 3; do image $class; done >eight.bin
for _ in 1 2 3 4 5 6; do cat eight.bin; done >train.bin
cat eight.bin eight.bin >test.bin
data=(--data cifar:train.bin,test.bin --threads 1)

train() { "$program" "${data[@]}" --progress none --batch 4 "$@" >stdout 2>stderr || fail "$(cat stderr)"; }
column() { cut -d, -f"$2" "$1" | tail -n +2; }  # column FILE NUMBER: its values
sum() { column "$1" "$2" | awk '{ all += $1 } END { print all }'; }

# refused TEXT OPTIONS...: exit code 2, one line with this text, and no folder.
refused() {
  must_refuse "$1" "${data[@]}" --out no "${@:2}"
  [[ ! -e no ]] || fail "a folder is left behind: $*"
}

for value in 0 -1 1.5 x "" 100001; do
  refused "--clients '$value': wanted a whole number from 1 to 100000" --clients "$value"
  refused "--per-round '$value': wanted a whole number from 1 to 100000" --clients 2 --per-round "$value"
done
for value in 0 -1 1.5 x "" epochs 1000000001; do
  refused "--average-every '$value': wanted epoch, or a whole number of steps from 1 to 1000000000" \
    --clients 2 --average-every "$value"
  refused "--turn '$value': wanted epoch, or a whole" --clients 2 --sharing relay --turn "$value"
done
for value in "" random iid:1 dirichlet dirichlet: dirichlet:x by-class by-class:1.5; do
  refused "--partition: partition '$value': wanted iid, dirichlet:ALPHA or by-class:N" \
    --clients 2 --partition "$value"
done
for value in "" fedavg Shared; do
  refused "--sharing '$value': wanted shared|averaged|relay" --clients 2 --sharing "$value"
done
refused "--partition: ALPHA is 0, wanted" --clients 2 --partition dirichlet:0
refused "--partition: N is 0, wanted" --clients 2 --partition by-class:0
refused "--clients 49 --partition iid: 48 samples for 49 clients" --clients 49
refused "--clients 2 --partition by-class:1: 1 classes for each of 2 clients" --clients 2 --partition by-class:1
refused "--clients 1 --partition by-class:5: 5 classes" --clients 1 --partition by-class:5
refused "--per-round 3: there are 2 clients" --clients 2 --per-round 3
for option in sharing=averaged average-every=epoch turn=1 partition=iid per-round=1 \
  order=fixed; do
  refused "--${option%=*} goes with --clients, or with --client" "--$option"
done
refused "--turn goes with --sharing relay" --clients 2 --turn 3
refused "do not go with --sharing relay" --clients 2 --sharing relay --average-every 3
refused "do not go with --sharing relay" --clients 2 --sharing relay --per-round 1
refused "--checkpoint-every is for a client of several" --clients 2 --checkpoint "$folder/none" --checkpoint-every 1
refused "--resume of a server with --clients needs --checkpoint" --role server --listen localhost:0 --clients 2 \
  --out "$folder/none" --resume
refused "--epochs or --steps, not --budget-mib" --clients 2 --budget-mib 1
refused "the learning rate is constant" --clients 2 --schedule cosine
refused "the learning rate is constant" --clients 2 --warmup 1
refused "--dry-run and --predict do not go with --clients" --clients 2 --dry-run
refused "start=pca looks at the images of one client" --clients 2 --bottleneck 0.5:start=pca
refused "feedback:local needs a local head" --clients 2 --feedback local

# Each mode, with and without compression: a model, a row for the last evaluation, a line for each
# client with its own steps, the same bits again, and the bytes of the rows in the lines.
for sharing in shared averaged relay; do
  for method in none adc:0.3; do
    name=$sharing-$method
    train --clients 3 --steps 3 --sharing $sharing --partition dirichlet:0.5 --compress $method --out $name
    [[ -s $name/model.safetensors ]] || fail "$name: no model"
    [[ $(column $name/clients.csv 1 | xargs) == "1 2 3" ]] || fail "$name: $(cat $name/clients.csv)"
    [[ $(column $name/clients.csv 4 | xargs) == "3 3 3" ]] || fail "$name: $(cat $name/clients.csv)"
    [[ $(sum $name/clients.csv 2) == 48 ]] || fail "$name: $(cat $name/clients.csv)"
    [[ $(tail -n 1 $name/metrics.csv | cut -d, -f4) == 9 ]] || fail "$name: $(cat $name/metrics.csv)"
    # the goodbyes, 32 bytes each, come after the last row
    [[ $(sum $name/clients.csv 6) == $(($(tail -n 1 $name/metrics.csv | cut -d, -f7) + 3 * 32)) ]] ||
      fail "$name: bytes up $(sum $name/clients.csv 6), and in the rows: $(cat $name/metrics.csv)"
    [[ $(sum $name/clients.csv 7) == $(tail -n 1 $name/metrics.csv | cut -d, -f8) ]] ||
      fail "$name: bytes down $(sum $name/clients.csv 7), and in the rows: $(cat $name/metrics.csv)"
    [[ $(column $name/clients.csv 8 | sort -n | head -n 1) -gt 100000 ]] || fail "$name: no weights were sent"
    train --clients 3 --steps 3 --sharing $sharing --partition dirichlet:0.5 --compress $method --out again
    for file in model.safetensors clients.csv; do
      cmp $name/$file again/$file || fail "$name: the same seed gives another $file"
    done
    rm -r again
  done
done
for pair in "shared averaged" "shared relay" "averaged relay"; do
  read -r one other <<<"$pair"
  ! cmp -s $one-none/model.safetensors $other-none/model.safetensors || fail "$one and $other give the same model"
done

# One client is the training of one client, whatever the sharing.
train --clients 1 --steps 3 --sharing averaged --out one
train --clients 1 --steps 3 --sharing relay --turn 1 --out one-relay
cmp one/model.safetensors one-relay/model.safetensors || fail "one client depends on the sharing"

# An average every two steps and once more at the end, by some of the clients at a time.
train --clients 5 --steps 3 --per-round 2 --average-every 2 --out some
[[ $(column some/clients.csv 4 | xargs) == "3 3 3 3 3" ]] || fail "$(cat some/clients.csv)"
train --clients 5 --steps 3 --average-every 2 --out all
train --clients 5 --steps 3 --average-every 1 --out often
[[ $(column often/clients.csv 8 | head -n 1) -gt $(column all/clients.csv 8 | head -n 1) ]] ||
  fail "more averages send no more weights: $(cat often/clients.csv) $(cat all/clients.csv)"

# Epochs are those of a client's own share; a client with fewer images than a batch uses all of them.
train --clients 3 --epochs 2 --partition by-class:2 --batch 1000 --out epochs
[[ $(column epochs/clients.csv 4 | xargs) == "2 2 2" ]] || fail "$(cat epochs/clients.csv)"
[[ $(column epochs/clients.csv 3 | xargs) == "2 2 2" ]] || fail "$(cat epochs/clients.csv)"
train --clients 3 --epochs 2 --partition dirichlet:0.3 --batch 4 --out uneven
[[ $(column uneven/clients.csv 4 | xargs) == $(column uneven/clients.csv 2 | awk '{ print 2 * int(($1 + 3) / 4) }' | xargs) ]] ||
  fail "not two epochs of each: $(cat uneven/clients.csv)"
[[ $(column uneven/clients.csv 4 | sort -u | wc -l) -gt 1 ]] || fail "all have the same steps: $(cat uneven/clients.csv)"

# What is said at the end, and in the report: the majority class, how fair it is, the bytes of weights.
grep -qE "^none, seed 0 +50.0 % +[0-9.]+ % \(client [123]\) +[0-9.]+ % \(client [123]\) +[0-9.]+ % +[0-9.]+ [KM]iB$" stdout ||
  fail "no line on the clients: $(cat stdout)"
for text in "<h2>Clients</h2>" ">partition</th>" ">dirichlet:0.3</td>" ">shared, averaged after an epoch of a client</td>"; do
  grep -qF "$text" uneven/report.html || fail "no $text in the report"
done
grep -q '"clients":"3".*"sharing":"shared".*"average-every":"epoch".*"partition":"dirichlet:0.3"' uneven/metrics.jsonl ||
  fail "options: $(head -n 1 uneven/metrics.jsonl)"

# Several methods and seeds have files of their own; steps are logged; evaluations as deployed count.
train --clients 2 --steps 1 --compress none adc:0.5@q:8 --seed 1 2 --log-steps --evaluate both --drop-patches 0.2 --out several
for file in none-seed1 none-seed2 adc-0.5-q-8-seed1 adc-0.5-q-8-seed2; do
  [[ -s several/model-$file.safetensors && -s several/clients-$file.csv ]] || fail "$(ls several)"
done
[[ $(grep -c '"record":"step"' several/metrics.jsonl) == 8 ]] || fail "$(cat several/metrics.jsonl)"
[[ $(grep -c '"compressed_accuracy"' several/metrics.jsonl) == 4 ]] || fail "$(cat several/metrics.jsonl)"

# A folder is not replaced by accident, and a client alone does not go on where several have ended.
for options in "--clients 3 --steps 3" "--steps 3 --resume"; do
  "$program" "${data[@]}" --progress none --batch 4 --out shared-none $options >stdout 2>stderr && fail "the folder was used again"
  [[ $(wc -l <stderr) == 1 ]] || fail "not one line: $(cat stderr)"
done
grep -qF -- "--resume: clients is not given, but was 3 in the finished run of none" stderr || fail "$(cat stderr)"
rm shared-none/metrics.*
code=0
"$program" "${data[@]}" --progress none --clients 3 --steps 3 --out shared-none >stdout 2>stderr || code=$?
[[ $code == 2 ]] && grep -qE "shared-none/[a-z.]+ is there already" stderr || fail "$code: $(cat stderr)"

# A signal ends it between two steps, with the code of a shell.
"$program" "${data[@]}" --progress none --clients 2 --batch 4 --epochs 100000 --log-steps --out stopped >stdout 2>stderr &
for _ in $(seq 100); do grep -qs '"record":"step"' stopped/metrics.jsonl && break || sleep 0.1; done
kill -TERM $!
code=0
wait $! || code=$?
[[ $code == 143 ]] && grep -qE "^split_train: stopped after [0-9]+ steps of all clients" stderr || fail "$code: $(cat stderr)"
