// SPDX-License-Identifier: Apache-2.0
#pragma once
/// What one optimizer step needs and moves on any mesh, found by running the real layers on `meta`:
/// no MPI, no memory.
///
///     DryRun run = dry_run(gpt2_124m(), {.dp = 4, .row = 2}, {.micro_batch = 8});
///     std::cout << report(run);
#include <string>
#include <utility>
#include <vector>

#include "dsr/model/gpt.hpp"
#include "dsr/nn/pass.hpp"
#include "dsr/optim/adamw.hpp"

namespace dsr {

struct DryRunOptions {
  Size micro_batch = 1;   ///< sequences of a replica in one forward
  Size accumulation = 1;  ///< micro-batches in a step
  ZeroStage zero = ZeroStage::zero;
  PassOptions pass = {};
  FfnFactory make_ffn = {};
  Device::Kind device = Device::Kind::cpu;  ///< whose memory is counted, see plan/memory.hpp
  Size nccl_buffer_bytes = 0;               ///< NCCL_BUFFSIZE; 0: NCCL's own
};

/// Of one rank (rank 0; all ranks are alike but for what padding falls to them).
struct DryRun {
  GptConfig config = {};
  MeshShape mesh = {};
  DryRunOptions options = {};
  Size global_parameters = 0;  ///< elements, each counted once
  Size parameter_bytes = 0;    ///< values and gradients, padding included
  Size optimizer_bytes = 0;    ///< moments
  ArenaSizes arenas = {};
  Work work = {};  ///< forward and backward of one micro-batch
  std::vector<std::pair<AxisSet, Traffic>> micro_batch = {};  ///< by group, one micro-batch
  /// By group: gradients, norm, weights; once a step.
  std::vector<std::pair<AxisSet, Traffic>> update = {};
  /// In flat buffers and arenas; memory_parts() has what is outside them.
  Size total_bytes() const {
    return parameter_bytes + optimizer_bytes + arenas.saved_bytes + arenas.scratch_bytes;
  }
};

/// Throws InvalidArgument as Gpt does if the mesh does not fit the model.
DryRun dry_run(GptConfig const& config, MeshShape const& mesh, DryRunOptions const& options);

/// Elements that a rank sends in one micro-batch over an axis set, all operations.
Size sent(DryRun const& run, AxisSet axes);

/// Layout, bytes and elements as text, beside what a single model axis of row·col ranks would send.
std::string report(DryRun const& run);

}  // namespace dsr
