#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# make_certificates.sh FOLDER SERVER CLIENT...: certificates for tests and small groups, under an
# authority of their own. SERVER is the host name or address that clients connect to, each CLIENT a
# name that no other has. FOLDER gets ca.pem, which everybody needs, and NAME.pem and NAME.key of
# each party; it keeps ca.key, so that the same command with other names makes more of them. Those of a
# server that has them already stay. They are valid for a year. Needs openssl.
set -euo pipefail

say() { echo "make_certificates: $*" >&2; }

if (($# < 3)); then
  say "usage: make_certificates.sh FOLDER SERVER CLIENT..."
  exit 2
fi
folder=$1
server=$2
shift 2
for name in "$server" "$@"; do
  if [[ ! $name =~ ^[A-Za-z0-9][A-Za-z0-9._:-]*$ || $name == ca ]]; then
    say "'$name' is no name; wanted letters, digits, dots, colons and hyphens, and not ca"
    exit 2
  fi
done
command -v openssl >/dev/null || { say "openssl is missing (apt-get install openssl)"; exit 1; }

umask 077
mkdir -p "$folder"
cd "$folder"

# sign NAME DAYS EXTENSIONS OPTIONS...: a new key, and a certificate with these extensions.
sign() {
  local name=$1 days=$2 extensions=$3
  shift 3
  openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj "/CN=$name" \
    -keyout "$name.key" -out "$name.csr" 2>/dev/null
  openssl x509 -req -in "$name.csr" -days "$days" -set_serial "0x$(openssl rand -hex 8)" \
    -extfile <(printf '%b' "$extensions") -out "$name.pem" "$@" 2>/dev/null
  rm "$name.csr"
}

if [[ ! -e ca.key ]]; then
  sign ca 3650 'basicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign\nsubjectKeyIdentifier=hash\n' \
    -signkey ca.key
fi
kind=DNS
if [[ $server =~ ^[0-9.]+$ || $server == *:* ]]; then kind=IP; fi
if [[ ! -e $server.key ]]; then
  sign "$server" 365 "extendedKeyUsage=serverAuth\nsubjectAltName=$kind:$server\n" \
    -CA ca.pem -CAkey ca.key
fi
for name in "$@"; do
  if [[ -e $name.key ]]; then
    say "$folder/$name.key is there already"
    exit 1
  fi
  sign "$name" 365 'extendedKeyUsage=clientAuth\n' -CA ca.pem -CAkey ca.key
done
