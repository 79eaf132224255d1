// SPDX-License-Identifier: Apache-2.0
#pragma once
/// safetensors files: a strict reader, and a writer that cuts into shards with an index.
///
///     SafetensorsModel const model{system_files(), "gpt2"};        // one file, or shards by index
///     std::vector<float> const wte = model.read_f32("wte.weight");
///
/// A file is 8 bytes of header length (little-endian), a JSON header, then data. What the reader
/// takes has data without holes or overlaps up to the file's end, checked products of shapes, and
/// no key twice; what is allocated is bounded by the file's size.
#include <cstddef>
#include <functional>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "dsr/core/dtype.hpp"
#include "dsr/core/shape.hpp"
#include "dsr/io/file_system.hpp"

namespace dsr {

/// Longer headers are refused before they are read.
inline constexpr Size kMostSafetensorsHeaderBytes = 100'000'000;

struct SafetensorsEntry {
  std::string name;
  std::string type;  ///< as the format calls it: "F32", "BF16", "F16", "I64", …
  Shape shape;
  Size offset = 0, bytes = 0;  ///< in the file
};

struct SafetensorsHeader {
  std::map<std::string, std::string> metadata;
  std::vector<SafetensorsEntry> tensors;  ///< in order of offset
};

/// A header's JSON, of a file of `file_bytes` in all. Throws CorruptData naming path and tensor:
/// not JSON, a key that is unknown or twice, a type or shape that is not known or overflows, more
/// than Shape::kMaxRank dimensions, offsets that are not what the shape needs, holes, overlaps.
SafetensorsHeader parse_safetensors_header(std::string_view json, Size file_bytes,
                                           std::string const& path);

/// The header of a file. Throws IoError and CorruptData.
SafetensorsHeader read_safetensors_header(FileSystem& files, std::string const& path);

/// model.safetensors of a directory, or the files that model.safetensors.index.json lists. Copies
/// and moves; `files` must outlive it.
class SafetensorsModel {
 public:
  /// Throws IoError, and CorruptData as above, also if the index names a file that is not a plain
  /// name, a tensor that its file has not, or leaves one out.
  SafetensorsModel(FileSystem& files, std::string directory);

  /// By name; the value is the tensor's file and place.
  struct Place {
    std::string file;
    SafetensorsEntry entry;
  };
  std::map<std::string, Place> const& tensors() const { return tensors_; }
  /// A tensor's values. Throws InvalidArgument if there is none of this name or its type is not
  /// F32, BF16, F16 or F64, and IoError.
  std::vector<float> read_f32(std::string const& name) const;

 private:
  void add_file(std::string const& file);

  FileSystem* files_;
  std::string directory_;
  std::map<std::string, Place> tensors_;
};

struct SafetensorsOutput {
  std::string name;
  Shape shape;
};

/// Writes tensors in their order as model.safetensors, or as model-00001-of-00003.safetensors, …
/// with an index if they need more than `most_bytes` (a larger tensor has a file of its own).
/// `values` gives the elements of tensor i, asked for once, in order: one is in memory. The
/// type is f32 or bf16 (rounded to nearest even). Files are new and synced; the directory is too.
/// Throws InvalidArgument for another type or most_bytes < 1, and IoError.
void write_safetensors(FileSystem& files, std::string const& directory,
                       std::vector<SafetensorsOutput> const& tensors, DType type, Size most_bytes,
                       std::function<std::vector<float>(std::size_t)> const& values);

}  // namespace dsr
