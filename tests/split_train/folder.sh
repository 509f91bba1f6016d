# SPDX-License-Identifier: MIT
# For the test scripts, which read this file with `source` before anything else. It moves them into a
# $folder of their own; when they end, what still runs in the background is killed and the folder is
# removed. It gives them $program (their first argument), $here (the folder of these scripts), and the
# functions of checks.sh, serving.sh and cifar_images.sh.
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
program=$(realpath "$1")
folder=$(mktemp -d)
trap 'kill -KILL $(jobs -p) 2>/dev/null || true; rm -rf "$folder"' EXIT
source "$here/checks.sh"
source "$here/serving.sh"
source "$here/../support/cifar_images.sh"
cd "$folder"
