#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# words.sh SPLIT_TRAIN: what the main program reads and says: numbers, addresses, files of options,
# errors, versions, costs known before, the table and the report, as a test.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/folder.sh"

# Of class 0 more than of others.
for class in 0 0 0 0 0 1 1 1 2 3; do image $class; done >test.bin
images 24 >train.bin
data=(--data cifar:train.bin,test.bin --threads 1 --progress none)
train() { "$program" "${data[@]}" --batch 8 --steps 2 "$@"; }

# What nobody should read: names of functions and types of the program, and numbers that only it knows.
inner='std::|basic_|vector|parse_[a-z]|[a-z]_named|VitConfig|Tcp[A-Z]|ArgumentError|errno|filesystem error|INT|UINT|FLOAT|->'

# refused TEXT OPTIONS...: exit code 2 and one line with this text and without inner words.
refused() {
  must_refuse "$@"
  if grep -qE -- "$inner" stderr; then fail "inner words in: $(cat stderr)"; fi
}

# Numbers are decimal, whole where that is meant, and in range.
for option in batch:1:1000000 epochs:1:1000000000 steps:1:1000000000000000 cut:1:1000 image:1:8192 \
  classes:1:1000000 threads:1:1024 sessions:1:1000000000 data-memory-mib:0:1073741824 \
  seed:0:9223372036854775807 warmup:0:1000000000; do
  IFS=: read -r name least most <<<"$option"
  for value in -1 1.5 0x10 1e3 +1 " 1" 1_000 x "" 99999999999999999999; do
    refused "--$name '$value': wanted a whole number from $least to $most" "--$name" "$value"
  done
done
for name in batch epochs steps cut image classes threads sessions; do
  refused "--$name '0': wanted a whole number from 1" "--$name" 0
done
refused "--seed '-2': wanted a whole number" --seed=-2
for option in lr:0:1000000 budget-mib:0:1000000000 test-share:0:1; do
  IFS=: read -r name least most <<<"$option"
  for value in 0 -1 1,5 nan inf x "" 0x1p3 1e300 "$most"; do
    refused "--$name '$value': wanted a number above $least and below $most" "--$name" "$value"
  done
done
for value in -1 1,5 nan x "" 1000000; do
  refused "--weight-decay '$value': wanted a number from 0 on and below 1000000" \
    --weight-decay "$value"
done
refused "--schedule '1': wanted constant|cosine" --schedule 1
train --batch 010 --dry-run | grep -q "^steps *1 *3 " || fail "010 is not ten"
said=$("$program" "${data[@]}" --batch 100000 --steps 1 2>&1)
[[ $said == "--batch 100000: more than the training images; each step takes all 24"* ]] ||
  fail "a batch larger than the data goes without a word"

# Words, not the numbers behind them.
for role in 0 1 2 Server any ""; do refused "--role '$role': wanted both|server|client" --role "$role"; done
refused "--compute 'half': wanted float32|bf16" --compute half
refused "--compute '1': wanted" --compute 1
refused "--progress 'fancy': wanted auto|bar|plain|none" --progress fancy
refused "--on-bad-file 'ignore': wanted refuse|skip" --on-bad-file ignore

# What is wrong, by the option's name.
refused "--epoch: no such option" --epoch 3
refused "'more' belongs to no option" --batch 4 more
refused "--batch needs a value" --batch
refused "--epochs excludes --steps" --epochs 1 --steps 1
refused "--model: no model is called 'vit'; there are deit_tiny" --model vit
refused "--image: image 30 is no multiple of patch 8" --image 30
refused "--cut 4: vit_micro has 4 blocks and can be cut after 1 to 3" --cut 4
refused "--compress: method 'merge:2': 'merge:2' has '2', wanted a number in (0, 1]" --compress merge:2
refused "--weights: File does not exist: nowhere" --weights nowhere
refused "--out" "${data[@]}" --out "$(printf 'x%.0s' {1..300})"
refused "--out test.bin" "${data[@]}" --out test.bin

# Addresses.
for address in '*:7000' '[*]:7000' ':7000' '[]:7000'; do
  refused "--listen: address '$address': " --role server --listen "$address"
  grep -q "0.0.0.0:PORT is every IPv4 address" stderr || fail "$(cat stderr)"
done
for address in 7000 localhost '[::1]' '::1:7000' localhost:70000 localhost:-1 localhost: localhost:x; do
  refused "--listen: address '$address': " --role server --listen "$address"
