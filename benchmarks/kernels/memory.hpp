// SPDX-License-Identifier: Apache-2.0
#pragma once
/// Device memory full of random numbers, which all kernels' operands share, each in sets that a
/// measurement takes in turn: what one call has left in the caches is gone before its set comes
/// again.
///
///     Sets const sets = memory.sets({{shape, DType::bf16}, {shape, DType::bf16}});
///     Operands const& of = in_turn(sets, number_of_the_call);          // of[0], of[1]
#include <dsr/core/buffer.hpp>
#include <dsr/core/stream.hpp>
#include <dsr/core/tensor.hpp>
#include <vector>

namespace benchmark {

inline constexpr dsr::Device kGpu{dsr::Device::Kind::cuda, 0};

struct Operand {
  dsr::Shape shape;
  dsr::DType dtype;
  dsr::Size bytes() const { return shape.elements() * size_of(dtype); }
};

using Operands = std::vector<dsr::Tensor>;
using Sets = std::vector<Operands>;

inline Operands const& in_turn(Sets const& sets, dsr::Size call) {
  return sets[static_cast<std::size_t>(call) % sets.size()];
}

/// Does not move: tensors view it.
class Memory {
 public:
  Memory(dsr::Size bytes, dsr::Stream& stream);
  Memory(Memory const&) = delete;

  /// Normal bf16 numbers everywhere; as f32 they are normal too.
  void randomize(dsr::Stream& stream);
  /// Two sets or more of these operands, of 256 MiB or more together. Sets of different calls lie
  /// over one another. Throws OutOfMemory if two sets do not fit.
  Sets sets(std::vector<Operand> const& operands) const;

 private:
  dsr::Buffer memory_, noise_;
};

/// A tensor with memory of its own, for what must not be random or is small.
struct Own {
  Own(dsr::Shape const& shape, dsr::DType dtype, dsr::Stream& stream);  ///< zeros
  Own(std::vector<std::int32_t> const& values, dsr::Stream& stream);    ///< [n] i32
  dsr::Buffer memory;
  dsr::Tensor tensor;
};

}  // namespace benchmark
