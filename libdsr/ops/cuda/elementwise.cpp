// SPDX-License-Identifier: Apache-2.0
#include "kernels/elementwise/elementwise.hpp"

#include <bit>
#include <cstring>

#include "dsr/core/bf16.hpp"
#include "libdsr/ops/cuda/counters.hpp"
#include "libdsr/ops/cuda/cuda_backend.hpp"
#include "libdsr/ops/cuda/operands.hpp"

namespace dsr::detail {
namespace {

template <class T>
std::uint64_t bits_of(T value) {
  std::uint64_t bits = 0;
  std::memcpy(&bits, &value, sizeof value);
  return bits;
}

std::uint64_t pattern(double value, DType type) {
  switch (type) {
    case DType::u8:
      return bits_of(static_cast<std::uint8_t>(value));
    case DType::i32:
      return bits_of(static_cast<std::int32_t>(value));
    case DType::i64:
      return bits_of(static_cast<std::int64_t>(value));
    case DType::bf16:
      return Bf16{static_cast<float>(value)}.bits;
    case DType::f32:
      return bits_of(static_cast<float>(value));
    case DType::f64:
      break;
  }
  return bits_of(value);
}

kernels::SumMemory sum_memory(Rows const& size, Stream& stream) {
  return {
      workspace_of(stream).at_least(kernels::column_sum_bytes(size.rows, size.features, 1), stream),
      counters_of(stream).at_least(kernels::column_sum_counters(size.features), stream)};
}

}  // namespace

void CudaBackend::fill(Tensor x, double value, Stream& stream) const {
  if (x.elements() == 0) return;
  kernels::fill(x.raw(), pattern(value, x.dtype()), x.elements(),
                static_cast<int>(size_of(x.dtype())), native(stream));
  launched();
}

/// Rows may be strided: the copy engine takes two dimensions at a time.
void CudaBackend::copy(Tensor x, Tensor out, Stream& stream) const {
  if (x.elements() == 0) return;
  auto const bytes = [](Size elements, DType type) {
    return static_cast<std::size_t>(elements * size_of(type));
  };
  if (x.contiguous() && out.contiguous()) {
    check(cudaMemcpyAsync(out.raw(), x.raw(), bytes(x.elements(), x.dtype()), cudaMemcpyDefault,
                          native(stream)));
  } else if (x.rank() == 2) {
    check(cudaMemcpy2DAsync(out.raw(), bytes(out.stride(0), x.dtype()), x.raw(),
                            bytes(x.stride(0), x.dtype()), bytes(x.size(1), x.dtype()),
                            static_cast<std::size_t>(x.size(0)), cudaMemcpyDefault,
                            native(stream)));
  } else {
    for (Size i = 0; i < x.size(0); ++i) copy(x[i], out[i], stream);
  }
}

void CudaBackend::add(Tensor a, Tensor b, Tensor out, Stream& stream) const {
  if (a.elements() == 0) return;
  if (a.dtype() == DType::f32)
    kernels::add(f32(a), f32(b), f32(out), a.elements(), native(stream));
  else if (a.dtype() == DType::f64)
    kernels::add(a.data<double>(), b.data<double>(), out.data<double>(), a.elements(),
                 native(stream));
  else
    kernels::add(bf16(a), bf16(b), bf16(out), a.elements(), native(stream));
  launched();
}

void CudaBackend::scale(Tensor x, double factor, Stream& stream) const {
  if (x.elements() == 0) return;
  auto const by = static_cast<float>(factor);
  if (x.dtype() == DType::f32)
    kernels::scale(f32(x), by, x.elements(), native(stream));
  else if (x.dtype() == DType::f64)
    kernels::scale(x.data<double>(), factor, x.elements(), native(stream));
  else
    kernels::scale(bf16(x), by, x.elements(), native(stream));
  launched();
}

void CudaBackend::add_bias(Tensor y, Tensor bias, Stream& stream) const {
  if (y.elements() == 0) return;
  Rows const size = rows_of(y);
  kernels::add_bias(bf16(y), bf16(bias), size.rows, size.features, native(stream));
  launched();
}

void CudaBackend::add_bias_gradient(Tensor dy, Tensor dbias, Stream& stream) const {
  if (dy.elements() == 0) return;
  Rows const size = rows_of(dy);
  kernels::add_column_sums(bf16(dy), f32(dbias), sum_memory(size, stream), size.rows,
                           size.features, native(stream));
  launched();
}

void CudaBackend::gelu(Tensor h, Tensor bias, Tensor y, Stream& stream) const {
  if (h.elements() == 0) return;
  Rows const size = rows_of(h);
  kernels::gelu(bf16(h), bf16(bias), bf16(y), size.rows, size.features, native(stream));
  launched();
}

void CudaBackend::gelu_backward(Tensor h, Tensor dy, Tensor dh, Tensor dbias,
                                Stream& stream) const {
  if (h.elements() == 0) return;
  Rows const size = rows_of(h);
  kernels::gelu_backward(bf16(h), bf16(dy), bf16(dh), f32(dbias), sum_memory(size, stream),
                         size.rows, size.features, native(stream));
  launched();
}

void CudaBackend::dropout(Tensor x, DropoutMask const& mask, Tensor out, Stream& stream) const {
  if (x.elements() == 0) return;
  Rows const size = rows_of(x);
  kernels::dropout(bf16(x), bf16(out),
                   {.key_low = mask.key.low,
                    .key_high = mask.key.high,
                    .threshold = static_cast<std::uint32_t>(mask.probability * 0x1p32),
                    .factor = static_cast<float>(1 / (1 - mask.probability)),
                    .ordinals = mask.ordinals.data<std::int32_t>(),
                    .positions = mask.positions.data<std::int32_t>(),
                    .first_feature = mask.first_feature},
                   size.rows, size.features, native(stream));
  launched();
}

}  // namespace dsr::detail
