// SPDX-License-Identifier: Apache-2.0
#include "libdsr/ops/cpu/vector_math.hpp"

#include "support/catch.hpp"

namespace dsr {

TEST_CASE("exponential is within 2 units in the last place over the normal floats") {
  double worst = 0;
  for (float x = -87.3F; x <= 88.72F; x += 0.00037F) {
    double const exact = std::exp(static_cast<double>(x));
    float const nearest = static_cast<float>(exact);
    double const unit = static_cast<double>(std::nextafter(nearest, INFINITY)) -
                        static_cast<double>(nearest);
    worst = std::max(worst, std::abs(static_cast<double>(detail::exponential(x)) - exact) / unit);
  }
  CHECK(worst <= 2);
}

TEST_CASE("exponential at the ends") {
  CHECK(detail::exponential(0.0F) == 1.0F);
  CHECK(detail::exponential(-INFINITY) == 0.0F);
  CHECK(detail::exponential(-1e30F) == 0.0F);
  CHECK(detail::exponential(-88.0F) == 0.0F);
  CHECK(detail::exponential(89.0F) == INFINITY);
  CHECK(detail::exponential(INFINITY) == INFINITY);
  CHECK(std::isnan(detail::exponential(NAN)));
  CHECK(detail::exponential(-INFINITY + 0.0) == 0.0);
}

}  // namespace dsr
