// SPDX-License-Identifier: Apache-2.0
#pragma once
/// What tests of ops need: memory behind tensors, f64 copies of their values, distances, gradients
/// by differences, and runs with other numbers of threads.
///
///     Array x = random({5, 7}, type, 1);       // x.tensor, x.values()
///     CHECK(distance(y.values(), expected) <= tolerance(type));
#include <cmath>
#include <functional>
#include <random>
#include <vector>
#ifdef _OPENMP
#include <omp.h>
#endif

#include "dsr/core/buffer.hpp"
#include "dsr/core/error.hpp"
#include "dsr/core/stream.hpp"
#include "dsr/core/tensor.hpp"
#include "support/catch.hpp"

namespace dsr::test {

using Values = std::vector<double>;

/// The f64 copy of a tensor's elements, in order; views may be strided by rows.
inline Values values_of(Tensor const& x) {
  if (x.rank() > 1 && !x.contiguous()) {
    Values all;
    for (Size i = 0; i < x.size(0); ++i) {
      Values const part = values_of(x[i]);
      all.insert(all.end(), part.begin(), part.end());
    }
    return all;
  }
  Values values(static_cast<std::size_t>(x.elements()));
  for (std::size_t i = 0; i < values.size(); ++i) {
    if (x.dtype() == DType::f32) values[i] = static_cast<double>(x.data<float>()[i]);
    if (x.dtype() == DType::f64) values[i] = x.data<double>()[i];
    if (x.dtype() == DType::i32) values[i] = x.data<std::int32_t>()[i];
  }
  return values;
}

/// Memory and a contiguous tensor over all of it.
struct Array {
  Array(Shape const& shape, DType type)
      : memory(std::max<Size>(1, shape.elements()) * size_of(type), kCpu),
        tensor(memory.data(), shape, type, kCpu) {}
  Array(Shape const& shape, DType type, Values const& from) : Array(shape, type) { set(from); }

  void set(Values const& from) {
    REQUIRE(static_cast<Size>(from.size()) == tensor.elements());
    for (std::size_t i = 0; i < from.size(); ++i) {
      if (tensor.dtype() == DType::f32) tensor.data<float>()[i] = static_cast<float>(from[i]);
      if (tensor.dtype() == DType::f64) tensor.data<double>()[i] = from[i];
      if (tensor.dtype() == DType::i32) tensor.data<std::int32_t>()[i] = static_cast<int>(from[i]);
    }
  }
  Values values() const { return values_of(tensor); }

  Buffer memory;
  Tensor tensor;
};

inline Values random_values(Size count, unsigned seed) {
  std::mt19937 engine{seed};
  std::normal_distribution<double> normal;
  Values values(static_cast<std::size_t>(count));
  for (double& value : values) value = normal(engine);
  return values;
}

inline Array random(Shape const& shape, DType type, unsigned seed) {
  return {shape, type, random_values(shape.elements(), seed)};
}

inline Array integers(std::vector<int> const& from) {
  return {Shape{static_cast<Size>(from.size())}, DType::i32, Values(from.begin(), from.end())};
}

/// ‖a − b‖ / ‖b‖, or ‖a − b‖ where b is 0; NaN anywhere gives NaN.
inline double distance(Values const& a, Values const& b) {
  REQUIRE(a.size() == b.size());
  double apart = 0, norm = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    apart += (a[i] - b[i]) * (a[i] - b[i]);
    norm += b[i] * b[i];
  }
  return std::sqrt(norm > 0 ? apart / norm : apart);
}

inline double tolerance(DType type) { return type == DType::f32 ? 1e-6 : 1e-13; }

inline constexpr DType kFloats[] = {DType::f32, DType::f64};

/// d loss / d x by central differences; x gets its values back.
inline Values differences(Array& x, std::function<double()> const& loss) {
  constexpr double kStep = 1e-5;
  Values const before = x.values();
  Values slopes(before.size());
  for (std::size_t i = 0; i < before.size(); ++i) {
    double* const element = x.tensor.data<double>() + i;
    *element = before[i] + kStep;
    double const above = loss();
    *element = before[i] - kStep;
    double const below = loss();
    *element = before[i];
    slopes[i] = (above - below) / (2 * kStep);
  }
  return slopes;
}

inline double dot(Values const& a, Values const& b) {
  double sum = 0;
  for (std::size_t i = 0; i < a.size(); ++i) sum += a[i] * b[i];
  return sum;
}

/// The same bits from every run: with 1 thread, then 2, then 2 again, then 3.
inline void check_same_bits(std::function<Values()> const& run) {
#ifdef _OPENMP
  int const before = omp_get_max_threads();
  auto const use = [](int threads) { omp_set_num_threads(threads); };
#else
  int const before = 1;
  auto const use = [](int) {};
#endif
  use(1);
  Values const expected = run();
  for (int threads : {2, 2, 3}) {
    use(threads);
    CHECK(run() == expected);
  }
  use(before);
}

/// An InvalidArgument whose text names op and operand.
inline void check_refused(std::string const& name, std::function<void()> const& call) {
  INFO(name);
  std::string text;
  try {
    call();
  } catch (InvalidArgument const& error) {
    text = error.what();
  }
  CHECK(text.find("dsr: " + name + ":") == 0);
}

}  // namespace dsr::test
