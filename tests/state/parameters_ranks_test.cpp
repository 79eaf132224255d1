// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cstring>
#include <vector>

#include "dsr/comm/collectives.hpp"
#include "dsr/core/rng.hpp"
#include "state/small_model.hpp"
#include "support/catch.hpp"
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
void check_initial_values(MeshShape const& shape, std::uint64_t seed) {
  Mesh const mesh{test::runtime(), shape};
  test::SmallModel model{shape};
  Parameters parameters{model, mesh, {.seed = seed, .dtype = dtype_of<T>, .bucket_bytes = 2000}};
  Size wrong = 0;
  for (ParameterPlace const& place : parameters.all()) {
    Parameter const& parameter = *place.parameter;
    auto const [mean, stddev] = parameter.traits().init;
    RandomKey const key =
        random_key(seed, RandomPurpose::initial_values, random_site(parameter.name()), 0);
    T* const values = parameter.value().data<T>();
    for_each_held(parameter.shard(), mesh.place(), [&](Size local, Size global) {
      double const expected = mean + stddev * normal(key, static_cast<std::uint64_t>(global));
      wrong += values[local] != static_cast<T>(expected);
      values[local] = 0;
    });
  }
  INFO(to_string(shape));
  CHECK(wrong == 0);
  // With every true element cleared, what is left is padding.
  Size not_zero = 0;
  for (FlatBuffer const& flat : parameters.flats()) {
    for (Size i = 0; i < flat.values.elements(); ++i) {
      not_zero += flat.values.data<T>()[i] != 0;
      not_zero += flat.gradients.data<T>()[i] != 0;
    }
  }
  CHECK(not_zero == 0);
}

}  // namespace

TEST_CASE("initial values are the same bits on every mesh, and padding and gradients are zero") {
  for (MeshShape const& shape : shapes_that_fit(test::runtime().size())) {
    check_initial_values<float>(shape, 1);
    check_initial_values<double>(shape, 0xfedcba9876543210U);
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
    for (std::size_t f = 0; f < is_true.size(); ++f) {
      auto* const values = parameters.flats()[f].values.data<float>();
      for (std::size_t i = 0; i < is_true[f].size(); i += 1 + i % 7) {
        float const kept = values[i];
        values[i] += 1;
        wrong += (parameters.hash_values() != hash) != is_true[f][i];
        values[i] = kept;
      }
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
    std::memset(parameter->gradient().raw(), 1,
                static_cast<std::size_t>(parameter->gradient().bytes()));
  }
  std::uint64_t const hash = parameters.hash_values();
  Stream stream{kCpu};
  parameters.zero_gradients(stream);
  for (FlatBuffer const& flat : parameters.flats()) {
    float const* const gradients = flat.gradients.data<float>();
    CHECK(std::count(gradients, gradients + flat.gradients.elements(), 0.0F) ==
          flat.gradients.elements());
  }
  CHECK(parameters.hash_values() == hash);
}
