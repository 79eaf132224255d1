// SPDX-License-Identifier: Apache-2.0
#pragma once
/// Exchange of weights with Hugging Face's GPT-2: config.json and safetensors, both ways.
///
///     export_gpt2(system_files(), set.directory, *set.manifest, "gpt2", {.dtype = DType::bf16});
///     std::string const set = import_gpt2(system_files(), "gpt2", "run/checkpoints").directory;
///
/// Weights are transposed, since GPT-2's layers keep [in, out], and the fused projection of
/// queries, keys and values is reordered: there q, k and v one after the other, here by head.
#include <cstdint>
#include <string>

#include "dsr/checkpoint/manifest.hpp"
#include "dsr/core/dtype.hpp"
#include "dsr/core/shape.hpp"
#include "dsr/io/file_system.hpp"

namespace dsr {

struct Gpt2Sizes {
  Size layers = 0, hidden = 0, heads = 0, inner = 0, vocabulary = 0, positions = 0;
  enum class Head : std::uint8_t { tied, own } head = Head::tied;
};

struct ExportOptions {
  DType dtype = DType::f32;          ///< or bf16
  Size shard_bytes = 5'000'000'000;  ///< most bytes of tensors in one file
};

/// Writes config.json and the weights of a committed set, from whatever mesh, into a directory that
/// has neither. Hashes are not checked: verify_set does that. A model without biases gets zeros.
/// Throws InvalidArgument if the tensors below "model/" are not those of a GPT-2 (key-value groups,
/// other names, shapes that do not fit together), IoError, CorruptData.
Gpt2Sizes export_gpt2(FileSystem& files, std::string const& set_directory, Manifest const& manifest,
                      std::string const& directory, ExportOptions const& options = {});

struct Imported {
  std::string directory;  ///< of the set
  Gpt2Sizes sizes;
};

/// Commits a GPT-2 as step 0 into a tier, in f32, with the next generation. Throws IoError;
/// CorruptData if a file is not what its format says or a tensor is missing; InvalidArgument,
/// naming the key or tensor, for a model that dsr's Gpt does not compute: another activation than
/// the tanh form of GELU, another epsilon than 1e-5, scaling by layer, cross attention, other
/// tensors.
Imported import_gpt2(FileSystem& files, std::string const& directory, std::string const& tier);

}  // namespace dsr
