// SPDX-License-Identifier: Apache-2.0
#include "benchmarks/kernels/memory.hpp"

#include <algorithm>
#include <dsr/core/bf16.hpp>
#include <dsr/core/error.hpp>
#include <dsr/core/transfer.hpp>
#include <random>
#include <string>

namespace benchmark {

using dsr::Buffer;
using dsr::DType;
using dsr::Shape;
using dsr::Size;
using dsr::Stream;
using dsr::Tensor;

namespace {

constexpr Size kNoise_bytes = Size{8} << 20;

Size aligned(Size bytes) { return dsr::round_up(bytes, dsr::kAlignment_bytes); }

}  // namespace

Memory::Memory(Size bytes, Stream& stream)
    : memory_(aligned(bytes), kGpu), noise_(Buffer::pinned(kNoise_bytes)) {
  std::mt19937 engine{1};
  std::normal_distribution<float> normal;
  auto* const values = static_cast<dsr::Bf16*>(noise_.data());
  for (Size i = 0; i < kNoise_bytes / 2; ++i) values[i] = dsr::Bf16{normal(engine)};
  randomize(stream);
}

/// The noise goes to the device once; the rest is copied there.
void Memory::randomize(Stream& stream) {
  auto* const to = static_cast<std::byte*>(memory_.data());
  auto const piece = [&](Size begin, Size bytes, dsr::Device device, void* data) {
    return Tensor{static_cast<std::byte*>(data) + begin, {bytes}, DType::u8, device};
  };
  Size const first = std::min(kNoise_bytes, memory_.bytes());
  transfer(piece(0, first, dsr::kCpu, noise_.data()), piece(0, first, kGpu, to), stream);
  for (Size done = first; done < memory_.bytes();) {
    Size const more = std::min(done, memory_.bytes() - done);
    transfer(piece(0, more, kGpu, to), piece(done, more, kGpu, to), stream);
    done += more;
  }
}

Sets Memory::sets(std::vector<Operand> const& operands) const {
  constexpr Size kLeast_bytes = Size{256} << 20;
  Size one = 0;
  for (Operand const& operand : operands) one += aligned(operand.bytes());
  Size const count = std::max<Size>(2, dsr::ceil_div(kLeast_bytes, std::max<Size>(one, 1)));
  Size const fits = memory_.bytes() / std::max<Size>(one, 1);
  if (fits < 2) {
    throw dsr::OutOfMemory(dsr::problem("kernels_benchmark",
                                        "two sets of " + std::to_string(one) + " bytes",
                                        std::to_string(memory_.bytes()) + " bytes"));
  }
  Sets sets(static_cast<std::size_t>(std::min(count, fits)));
  auto* at = static_cast<std::byte*>(memory_.data());
  for (Operands& set : sets) {
    for (Operand const& operand : operands) {
      set.emplace_back(at, operand.shape, operand.dtype, kGpu);
      at += aligned(operand.bytes());
    }
  }
  return sets;
}

Own::Own(Shape const& shape, DType dtype, Stream& stream)
    : memory(shape.elements() * size_of(dtype), kGpu), tensor(memory.data(), shape, dtype, kGpu) {
  zero(tensor, stream);
}

Own::Own(std::vector<std::int32_t> const& values, Stream& stream)
    : Own(Shape{std::ssize(values)}, DType::i32, stream) {
  auto copy = values;
  transfer({copy.data(), tensor.shape(), DType::i32, dsr::kCpu}, tensor, stream);
  stream.synchronize();
}

}  // namespace benchmark
