#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# fresh_machine.sh RELEASE COMMAND...: runs a command as on a new machine: in the top folder of a
# clean clone of HEAD, in a bare system of that release of Debian or Ubuntu. For example
#
#   cmake/fresh_machine.sh trixie cmake/test.sh
#   cmake/fresh_machine.sh noble env CXX=clang++-18 SPLITVIT_EXTRA_PACKAGES=clang-18 cmake/test.sh
#
# Needs root, debootstrap and the network. Where it cannot run it says why and ends with 77, else as
# the command does. The system is made in $TMPDIR (/var/tmp) for this one run. It has its own
# processes and mounts, which end with it. SPLITVIT_MIRROR names another place for the packages.
set -euo pipefail

debian=http://deb.debian.org/debian
ubuntu=http://archive.ubuntu.com/ubuntu
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

say() { echo "fresh_machine: $*" >&2; }

skip() {
  say "skipped: $*"
  exit 77
}

if (($# < 2)); then
  say "usage: fresh_machine.sh RELEASE COMMAND..., with a release such as bookworm, trixie or noble"
  exit 2
fi
release=$1
shift
if [[ ! $release =~ ^[a-z]+$ ]]; then
  say "a release is one word such as bookworm, trixie or noble, not '$release'"
  exit 2
fi

((EUID == 0)) || skip "only root can make a bare system"
command -v debootstrap >/dev/null || skip "debootstrap is missing (apt-get install debootstrap)"
unshare --mount --pid --fork true 2>/dev/null || skip "mounts of its own are not allowed here"

work=$(mktemp -d "${TMPDIR:-/var/tmp}/fresh_machine.XXXXXX")
inside=
finish() {
  # unshare does not listen to other signals; its child is killed with it.
  if [[ -n $inside ]]; then
    kill -KILL "$inside" 2>/dev/null || true
    wait "$inside" 2>/dev/null || true
  fi
  # What was killed may write for a moment longer.
  rm -rf --one-file-system "$work" 2>/dev/null || { sleep 2; rm -rf --one-file-system "$work"; }
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

# As apt is told to reach its packages, so are wget, debootstrap, and apt in the new system.
if [[ -z ${http_proxy:-} ]] && command -v apt-config >/dev/null; then
  eval "$(apt-config shell http_proxy Acquire::http::Proxy)"
fi
if [[ -n ${http_proxy:-} ]]; then export http_proxy; fi

offers() { wget -q -T 20 -t 2 -O /dev/null "$1/dists/$release/Release"; }

mirror=
for place in ${SPLITVIT_MIRROR:-"$debian" "$ubuntu"}; do
  if offers "$place"; then
    mirror=$place
    break
  fi
done
if [[ -z $mirror ]]; then
  skip "no packages of $release can be reached at ${SPLITVIT_MIRROR:-$debian or $ubuntu}"
fi

# ubuntu_keys: the file of Ubuntu's keys. Debian 12 has no package of them. Debian 13 has one, which
# Debian 12 can verify.
ubuntu_keys() {
  local keys=usr/share/keyrings/ubuntu-archive-keyring.gpg apt=$work/apt
  if [[ -e /$keys ]]; then
    echo "/$keys"
    return
  fi
  mkdir -p "$apt/lists/partial"
  echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $debian trixie main" >"$apt/list"
  local options=(-q -o "Dir::Etc::SourceList=$apt/list" -o Dir::Etc::SourceParts=/dev/null
    -o "Dir::State::Lists=$apt/lists" -o "Dir::Cache=$apt" -o APT::Sandbox::User=root)
  (cd "$apt" && apt-get "${options[@]}" update && apt-get "${options[@]}" download ubuntu-keyring &&
    dpkg-deb -x ubuntu-keyring_*.deb "$apt") >"$work/keys.log" 2>&1 || return 1
  echo "$apt/$keys"
}

# Debian's own script is found by the name of the release; Ubuntu's is the same for all releases, and
# an older debootstrap does not know the name of each.
how=("$release" "$work/system" "$mirror")
if [[ $mirror == *ubuntu* ]]; then
  keys=$(ubuntu_keys) || skip "Ubuntu's keys are missing (Debian 13: apt-get install ubuntu-keyring)"
  how=(--keyring="$keys" --components=main,universe "${how[@]}" gutsy)
fi

# Runs with its own mounts and processes, so that nothing of them can be left behind.
bare_system() {
  local work=$1 root=$2 count=$3 start=$SECONDS
  shift 3
  debootstrap --variant=minbase --force-check-gpg "${@:1:count}" >"$work/log" 2>&1 || {
    tail -n 20 "$work/log" >&2
    echo "fresh_machine: the bare system could not be made" >&2
    return 1
  }
  shift "$count"
  git -c safe.directory='*' clone -q --no-hardlinks "file://$root" "$work/system/srv/splitvit"
  mount -t proc proc "$work/system/proc"
  mount -t devpts -o newinstance,ptmxmode=0666 devpts "$work/system/dev/pts"
  echo "fresh_machine: a bare $(. "$work/system/etc/os-release" && echo "$PRETTY_NAME")," \
    "$((SECONDS - start)) s" >&2
  local code=0
  start=$SECONDS
  env -i HOME=/root LANG=C.UTF-8 TERM="${TERM:-dumb}" ${http_proxy:+"http_proxy=$http_proxy"} \
    PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
    chroot "$work/system" bash -c 'cd /srv/splitvit && exec "$@"' bash "$@" || code=$?
  echo "fresh_machine: '$*' ended with $code after $((SECONDS - start)) s" >&2
  return "$code"
}

unshare --mount --mount-proc --pid --fork --kill-child \
  bash -euo pipefail -c "$(declare -f bare_system); bare_system \"\$@\"" bash \
  "$work" "$root" "${#how[@]}" "${how[@]}" "$@" &
inside=$!
code=0
wait "$inside" || code=$?
inside=
exit "$code"
