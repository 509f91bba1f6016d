# SPDX-License-Identifier: MIT
# For the test scripts, which read this file with `source`: random images in the form of CIFAR-10's
# files, which take less time than shapes to draw.
#
# image CLASS   one image
# images N      so many, of classes 0 to 3 in turn
image() {
  printf "\\x$1"
  head -c 3072 /dev/urandom
}
images() {
  local i
  for ((i = 0; i < $1; ++i)); do image $((i % 4)); done
}
