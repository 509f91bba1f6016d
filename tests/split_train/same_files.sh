# SPDX-License-Identifier: MIT
# For the test scripts, which read this file with `source`. They have fail TEXT.
#
# same NAME  a server has written into served-NAME the files that a simulation has written into
#            simulated-NAME. Seconds are its own, and for the epoch it counts rows, since it is not told
#            how many images were merged
same() {
  local file
  for file in model.safetensors model-best.safetensors clients.csv; do
    cmp "simulated-$1/$file" "served-$1/$file" || fail "$1: $file is not that of the simulation"
  done
  cmp <(cut -d, -f1,2,4-10 "simulated-$1/metrics.csv") <(cut -d, -f1,2,4-10 "served-$1/metrics.csv") ||
    fail "$1: $(cat "simulated-$1/metrics.csv" "served-$1/metrics.csv")"
}
