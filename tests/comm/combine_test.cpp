// SPDX-License-Identifier: Apache-2.0
#include "libdsr/comm/mpi/combine.hpp"

#include <cmath>
#include <limits>

#include "support/catch.hpp"

using namespace dsr;
using detail::combine;

namespace {

template <class T>
std::vector<T> combined(std::vector<std::vector<T>> const& parts, Reduce operation) {
  std::vector<std::byte const*> sources;
  for (auto const& part : parts) sources.push_back(reinterpret_cast<std::byte const*>(part.data()));
  std::vector<T> out(parts[0].size());
  combine(sources, reinterpret_cast<std::byte*>(out.data()), static_cast<Size>(out.size()),
          dtype_of<T>, operation);
  return out;
}

}  // namespace

TEST_CASE("a sum starts on the left") {
  float const big = 1e8F;
  CHECK(combined<float>({{big}, {1.0F}, {-big}}, Reduce::sum)[0] == 0.0F);  // 1 is lost in big
  CHECK(combined<float>({{big}, {-big}, {1.0F}}, Reduce::sum)[0] == 1.0F);
  CHECK(std::signbit(combined<float>({{-0.0F}, {-0.0F}}, Reduce::sum)[0]));
}

TEST_CASE("whole numbers, across the block in which sums are kept") {
  std::size_t const n = 2500;
  std::vector<std::vector<std::int64_t>> parts(3, std::vector<std::int64_t>(n));
  for (std::size_t p = 0; p < 3; ++p) {
    for (std::size_t i = 0; i < n; ++i)
      parts[p][i] = static_cast<std::int64_t>((i * 7 + p * 13) % 101) - 50;
  }
  auto const sum = combined(parts, Reduce::sum);
  auto const max = combined(parts, Reduce::max);
  auto const min = combined(parts, Reduce::min);
  for (std::size_t i = 0; i < n; ++i) {
    REQUIRE(sum[i] == parts[0][i] + parts[1][i] + parts[2][i]);
    REQUIRE(max[i] == std::max({parts[0][i], parts[1][i], parts[2][i]}));
    REQUIRE(min[i] == std::min({parts[0][i], parts[1][i], parts[2][i]}));
  }
  CHECK(combined<std::int32_t>({{std::numeric_limits<std::int32_t>::max()}, {1}}, Reduce::sum)[0] ==
        std::numeric_limits<std::int32_t>::min());
}

TEST_CASE("NaN is not lost, whichever rank has it") {
  double const nan = std::numeric_limits<double>::quiet_NaN();
  for (Reduce const operation : {Reduce::sum, Reduce::max, Reduce::min}) {
    CHECK(std::isnan(combined<double>({{nan}, {1.0}, {2.0}}, operation)[0]));
    CHECK(std::isnan(combined<double>({{1.0}, {nan}, {2.0}}, operation)[0]));
    CHECK(std::isnan(combined<double>({{1.0}, {2.0}, {nan}}, operation)[0]));
  }
}

TEST_CASE("the output may be one of the parts") {
  std::vector<float> a{1, 2, 3};
  std::vector<float> b{10, 20, 30};
  combine(
      {reinterpret_cast<std::byte const*>(a.data()), reinterpret_cast<std::byte const*>(b.data())},
      reinterpret_cast<std::byte*>(b.data()), 3, DType::f32, Reduce::sum);
  CHECK(b == std::vector<float>{11, 22, 33});
}

TEST_CASE("which dtypes are numbers") {
  CHECK(detail::combines(DType::f32));
  CHECK(detail::combines(DType::i64));
  CHECK_FALSE(detail::combines(DType::u8));
  CHECK_FALSE(detail::combines(DType::bf16));
}
