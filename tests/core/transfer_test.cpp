// SPDX-License-Identifier: Apache-2.0
#include "dsr/core/transfer.hpp"

#include <vector>

#include "dsr/core/error.hpp"
#include "support/catch.hpp"

namespace dsr {
namespace {

Tensor view(std::vector<float>& v) { return {v.data(), {std::ssize(v)}, DType::f32, kCpu}; }

TEST_CASE("transfer copies and zero clears, in stream order") {
  std::vector<float> a{1, 2, 3}, b{0, 0, 0};
  for (StreamKind kind : {StreamKind::compute, StreamKind::communication}) {
    Stream stream{kCpu, kind};
    transfer(view(a), view(b), stream);
    stream.synchronize();
    CHECK(b == a);
    zero(view(b), stream);
    stream.synchronize();
    CHECK(b == std::vector<float>{0, 0, 0});
  }
}

TEST_CASE("meta touches nothing and counts") {
  std::vector<float> a{1, 2}, b{5, 5};
  Stream stream{kMeta};
  transfer(view(a), view(b), stream);
  zero(view(b), stream);
  CHECK(b == std::vector<float>{5, 5});
  CHECK(stream.counted().bytes == 16 + 8);
}

TEST_CASE("what does not fit is refused") {
  std::vector<float> a(6), b(4);
  Stream stream{kCpu};
  CHECK_THROWS_AS(transfer(view(a), view(b), stream), InvalidArgument);
  CHECK_THROWS_AS(transfer(view(a), {}, stream), InvalidArgument);
  Tensor const matrix = view(a).reshape({2, 3});
  CHECK_THROWS_AS(zero(matrix.slice(1, 0, 2), stream), InvalidArgument);
  CHECK_THROWS_AS(zero(Tensor(a.data(), {6}, DType::f32, kMeta), stream), InvalidArgument);
}

}  // namespace
}  // namespace dsr