done
refused "--connect a:0: port 0 is for --listen" --role client --connect a:0
for address in "0.0.0.0:0 --insecure" localhost:0 127.0.0.1:0; do
  : >listening
  # shellcheck disable=SC2086
  timeout 10 "$program" --role server --listen $address --classes 10 >listening 2>&1 &
  server=$!
  for _ in $(seq 100); do grep -q "^listening on" listening && break || sleep 0.05; done
  grep -qE "^listening on (127\.0\.0\.1|0\.0\.0\.0):[1-9][0-9]*$" listening || fail "$address: $(cat listening)"
  port=$(sed 's/.*://' listening)
  if "$program" --role server --listen "127.0.0.1:$port" --classes 10 >stdout 2>stderr; then
    fail "two servers at one port"
  fi
  grep -qE "^split_train: listening on 127.0.0.1:$port: Address already in use$" stderr || fail "$(cat stderr)"
  kill "$server"
  wait "$server" 2>/dev/null || true
done
train --role client --connect nowhere.invalid:7000 --insecure 2>stderr && fail "a host that does not exist"
grep -qF "nowhere.invalid:7000: no such host" stderr || fail "$(cat stderr)"

# --version.
"$program" --version >version
grep -qE "^split_train of splitvit [0-9]+\.[0-9]+\.[0-9]+$" version || fail "$(cat version)"
for part in compiler "instruction set" xsimd oneTBB "images (JPEG, PNG, gzip)" TLS; do
  grep -qE "^${part//[()]/.}: .+" version || fail "no $part: $(cat version)"
done

if grep -q "^commit: " version; then
  grep -qE "^commit: [0-9a-f]{40,}$" version || fail "$(cat version)"
fi

# --config: one option a line; the command line wins; errors name file and line.
cat >good.conf <<'TEXT'
# two methods

--compress none adc:0.25
batch 4
--epochs=1
  data "cifar:train.bin,test.bin"
recompute
TEXT
printf 'batch 4\r\nepochs 1\r\n' >windows.conf
"$program" --config good.conf --threads 1 --progress none --out from_file >table
grep -q "^adc:0.25 " table || fail "$(cat table)"
cmp <(sed -n 's/.*"step":\([0-9]*\).*/\1/p' from_file/metrics.jsonl) <(printf '6\n6\n') ||
  fail "not the epoch of the file: $(cat from_file/metrics.jsonl)"
"$program" --config good.conf --compress none --steps 1 --threads 1 --progress none --out replaced >table
! grep -q adc table || fail "the file's methods were added: $(cat table)"
grep -q '"options":{.*"compress":"none".*"batch":"4".*"steps":"1".*"recompute":"true"' replaced/metrics.jsonl ||
  fail "other options: $(head -1 replaced/metrics.jsonl)"
! grep -q '"epochs"' replaced/metrics.jsonl || fail "--epochs of the file beside --steps"
train --config windows.conf >table
for option in batch:8 steps:2 lr:0.001 seed:0 cut:2 image:32 threads:1 model:vit_micro; do
  train --out effective >table
  grep -q "\"options\":{.*\"${option%:*}\":\"${option#*:}\"" effective/metrics.jsonl ||
    fail "no $option: $(head -1 effective/metrics.jsonl)"
  rm -r effective
done
config_refused() {  # TEXT CONTENT: the file is refused with this text
  printf "$2" >bad.conf
  refused "$1" --config bad.conf
}
config_refused "bad.conf:2: --epoch: no such option" '# x\n--epoch 3\n'
config_refused "bad.conf:1: --batch '0': wanted a whole number" 'batch 0'
config_refused "bad.conf:1: --batch needs a value" 'batch\n'
config_refused "bad.conf:3: --lr stands in line 1 already" 'lr 1\n\nlr 2'
config_refused "bad.conf:2: --steps does not go with --epochs of line 1" 'epochs 1\nsteps 1'
config_refused "bad.conf:1: wanted one option a line" 'batch 1 --lr 1'
config_refused "bad.conf:1: --help is for the command line only" 'help'
config_refused "bad.conf:1: --config is for the command line only" 'config good.conf'
config_refused "bad.conf:1: a quotation mark has no counterpart" 'data "folder:x'
config_refused "bad.conf:2: not a text file" 'batch 1\nlr \001 1'
config_refused "bad.conf:1: 'x' belongs to no option" 'batch 1 x'
head -c 65537 /dev/zero >bad.conf
refused "--config bad.conf: 65537 bytes, at most 65536 are allowed" --config bad.conf
head -c 1000 train.bin >bad.conf
refused "bad.conf:1: " --config bad.conf
refused "--config nowhere: No such file" --config nowhere
refused "--config /dev/zero: not a regular file" --config /dev/zero
refused "--config .: not a regular file" --config .

