// SPDX-License-Identifier: Apache-2.0
#include "dsr/checkpoint/cold_file.hpp"

#include <map>

#include "dsr/core/error.hpp"
#include "libdsr/checkpoint/chunk_boxes.hpp"
#include "libdsr/checkpoint/chunk_pipeline.hpp"
#include "libdsr/checkpoint/cold_layout.hpp"
#include "libdsr/checkpoint/late_head_file.hpp"
#include "libdsr/checkpoint/memory_bytes.hpp"

namespace dsr {
namespace {

bool is_kept(HostPiece const& piece, ColdContent content) {
  return content == ColdContent::all || piece.name.starts_with(kWeightPrefix);
}

/// All that is kept to go on from is stored as it is.
DType stored_type(HostPiece const& piece, ColdOptions const& options) {
  bool const rounded = options.content == ColdContent::weights && piece.dtype == DType::f32;
  return rounded ? options.dtype : piece.dtype;
}

/// All chunks in the order of the pieces, without offsets and sizes.
std::vector<detail::PieceChunk> chunks_of(std::vector<HostPiece> const& pieces,
                                          ColdOptions const& options) {
  std::vector<detail::PieceChunk> chunks;
  for (std::size_t i = 0; i < pieces.size(); ++i) {
    HostPiece const& piece = pieces[i];
    if (!tensor_name(piece.name)) {
      throw InvalidArgument(problem("checkpoint: \"" + piece.name + "\"", "its name",
                                    "printable parts divided by '/'"));
    }
    bool const kept = is_kept(piece, options.content);
    DType const type = stored_type(piece, options);
    Size first = 0;
    for (Box const& box : detail::chunk_boxes(piece.box, kChunkMost_bytes / size_of(type))) {
      chunks.push_back({.piece = i,
                        .first = first,
                        .box = box,
                        .from = piece.dtype,
                        .to = type,
                        .use = kept ? detail::ChunkUse::stored : detail::ChunkUse::passed_over});
      first += box.elements();
    }
  }
  return chunks;
}

/// The tensors of the stored chunks, each chunk a slice; and their datasets.
std::vector<detail::ColdChunk> list_chunks(std::vector<HostPiece> const& pieces,
                                           std::vector<detail::PieceChunk> const& chunks,
                                           std::vector<StoredTensor>& tensors) {
  std::vector<detail::ColdChunk> datasets;
  std::map<std::string_view, std::size_t> known;
  for (detail::PieceChunk const& chunk : chunks) {
    if (chunk.use != detail::ChunkUse::stored) continue;
    HostPiece const& piece = pieces[chunk.piece];
    auto const [entry, added] = known.emplace(piece.name, tensors.size());
    if (added) tensors.push_back({piece.name, piece.global, chunk.to, {}, Codec::shuffle_zstd});
    StoredTensor& tensor = tensors[entry->second];
    datasets.push_back({.path = slice_path(piece.name, static_cast<int>(tensor.slices.size())),
                        .shape = chunk.box.count,
                        .dtype = chunk.to,
                        .bytes = chunk.bytes});
    tensor.slices.push_back(
        {.file = 0, .offset = chunk.offset, .bytes = chunk.bytes, .box = chunk.box});
  }
  return datasets;
}

}  // namespace

void ColdOptions::validate() const {
  if (dtype != DType::bf16 && dtype != DType::f32)
    throw InvalidArgument(problem("dtype of a cold set", std::string{name_of(dtype)}, "bf16, f32"));
  if (level < 1 || level > kMostCompression) {
    throw InvalidArgument(problem("level of a cold set", std::to_string(level),
                                  "1 to " + std::to_string(kMostCompression)));
  }
}

RankReport write_cold_file(FileSystem& files, std::string const& directory, int rank,
                           std::vector<HostPiece> const& pieces, ColdOptions const& options) {
  for (HostPiece const& piece : pieces) detail::check_piece(piece);
  detail::BytesInMemory source{pieces};
  return write_cold_file(files, directory, rank, pieces, source, options);
}

RankReport write_cold_file(FileSystem& files, std::string const& directory, int rank,
                           std::vector<HostPiece> const& pieces, PieceBytes& source,
                           ColdOptions const& options) {
  try {
    options.validate();
    std::vector<detail::PieceChunk> chunks = chunks_of(pieces, options);
    detail::LateHeadFile file{files, directory, rank_file_name(rank), options.write.limit};
    detail::ChunkPipeline{source, file, options.level, options.write.threads}.run(
        chunks, detail::kPayloadBegin_bytes);
    RankReport report;
    detail::ColdLayout const layout =
        detail::lay_out_chunks(list_chunks(pieces, chunks, report.tensors), options.level);
    for (Container::Piece const& piece : layout.metadata) file.write(piece.offset, piece.bytes);
    report.file = file.finish(layout.bytes);
    files.sync_directory(directory);
    return report;
  } catch (...) {
    source.abandon();
    throw;
  }
}

}  // namespace dsr
