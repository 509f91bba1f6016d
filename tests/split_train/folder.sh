# SPDX-License-Identifier: MIT
# For the test scripts, which read this file with `source` before anything else. It leaves them in a
# $folder of their own, which is removed at their end, when what they have in the background is killed.
# They have $program, their first argument, $here, where these scripts are, checks.sh, serving.sh and
# the images of cifar_images.sh.
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
program=$(realpath "$1")
folder=$(mktemp -d)
trap 'kill -KILL $(jobs -p) 2>/dev/null || true; rm -rf "$folder"' EXIT
source "$here/checks.sh"
source "$here/serving.sh"
source "$here/../support/cifar_images.sh"
cd "$folder"
