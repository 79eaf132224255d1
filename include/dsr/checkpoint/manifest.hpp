// SPDX-License-Identifier: Apache-2.0
#pragma once
/// Manifest: what a checkpoint set holds and where. A set is loaded by it alone: file, offset and
/// bytes of every part of every tensor. It is written last, so a set that has one is complete.
///
///     Manifest manifest = parse_manifest(read_text(files, path, kManifestMost_bytes), path);
///     for (StoredTensor const& tensor : manifest.tensors) show(tensor.name, tensor.shape);
///
/// Not here: whether the files hold what the manifest says (hash.hpp), and finding sets (sets.hpp).
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "dsr/checkpoint/codec.hpp"
#include "dsr/core/dtype.hpp"
#include "dsr/core/shape.hpp"
#include "dsr/layout/box.hpp"

namespace dsr {

/// A row-major part of a global tensor, contiguous in one file; if the tensor has a codec, one
/// chunk of at most kChunkMost_bytes before encoding, and `bytes` is what it became.
struct Slice {
  int file = 0;  ///< index in Manifest::files
  Size offset = 0, bytes = 0;
  Box box;
};

struct StoredTensor {
  std::string name;  ///< "model/blocks/3/attention/qkv/weight"
  Shape shape;       ///< global
  DType dtype = DType::f32;
  std::vector<Slice> slices;  ///< every element exactly once
  Codec codec = Codec::none;
};

struct StoredFile {
  std::string name;  ///< within the set's directory
  Size bytes = 0;
  std::string hash;                 ///< file_hash(blocks)
  std::vector<std::string> blocks;  ///< hash_text of each kHashBlock_bytes, the last may be shorter
};

struct Manifest {
  Size step = 0;
  int generation = 0;
  std::string run_id;
  std::string mesh;  ///< for people; loading does not depend on it
  double saved_unix = 0;
  std::vector<StoredFile> files;
  std::vector<StoredTensor> tensors;
  std::map<std::string, std::string> state, versions;
};

/// What parse_manifest is ever given: a longer file is not read.
inline constexpr Size kManifestMost_bytes = Size{256} << 20;
inline constexpr Size kMostSteps = 999'999'999;  ///< nine digits in a set's name
inline constexpr int kMostGenerations = 999;     ///< three

/// JSON, one line a file and a tensor; the last key, manifest_hash, is hash_text of all that is
/// before it. Throws InvalidArgument, naming the key, if parse_manifest would refuse the text.
std::string to_text(Manifest const& manifest);

/// Which state a set holds: hash_text of the step, the generation, and name and hash of each rank's
/// file, a line each. The copies of a set in hot and warm have the same one, though only one of
/// them lists a view; a cold one has another, as its files are others.
std::string content_hash(Manifest const& manifest);

/// The reverse; `path` is for messages only. Throws CorruptData, naming path and key, unless: the
/// hash fits; all keys are there once, no other ones, with values of their types; names of files
/// and the run are plain (plain_name) and those of tensors are paths (tensor_name); every slice
/// lies inside its file and shares no byte with another; shape, type and bytes agree; and the
/// slices of each tensor cover it exactly once. Memory is bounded by a multiple of the text.
Manifest parse_manifest(std::string_view text, std::string const& path);

/// True for letters, digits, '.', '_' and '-', at most 255, not beginning with '.': one entry of a
/// directory and never a way out of it.
bool plain_name(std::string_view name);

/// True for at most 1024 printable ASCII characters, parts divided by single '/', no part "." or
/// "..".
bool tensor_name(std::string_view name);

}  // namespace dsr
