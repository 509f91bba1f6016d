# SPDX-License-Identifier: MIT
# For the test scripts, which read this file with `source`. They have $program and a $folder for what it
# prints.
#
# fail TEXT                    ends the test
# must_refuse TEXT OPTIONS...  the program ends with 2, and with one line that has this text
fail() {
  echo "$(basename "$0"): $1" >&2
  exit 1
}
must_refuse() {
  local text=$1 code=0
  shift
  timeout 20 "$program" --progress none "$@" >"$folder/stdout" 2>"$folder/stderr" </dev/null || code=$?
  [[ $code == 2 ]] || fail "exit code $code instead of 2: $*: $(cat "$folder/stderr")"
  [[ $(wc -l <"$folder/stderr") == 1 ]] || fail "not one line: $(cat "$folder/stderr")"
  grep -qF -- "$text" "$folder/stderr" || fail "no '$text' in: $(cat "$folder/stderr")"
}
