#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# tls.sh SPLIT_TRAIN MAKE_CERTIFICATES: client and server that know each other by a key or by
# certificates, others, who are refused in one sentence, and parties that are killed. Ends with 77 where
# only a part can be tested, without TLS in the program or without openssl.
set -euo pipefail

program=$(realpath "$1")
make_certificates=$(realpath "$2")
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=tests/split_train/checks.sh
source "$here/checks.sh"
# shellcheck source=tests/crash/pair.sh
source "$here/../crash/pair.sh"  # $folder and fail, too
# shellcheck source=tests/split_train/serving.sh
source "$here/serving.sh"
cd "$folder"

a_server() { must_refuse "$@" --role server --listen 127.0.0.1:0 --classes 4; }
a_client() { must_refuse "$@" --role client --connect localhost:7000; }

(umask 077 && printf '5%.0s' {1..64} >key && printf '6%.0s' {1..64} >other && echo secret >short)

# Beyond this machine something must be said of protection.
must_refuse "--listen 0.0.0.0:0: beyond this machine others can read and change what is sent; wanted --psk-file" \
  --role server --listen 0.0.0.0:0 --classes 4
must_refuse "--connect 192.0.2.1:7000: beyond this machine" --role client --connect 192.0.2.1:7000
must_refuse "--insecure is for --role server and --role client" --insecure
must_refuse "--psk-file is for --role server and --role client" --psk-file key
a_client "--insecure goes without --psk-file" --insecure --psk-file key
a_client "--tls-cert, --tls-key and --tls-ca are needed together" --tls-cert key
a_client "--tls-cert, --tls-key and --tls-ca are needed together" --tls-name somebody
a_client "--psk-file goes without --tls-cert" --psk-file key --tls-name somebody
a_server "--tls-name is for the client" --tls-name here --tls-cert key --tls-key key --tls-ca key

if ! "$program" --version | grep -q '^TLS: built in$'; then
  without="this program was built without OpenSSL 3; cmake/setup.sh installs it (libssl-dev"
  a_server "--psk-file: $without" --psk-file key
  a_client "--tls-cert: $without" --tls-cert key --tls-key key --tls-ca key
  echo "skipped: the rest, for which the program must be built with TLS"
  exit 77
fi

# Files.
cp key open
chmod 640 open
a_server "--psk-file open: others may read or change this secret; run chmod 600 on it" --psk-file open
a_client "--psk-file short: wanted a key of 64 hexadecimal digits" --psk-file short
a_client "--psk-file nowhere: No such file" --psk-file nowhere
a_client "key: wanted certificates of an authority, as PEM" --tls-cert key --tls-key key --tls-ca key

client() {
  timeout 60 "$program" --role client --connect "$address" --data cifar:train.bin,test.bin --steps 2 \
    --batch 8 --threads 1 --progress none "$@" >stdout 2>stderr
}
# turned_away TEXT OPTIONS...: a client is refused in one line, and trains nothing.
turned_away() {
  local text=$1 code=0
  shift
  client --out away --overwrite "$@" || code=$?
  [[ $code == 1 ]] || fail "exit code $code instead of 1: $*: $(cat stderr)"
  grep -qE "^split_train: (none, seed 0, failed at step 0: )?$text\$" stderr || fail "no '$text' in: $(cat stderr)"
  [[ $(wc -l <stderr) == 1 ]] || fail "not one line: $(cat stderr)"
  [[ ! -e away/model.safetensors ]] || fail "trained, but turned away: $text"
}
server_said() { grep -qE "Z 127\.0\.0\.1:[0-9]+: .*$1" errors || fail "the server: no '$1': $(cat errors)"; }
# trains NAME OPTIONS...: a client that is served, as one without protection; it was the only one.
trains() {
  client --out "$@" || fail "$1: $(cat stderr)"
  served
  [[ $(grep -c "finished after" listening) == 1 ]] || fail "$1: $(cat listening)"
  cmp plain/model.safetensors "$1/model.safetensors"
  cmp <(cut -d, -f1-10 plain/metrics.csv) <(cut -d, -f1-10 "$1/metrics.csv")
}
server_options=(--classes 4)
peer='TLS with 127\.0\.0\.1:[0-9]+:'

# A key: the same weights, metrics and bytes as without.
serve "${server_options[@]}"
turned_away "$peer it does not use TLS" --psk-file key
trains plain
serve "${server_options[@]}" --psk-file key
turned_away "$peer it has another pre-shared key" --psk-file other
server_said "it has another pre-shared key"
trains by_key --psk-file key
serve "${server_options[@]}" --psk-file key
turned_away "frame header: these bytes are TLS, which this side does not use"
server_said "it does not use TLS"
trains after_plain --psk-file key

# Killed, and started again with the same command.
both=(--psk-file "$folder/key")
new_pair undisturbed
start_client
finish
undisturbed=$run
new_pair killed
start_client
await out/metrics.jsonl 30 '"record":"step".*"step":20,'
kill -9 "$client"
start_client
await out/metrics.jsonl 30 '"record":"step".*"step":40,'
kill -9 "$server"
start_server
finish
same_as "$undisturbed"

# Certificates.
command -v openssl >/dev/null || { echo "skipped: certificates, for which openssl is needed"; exit 77; }
"$make_certificates" ours 127.0.0.1 alice
"$make_certificates" theirs 127.0.0.1 alice
# expire NAME EXTENSIONS: another certificate of a party, ours/NAME-expired.pem
expire() {
  cp "ours/$1.key" "ours/$1-expired.key"
  openssl req -new -key "ours/$1.key" -subj "/CN=$1" |
    openssl x509 -req -days 0 -CA ours/ca.pem -CAkey ours/ca.key -set_serial 7 \
      -extfile <(printf '%b' "$2") -out "ours/$1-expired.pem" 2>/dev/null
}
expire alice 'extendedKeyUsage=clientAuth'
expire 127.0.0.1 'extendedKeyUsage=serverAuth\nsubjectAltName=IP:127.0.0.1'
# of FOLDER NAME [AUTHORITY]: sets $options
of() { options=(--tls-cert "$1/$2.pem" --tls-key "$1/$2.key" --tls-ca "${3:-$1}/ca.pem"); }
serve_ours() {
  of ours "$1"
  serve "${server_options[@]}" "${options[@]}"
}
serve_ours 127.0.0.1
of theirs alice ours
turned_away "$peer it knows no authority that has signed this side's certificate" "${options[@]}"
server_said "its certificate is signed by another authority"
of ours alice
turned_away "$peer its certificate is not for 'elsewhere'" "${options[@]}" --tls-name elsewhere
of theirs alice
turned_away "$peer its certificate is signed by another authority" "${options[@]}"
of ours alice-expired
sleep 1  # it tells of one a second
turned_away "$peer it says that this side's certificate has expired" "${options[@]}"
server_said "its certificate has expired"
turned_away "$peer its certificate is signed by another authority" --psk-file key
of ours alice
trains by_certificate "${options[@]}"
serve_ours 127.0.0.1-expired
of ours alice
turned_away "$peer its certificate has expired" "${options[@]}"
kill "$running"
wait "$running" || true
running=
