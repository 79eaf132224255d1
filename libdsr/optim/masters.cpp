// SPDX-License-Identifier: Apache-2.0
#include "libdsr/optim/masters.hpp"

#include <algorithm>

#include "dsr/core/bf16.hpp"
#include "dsr/core/transfer.hpp"

namespace dsr::detail {
namespace {

constexpr Size kPiece = Size{1} << 20;  // elements that are on the host at a time

}  // namespace

MasterConverter::MasterConverter()
    : source_(Buffer::pinned(kPiece * size_of(DType::f32))),
      target_(Buffer::pinned(kPiece * size_of(DType::f32))) {}

template <class From, class To, class Convert>
void MasterConverter::convert(Tensor from, Tensor to, Stream& stream, Convert one) {
  if (from.device() == kMeta) return;
  for (Size begin = 0; begin < from.elements(); begin += kPiece) {
    Size const end = std::min(begin + kPiece, from.elements());
    Tensor const old{source_.data(), {end - begin}, dtype_of<From>, kCpu},
        converted{target_.data(), {end - begin}, dtype_of<To>, kCpu};
    transfer(from.slice(0, begin, end), old, stream);
    stream.synchronize();
    std::transform(old.data<From>(), old.data<From>() + (end - begin), converted.data<To>(), one);
    transfer(converted, to.slice(0, begin, end), stream);
    stream.synchronize();
  }
}

void MasterConverter::widen(Tensor values, Tensor masters, Stream& stream) {
  convert<Bf16, float>(values, masters, stream, [](Bf16 x) { return static_cast<float>(x); });
}

void MasterConverter::round(Tensor masters, Tensor values, Stream& stream) {
  convert<float, Bf16>(masters, values, stream, [](float x) { return Bf16{x}; });
}

}  // namespace dsr::detail
