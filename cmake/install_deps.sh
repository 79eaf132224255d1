#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Installs what dsr needs to be built, run and tested, on Debian and Ubuntu as root. Elsewhere, and
# for an ordinary user, it lists what is missing by package name and changes nothing.
#
#   bash cmake/install_deps.sh            # install what is missing
#   bash cmake/install_deps.sh --check    # list only
#
# Exit status: 0 nothing is missing (any more), 1 something is, 64 wrong use.
set -euo pipefail

# package | what stands for it where the package is not known: a command, or a file by glob below
# /usr or /usr/local
needs='
g++|command:g++
cmake|command:cmake
ninja-build|command:ninja
git|command:git
python3|command:python3
openmpi-bin|command:mpirun
libopenmpi-dev|command:mpicxx
libopenblas-openmp-dev|file:lib*/*/openblas-openmp/libopenblas.so
libhdf5-dev|file:include/*hdf5*
libzstd-dev|file:include/zstd.h
libxxhash-dev|file:include/xxhash.h
python3-h5py|file:lib/python3*/*-packages/h5py
catch2|file:include/catch2
strace|command:strace
clang|command:clang++
libcli11-dev|file:include/CLI/CLI.hpp
libtomlplusplus-dev|file:include/toml++/toml.h
nlohmann-json3-dev|file:include/nlohmann/json.hpp
libfmt-dev|file:include/fmt/format.h
libspdlog-dev|file:include/spdlog/spdlog.h
'

check_only=no
case "${1:-}" in
  "") ;;
  --check) check_only=yes ;;
  *) echo "usage: bash cmake/install_deps.sh [--check]" >&2; exit 64 ;;
esac

package_installed() {
  command -v dpkg-query >/dev/null &&
    [ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]
}

stand_in_present() {
  local what=${1#*:}
  case "$1" in
    command:*) command -v "$what" >/dev/null ;;
    file:*) compgen -G "/usr/$what" >/dev/null || compgen -G "/usr/local/$what" >/dev/null ;;
  esac
}

list_missing() {
  local package probe
  while IFS='|' read -r package probe; do
    if [ -n "$package" ] && ! package_installed "$package" && ! stand_in_present "$probe"; then
      echo "$package"
    fi
  done <<<"$needs"
}

missing=$(list_missing)
if [ -z "$missing" ]; then
  echo "install_deps: nothing is missing"
  exit 0
fi
echo "install_deps: missing:" $missing

if [ "$check_only" = yes ]; then
  exit 1
fi
if [ "$(id -u)" != 0 ]; then
  echo "install_deps: not root, so nothing was changed. As root:" \
       "apt-get install --no-install-recommends" $missing >&2
  exit 1
fi
if ! command -v apt-get >/dev/null; then
  echo "install_deps: no apt-get here, so nothing was changed. The names above are Debian's;" \
       "install what they stand for" >&2
  exit 1
fi

export DEBIAN_FRONTEND=noninteractive
apt-get update -qq
apt-get install -y -qq --no-install-recommends $missing
missing=$(list_missing)
if [ -n "$missing" ]; then
  echo "install_deps: could not be installed:" $missing >&2
  exit 1
fi
echo "install_deps: all installed"
