// SPDX-License-Identifier: Apache-2.0
#include "dsr/core/tensor.hpp"

#include <numeric>
#include <vector>

#include "dsr/core/error.hpp"
#include "support/catch.hpp"
#include "support/text_of.hpp"

using namespace dsr;

namespace {

/// 0, 1, 2, … in a block: an element's value is its flat index.
struct Counting {
  explicit Counting(Shape shape) : values(static_cast<std::size_t>(shape.elements())) {
    std::iota(values.begin(), values.end(), 0);
    tensor = Tensor{values.data(), shape, DType::i32, kCpu};
  }
  std::vector<std::int32_t> values;
  Tensor tensor;
};

/// Element at an index, by strides.
std::int32_t at(Tensor const& tensor, std::vector<Size> const& index) {
  Size offset = 0;
  for (std::size_t d = 0; d < index.size(); ++d)
    offset += index[d] * tensor.stride(static_cast<int>(d));
  return tensor.data<std::int32_t>()[offset];
}

}  // namespace

TEST_CASE("a default tensor views nothing") {
  CHECK_FALSE(Tensor{}.defined());
  Counting const block{{2, 3}};
  CHECK(block.tensor.defined());
  CHECK(block.tensor.bytes() == 24);
  CHECK(block.tensor.stride(0) == 3);
  CHECK(block.tensor.stride(-1) == 1);
  CHECK_THROWS_AS(block.tensor.stride(2), InvalidArgument);
}

TEST_CASE("slices show the elements of their range") {
  Counting const block{{4, 3, 5}};
  Tensor const part = block.tensor.slice(1, 1, 3).slice(0, 2, 4).slice(-1, 0, 2);
  REQUIRE(part.shape() == Shape{2, 2, 2});
  for (Size i = 0; i < 2; ++i) {
    for (Size j = 0; j < 2; ++j) {
      for (Size k = 0; k < 2; ++k) CHECK(at(part, {i, j, k}) == ((i + 2) * 3 + j + 1) * 5 + k);
    }
  }
  CHECK_FALSE(part.contiguous());
  CHECK(block.tensor.slice(0, 1, 3).contiguous());
  CHECK(block.tensor.slice(0, 4, 4).elements() == 0);
  CHECK(block.tensor.slice(0, 4, 4).defined());
}

TEST_CASE("an index drops the first dimension") {
  Counting const block{{4, 3, 5}};
  CHECK(block.tensor[2].shape() == Shape{3, 5});
  CHECK(at(block.tensor[2], {1, 4}) == 2 * 15 + 5 + 4);
  CHECK(block.tensor[3][2][4].shape() == Shape{});
  CHECK(*block.tensor[3][2][4].data<std::int32_t>() == 59);
  CHECK(at(block.tensor.slice(2, 1, 3)[1], {2, 0}) == 15 + 10 + 1);
  CHECK_THROWS_AS(block.tensor[4], InvalidArgument);
  CHECK_THROWS_AS(block.tensor[-1], InvalidArgument);
  CHECK_THROWS_AS(Tensor{}[0], InvalidArgument);
}

TEST_CASE("a dimension of size 1 or no elements leaves a view contiguous") {
  Counting const block{{4, 6}};
  CHECK(block.tensor.slice(0, 1, 2).slice(1, 2, 4).contiguous());
  CHECK_FALSE(block.tensor.slice(0, 1, 3).slice(1, 2, 3).contiguous());
  CHECK(block.tensor.slice(1, 2, 2).contiguous());
}

TEST_CASE("reshape keeps the order of elements") {
  Counting const block{{4, 6}};
  Tensor const other = block.tensor.reshape({3, 2, 4});
  CHECK(at(other, {2, 1, 3}) == 23);
  CHECK(at(other, {1, 0, 2}) == 10);
  CHECK_THROWS_AS(block.tensor.reshape({5, 5}), InvalidArgument);
  CHECK_THROWS_AS(block.tensor.slice(1, 0, 3).reshape({12}), InvalidArgument);
}

TEST_CASE("what does not fit is refused with the numbers") {
  Counting const block{{4, 6}};
  CHECK(test::text_of<InvalidArgument>([&] { block.tensor.slice(1, 2, 7); }) ==
        "dsr: tensor [4, 6] i32: slice [2, 7) of dimension 1, allowed within [0, 6)");
  CHECK_THROWS_AS(block.tensor.slice(1, 3, 2), InvalidArgument);
  CHECK_THROWS_AS(block.tensor.slice(1, -1, 2), InvalidArgument);
  CHECK_THROWS_AS(block.tensor.slice(2, 0, 1), InvalidArgument);
  CHECK(test::text_of<InvalidArgument>([&] { block.tensor.data<float>(); }) ==
        "dsr: tensor [4, 6] i32: read as f32, allowed i32");
}
