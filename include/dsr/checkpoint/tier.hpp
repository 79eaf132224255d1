// SPDX-License-Identifier: Apache-2.0
#pragma once
/// Tiers: where sets of a run lie, from the fastest to the one that lasts.
///
///     WarmTier warm{.directory = "run/checkpoints", .keep = 3};
///     HotTier hot{.directory = "/local/nvme", .partner = Partner::next};
///
/// hot    a disk or memory of each node's own, for sets of every few steps: they outlive a process
///        but not a node, unless a partner node has them too
/// warm   one directory that all nodes see
/// cold   the same, for models that stay: compressed, by default the weights alone
#include <cstdint>
#include <string>
#include <string_view>

#include "dsr/core/dtype.hpp"

namespace dsr {

enum class Tier : std::uint8_t { hot, warm, cold };
inline constexpr int kTiers = 3;
/// "hot", "warm" or "cold".
std::string_view name_of(Tier tier);

/// next: each rank's file is also written by a rank of the next node.
enum class Partner : std::uint8_t { none, next };

/// weights: tensors below "model/" alone, which a run cannot go on from.
enum class ColdContent : std::uint8_t { weights, all };

/// A tier whose directory is empty is off.
struct HotTier {
  std::string directory;  ///< on each node; sets lie in <directory>/<run id>
  int keep = 2;           ///< committed sets that stay, at least 2
  Partner partner = Partner::none;
};
struct WarmTier {
  std::string directory;
  int keep = 3;  ///< at least 2
};
struct ColdTier {
  std::string directory;
  int keep = 0;  ///< 0: all, else at least 2
  ColdContent content = ColdContent::weights;
  DType dtype = DType::bf16;  ///< of weights; content all is always stored as it is
  int level = 1;              ///< of zstd
};

}  // namespace dsr
