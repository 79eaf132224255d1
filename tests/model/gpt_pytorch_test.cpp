// SPDX-License-Identifier: Apache-2.0
/// A small GPT against PyTorch: loss, gradients, and weights after five AdamW steps, on several
/// meshes, in f32 and f64. PyTorch computed the reference in f64, from weights that f32 holds
/// exactly (pytorch/make_fixture.py).
#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "dsr/comm/collectives.hpp"
#include "dsr/mesh/mesh.hpp"
#include "dsr/model/gpt.hpp"
#include "dsr/ops/elementwise.hpp"
#include "dsr/optim/adamw.hpp"
#include "dsr/optim/gradients.hpp"
#include "model/pytorch/fixture.hpp"
#include "support/catch.hpp"
#include "support/ranks.hpp"

namespace {

using namespace dsr;
using dsr::test::Fixture;
using dsr::test::FixtureTensor;
using dsr::test::runtime;

struct Tolerance {
  double loss, relative;
};
template <class T>
constexpr Tolerance kTolerance = sizeof(T) == 4 ? Tolerance{1e-6, 1e-5} : Tolerance{1e-11, 1e-9};

Fixture const& fixture() {
  static Fixture const loaded{std::string{DSR_FIXTURES_DIR} + "/gpt_small"};
  return loaded;
}

GptConfig config() {
  auto const sizes = fixture().tensor<std::int32_t>("sizes").values;
  return {.layers = sizes[0],
          .hidden = sizes[1],
          .heads = sizes[2],
          .ffn = sizes[3],
          .vocabulary = sizes[4],
          .sequence = sizes[5]};
}

/// This replica's share of the fixture's sequences, dealt in turn: replicas may differ in size.
struct Replica {
  Replica(Mesh const& mesh, Size sequence) {
    auto const all_tokens = fixture().tensor<std::int32_t>("tokens");
    auto const all_targets = fixture().tensor<std::int32_t>("targets");
    for (Size i = mesh.place()[Axis::dp]; i < all_tokens.shape[0]; i += mesh.size(Axis::dp)) {
      for (Size s = 0; s < sequence; ++s) {
        auto const at = static_cast<std::size_t>(i * sequence + s);
        tokens.push_back(all_tokens.values[at]);
        targets.push_back(all_targets.values[at]);
        positions.push_back(static_cast<std::int32_t>(s));
        ordinals.push_back(static_cast<std::int32_t>(i));
      }
      starts.push_back(static_cast<std::int32_t>(tokens.size()));
    }
    for (std::int32_t target : targets) counted += target >= 0 ? 1 : 0;
    sequences = static_cast<Size>(starts.size()) - 1;
    auto const padded =
        static_cast<std::size_t>(round_up(static_cast<Size>(tokens.size()), mesh.size(Axis::row)));
    tokens.resize(padded, -1);
    targets.resize(padded, -1);
    positions.resize(padded, 0);
    ordinals.resize(padded, 0);
  }

  Batch batch() {
    auto const view = [](std::vector<std::int32_t>& v) {
      return Tensor{v.data(), {static_cast<Size>(v.size())}, DType::i32, kCpu};
    };
    return {view(tokens), view(targets), view(positions), view(ordinals), view(starts), counted};
  }

