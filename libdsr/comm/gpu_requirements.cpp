// SPDX-License-Identifier: Apache-2.0
#include "libdsr/comm/gpu_requirements.hpp"

#include <algorithm>

#include "dsr/core/error.hpp"

namespace dsr::detail {
namespace {

constexpr int kOldestNccl = 22700;
// Releases with faults that 2.28.9 mended.
constexpr int kFirstFaultyNccl = 22803;
constexpr int kLastFaultyNccl = 22808;
// Of a CudaError; these are thrown on all ranks and printed once.
constexpr int kCudaExitCode = 70;

}  // namespace

int choose_gpu(int first, int node_rank, int gpus) {
  return gpus == 0 ? first : (first + node_rank) % gpus;
}

void require_own_gpus(std::vector<GpuPlace> const& places) {
  for (auto place = places.begin(); place != places.end(); ++place) {
    auto const other = std::find(place + 1, places.end(), *place);
    if (other == places.end()) continue;
    throw InvalidArgument(problem("ranks and GPUs",
                                  "ranks " + std::to_string(place - places.begin()) + " and " +
                                      std::to_string(other - places.begin()) + " of host " +
                                      place->host + " share the GPU " + place->gpu,
                                  "one rank for each GPU",
                                  "fewer ranks on a host (mpirun --map-by ppr:<GPUs>:node), or "
                                  "RuntimeOptions.emulate_hosts to try many ranks on "
                                  "one GPU over sockets"));
  }
}

std::string nccl_version_text(int code) {
  return std::to_string(code / 10000) + "." + std::to_string(code / 100 % 100) + "." +
         std::to_string(code % 100);
}

std::string require_nccl(std::vector<int> const& codes) {
  auto const [oldest, newest] = std::minmax_element(codes.begin(), codes.end());
  int const code = *oldest;
  auto const rank_of = [&](auto place) {
    return " on rank " + std::to_string(place - codes.begin());
  };
  if (code < kOldestNccl) {
    throw AgreedError(problem("NCCL", nccl_version_text(code) + rank_of(oldest),
                              nccl_version_text(kOldestNccl) + " or newer",
                              "put a newer libnccl.so.2 on LD_LIBRARY_PATH"),
                      kCudaExitCode);
  }
  if (*newest != code) {
    throw AgreedError(problem("NCCL",
                              nccl_version_text(code) + rank_of(oldest) + " and " +
                                  nccl_version_text(*newest) + rank_of(newest),
                              "one version on all ranks",
                              "the same libnccl.so.2 on LD_LIBRARY_PATH of every host"),
                      kCudaExitCode);
  }
  if (code < kFirstFaultyNccl || code > kLastFaultyNccl) return {};
  return "NCCL " + nccl_version_text(code) + " is one of " + nccl_version_text(kFirstFaultyNccl) +
         " to " + nccl_version_text(kLastFaultyNccl) + ", which have known faults; nearest " +
         nccl_version_text(kLastFaultyNccl + 1);
}

}  // namespace dsr::detail
