// SPDX-License-Identifier: Apache-2.0
#include "dsr/optim/schedule.hpp"

#include "dsr/core/error.hpp"
#include "support/catch.hpp"

namespace dsr {
namespace {

TEST_CASE("warm-up is linear and reaches lr at its last step") {
  LearningRate const rate{.lr = 0.5, .warmup = 5};
  CHECK(rate.at(0) == test::Approx(0.1));
  CHECK(rate.at(3) == test::Approx(0.4));
  CHECK(rate.at(4) == test::Approx(0.5));
  CHECK(rate.at(5) == 0.5);
  CHECK(rate.at(100000) == 0.5);
}

TEST_CASE("cosine goes from lr to min_lr and stays there") {
  LearningRate const rate{.lr = 1.0, .min_lr = 0.1, .warmup = 10, .decay_steps = 110};
  CHECK(rate.at(10) == test::Approx(1.0));
  CHECK(rate.at(60) == test::Approx(0.55));                      // half way
  CHECK(rate.at(35) == test::Approx(0.55 + 0.45 * 0.70710678));  // a quarter: cos 45°
  CHECK(rate.at(110) == test::Approx(0.1));
  CHECK(rate.at(5000) == test::Approx(0.1));
}

TEST_CASE("numbers out of range are refused") {
  CHECK_NOTHROW(LearningRate{}.validate());
  CHECK_THROWS_AS((LearningRate{.lr = -1}.validate()), InvalidArgument);
  CHECK_THROWS_AS((LearningRate{.lr = 1e-3, .min_lr = 1e-2}.validate()), InvalidArgument);
  CHECK_THROWS_AS((LearningRate{.warmup = -1}.validate()), InvalidArgument);
  CHECK_THROWS_AS((LearningRate{.warmup = 10, .decay_steps = 10}.validate()), InvalidArgument);
  CHECK_THROWS_WITH((LearningRate{.warmup = 10, .decay_steps = 10}.validate()),
                    test::contains("train.decay_steps") && test::contains("nearest 11"));
}

}  // namespace
}  // namespace dsr
