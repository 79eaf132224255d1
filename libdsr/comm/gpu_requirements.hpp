// SPDX-License-Identifier: Apache-2.0
#pragma once
/// What must hold before ranks talk over NCCL, as pure functions: which GPU a rank takes, that no
/// two ranks share one, and which versions of NCCL will do.
#include <string>
#include <vector>

namespace dsr::detail {

/// Ranks of a node take its GPUs in turn, beginning with number `first`; `first` where there is no
/// GPU.
int choose_gpu(int first, int node_rank, int gpus);

/// Throws InvalidArgument if two ranks are in one place; place i is rank i's (host, GPU).
struct GpuPlace {
  std::string host;  ///< as NCCL tells hosts apart: NCCL_HOSTID if set
  std::string gpu;   ///< its PCI address
  bool operator==(GpuPlace const&) const = default;
};
void require_own_gpus(std::vector<GpuPlace> const& places);

/// A version as NCCL codes it: 2.28.9 is 22809.
std::string nccl_version_text(int code);
/// Of all ranks, known to all. Throws AgreedError on every rank if one is older than 2.27 or they
/// differ. Returns a warning, or nothing.
std::string require_nccl(std::vector<int> const& codes);

}  // namespace dsr::detail
