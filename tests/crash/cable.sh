#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# cable.sh SPLIT_TRAIN: the network of a client is down, without a word to either side. The server
# notices, serves another client, and goes on with the first one when it is back: the same bits. It
# needs root, for network namespaces of its own; where that is not permitted it says so, and ends with 77.
set -euo pipefail

program=$(realpath "$1")
skip() {
  echo "cable.sh: skipped: $1"
  exit 77
}
((EUID == 0)) || skip "network namespaces need root"
command -v ip >/dev/null || skip "the command ip is missing (apt-get install iproute2)"
space=splitvit-$$
ip netns add "$space-a" 2>/dev/null || skip "network namespaces are not permitted here"
steps=300
source "$(dirname "${BASH_SOURCE[0]}")/pair.sh"
# shellcheck disable=SC2317  # called by trap
take_down() {
  clean_up
  ip netns del "$space-a" 2>/dev/null || true
  ip netns del "$space-b" 2>/dev/null || true
}
trap take_down EXIT

ip netns add "$space-b"
ip -n "$space-a" link add cable type veth peer name cable netns "$space-b" ||
  skip "pairs of virtual network devices are not permitted here"
ip -n "$space-a" addr add 10.199.7.1/24 dev cable
ip -n "$space-b" addr add 10.199.7.2/24 dev cable
for end in a b; do
  ip -n "$space-$end" link set lo up
  ip -n "$space-$end" link set cable up
done
in_a=(ip netns exec "$space-a") in_b=(ip netns exec "$space-b")

new_pair undisturbed
start_client
finish
expected=$run

around_server=("${in_a[@]}") listen_at=10.199.7.1 sessions=2 both=(--insecure)
new_pair unplugged
around_client=("${in_b[@]}")
start_client
await out/metrics.jsonl 60 '"step":20,'
ip -n "$space-b" link set cable down
pulled=$SECONDS
await server.log 14 'lost after'
echo "found after $((SECONDS - pulled)) s: $(grep 'lost after' "$run/server.log")"
# The next one is served meanwhile, from the server's own machine.
"${in_a[@]}" "$program" --role client --connect "$listen_at:$port" --threads 1 --progress none \
  --data "cifar:$folder/train.bin,$folder/test.bin" --steps 2 --batch 8 --compress none --insecure >"$run/other.log" 2>&1 ||
  fail "another client was not served: $(cat "$run/other.log")"
ip -n "$space-b" link set cable up
finish
same_as "$expected"
await client.log 1 'dialling again'
echo "the first client has gone on, and ends with the same bits"
