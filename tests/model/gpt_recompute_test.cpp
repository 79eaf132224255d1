// SPDX-License-Identifier: Apache-2.0
/// Every Recompute mode gives the bits of Recompute::none, on every mesh and for layers of a user's
/// own, from less saved memory. On CUDA a product may apply GELU before it rounds, and the GELU
/// that selective computes again follows the rounding: its results are near, not equal.
#include <cmath>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "dsr/core/error.hpp"
#include "dsr/model/gpt.hpp"
#include "dsr/ops/algorithms.hpp"
#include "dsr/ops/elementwise.hpp"
#include "dsr/optim/gradients.hpp"
#include "support/catch.hpp"
#include "support/device.hpp"
#include "support/meshes.hpp"
#include "support/on_device.hpp"
#include "support/ranks.hpp"
#include "support/small_batch.hpp"

namespace dsr {
namespace {

constexpr Size kSequences = 2, kTokens = 7, kMicroBatches = 2;

/// On CUDA heads of 16, which cuDNN takes.
GptConfig config() {
  if (test::on_cuda()) {
    return {
        .layers = 3, .hidden = 192, .heads = 12, .ffn = 384, .vocabulary = 61, .sequence = kTokens};
  }
  return {.layers = 3, .hidden = 48, .heads = 12, .ffn = 60, .vocabulary = 61, .sequence = kTokens};
}

/// An FFN of a user's: GELU of its input, which it keeps a view of, and 1 added to the loss.
class OwnFfn : public Layer {
 public:
  void forward(Pass& pass, Tensor x, Tensor y) override {
    gelu(x, {}, y, pass.stream());
    Scratch frame = pass.scratch();
    Tensor const one = frame.take({1}, DType::f64);
    fill(one, 1, pass.stream());
    add(pass.loss(), one, pass.loss(), pass.stream());
    pass.keep(*this, x);
  }
  void backward(Pass& pass, Tensor dy, Tensor dx) override {
    gelu_backward(pass.kept(*this), dy, dx, {}, pass.stream());
  }
  void visit(Visitor&) override {}
};

std::unique_ptr<Layer> own_ffn(int, Mesh const&) { return std::make_unique<OwnFfn>(); }

struct Result {
  double loss = 0;
  std::vector<std::vector<float>> gradients;  // accumulators: f32 on both devices
  Size saved_bytes = 0;
};

Result run(MeshShape const& shape, PassOptions options, FfnFactory const& make_ffn = {}) {
  options.dtype = test::dtype();
  Mesh const mesh{test::runtime(), shape};
  Gpt model{config(), mesh, make_ffn};
  Parameters parameters{model, mesh, {.seed = 3, .dtype = options.dtype}};
  Stream compute{mesh.device()}, exchange{test::runtime().communication_stream()};
  choose_algorithms({.deterministic = Determinism::on}, compute);
  Measured const measured = measure(model, mesh, kSequences, kTokens, options);
  Pass pass{mesh, compute, exchange, measured.arenas, options};
  parameters.zero_gradients(compute);
  fill(pass.loss(), 0, compute);
  for (unsigned i = 0; i < kMicroBatches; ++i) {
    test::SmallBatch data{mesh, kSequences, kTokens, config().vocabulary, 7 + i};
    pass.begin(data.batch(), Mode::train, 4);
    model.forward(pass, {}, {});
    model.backward(pass, {}, {});
  }
  GradientReducer reducer{parameters, compute, exchange, ZeroStage::zero};
  reducer.finish();
  compute.synchronize();
  CHECK(pass.high_water() == measured.arenas);
  Result result;
  result.loss = test::values_of<double>(pass.loss())[0];
  result.saved_bytes = measured.arenas.saved_bytes;
  for (ParameterPlace const& place : parameters.all()) {
    result.gradients.push_back(test::values_of<float>(place.parameter->gradient()));
  }
  return result;
}

bool same_bits(std::vector<float> const& a, std::vector<float> const& b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0;
}

void check_same(Result const& found, Result const& expected) {
  CHECK(found.loss == expected.loss);
  REQUIRE(found.gradients.size() == expected.gradients.size());
  for (std::size_t p = 0; p < expected.gradients.size(); ++p) {
    INFO("parameter " << p);
    CHECK(same_bits(found.gradients[p], expected.gradients[p]));
  }
}

/// ‖a − b‖ / ‖b‖.
double distance(std::vector<float> const& a, std::vector<float> const& b) {
  double difference = 0, norm = 1e-30;
  for (std::size_t i = 0; i < a.size(); ++i) {
    difference += std::pow(static_cast<double>(a[i]) - b[i], 2);
    norm += std::pow(static_cast<double>(b[i]), 2);
  }
  return std::sqrt(difference / norm);
}

void check_selective(Result const& found, Result const& expected) {
  if (!test::on_cuda()) return check_same(found, expected);
  CHECK(found.loss == expected.loss);  // forward is the same
  for (std::size_t p = 0; p < expected.gradients.size(); ++p) {
    INFO("parameter " << p);
    CHECK(distance(found.gradients[p], expected.gradients[p]) < 2e-2);
  }
}

TEST_CASE("loss and gradients are the same bits, whatever is computed again") {
  for (MeshShape const& shape : test::promised_meshes(test::runtime().size())) {
    for (Regather regather : {Regather::yes, Regather::no}) {
      INFO(to_string(shape) << (regather == Regather::yes ? ", regathered" : ", kept"));
      PassOptions options{.regather = regather, .dropout = 0.2};
      Result const none = run(shape, options);
      options.recompute = Recompute::selective;
      Result const selective = run(shape, options);
      options.recompute = Recompute::block;
      Result const block = run(shape, options);
      check_selective(selective, none);
      check_same(block, none);
      CHECK(selective.saved_bytes < none.saved_bytes);
      CHECK(block.saved_bytes < selective.saved_bytes);
    }
  }
}

TEST_CASE("an FFN of the user's sees the same input twice, and its part of the loss counts once") {
  for (MeshShape const& shape : test::promised_meshes(test::runtime().size())) {
    INFO(to_string(shape));
    PassOptions options{.dropout = 0.1};
    Result const none = run(shape, options, own_ffn);
    for (Recompute recompute : {Recompute::selective, Recompute::block}) {
      options.recompute = recompute;
      check_same(run(shape, options, own_ffn), none);
    }
  }
}

TEST_CASE("an evaluation has room, and the same loss") {
  if (test::on_cuda()) return;
  for (MeshShape const& shape : test::promised_meshes(test::runtime().size())) {
    std::vector<double> losses;
    for (Recompute recompute : {Recompute::none, Recompute::selective, Recompute::block}) {
      PassOptions const options{.recompute = recompute};
      Mesh const mesh{test::runtime(), shape};
      Gpt model{config(), mesh};
      Parameters parameters{model, mesh, {.seed = 3}};
      Stream compute{kCpu}, exchange{test::runtime().communication_stream()};
      ArenaSizes const sizes = measure(model, mesh, kSequences, kTokens, options).arenas;
      Pass pass{mesh, compute, exchange, sizes, options};
      test::SmallBatch data{mesh, kSequences, kTokens, config().vocabulary};
      fill(pass.loss(), 0, compute);
      pass.begin(data.batch(), Mode::evaluate, 0);
      model.forward(pass, {}, {});
      compute.synchronize();
      losses.push_back(*pass.loss().data<double>());
    }
    CHECK(losses[1] == losses[0]);
    CHECK(losses[2] == losses[0]);
  }
}

}  // namespace
}  // namespace dsr
