// SPDX-License-Identifier: Apache-2.0
#include "dsr/core/transfer.hpp"

#include <cstring>
#include <string>

#include "dsr/core/error.hpp"
#include "libdsr/core/cuda_device.hpp"

namespace dsr {
namespace {

std::string describe(Tensor const& x) {
  return to_string(x.shape()) + " " + std::string(name_of(x.dtype())) + " on " +
         to_string(x.device());
}

void require(bool fits, std::string const& what, Tensor const& x, std::string const& allowed) {
  if (!fits) throw InvalidArgument(problem(what, describe(x), allowed));
}

bool reachable(Tensor const& x, Stream const& stream) {
  return x.device() == stream.device() || x.device() == kCpu || stream.device() == kMeta;
}

}  // namespace

void transfer(Tensor x, Tensor out, Stream& stream) {
  require(x.defined() && x.contiguous() && reachable(x, stream), "transfer: x", x,
          "a contiguous tensor on cpu or " + to_string(stream.device()));
  require(out.defined() && out.contiguous() && reachable(out, stream) && out.shape() == x.shape() &&
              out.dtype() == x.dtype(),
          "transfer: out", out, "contiguous, as x: " + describe(x));
  stream.count({.bytes = 2 * x.bytes(), .calls = 1});
  if (stream.device().kind == Device::Kind::meta || x.elements() == 0) return;
  if (stream.device().kind == Device::Kind::cuda)
    return detail::cuda_copy(out.raw(), x.raw(), x.bytes(), stream);
  stream.run([x, out] { std::memmove(out.raw(), x.raw(), static_cast<std::size_t>(x.bytes())); });
}

void zero(Tensor x, Stream& stream) {
  require(
      x.defined() && x.contiguous() && (x.device() == stream.device() || stream.device() == kMeta),
      "zero: x", x, "a contiguous tensor on " + to_string(stream.device()));
  stream.count({.bytes = x.bytes(), .calls = 1});
  if (stream.device().kind == Device::Kind::meta || x.elements() == 0) return;
  if (stream.device().kind == Device::Kind::cuda)
    return detail::cuda_zero(x.raw(), x.bytes(), stream);
  stream.run([x] { std::memset(x.raw(), 0, static_cast<std::size_t>(x.bytes())); });
}

}  // namespace dsr
