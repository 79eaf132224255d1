#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# One rank of a GPU test, run by mpirun. NCCL takes one rank for each GPU of a host; where there are more ranks than
# GPUs, each rank passes for a host of its own, and they talk over sockets: slow, and the same algorithms and sums.
#
#   mpirun -np 4 bash tests/support/gpu_rank.sh <program> [arguments]
set -eu

rank=${OMPI_COMM_WORLD_RANK:-${PMIX_RANK:-${PMI_RANK:-0}}}
ranks=${OMPI_COMM_WORLD_LOCAL_SIZE:-${MPI_LOCALNRANKS:-${PMI_SIZE:-1}}}
if [ -n "${CUDA_VISIBLE_DEVICES:-}" ]; then
  gpus=$(tr ',' '\n' <<<"$CUDA_VISIBLE_DEVICES" | grep -c .)
else
  gpus=$(nvidia-smi -L 2>/dev/null | grep -c '^GPU' || true)
fi

if [ "$ranks" -gt "${gpus:-0}" ]; then
  export NCCL_HOSTID="node$rank"
  export NCCL_SOCKET_IFNAME="${NCCL_SOCKET_IFNAME:-lo}"
  # The kernels of all ranks must fit on the GPU at once, or they wait for each other for ever.
  export NCCL_MAX_CTAS="${NCCL_MAX_CTAS:-2}"
fi
exec "$@"
