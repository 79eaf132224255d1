// SPDX-License-Identifier: Apache-2.0
#pragma once
/// The layout of a file of compressed chunks. Sizes are known only when all chunks are compressed,
/// and by then they should be on disk: so the file begins with 4096 bytes for HDF5's first
/// metadata, then come the chunks, packed, in their order, and the rest of the metadata is behind
/// them.
///
///     … write chunk after chunk from kPayloadBegin_bytes on …
///     ColdLayout const layout = lay_out_chunks(chunks, 1);
///     for (Container::Piece const& piece : layout.metadata) …      // write at piece.offset
#include <string>
#include <vector>

#include "dsr/checkpoint/container.hpp"

namespace dsr::detail {

inline constexpr Size kPayloadBegin_bytes = kPayloadAlignment_bytes;

/// A dataset of one chunk, of the dataset's own shape: so no chunk is padded.
struct ColdChunk {
  std::string path;
  Shape shape;
  DType dtype = DType::f32;
  Size bytes = 0;  ///< compressed
};

struct ColdLayout {
  std::vector<Container::Piece> metadata;  ///< ascending, apart
  Size bytes = 0;                          ///< of the file
};

/// The shape that a dataset has in a file: a chunk needs a dimension, so a scalar is [1].
Shape chunk_shape(Shape const& shape);

/// HDF5 of version 1.8 with filters 2 (shuffle) and 32015 (Zstandard, with its level). Throws Error
/// if HDF5 fails.
ColdLayout lay_out_chunks(std::vector<ColdChunk> const& chunks, int level);

}  // namespace dsr::detail
