// SPDX-License-Identifier: Apache-2.0
#pragma once
/// Takes pieces, converts, compresses and writes them, chunk after chunk, on several threads:
/// taking and writing go forward through the chunks, compressing is side by side.
#include <condition_variable>
#include <cstdint>
#include <exception>
#include <mutex>
#include <span>
#include <vector>

#include "dsr/checkpoint/codec.hpp"
#include "dsr/checkpoint/piece_bytes.hpp"
#include "dsr/core/dtype.hpp"
#include "dsr/layout/box.hpp"
#include "libdsr/checkpoint/late_head_file.hpp"

namespace dsr::detail {

enum class ChunkUse : std::uint8_t { stored, passed_over };

/// A contiguous part of a piece.
struct PieceChunk {
  std::size_t piece = 0;
  Size first = 0;  ///< element of the piece
  Box box;
  DType from = DType::f32, to = DType::f32;  ///< equal, or f32 to bf16
  ChunkUse use = ChunkUse::stored;
  Size offset = 0, bytes = 0;  ///< in the file, compressed; the pipeline fills them in
};

/// Neither copies nor moves. Runs once.
class ChunkPipeline {
 public:
  ChunkPipeline(PieceBytes& source, LateHeadFile& file, int level, int threads)
      : source_(source), file_(file), level_(level), threads_(threads) {}
  ChunkPipeline(ChunkPipeline const&) = delete;
  ChunkPipeline& operator=(ChunkPipeline const&) = delete;

  /// Writes the chunks from `offset` on, without gaps, and gives them their offsets and sizes.
  /// Throws IoError, and what the source throws.
  void run(std::vector<PieceChunk>& chunks, Size offset);

 private:
  void work(std::vector<PieceChunk>& chunks);
  bool take_next(std::vector<PieceChunk> const& chunks, std::size_t& index,
                 std::vector<std::byte>& memory);
  void take(PieceChunk const& chunk, std::vector<std::byte>& memory);
  /// In its turn; false if a thread has failed.
  bool write(PieceChunk& chunk, std::size_t index, std::span<std::byte const> encoded);
  void fail();

  PieceBytes& source_;
  LateHeadFile& file_;
  int level_, threads_;
  std::mutex take_mutex_;
  std::size_t next_ = 0;  // to take
  std::mutex write_mutex_;
  std::condition_variable changed_;
  std::size_t turn_ = 0;  // to write
  Size offset_ = 0;
  std::exception_ptr error_;
};

}  // namespace dsr::detail
