#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Runs a command while CUDA's Multi-Process Service lets processes use one GPU at the same moment: ranks that share a
# GPU then wait for each other for microseconds instead of for time slices. Where the service cannot be started the
# command runs without it. Not for compute-sanitizer: a fault of one client ends all of them.
#
#   bash tests/support/with_mps.sh ctest -L gpu
set -eu

if [ $# = 0 ]; then
  echo "usage: bash tests/support/with_mps.sh <command> [arguments]" >&2
  exit 64
fi
place=$(mktemp -d "${TMPDIR:-/tmp}/dsr_mps.XXXXXX")
export CUDA_MPS_PIPE_DIRECTORY="$place/pipe" CUDA_MPS_LOG_DIRECTORY="$place/log"
mkdir "$CUDA_MPS_PIPE_DIRECTORY" "$CUDA_MPS_LOG_DIRECTORY"

end_service() {
  echo quit | timeout 20 nvidia-cuda-mps-control >/dev/null 2>&1 || true
  rm -rf "$place"
}
if command -v nvidia-cuda-mps-control >/dev/null && nvidia-cuda-mps-control -d; then
  trap end_service EXIT
else
  echo "with_mps: the service cannot be started; running without it" >&2
  unset CUDA_MPS_PIPE_DIRECTORY CUDA_MPS_LOG_DIRECTORY
  rm -rf "$place"
fi
"$@"
