// SPDX-License-Identifier: Apache-2.0
#pragma once
/// Tensors on a GPU for tests of ops: filled from f64 values, read back as f64 values.
///
///     GpuArray x{{5, 7}, DType::bf16, random_values(35, 1), stream};
///     Values rounded = x.values(stream);                     // what the device holds, exactly
#include <algorithm>
#include <vector>

#include "dsr/core/bf16.hpp"
#include "dsr/core/transfer.hpp"
#include "ops/array.hpp"

namespace dsr::test {

inline constexpr Device kGpu{Device::Kind::cuda, 0};

/// Memory and a contiguous tensor over all of it. Calls wait for the stream.
class GpuArray {
 public:
  GpuArray(Shape const& shape, DType type, Values const& from, Stream& stream)
      : memory(std::max<Size>(1, shape.elements()) * size_of(type), kGpu),
        tensor(memory.data(), shape, type, kGpu) {
    set(from, stream);
  }
  /// Every element NaN (0 for integers): whatever an op leaves out shows.
  GpuArray(Shape const& shape, DType type, Stream& stream)
      : GpuArray(shape, type, Values(static_cast<std::size_t>(shape.elements()), std::nan("")),
                 stream) {}

  void set(Values const& from, Stream& stream) {
    REQUIRE(static_cast<Size>(from.size()) == tensor.elements());
    Buffer const bytes{std::max<Size>(1, tensor.bytes()), kCpu};
    Tensor const host{bytes.data(), tensor.shape(), tensor.dtype(), kCpu};
    for (std::size_t i = 0; i < from.size(); ++i) {
      if (tensor.dtype() == DType::bf16) host.data<Bf16>()[i] = Bf16{static_cast<float>(from[i])};
      if (tensor.dtype() == DType::f32) host.data<float>()[i] = static_cast<float>(from[i]);
      if (tensor.dtype() == DType::f64) host.data<double>()[i] = from[i];
    }
    transfer(host, tensor, stream);
    stream.synchronize();
  }

  Values values(Stream& stream) const {
    Buffer const bytes{std::max<Size>(1, tensor.bytes()), kCpu};
    Tensor const host{bytes.data(), tensor.shape(), tensor.dtype(), kCpu};
    transfer(tensor, host, stream);
    stream.synchronize();
    Values values(static_cast<std::size_t>(tensor.elements()));
    for (std::size_t i = 0; i < values.size(); ++i) {
      if (tensor.dtype() == DType::bf16)
        values[i] = static_cast<double>(static_cast<float>(host.data<Bf16>()[i]));
      if (tensor.dtype() == DType::f32) values[i] = static_cast<double>(host.data<float>()[i]);
      if (tensor.dtype() == DType::f64) values[i] = host.data<double>()[i];
    }
    return values;
  }

  Buffer memory;
  Tensor tensor;
};

/// The same values on the host, in f64, under a tensor of the same shape.
inline Array on_host(GpuArray const& x, Stream& stream) {
  return {x.tensor.shape(), DType::f64, x.values(stream)};
}

inline GpuArray random_on_gpu(Shape const& shape, DType type, unsigned seed, Stream& stream) {
  return {shape, type, random_values(shape.elements(), seed), stream};
}

}  // namespace dsr::test
