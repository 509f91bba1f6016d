#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# server.sh SPLIT_TRAIN: a server among clients that come at the wrong time, say nothing, or vanish.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/folder.sh"

serve() {  # serve OPTIONS...: $server is its process, $port where it listens
  : >log    # not the address of an earlier one
  "$program" --role server --listen 127.0.0.1:0 --data shapes --threads 1 "$@" >log 2>&1 &
  server=$!
  waits_for 30 "^listening on"
  port=$(sed -n 's/^listening on .*://p' log)
}
client() { "$program" --role client --connect "127.0.0.1:$port" --threads 1 --progress none "$@"; }

waits_for() {  # waits_for SECONDS TEXT: until the server has said it
  for ((tries = 0; tries < 10 * $1; ++tries)); do
    grep -qE "$2" log && return
    sleep 0.1
  done
  fail "no '$2' within $1 s: $(cat log)"
}
ends() {  # the server ends by itself, with exit code 0
  wait "$server" || fail "the server ended with $?: $(cat log)"
  server=
}

# Probes, two silent connections, garbage and a hello that dribbles use up no session and no place.
serve --sessions 1
for _ in 1 2 3; do (exec 3<>"/dev/tcp/127.0.0.1/$port"); done
exec 4<>"/dev/tcp/127.0.0.1/$port" 5<>"/dev/tcp/127.0.0.1/$port"
exec 6<>"/dev/tcp/127.0.0.1/$port" 7<>"/dev/tcp/127.0.0.1/$port"
head -c 100 /dev/zero >&6
printf 'SPVT' >&7
client --data shapes --seed 5 --steps 1 2>errors && fail "a client of another seed was served"
grep -q "seed: the client has 5, the server has 0" errors || fail "$(cat errors)"
client --data shapes --steps 2 || fail "not served: $(cat log)"
exec 4>&- 5>&- 6>&- 7>&-
ends
grep -qE "Z 127\.0\.0\.1:[0-9]+: frame header: these bytes are not from splitvit" log || fail "$(cat log)"
for said in "connected" "finished after 2 steps"; do
  grep -qE "^[0-9T:-]+Z 127\.0\.0\.1:[0-9]+, session [0-9a-f]{8}: $said$" log || fail "no $said: $(cat log)"
done

# Another client hears that the server is busy, and the one that is served does not notice.
serve --sessions 2
"$program" --role client --connect "127.0.0.1:$port" --data shapes --epochs 1000 --threads 1 \
  --progress none 2>first &
first=$!
waits_for 30 "connected"
code=0
timeout 30 "$program" --role client --connect "127.0.0.1:$port" --data shapes --steps 1 --threads 1 \
  --progress none 2>errors || code=$?
[[ $code == 1 ]] || fail "a client of a busy server ended with $code"
[[ $(cat errors) == "split_train: busy: serving 1 of 1" ]] || fail "$(cat errors)"
kill -USR1 "$server"
waits_for 5 "serving 127.0.0.1:[0-9]+, session [0-9a-f]{8}: [0-9]+ steps?$"

# A client that is frozen is noticed after 11 s, and the next ones are served, one after
# the other.
kill -STOP "$first"
waits_for 14 "lost after [0-9]+ steps?: .*the peer was silent for 11\.[0-9] s"
client --data shapes --steps 1 || fail "not served: $(cat log)"
kill -KILL "$first"
wait "$first" || true
first=
client --data shapes --steps 1 || fail "not served: $(cat log)"
ends
[[ $(grep -c "finished after 1 step$" log) == 2 ]] || fail "$(cat log)"
