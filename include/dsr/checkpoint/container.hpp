// SPDX-License-Identifier: Apache-2.0
#pragma once
/// The HDF5 files of a checkpoint: one Container a rank, and a view of the whole set.
///
///     Container container{{{.path = slice_path("model/norm/weight", 0), .shape = {768}}}};
///     for (Container::Piece const& piece : container.metadata()) …   // write at piece.offset
///     for (Dataset const& dataset : container.datasets()) …          // payload at dataset.offset
///
/// HDF5 lays the files out and never touches a disk: what it would write is kept in memory, payload
/// is not among it, and all bytes go through FileSystem. dsr reads none of them as HDF5; that is
/// for h5py and its like.
#include <cstddef>
#include <string>
#include <vector>

#include "dsr/checkpoint/manifest.hpp"
#include "dsr/core/dtype.hpp"
#include "dsr/core/shape.hpp"
#include "dsr/io/file_system.hpp"

namespace dsr {

/// One contiguous array of a file.
struct Dataset {
  std::string path;  ///< "model/blocks/0/ffn/up/weight/slice_0"
  Shape shape;
  DType dtype = DType::f32;
  Size offset = 0;  ///< of its first byte; Container fills it in
};

inline constexpr Size kPayloadAlignment_bytes = 4096;
/// The file that shows every tensor whole.
inline constexpr char const* kViewName = "checkpoint.h5";

/// Where slice `number` of a tensor is in its file. Slices of a tensor are counted for each file
/// separately, from 0, in the manifest's order.
std::string slice_path(std::string const& tensor, int number);

/// The layout of one file of contiguous datasets, each aligned to 4096 bytes, for HDF5 1.8 and
/// later. The same datasets give the same bytes. Copies; any number of threads may read it.
///
/// Throws InvalidArgument if a path is no tensor_name, is there twice or is a part of another, and
/// for a dataset without elements. Throws Error with HDF5's reason if HDF5 fails.
class Container {
 public:
  explicit Container(std::vector<Dataset> datasets);

  /// In the order given, with offsets.
  std::vector<Dataset> const& datasets() const { return datasets_; }
  /// The file's size; bytes that neither payload nor metadata covers are zero.
  Size bytes() const { return bytes_; }
  struct Piece {
    Size offset = 0;
    std::vector<std::byte> bytes;
  };
  /// What to write besides payload: ascending, without overlaps.
  std::vector<Piece> const& metadata() const { return metadata_; }

 private:
  std::vector<Dataset> datasets_;
  std::vector<Piece> metadata_;
  Size bytes_ = 0;
};

/// Writes checkpoint.h5 into the set's directory: each tensor as a virtual dataset of its global
/// shape, made of the slices in the other files, which are named without a directory, so the set
/// may be moved. Where a file is missing, readers see NaN (integers: the lowest value, u8: 255).
/// For HDF5 1.10 and later. An older view is replaced, by a rename. The file is synced; the caller
/// syncs the directory. Returns what the manifest should say of it.
///
/// Throws IoError; InvalidArgument for a manifest that to_text would refuse; Error if HDF5 fails.
StoredFile write_view(FileSystem& files, std::string const& set_directory,
                      Manifest const& manifest);

}  // namespace dsr
