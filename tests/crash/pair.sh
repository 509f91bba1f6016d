# SPDX-License-Identifier: MIT
# For the scripts of this folder, which read it with `source`: trainings in two processes, with data of
# CIFAR-10's form. They set $program, and may set $steps, $method and, later, $sessions and $every, the
# steps between two checkpoints.
#
# new_pair NAME         a folder $run for a server and a client that are started now, with NAME in it
# start_server, start_client [ADDRESS]   the same command each time; $server and $client are the processes
# await FILE SECONDS TEXT   until a line of $run/FILE has this text
# finish                waits for the end of both, which must be a good one
# same_as RUN           fails unless model, metrics and steps are those of another run

# A process that is killed loses nothing that it has written, so that no disk need be waited for.
if [[ -w /dev/shm ]]; then folder=$(mktemp -d -p /dev/shm); else folder=$(mktemp -d); fi
exec 2> >(grep -v '\.sh: line .* Killed ' >&2)  # what the shell says of each kill
server='' client='' run=$folder steps=${steps:-60} method=${method:-adc:0.3} sessions=1 every=4

# shellcheck disable=SC2317  # called by trap
clean_up() {
  local one
  for one in $(jobs -p); do kill -9 "$one" 2>/dev/null || true; done
  rm -rf "$folder"
}
trap clean_up EXIT
fail() {
  echo "$(basename "$0"): $1" >&2
  tail -n 5 "$run"/*.log >&2 || true
  exit 1
}

source "$(dirname "${BASH_SOURCE[0]}")/../support/cifar_images.sh"
images 120 >"$folder/train.bin"
images 20 >"$folder/test.bin"

# Words before the program, such as of another network namespace, and options of both sides.
around_server=() around_client=() listen_at=127.0.0.1 both=()
start_server() {
  "${around_server[@]}" "$program" --role server --listen "$listen_at:$port" --classes 4 --threads 1 \
    --progress none --sessions "$sessions" --checkpoint "$run/server" --resume "${both[@]}" >>"$run/server.log" 2>&1 &
  server=$!
}
start_client() {
  "${around_client[@]}" "$program" --role client --connect "${1:-$listen_at:$port}" --threads 1 \
    --data "cifar:$folder/train.bin,$folder/test.bin" --progress none --steps "$steps" --batch 8 \
    --compress "$method" --checkpoint-every "$every" --out "$run/out" --resume --log-steps \
    --reconnect-for 120 "${both[@]}" >>"$run/client.log" 2>&1 &
  client=$!
}
await() {
  local _
  for _ in $(seq $((20 * $2))); do
    grep -qE -- "$3" "$run/$1" 2>/dev/null && return
    sleep 0.05
  done
  fail "no '$3' in $1 within $2 s"
}
new_pair() {
  run=$folder/$1 port=0
  mkdir "$run"
  start_server
  await server.log 60 '^listening on'
  port=$(sed -n '/^listening on .*:/{s///p;q}' "$run/server.log")
}
finish() {
  wait "$client" || fail "$run: the client ended with $?"
  wait "$server" || fail "$run: the server ended with $?"
}
same_as() {
  cmp <(cd "$1/out" && sha256sum ./*.safetensors) <(cd "$run/out" && sha256sum ./*.safetensors) ||
    fail "$run: another model"
  # All but the seconds, which are the last four.
  cmp <(cut -d, -f1-10 "$1/out/metrics.csv") <(cut -d, -f1-10 "$run/out/metrics.csv") ||
    fail "$run: other metrics"
  cmp <(grep -c '"record":"step"' "$1/out/metrics.jsonl") <(grep -c '"record":"step"' "$run/out/metrics.jsonl") ||
    fail "$run: steps are lost or there twice"
}