# --dry-run: the costs of a step, an epoch and the run, as they then are; no folder.
"$program" "${data[@]}" --batch 8 --epochs 4 --compress none adc:0.25@q:8 --dry-run --out dry >costs
[[ ! -e dry ]] || fail "--dry-run has left a folder"
[[ $(grep -c "means of 3 real steps" costs) == 2 ]] || fail "$(cat costs)"
grep -qE "^steps +1 +3 +12$" costs || fail "$(cat costs)"
[[ $(grep -cE "^memory: client [0-9.]+ [KMG]iB, server [0-9.]+ [KMG]iB$" costs) == 2 ]] || fail "$(cat costs)"
[[ $(awk 'length > 80' costs | wc -l) == 0 ]] || fail "wider than 80 columns: $(cat costs)"
"$program" "${data[@]}" --batch 8 --epochs 1 --out real >/dev/null
# bytes up of the run: 3 steps and a handshake of less than a kilobyte
awk -F, 'NR == FNR { if ($2 == 0) sent = $7; next } END { print sent }' real/metrics.csv real/metrics.csv >sent
dry=$(sed -n 's/^bytes up *\([0-9.]*\) KiB .*/\1/p' costs | head -1)
awk -v dry="$dry" -v sent="$(cat sent)" 'BEGIN { real = sent / 3 / 1024; exit !(dry > 0.98 * real && dry <= real) }' ||
  fail "a step is said to send $dry KiB, and three sent $(cat sent) bytes"
refused "--eval-only excludes --dry-run" --dry-run --eval-only
refused "--dry-run is for the side that has the images" --role server --listen localhost:0 --dry-run

# The table fits, whatever the methods are called; the accuracy is the only text of its form.
long=merge-tokens:0.31:send_sizes=yes@slacc:4,min_bits=2,max_bits=4
train --compress none "$long" --out told >table
[[ $(awk 'length > 82' table | wc -l) == 0 ]] || fail "wider than 80 columns: $(cat table)"
grep -qE "^method +test accuracy +MiB +ratio +seconds$" table || fail "$(cat table)"
[[ $(grep -oE "[0-9.]+ ± [0-9.]+ %" table | wc -l) == 2 ]] || fail "$(cat table)"
grep -q "^$long" table || fail "$(cat table)"
grep -q '"program":{"version":"[0-9.]*","compiler":".*"started":"20[0-9-]*T[0-9:]*Z"}' told/metrics.jsonl ||
  fail "$(head -1 told/metrics.jsonl)"
grep -q '"majority_baseline":0.5,"classes":\[{"name":"0","samples":5,"correct":[0-5]},' told/metrics.jsonl ||
  fail "$(tail -1 told/metrics.jsonl)"
for text in "Accuracy by class" "Majority class" "<td>50.0 %</td>" ">$long</th>"; do
  grep -qF "$text" told/report.html || fail "no $text in the report"
done
# A comparison that is resumed keeps the classes.
train --compress none "$long" --out told --resume >again
cmp table again || fail "another table"
grep -qF "Accuracy by class" told/report.html || fail "no classes after --resume"

# The bar is as wide as the terminal, also after that has changed.
command -v python3 >/dev/null || { echo "skipped: the bar, for which python3 is needed"; exit 0; }
python3 - "$program" "${data[@]:0:4}" <<'CODE'
import fcntl, os, pty, re, select, struct, sys, termios, time

def resize(fd, columns):
    fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))

pid, fd = pty.fork()
if pid == 0:
    time.sleep(0.2)
    args = [sys.argv[1], *sys.argv[2:], "--batch", "8", "--epochs", "400"]
    os.execve(args[0], args, {**os.environ, "TERM": "xterm"})
resize(fd, 100)
out, begin, narrow_from = b"", time.time(), None
while time.time() - begin < 60:
    if select.select([fd], [], [], 0.1)[0]:
        try:
            out += os.read(fd, 65536)
        except OSError:
            break
    if narrow_from is None and out.count(b"\r") >= 8:
        resize(fd, 40)
        narrow_from = len(out)
    if narrow_from is not None and out[narrow_from:].count(b"\r") >= 12:
        break
os.kill(pid, 15)
os.waitpid(pid, 0)
def widths(text):
    text = re.sub(rb"\x1b\[[0-9;]*[A-Za-z]", b"", text)
    return [len(piece.split(b"\n")[0]) for piece in text.split(b"\r") if b"epoch" in piece]
if narrow_from is None or max(widths(out[:narrow_from]), default=0) <= 40:
    sys.exit("words.sh: no bar on a wide terminal")
late = widths(out[narrow_from:])[3:-1]  # a drawing may have begun before
if not late or max(late) > 39:
    sys.exit(f"words.sh: bars of {late} columns on a terminal of 40")
CODE
