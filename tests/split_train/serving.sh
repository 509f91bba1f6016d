# SPDX-License-Identifier: MIT
# For the test scripts, which read this file with `source`: a server of split_train for one session.
# They have $program, a $folder for what it prints, and fail TEXT.
#
# serve OPTIONS...  starts it: its process is $running, its address $address
# served            waits for its end, which must be a good one
running=
serve() {
  : >"$folder/listening"  # not the address of an earlier server
  "$program" --role server --listen 127.0.0.1:0 --threads 1 --sessions 1 "$@" \
    >"$folder/listening" 2>"$folder/errors" &
  running=$!
  for _ in $(seq 100); do
    grep -q "^listening on" "$folder/listening" && break
    sleep 0.1
  done
  address=$(sed -n 's/^listening on //p' "$folder/listening")
}
served() {
  wait "$running" || fail "the server ended with $?: $(cat "$folder/errors")"
  running=
}
