#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# commands.sh SPLIT_TRAIN README: runs each command of the README that begins with split_train, for
# one step, on small files of its own in place of the reader's. A server runs beside the client in
# the next line.
set -euo pipefail

program=$1
readme=$2
samples=$(cd "$(dirname "${BASH_SOURCE[0]}")/../fuzz/corpus/image_files" && pwd)
folder=$(mktemp -d)
server=
trap '[[ -z $server ]] || kill "$server" 2>/dev/null; rm -rf "$folder"' EXIT
cd "$folder"

fail() {
  echo "commands.sh: $1" >&2
  exit 1
}

# Files by the names that the README uses.
for photos in PHOTOS TRAIN TEST; do
  mkdir -p $photos/cat $photos/dog
  cp "$samples"/{baseline,progressive,png_rgb,png_alpha} $photos/cat
  cp "$samples"/{grey,turned,png_palette,png_1,png_16} $photos/dog
done
mkdir photos
cp TRAIN/cat/baseline photos/one.jpg
cp TRAIN/dog/grey photos/two.jpg
(umask 077 && printf '5%.0s' {1..64} >key)
mkdir DIR
for batch in data_batch_{1..5} test_batch; do
  for label in 0 1 2 3 4 5 6 7 8 9; do
    printf "\\x0$label"
    head -c 3072 "$program"
  done >DIR/$batch.bin
done
"$program" --model deit_tiny --steps 1 --batch 2 --threads 1 --progress none --out made >/dev/null
mv made/model.safetensors deit_tiny.safetensors

without_tls=
"$program" --version | grep -q '^TLS: built in$' || without_tls=yes
[[ -n $without_tls ]] || "$(dirname "$readme")/cmake/make_certificates.sh" keys HOST alice

end_server() {
  [[ -n $server ]] || return 0
  wait "$server" || fail "the server: $(cat server.log)"
  server=
}

# shorter COMMAND: for one step of two images.
shorter() {
  sed -E -e 's/ --(epochs|steps) [0-9]+//g' -e 's/--budget-mib [0-9]+/--budget-mib 0.01/' \
    -e 's/0\.0\.0\.0:7000/127.0.0.1:0/' -e "s/HOST:7000/${address:-}/" \
    ${without_tls:+-e 's/--(psk-file|tls-[a-z]+) [^ ]+/--insecure/g'} <<<"$1"
}

run() {
  local command short=(--threads 1)
  command=$(shorter "$1")
  case $command in
    *--version* | *--help* | *--dry-run* | *--config*) ;;
    *--budget-mib*) short+=(--batch 2 --progress none) ;;
    *--role\ server*) short+=(--sessions 1) ;;
    *) short+=(--batch 2 --steps 1 --progress none) ;;
  esac
  if [[ $command == *--role\ client*--tls-ca* ]]; then short+=(--tls-name HOST); fi
  echo "$command ${short[*]}"
  # shellcheck disable=SC2086
  if [[ $command == *--role\ server* ]]; then
    end_server
    rm -f server.log
    touch server.log
    "$program" ${command#split_train} "${short[@]}" >server.log 2>&1 &
    server=$!
    for _ in {1..200}; do
      address=$(sed -n 's/^listening on //p' server.log)
      [[ -z $address ]] || break
      sleep 0.05
    done
    [[ -n $address ]] || fail "the server does not listen: $(cat server.log)"
  else
    "$program" ${command#split_train} "${short[@]}" >log 2>&1 || fail "$1: $(cat log)"
  fi
}

# Lines that end with a backslash go on; what follows # is a comment.
count=0
while read -r line; do
  run "$line"
  count=$((count + 1))
done < <(sed -n '/^```sh$/,/^```$/p' "$readme" | sed -e ':a' -e '/\\$/N' -e 's/\\\n//' -e 'ta' \
  -e 's/ *#.*//' | grep '^split_train ')
((count > 0)) || fail "$readme has no command of split_train"
end_server
echo "$count commands"