  std::vector<std::int32_t> tokens, targets, positions, ordinals, starts{0};
  Size sequences = 0, counted = 0;
};

/// Calls f(local index, global index) for every element of a parameter that this rank holds;
/// padding is left out.
template <class F>
void for_each_held(Shard const& shard, Place const& place, F&& f) {
  Shape const local = shard.local_shape(), global = shard.global();
  Box const box = shard.box(place);
  for (Size flat = 0; flat < box.elements(); ++flat) {
    Size rest = flat, local_at = 0, global_at = 0, local_step = 1, global_step = 1;
    for (int dim = local.rank() - 1; dim >= 0; --dim) {
      Size const i = rest % box.count[dim];
      rest /= box.count[dim];
      local_at += i * local_step;
      global_at += (box.begin[dim] + i) * global_step;
      local_step *= local[dim];
      global_step *= global[dim];
    }
    f(static_cast<std::size_t>(local_at), static_cast<std::size_t>(global_at));
  }
}

bool is_qkv_bias(std::string const& name) { return name.ends_with("attention/qkv/bias"); }

/// Whether an element of a QKV bias, [G, N/G + 2, D], is of a key.
bool is_key(Shape const& global, std::size_t index) {
  Size const unit = static_cast<Size>(index) / global[2] % global[1];
  return unit == global[1] - 2;
}

/// √Σ(found − wanted)² / √Σ wanted² over the whole tensor, the same on every rank; replicas weigh
/// all elements equally. Key biases, whose gradient is 0 in exact arithmetic, are left out.
template <class T>
double relative_distance(Mesh const& mesh, Parameter const& parameter, Tensor found,
                         FixtureTensor<double> const& wanted) {
  REQUIRE(wanted.shape == parameter.shard().global());
  T const* const values = found.data<T>();
  bool const skip_keys = is_qkv_bias(parameter.name());
  double squares = 0, total = 0;
  for_each_held(parameter.shard(), mesh.place(), [&](std::size_t local, std::size_t global) {
    if (skip_keys && is_key(wanted.shape, global)) return;
    double const difference = static_cast<double>(values[local]) - wanted.values[global];
    squares += difference * difference;
    total += wanted.values[global] * wanted.values[global];
  });
  squares = all_reduce_value(squares, Reduce::sum, runtime().world());
  total = all_reduce_value(total, Reduce::sum, runtime().world());
  return std::sqrt(squares / total);
}

/// ‖gradient of the key biases‖ / ‖gradient of the query biases‖.
template <class T>
double key_over_query(Mesh const& mesh, Parameter const& bias) {
  T const* const values = bias.gradient().data<T>();
  Shape const global_shape = bias.shard().global();
  double keys = 0, queries = 0;
  for_each_held(bias.shard(), mesh.place(), [&](std::size_t local, std::size_t global) {
    double const square = static_cast<double>(values[local]) * static_cast<double>(values[local]);
    Size const unit = static_cast<Size>(global) / global_shape[2] % global_shape[1];
    if (unit == global_shape[1] - 2) keys += square;
    if (unit < global_shape[1] - 2) queries += square;
  });
  keys = all_reduce_value(keys, Reduce::sum, runtime().world());
  queries = all_reduce_value(queries, Reduce::sum, runtime().world());
  return std::sqrt(keys / queries);
}

/// A model on a mesh with the fixture's weights, and what one step needs.
template <class T>
class Trained {
 public:
  Trained(MeshShape shape, ZeroStage zero, Regather regather)
      : mesh_{runtime(), shape},
        model_{config(), mesh_},
        parameters_{model_, mesh_, {.dtype = dtype_of<T>}},
        replica_{mesh_, config().sequence},
        compute_{mesh_.device()},
        exchange_{runtime().communication_stream()},
        options_{.dtype = dtype_of<T>, .regather = regather},
        pass_{mesh_, compute_, exchange_, arenas(), options_},
        reducer_{parameters_, compute_, exchange_, zero},
        optimizer_{parameters_, adamw_options(zero)} {
    pass_.on_gradient([this](Parameter& parameter) { reducer_.added(parameter); });
    auto const mine = static_cast<double>(replica_.counted);
    counted_ = static_cast<Size>(all_reduce_value(mine, Reduce::sum, mesh_[Axis::dp]));
    for (ParameterPlace const& place : parameters_.all()) load(*place.parameter);
  }

  /// Forward and backward; gradients are then the sums over the whole batch. The mean loss.
  double run(Size step) {
    parameters_.zero_gradients(compute_);
    pass_.begin(replica_.batch(), Mode::train, step);
    fill(pass_.loss(), 0, compute_);
    reducer_.begin();
    model_.forward(pass_, {}, {});
    model_.backward(pass_, {}, {});
    reducer_.finish();
    compute_.synchronize();
    double const sum = *pass_.loss().template data<double>();
    return all_reduce_value(sum, Reduce::sum, mesh_[Axis::dp]) / static_cast<double>(counted_);
  }

  StepResult update() {
    double const lr = fixture().tensor<double>("adamw").values[0];
    StepResult const result = optimizer_.step(counted_, lr, compute_, exchange_);
    compute_.synchronize();
    return result;
  }

  /// From gradients of the sum to those of the mean.
  void divide_gradients() {
    for (FlatBuffer& flat : parameters_.flats()) {
      scale(flat.gradients, 1 / static_cast<double>(counted_), compute_);
    }
    compute_.synchronize();
  }

  Mesh const& mesh() const { return mesh_; }
  Parameters const& parameters() const { return parameters_; }

 private:
  ArenaSizes arenas() {
    return measure(model_, mesh_, replica_.sequences, config().sequence, options_).arenas;
  }

  static AdamWOptions adamw_options(ZeroStage zero) {
    auto const numbers = fixture().tensor<double>("adamw").values;
    return {.beta1 = numbers[1],
            .beta2 = numbers[2],
            .eps = numbers[3],
            .weight_decay = numbers[4],
            .clip = 0,
            .zero = zero};
  }

