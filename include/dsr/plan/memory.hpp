// SPDX-License-Identifier: Apache-2.0
#pragma once
/// Memory of a rank by what needs it, what vendor libraries take included, and what to change where
/// there is too little. Pure numbers from a dry run.
///
///     DryRun run = dry_run(gpt_1_3b(), {}, {.pass = {.dtype = DType::bf16},
///                                           .device = Device::Kind::cuda});
///     require_memory(run, available_bytes(device));         // throws OutOfMemory, with advice
#include <string>
#include <string_view>
#include <vector>

#include "dsr/plan/dry_run.hpp"

namespace dsr {

/// exact: what Buffers hold, to the byte. estimated: what libraries allocate for themselves.
enum class Certainty : std::uint8_t { exact, estimated };

struct MemoryPart {
  std::string_view what;
  Size bytes = 0;
  Certainty certainty = Certainty::exact;
};

/// The driver's context and the code of this library's kernels on a GPU; an estimate. It is there
/// before anything is allocated. With the libraries' code, below, it was 545 MiB of an H100 in two
/// runs of gpu_train (124M and 1.3B); what is whose part of that was not measured.
inline constexpr Size kCudaContext_bytes = Size{420} << 20;

/// The parts of what a rank allocates on run.options.device. Estimates, on CUDA alone:
///
///   libraries    130 MiB: code and handles of cuBLASLt and cuDNN, loaded at their first use
///   products     kMatmulWorkspace_bytes, on the compute stream
///   attention    4·D + 8 bytes for each token and head: cuDNN's backward adds up dQ in f32; it
///                has memory of its own only where that is more than the products'
///   NCCL         for each group of more than one rank 16 channels, and for each channel and two
///                neighbours the buffers of three protocols: NCCL_BUFFSIZE (4 MiB) + 5.4 MiB
std::vector<MemoryPart> memory_parts(DryRun const& run);

/// The sum of memory_parts.
Size needed_bytes(DryRun const& run);
/// The same and, on CUDA, the context: what the device shows as used.
Size device_bytes(DryRun const& run);

/// Nothing if needed_bytes(run) <= free_bytes. Otherwise one message: what is needed, by what, how
/// much is free, and the first micro_batch (halved), recompute mode, ZeRO stage and mesh (row·col
/// doubled, from dp where it divides) that would fit; several together where none alone does. Ranks
/// that a mesh adds are taken to have as much.
std::string fit_report(DryRun const& run, Size free_bytes);

/// Throws OutOfMemory with fit_report's text if there is one.
void require_memory(DryRun const& run, Size free_bytes);

}  // namespace dsr
