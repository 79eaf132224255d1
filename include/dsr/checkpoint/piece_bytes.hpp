// SPDX-License-Identifier: Apache-2.0
#pragma once
/// PieceBytes: the bytes of a rank's pieces, some of which may still be on their way into memory
/// while a file is written from those that are there.
///
///     std::span<std::byte const> const part = bytes.take(piece, at, most);   // waits
///     write(part);
///     bytes.give_back(piece, at, std::ssize(part));   // its memory may be used again
#include <cstddef>
#include <span>

#include "dsr/core/shape.hpp"

namespace dsr {

/// Any number of threads may take, as long as what is taken by all of them together goes forward
/// through the pieces: memory for later bytes may have to wait for earlier ones to be given back.
class PieceBytes {
 public:
  PieceBytes() = default;
  virtual ~PieceBytes() = default;
  PieceBytes(PieceBytes const&) = delete;
  PieceBytes& operator=(PieceBytes const&) = delete;

  /// Bytes of a piece from `at` on, at least one and at most `most`; waits until they are there.
  /// Throws Error if they will never be.
  virtual std::span<std::byte const> take(std::size_t piece, Size at, Size most) = 0;
  virtual void give_back(std::size_t piece, Size at, Size bytes) = 0;
  /// Nothing more will be taken: whoever brings bytes need not go on, and take() throws.
  virtual void abandon() noexcept = 0;
};

}  // namespace dsr
