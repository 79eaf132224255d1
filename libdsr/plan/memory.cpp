// SPDX-License-Identifier: Apache-2.0
#include "dsr/plan/memory.hpp"

#include <algorithm>

#include "dsr/ops/algorithms.hpp"

namespace dsr {

namespace {

constexpr Size kMiB = Size{1} << 20;
constexpr Size kLibraries_bytes = 130 * kMiB;
constexpr Size kNcclChannels = 16, kNcclNeighbours = 2;
constexpr Size kNcclBuffer_bytes = 4 * kMiB;  // of the simple protocol, unless NCCL_BUFFSIZE is set
constexpr Size kNcclFixed_bytes = 512 * 1024 + 8 * 120 * 640 * 8;  // of LL and of LL128

/// The batch where ops read it, and the few numbers that each part of a step keeps.
Size small_bytes(DryRun const& run) {
  Size const tokens = round_up(run.options.micro_batch * run.config.sequence, Size{run.mesh.row});
  Size const batch = 4 * round_up(tokens * size_of(DType::i32), kAlignment_bytes);
  Size const sums = 2 * kAlignment_bytes + 3 * size_of(DType::f64);
  return batch + sums;
}

Size attention_bytes(DryRun const& run) {
  GptConfig const& c = run.config;
  Size const heads = c.heads / run.mesh.size(kModelAxes);
  Size const bytes = run.options.micro_batch * c.sequence * heads * (4 * (c.hidden / c.heads) + 8);
  return bytes > kMatmulWorkspace_bytes ? bytes : 0;
}

Size nccl_bytes(DryRun const& run) {
  std::vector<AxisSet> groups;
  for (auto const* list : {&run.micro_batch, &run.update}) {
    for (auto const& [axes, traffic] : *list) {
      bool const known = std::ranges::find(groups, axes) != groups.end();
      if (!known && run.mesh.size(axes) > 1) groups.push_back(axes);
    }
  }
  Size const asked = run.options.nccl_buffer_bytes;
  Size const each = (asked > 0 ? asked : kNcclBuffer_bytes) + kNcclFixed_bytes;
  return std::ssize(groups) * kNcclChannels * kNcclNeighbours * each;
}

}  // namespace

std::vector<MemoryPart> memory_parts(DryRun const& run) {
  std::vector<MemoryPart> parts{{"weights and gradients", run.parameter_bytes},
                                {"optimizer state", run.optimizer_bytes},
                                {"saved for backward", run.arenas.saved_bytes},
                                {"scratch", run.arenas.scratch_bytes},
                                {"batch and sums", small_bytes(run)}};
  if (run.options.device != Device::Kind::cuda) return parts;
  auto const estimate = [&](std::string_view what, Size bytes) {
    if (bytes > 0) parts.push_back({what, bytes, Certainty::estimated});
  };
  estimate("workspace of products", kMatmulWorkspace_bytes);
  estimate("workspace of attention", attention_bytes(run));
  estimate("NCCL", nccl_bytes(run));
  estimate("libraries", kLibraries_bytes);
  return parts;
}

Size needed_bytes(DryRun const& run) {
  Size sum = 0;
  for (MemoryPart const& part : memory_parts(run)) sum += part.bytes;
  return sum;
}

Size device_bytes(DryRun const& run) {
  return needed_bytes(run) + (run.options.device == Device::Kind::cuda ? kCudaContext_bytes : 0);
}

}  // namespace dsr
