// SPDX-License-Identifier: Apache-2.0
#include <bit>
#include <cstring>

#include "libdsr/ops/cpu/cpu_backend.hpp"
#include "libdsr/ops/cpu/parallel.hpp"

namespace dsr::detail {
namespace {

template <class T>
void fill_elements(Tensor const& x, T value) {
  T* const to = static_cast<T*>(x.raw());
  for_chunks(x.elements(), [=](Size begin, Size end) { std::fill(to + begin, to + end, value); });
}

/// The nearest bf16, ties to even.
std::uint16_t to_bf16(double value) {
  auto const bits = std::bit_cast<std::uint32_t>(static_cast<float>(value));
  return static_cast<std::uint16_t>((bits + 0x7FFFU + ((bits >> 16) & 1U)) >> 16);
}

/// Offset of row `row` (all dimensions but the last, in order), in elements.
Size row_offset(Tensor const& x, Size row) {
  Size offset = 0;
  for (int dim = x.rank() - 2; dim >= 0; --dim) {
    offset += row % x.size(dim) * x.stride(dim);
    row /= x.size(dim);
  }
  return offset;
}

void copy_bytes(Tensor const& x, Tensor const& out) {
  auto const* const from = static_cast<std::byte const*>(x.raw());
  auto* const to = static_cast<std::byte*>(out.raw());
  if (x.elements() == 0) return;
  if (x.contiguous() && out.contiguous()) {
    for_chunks(x.bytes(), [=](Size begin, Size end) {
      std::memcpy(to + begin, from + begin, static_cast<std::size_t>(end - begin));
    });
    return;
  }
  Rows const size = rows_of(x);
  Size const unit_bytes = size_of(x.dtype());
  for_each_task(size.rows, x.elements(), [&](Size row) {
    std::memcpy(to + row_offset(out, row) * unit_bytes, from + row_offset(x, row) * unit_bytes,
                static_cast<std::size_t>(size.features * unit_bytes));
  });
}

}  // namespace

void CpuBackend::fill(Tensor x, double value, Stream& stream) const {
  launch(stream, [=] {
    switch (x.dtype()) {
      case DType::u8: return fill_elements(x, static_cast<std::uint8_t>(value));
      case DType::i32: return fill_elements(x, static_cast<std::int32_t>(value));
      case DType::i64: return fill_elements(x, static_cast<std::int64_t>(value));
      case DType::bf16: return fill_elements(x, to_bf16(value));
      case DType::f32: return fill_elements(x, static_cast<float>(value));
      case DType::f64: return fill_elements(x, value);
    }
  });
}

void CpuBackend::copy(Tensor x, Tensor out, Stream& stream) const {
  launch(stream, [=] { copy_bytes(x, out); });
}

void CpuBackend::add(Tensor a, Tensor b, Tensor out, Stream& stream) const {
  launch(stream, a, [=](auto zero) {
    using T = decltype(zero);
    T const *const left = a.data<T>(), *const right = b.data<T>();
    T* const to = out.data<T>();
    for_chunks(a.elements(), [=](Size begin, Size end) {
#pragma omp simd
      for (Size i = begin; i < end; ++i) to[i] = left[i] + right[i];
    });
  });
}

void CpuBackend::scale(Tensor x, double factor, Stream& stream) const {
  launch(stream, x, [=](auto zero) {
    using T = decltype(zero);
    T* const to = x.data<T>();
    T const by = static_cast<T>(factor);
    for_chunks(x.elements(), [=](Size begin, Size end) {
#pragma omp simd
      for (Size i = begin; i < end; ++i) to[i] *= by;
    });
  });
}

void CpuBackend::add_bias(Tensor y, Tensor bias, Stream& stream) const {
  launch(stream, y, [=](auto zero) {
    using T = decltype(zero);
    Rows const size = rows_of(y);
    T const* const from = bias.data<T>();
    for_each_task(size.rows, y.elements(), [=, to = y.data<T>()](Size row) {
      T* const line = to + row * size.features;
#pragma omp simd
      for (Size n = 0; n < size.features; ++n) line[n] += from[n];
    });
  });
}

void CpuBackend::add_bias_gradient(Tensor dy, Tensor dbias, Stream& stream) const {
  launch(stream, dy, [=](auto zero) {
    using T = decltype(zero);
    Rows const size = rows_of(dy);
    T const* const from = dy.data<T>();
    add_row_sums<T, 1>(size, {dbias.data<T>()}, [=](Size begin, Size end, auto const& partial) {
      T* const sum = partial[0];
      for (Size row = begin; row < end; ++row) {
        T const* const line = from + row * size.features;
#pragma omp simd
        for (Size n = 0; n < size.features; ++n) sum[n] += line[n];
      }
    });
  });
}

}  // namespace dsr::detail
