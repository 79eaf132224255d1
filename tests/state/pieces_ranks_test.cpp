// SPDX-License-Identifier: Apache-2.0
/// States put together from what ranks store, and taken up on other meshes: against a serial model
/// whose gradients are the same numbers, so that every element must agree bit for bit.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <string>
#include <vector>

#include "dsr/core/bf16.hpp"
#include "dsr/optim/adamw.hpp"
#include "state/global_state.hpp"
#include "state/small_model.hpp"
#include "support/catch.hpp"
#include "support/device.hpp"
#include "support/first_ranks.hpp"
#include "support/meshes.hpp"
#include "support/on_device.hpp"
#include "support/ranks.hpp"

using namespace dsr;

namespace {

struct Case {
  DType dtype = DType::f32;
  ZeroStage zero = ZeroStage::zero;
  std::uint64_t seed = 3;
};

constexpr Size kTokens = 16;

/// Of element `flat` of the global tensor, in a step counted from 1.
double gradient_of(int parameter, std::size_t flat, double step) {
  return std::sin(static_cast<double>(flat) + 7 * step + parameter);
}

/// A whole training state whose gradients are given, not computed.
class Training {
 public:
  Training(Runtime& runtime, MeshShape const& shape, Case const& c)
      : mesh{runtime, shape},
        model_{shape},
        parameters_{model_, mesh, {.seed = c.seed, .dtype = c.dtype, .bucket_bytes = 1500}},
        optimizer_{parameters_, {.weight_decay = 0.1, .zero = c.zero}},
        compute_{mesh.device()},
        exchange_{runtime.communication_stream()},
        reducer_{parameters_, compute_, exchange_, c.zero} {
    optimizer_.visit_state(state);
  }

  /// One of the ranks that share a gradient has all of it, so that sums are exact.
  void step() {
    auto const number = static_cast<double>(optimizer_.steps() + 1);
    reducer_.begin();
    for (Parameter* parameter : model_.in_order()) {
      Shard const& shard = parameter->shard();
      Tensor const gradient = parameter->gradient();
      auto const give = [&]<class T>(T) {
        std::vector<T> values(static_cast<std::size_t>(gradient.elements()));
        if (mesh.place_in(parameter->traits().partial_over) == 0) {
          Box const box = shard.box(mesh.place());
          test::for_each_held(shard, box, [&](std::size_t local, std::size_t flat) {
            values[local] = static_cast<T>(gradient_of(parameter->index(), flat, number));
          });
        }
        test::set_values(gradient, values);
      };
      if (gradient.dtype() == DType::f64)
        give(double{});
      else
        give(float{});
    }
    reducer_.finish();
    optimizer_.step(kTokens, 0.01, compute_, exchange_);
    compute_.synchronize();
  }

  void load(test::GlobalState const& whole) {
    test::load(whole, state, mesh);
    optimizer_.after_load(compute_, exchange_);
    compute_.synchronize();
  }
  test::GlobalState saved() const { return test::saved(state, mesh); }
  Parameters const& parameters() const { return parameters_; }

  Mesh mesh;
  State state;

