// SPDX-License-Identifier: Apache-2.0
/// Gradients of a whole Gpt on every mesh against central differences in f64: no other code of ours
/// is the oracle.
#include <cmath>
#include <string>
#include <vector>

#include "dsr/comm/collectives.hpp"
#include "dsr/model/gpt.hpp"
#include "dsr/ops/elementwise.hpp"
#include "dsr/optim/gradients.hpp"
#include "support/catch.hpp"
#include "support/meshes.hpp"
#include "support/ranks.hpp"
#include "support/small_batch.hpp"

namespace dsr {
namespace {

constexpr Size kSequences = 2, kTokens = 7;  // T = 14 is odd for 3 and 6 rows: padding is exercised

/// One replica's model with a fixed batch, whose loss can be asked for again and again.
struct Fixture {
  Fixture(GptConfig const& config, MeshShape const& shape, PassOptions options)
      : mesh{test::runtime(), shape},
        model{config, mesh},
        parameters{model, mesh, {.seed = 3, .dtype = DType::f64}},
        data{mesh, kSequences, kTokens, config.vocabulary},
        compute{kCpu},
        exchange{test::runtime().communication_stream()},
        pass{mesh, compute, exchange, measure(model, mesh, kSequences, kTokens, options).arenas,
             options} {
    // Larger weights than at the start of training: every term of the gradient then counts.
    for (FlatBuffer& flat : parameters.flats()) {
      if (flat.decay == Decay::yes) scale(flat.values, 10, compute);
    }
  }

  double loss() {
    fill(pass.loss(), 0, compute);
    pass.begin(data.batch(), Mode::train, 5);
    model.forward(pass, {}, {});
    return *pass.loss().data<double>();
  }

  /// Copies of the complete gradients, by parameter: forward adds into the originals (the head's)
  /// each time it runs.
  std::vector<std::vector<double>> gradients() {
    parameters.zero_gradients(compute);
    static_cast<void>(loss());
    model.backward(pass, {}, {});
    GradientReducer reducer{parameters, compute, exchange, ZeroStage::zero};
    reducer.finish();
    compute.synchronize();
    std::vector<std::vector<double>> copies;
    for (ParameterPlace const& place : parameters.all()) {
      Tensor const g = place.parameter->gradient();
      copies.emplace_back(g.data<double>(), g.data<double>() + g.elements());
    }
    return copies;
  }

  Mesh mesh;
  Gpt model;
  Parameters parameters;
  test::SmallBatch data;
  Stream compute, exchange;
  Pass pass;
};

/// Where this rank holds the element of a parameter at a global index; -1 if it does not.
Size local_index(Parameter const& parameter, Mesh const& mesh, Size global) {
  Box const box = parameter.shard().box(mesh.place());
  Shape const& shape = parameter.shard().global();
  Shape const storage = parameter.shard().local_shape();
  Size offset = 0, rest = global, block = shape.elements();
  for (int d = 0; d < shape.rank(); ++d) {
    block /= shape[d];
    Size const index = rest / block;
    rest %= block;
    if (index < box.begin[d] || index >= box.begin[d] + box.count[d]) return -1;
    offset = offset * storage[d] + index - box.begin[d];
  }
  return offset;
}

void check_against_differences(GptConfig const& config, MeshShape const& shape,
                               PassOptions options) {
  INFO(to_string(shape));
  Fixture fixture{config, shape, options};
  auto const gradients = fixture.gradients();
  Communicator& world = test::runtime().world();
  for (ParameterPlace const& place : fixture.parameters.all()) {
    Parameter& parameter = *place.parameter;
    Size const elements = parameter.shard().global().elements();
    for (Size global : {Size{0}, elements / 3, elements / 2 + 1, elements - 1}) {
      Size const local = local_index(parameter, fixture.mesh, global);
      double* const value = local < 0 ? nullptr : parameter.value().data<double>() + local;
      double const h = 1e-5;
      double difference = 0;
      for (double step : {h, -2 * h}) {
        if (value != nullptr) *value += step;
        difference += (step > 0 ? 1 : -1) * fixture.loss();
      }
      if (value != nullptr) *value += h;
      double const expected = difference / (2 * h);
      // Every holder of the element has the same, complete gradient.
      double const found = local < 0 ? -1e300
                                     : gradients[static_cast<std::size_t>(parameter.index())]
                                                [static_cast<std::size_t>(local)];
      double const largest = all_reduce_value(found, Reduce::max, world);
      INFO(parameter.name() << " element " << global);
      CHECK(std::abs(largest - expected) <= 1e-6 * std::max(1.0, std::abs(expected)));
      if (local >= 0) CHECK(found == largest);
    }
  }
}

TEST_CASE("gradients of a Gpt equal central differences on every mesh") {
  GptConfig const config{
      .layers = 2, .hidden = 24, .heads = 12, .ffn = 36, .vocabulary = 29, .sequence = 7};
  for (MeshShape const& shape : test::promised_meshes(test::runtime().size())) {
    if (shape.dp > 1) continue;  // one replica's batch is the whole batch here
    for (Regather regather : {Regather::yes, Regather::no}) {
      check_against_differences(config, shape,
                                {.dtype = DType::f64, .regather = regather, .dropout = 0.2});
    }
  }
}

TEST_CASE("the same with groups of heads, an untied head and no biases") {
  GptConfig const config{.layers = 1,
                         .hidden = 48,
                         .heads = 24,
                         .groups = 12,
                         .ffn = 12,
                         .vocabulary = 31,
                         .sequence = 8,
                         .bias = ModelBias::no,
                         .head = HeadWeight::own};
  for (MeshShape const& shape : test::promised_meshes(test::runtime().size())) {
    if (shape.dp == 1) check_against_differences(config, shape, {.dtype = DType::f64});
  }
}

}  // namespace
}  // namespace dsr
