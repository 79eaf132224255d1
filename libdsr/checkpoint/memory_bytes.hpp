// SPDX-License-Identifier: Apache-2.0
#pragma once
/// Pieces whose bytes are all there, as a source of them.
#include <string>
#include <vector>

#include "dsr/checkpoint/piece_bytes.hpp"
#include "dsr/checkpoint/rank_file.hpp"
#include "dsr/core/error.hpp"

namespace dsr::detail {

class BytesInMemory final : public PieceBytes {
 public:
  explicit BytesInMemory(std::vector<HostPiece> const& pieces) : pieces_(&pieces) {}
  std::span<std::byte const> take(std::size_t piece, Size at, Size most) override {
    return (*pieces_)[piece].bytes.subspan(static_cast<std::size_t>(at),
                                           static_cast<std::size_t>(most));
  }
  void give_back(std::size_t, Size, Size) override {}
  void abandon() noexcept override {}

 private:
  std::vector<HostPiece> const* pieces_;
};

/// Throws InvalidArgument if box, dtype and bytes do not agree.
inline void check_piece(HostPiece const& piece) {
  Size const bytes = piece.box.elements() * size_of(piece.dtype);
  if (std::ssize(piece.bytes) == bytes) return;
  throw InvalidArgument(
      problem("checkpoint: " + piece.name,
              std::to_string(piece.bytes.size()) + " bytes for " + to_string(piece.box),
              std::to_string(bytes)));
}

}  // namespace dsr::detail