 private:
  test::SmallModel model_;
  Parameters parameters_;
  AdamW optimizer_;
  Stream compute_, exchange_;
  GradientReducer reducer_;
};

std::vector<DType> dtypes() {
  return test::on_cuda() ? std::vector{DType::bf16}
                         : std::vector{DType::f32, DType::f64, DType::bf16};
}

test::GlobalState train(Runtime& runtime, MeshShape const& shape, Case const& c) {
  Training run{runtime, shape, c};
  for (int i = 0; i < 3; ++i) run.step();
  return run.saved();
}

/// As one rank has it, on all ranks.
test::GlobalState train_alone(DType dtype) {
  test::GlobalState whole;
  test::on_first_ranks(1, [&](Runtime& runtime) { whole = train(runtime, {}, {.dtype = dtype}); });
  return test::broadcast(whole, test::runtime().world());
}

/// What loading promises for the values that layers read: masters, rounded.
Size wrong_values(Parameters const& parameters, Mesh const& mesh, test::GlobalState const& whole) {
  Size wrong = 0;
  for (ParameterPlace const& place : parameters.all()) {
    Parameter const& parameter = *place.parameter;
    Shard const& shard = parameter.shard();
    std::string const& bytes = whole.tensors.at("model/" + parameter.name()).bytes;
    std::vector<Bf16> const values = test::values_of<Bf16>(parameter.value());
    test::for_each_held(shard, shard.box(mesh.place()), [&](std::size_t local, std::size_t flat) {
      float master = 0;
      std::memcpy(&master, bytes.data() + flat * sizeof master, sizeof master);
      wrong += !(values[local] == Bf16{master});
    });
  }
  return wrong;
}

/// One run saves after three steps and goes on; another, of another start, takes the state up.
void check_resumed(MeshShape const& from, Case const& a, MeshShape const& to, Case const& b) {
  INFO(to_string(from) << " to " << to_string(to));
  Communicator& world = test::runtime().world();
  test::GlobalState middle, after;
  test::on_first_ranks(from.ranks(), [&](Runtime& runtime) {
    Training run{runtime, from, a};
    for (int i = 0; i < 3; ++i) run.step();
    middle = run.saved();
    run.step();
    after = run.saved();
  });
  middle = test::broadcast(middle, world);
  after = test::broadcast(after, world);
  test::on_first_ranks(to.ranks(), [&](Runtime& runtime) {
    Training run{runtime, to, b};
    CHECK_FALSE(test::equal(run.saved(), middle));
    run.load(middle);
    CHECK(test::equal(run.saved(), middle));
    if (b.dtype == DType::bf16) CHECK(wrong_values(run.parameters(), run.mesh, middle) == 0);
    run.step();
    CHECK(test::equal(run.saved(), after));
  });
}

}  // namespace

TEST_CASE("what all ranks store together is the serial model's state, bit for bit") {
  for (DType dtype : dtypes()) {
    test::GlobalState const serial = train_alone(dtype);
    CHECK(serial.tensors.size() == 15);
    CHECK(serial.texts.at("optimizer/step") == "applied=3 skipped=0");
    for (MeshShape const& shape : test::promised_meshes(test::runtime().size())) {
      for (ZeroStage zero : {ZeroStage::zero, ZeroStage::one}) {
        test::GlobalState const found =
            train(test::runtime(), shape, {.dtype = dtype, .zero = zero});
        INFO(to_string(shape) << " " << name_of(dtype) << " zero " << static_cast<int>(zero));
        CHECK(test::equal(found, serial));
        for (auto const& [name, tensor] : found.tensors) {
          INFO(name);
          CHECK(std::ranges::count(tensor.written, 1) == std::ssize(tensor.written));
        }
      }
    }
  }
}

TEST_CASE("first moments are the textbook's, at their global places") {
  if (test::on_cuda()) return;
  test::GlobalState const serial = train_alone(DType::f64);
  int index = 0;
  for (std::string const name : {"table", "linear/weight", "linear/bias", "norm", "block"}) {
    std::string const& bytes = serial.tensors.at("optimizer/m/" + name).bytes;
    Size wrong = 0;
    for (std::size_t flat = 0; flat < bytes.size() / sizeof(double); ++flat) {
      double expected = 0, found = 0;
      for (double step : {1.0, 2.0, 3.0})
        expected = 0.9 * expected + 0.1 * gradient_of(index, flat, step) / kTokens;
      std::memcpy(&found, bytes.data() + flat * sizeof found, sizeof found);
      wrong += std::abs(found - expected) > 1e-14;
    }
    INFO(name);
    CHECK(wrong == 0);
    ++index;
  }
}

TEST_CASE("a state saved on one mesh goes on as the same bits on another") {
  std::vector<MeshShape> const shapes{
      {}, {.dp = 2}, {.dp = 3}, {.dp = 2, .row = 2}, {.row = 2, .col = 2}, {.row = 3, .col = 2}};
  for (MeshShape const& from : shapes) {
    for (MeshShape const& to : shapes) {
      // Each pair once: in the smallest world that holds it.
      if (std::max(from.ranks(), to.ranks()) != test::runtime().size()) continue;
      // The stored state is the same for both types: a run may go on in bf16.
      if (!test::on_cuda())
        check_resumed(from, {.dtype = DType::f32}, to, {.dtype = DType::bf16, .seed = 8});
      for (DType dtype : dtypes()) {
        for (ZeroStage zero : {ZeroStage::zero, ZeroStage::one}) {
          ZeroStage const other = zero == ZeroStage::zero ? ZeroStage::one : ZeroStage::zero;
          check_resumed(from, {.dtype = dtype, .zero = zero}, to,
                        {.dtype = dtype, .zero = other, .seed = 8});
        }
      }
    }
  }
}
