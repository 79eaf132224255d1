// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <vector>

#include "dsr/comm/collectives.hpp"
#include "dsr/core/bf16.hpp"
#include "dsr/core/rng.hpp"
#include "state/small_model.hpp"
#include "support/catch.hpp"
#include "support/device.hpp"
#include "support/on_device.hpp"
#include "support/ranks.hpp"

using namespace dsr;

namespace {

std::vector<MeshShape> shapes_that_fit(int ranks) {
  std::vector<MeshShape> shapes;
  for (int dp = 1; dp <= ranks; ++dp) {
    for (int row = 1; row <= ranks; ++row) {
      if (ranks % (dp * row) == 0)
        shapes.push_back({.dp = dp, .row = row, .col = ranks / (dp * row)});
    }
  }
  return shapes;
}

/// Visits (local flat index, global flat index) of every element that this rank holds, naively:
/// global elements one by one, each asked whether it lies in the box.
template <class Visit>
void for_each_held(Shard const& shard, Place const& place, Visit visit) {
  Box const box = shard.box(place);
  Shape const global = shard.global(), local = shard.local_shape();
  for (Size flat = 0; flat < global.elements(); ++flat) {
    Size rest = flat, offset = 0, stride = 1;
    bool held = true;
    for (int dim = global.rank() - 1; dim >= 0; --dim) {
      Size const i = rest % global[dim] - box.begin[dim];
      rest /= global[dim];
      held = held && i >= 0 && i < box.count[dim];
      offset += i * stride;
      stride *= local[dim];
    }
    if (held) visit(offset, flat);
  }
}

template <class T>
std::vector<std::vector<T>> values_of(Parameters const& parameters, Tensor FlatBuffer::*which) {
  std::vector<std::vector<T>> values;
  for (FlatBuffer const& flat : parameters.flats())
    values.push_back(test::values_of<T>(flat.*which));
  return values;
}

template <class T>
Size count_not_zero(std::vector<std::vector<T>> const& flats) {
  Size count = 0;
  for (auto const& flat : flats) count += std::ssize(flat) - std::ranges::count(flat, T{});
  return count;
}

/// `Gradient`: the type of the gradients of values in T.
template <class T, class Gradient = T>
void check_initial_values(MeshShape const& shape, std::uint64_t seed) {
  Mesh const mesh{test::runtime(), shape};
  test::SmallModel model{shape};
  Parameters parameters{model, mesh, {.seed = seed, .dtype = dtype_of<T>, .bucket_bytes = 2000}};
  auto values = values_of<T>(parameters, &FlatBuffer::values);
  Size wrong = 0;
  for (ParameterPlace const& place : parameters.all()) {
    Parameter const& parameter = *place.parameter;
    auto const [mean, stddev] = parameter.traits().init;
    RandomKey const key =
        random_key(seed, RandomPurpose::initial_values, random_site(parameter.name()), 0);
    T* const mine = values[static_cast<std::size_t>(place.flat)].data() + place.range.begin;
    for_each_held(parameter.shard(), mesh.place(), [&](Size local, Size global) {
      double const expected = mean + stddev * normal(key, static_cast<std::uint64_t>(global));
      wrong += mine[local] != T(static_cast<Gradient>(expected));
      mine[local] = T{};
    });
  }
  INFO(to_string(shape));
  CHECK(wrong == 0);
  // With every true element cleared, what is left is padding.
  CHECK(count_not_zero(values) == 0);
  CHECK(count_not_zero(values_of<Gradient>(parameters, &FlatBuffer::gradients)) == 0);
}

}  // namespace

TEST_CASE("initial values are the same bits on every mesh, and padding and gradients are zero") {
  for (MeshShape const& shape : shapes_that_fit(test::runtime().size())) {
    check_initial_values<float>(shape, 1);
    check_initial_values<double>(shape, 0xfedcba9876543210U);
    check_initial_values<Bf16, float>(shape, 1);
  }
}

TEST_CASE("another seed gives other values") {
  MeshShape const shape{.dp = test::runtime().size()};
  Mesh const mesh{test::runtime(), shape};
  test::SmallModel model{shape};
  auto const hash = [&](std::uint64_t seed) {
    return Parameters(model, mesh, {.seed = seed}).hash_values();
  };
  CHECK(hash(1) == hash(1));
  CHECK(hash(1) != hash(2));
}

TEST_CASE("replicas have equal hashes, which see every value and no padding") {
  for (MeshShape const& shape : shapes_that_fit(test::runtime().size())) {
    Mesh const mesh{test::runtime(), shape};
    test::SmallModel model{shape};
    Parameters parameters{model, mesh};
    std::uint64_t const hash = parameters.hash_values();
    auto const texts = gather_texts(std::to_string(hash), mesh[Axis::dp]);
    for (std::string const& text : texts) CHECK(text == std::to_string(hash));

    std::vector<std::vector<bool>> is_true(parameters.flats().size());
    for (std::size_t f = 0; f < is_true.size(); ++f) {
      is_true[f].resize(static_cast<std::size_t>(parameters.flats()[f].values.elements()));
    }
    for (ParameterPlace const& place : parameters.all()) {
      for_each_held(place.parameter->shard(), mesh.place(), [&](Size local, Size) {
        is_true[static_cast<std::size_t>(place.flat)]
               [static_cast<std::size_t>(place.range.begin + local)] = true;
      });
    }
    Size wrong = 0;
    // A hash of values on a GPU takes milliseconds.
    std::size_t const stride = test::on_cuda() ? 67 : 7;
    for (std::size_t f = 0; f < is_true.size(); ++f) {
      Tensor const values = parameters.flats()[f].values;
      std::vector<float> const kept = test::values_of<float>(values);
      for (std::size_t i = 0; i < is_true[f].size(); i += 1 + i % stride) {
        std::vector<float> changed = kept;
        changed[i] += 1;
        test::set_values(values, changed);
        wrong += (parameters.hash_values() != hash) != is_true[f][i];
      }
      test::set_values(values, kept);
    }
    INFO(to_string(shape));
    CHECK(wrong == 0);
  }
}

TEST_CASE("gradients are cleared on the stream") {
  MeshShape const shape{.row = test::runtime().size()};
  Mesh const mesh{test::runtime(), shape};
  test::SmallModel model{shape};
  Parameters parameters{model, mesh};
  for (Parameter* parameter : model.in_order()) {
    Tensor const gradient = parameter->gradient();
    test::set_values(gradient,
                     std::vector<float>(static_cast<std::size_t>(gradient.elements()), 1.0F));
  }
  std::uint64_t const hash = parameters.hash_values();
  Stream stream{mesh.device()};
  parameters.zero_gradients(stream);
  stream.synchronize();
  CHECK(count_not_zero(values_of<float>(parameters, &FlatBuffer::gradients)) == 0);
  CHECK(parameters.hash_values() == hash);
}
