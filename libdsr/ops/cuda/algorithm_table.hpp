// SPDX-License-Identifier: Apache-2.0
#pragma once
/// Which algorithm a matrix product of each layout takes; as text it can be kept in a file or sent
/// to other ranks.
///
///     AlgorithmTable table{"cublasLt 130200 on NVIDIA H100 80GB HBM3"};
///     table.set(layout, {.words = …, .us = 812.5});
///     other.load(table.save());
#include <array>
#include <cstdint>
#include <map>
#include <string>

#include "libdsr/ops/cuda/gemm_layout.hpp"

namespace dsr::detail {

/// An algorithm as the library stores it: valid for one version of it and one kind of GPU.
struct Algorithm {
  std::array<std::uint64_t, 8> words{};
  double us = 0;  ///< measured time of a call; 0: chosen by the library's heuristic
  /// No words at all: what follows the product runs better as a pass of its own.
  bool fused() const { return *this != Algorithm{.us = us}; }
  bool operator==(Algorithm const&) const = default;
};

/// Copies. Not thread-safe.
class AlgorithmTable {
 public:
  /// `validity`: the library's version and the GPU, in one line.
  explicit AlgorithmTable(std::string validity) : validity_(std::move(validity)) {}

  /// Null if there is none.
  Algorithm const* find(GemmLayout const& layout) const;
  void set(GemmLayout const& layout, Algorithm const& algorithm) {
    algorithms_[layout] = algorithm;
  }
  std::size_t size() const { return algorithms_.size(); }
  /// Without entries, for the same library and GPU.
  AlgorithmTable empty_copy() const { return AlgorithmTable{validity_}; }

  /// One line a layout, in a fixed order.
  std::string save() const;
  /// Adds entries; those that are here already stay. Nothing changes if it throws: InvalidArgument
  /// if the text is for another library or GPU, CorruptData with the number of the first line that
  /// is wrong.
  void load(std::string const& text);

 private:
  std::string validity_;
  std::map<GemmLayout, Algorithm> algorithms_;
};

}  // namespace dsr::detail
