// SPDX-License-Identifier: Apache-2.0
#pragma once
/// SimulatedContent: a file's bytes as programs see them, and what a power loss may leave of them.
///
/// A sync makes all of it durable. Of what was written since, each sector of 512 bytes keeps one of
/// the versions that it has had, whatever other sectors keep; the size may be any that some writes
/// explain. A failed sync leaves what waited in doubt: later ones succeed and do not write it, as
/// Linux marks the pages clean.
#include <cstddef>
#include <random>
#include <span>
#include <vector>

#include "dsr/core/shape.hpp"

namespace dsr::test {

inline constexpr Size kSector_bytes = 512;

class SimulatedContent {
 public:
  std::vector<std::byte> const& bytes() const { return bytes_; }
  Size size() const { return std::ssize(bytes_); }

  void write(Size offset, std::span<std::byte const> bytes);
  void grow(Size size);
  void sync();
  void fail_sync();
  void lose_power(std::mt19937_64& random);

 private:
  enum class Fate : unsigned char { waiting, durable, in_doubt };
  struct Write {
    Size offset;
    std::vector<std::byte> bytes;
    Fate fate = Fate::waiting;
    Size end() const { return offset + std::ssize(bytes); }
  };

  std::vector<std::byte> bytes_, durable_;
  Size durable_size_ = 0;      // at least that of durable_
  std::vector<Write> writes_;  // since the last sync that left nothing open
};

}  // namespace dsr::test