  void load(Parameter& parameter) {
    auto const weight = fixture().tensor<float>("weight/" + parameter.name());
    REQUIRE(weight.shape == parameter.shard().global());
    T* const values = parameter.value().template data<T>();
    for_each_held(parameter.shard(), mesh_.place(), [&](std::size_t local, std::size_t global) {
      values[local] = static_cast<T>(weight.values[global]);
    });
  }

  Mesh mesh_;
  Gpt model_;
  Parameters parameters_;
  Replica replica_;
  Stream compute_, exchange_;
  PassOptions options_;
  Pass pass_;
  GradientReducer reducer_;
  AdamW optimizer_;
  Size counted_ = 0;
};

template <class T>
void check_gradients(Trained<T> const& trained) {
  for (ParameterPlace const& place : trained.parameters().all()) {
    Parameter const& parameter = *place.parameter;
    INFO(parameter.name());
    auto const wanted = fixture().tensor<double>("gradient/" + parameter.name());
    CHECK(relative_distance<T>(trained.mesh(), parameter, parameter.gradient(), wanted) <=
          kTolerance<T>.relative);
    if (is_qkv_bias(parameter.name())) CHECK(key_over_query<T>(trained.mesh(), parameter) <= 1e-5);
  }
}

template <class T>
void check_weights(Trained<T> const& trained) {
  for (ParameterPlace const& place : trained.parameters().all()) {
    Parameter const& parameter = *place.parameter;
    INFO(parameter.name());
    auto const wanted = fixture().tensor<double>("stepped/" + parameter.name());
    CHECK(relative_distance<T>(trained.mesh(), parameter, parameter.value(), wanted) <=
          kTolerance<T>.relative);
  }
}

std::vector<MeshShape> shapes() {
  switch (runtime().size()) {
    case 1:
      return {{}};
    case 2:
      return {{.dp = 2}, {.row = 2}, {.col = 2}};
    case 4:
      return {
          {.dp = 2, .row = 2}, {.dp = 2, .col = 2}, {.row = 2, .col = 2}, {.row = 4}, {.col = 4}};
    default:
      return {};
  }
}

template <class T>
void compare_gradients(MeshShape const& shape, Regather regather) {
  INFO(to_string(shape) << ", regather " << static_cast<int>(regather));
  Trained<T> trained{shape, ZeroStage::zero, regather};
  double const wanted = fixture().tensor<double>("losses").values[0];
  CHECK(std::abs(trained.run(0) / wanted - 1) <= kTolerance<T>.loss);
  trained.divide_gradients();
  check_gradients(trained);
}

template <class T>
void compare_steps(MeshShape const& shape, ZeroStage zero) {
  INFO(to_string(shape) << ", zero " << static_cast<int>(zero));
  Trained<T> trained{shape, zero, Regather::yes};
  auto const losses = fixture().tensor<double>("losses").values;
  for (std::size_t step = 0; step < losses.size(); ++step) {
    CHECK(std::abs(trained.run(static_cast<Size>(step)) / losses[step] - 1) <= kTolerance<T>.loss);
    CHECK(trained.update().outcome == StepOutcome::applied);
  }
  check_weights(trained);
}

template <class T>
void compare() {
  for (MeshShape const& shape : shapes()) {
    for (Regather regather : {Regather::no, Regather::yes}) compare_gradients<T>(shape, regather);
    for (ZeroStage zero : {ZeroStage::zero, ZeroStage::one}) compare_steps<T>(shape, zero);
  }
}

TEST_CASE("a GPT has PyTorch's loss, gradients and weights, in f32") { compare<float>(); }
TEST_CASE("a GPT has PyTorch's loss, gradients and weights, in f64") { compare<double>(); }

TEST_CASE("the comparison covers every parameter, once") {
  Mesh const mesh{MeshShape{}};
  Gpt model{config(), mesh};
  Parameters const parameters{model, mesh};
  Size elements = 0;
  for (ParameterPlace const& place : parameters.all()) {
    elements += fixture().tensor<float>("weight/" + place.parameter->name()).shape.elements();
  }
  // V·H + S·H, 12·H² + 13·H a block (F = 4H), and the last norm.
  GptConfig const c = config();
  CHECK(elements == (c.vocabulary + c.sequence) * c.hidden +
                        c.layers * (12 * c.hidden * c.hidden + 13 * c.hidden) + 2 * c.hidden);
  CHECK(elements == parameters.global_elements());
}

TEST_CASE("the fixture's reader is strict") {
  CHECK_THROWS_AS(fixture().tensor<double>("gradient/nothing"), CorruptData);
  CHECK_THROWS_AS(fixture().tensor<float>("losses"), CorruptData);
  CHECK_THROWS_AS(Fixture{std::string{DSR_FIXTURES_DIR} + "/nothing"}, CorruptData);
}

}  // namespace
