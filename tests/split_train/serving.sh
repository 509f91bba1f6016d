# SPDX-License-Identifier: MIT
# For the test scripts, which read this file with `source`: servers of split_train. They have $program,
# a $folder for what is printed, and fail TEXT.
#
# listen OPTIONS...  starts a server at $port, or at a port that is free, until it listens or has ended:
#                    its process is $running, its address $address, its port $port
# serve OPTIONS...   the same at a free port, for one session
# served             waits for its end, which must be a good one
running=
port=0
listen() {
  : >"$folder/listening"  # not the address of an earlier server
  "$program" --role server --listen "127.0.0.1:$port" --threads 1 "$@" \
    >"$folder/listening" 2>"$folder/errors" &
  running=$!
  for _ in $(seq 200); do
    grep -q "^listening on" "$folder/listening" && break
    kill -0 "$running" 2>/dev/null || return 0
    sleep 0.05
  done
  address=$(sed -n 's/^listening on //p' "$folder/listening")
  port=${address##*:}
}
serve() {
  port=0
  listen --sessions 1 "$@"
}
served() {
  wait "$running" || fail "the server ended with $?: $(cat "$folder/errors")"
  running=
}
