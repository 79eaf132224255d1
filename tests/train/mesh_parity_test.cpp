// SPDX-License-Identifier: Apache-2.0
/// The same numbers on every mesh: 20 steps with dropout, accumulation, clipping and decay against
/// the serial run; on CUDA also against the CPU's.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <string>
#include <vector>

#include "dsr/comm/mpi.hpp"
#include "dsr/core/rng.hpp"
#include "dsr/data/loader.hpp"
#include "dsr/model/gpt.hpp"
#include "dsr/ops/algorithms.hpp"
#include "dsr/train/trainer.hpp"
#include "support/catch.hpp"
#include "support/device.hpp"
#include "support/meshes.hpp"
#include "support/on_device.hpp"
#include "support/ranks.hpp"
#include "support/tolerances.hpp"

namespace dsr {
namespace {

// 257 is prime; 3·11 is odd.
constexpr Size kSteps = 20, kBatch = 12, kSequence = 11, kVocabulary = 257;

/// On CUDA heads have the 8 features that cuDNN asks for.
GptConfig config() {
  bool const cuda = test::on_cuda();
  return {.layers = 2,
          .hidden = cuda ? 192 : 48,
          .heads = cuda ? 24 : 12,
          .ffn = cuda ? 384 : 96,
          .vocabulary = kVocabulary,
          .sequence = kSequence};
}

/// Text with structure, so that there is something to learn and gradients are not mere noise.
Tokens tokens() {
  std::vector<std::int32_t> list;
  RandomKey const key = random_key(11, RandomPurpose::user, 0, 0);
  for (std::uint32_t i = 0; i < 4000; ++i) {
    auto const bits = random_bits(key, {i, 0, 0, 0});
    auto const previous = list.empty() ? 0 : list.back();
    bool const follows = bits[0] % 4 != 0;
    list.push_back(follows ? (previous * 5 + 3) % kVocabulary
                           : static_cast<std::int32_t>(bits[1] % kVocabulary));
  }
  return memory_tokens(std::move(list), kVocabulary);
}

struct Case {
  DType dtype = DType::f32;
  ZeroStage zero = ZeroStage::zero;
  Regather regather = Regather::yes;
  Size accumulation = 2;
  Determinism deterministic = Determinism::off;
  Size steps = kSteps;
};

struct Result {
  std::vector<double> losses, norms;
  std::uint64_t weights = 0;  // hash
};

Result train(Runtime& runtime, Mesh const& mesh, Case const& c) {
  Gpt model{config(), mesh};
  Parameters parameters{model, mesh, {.seed = 5, .dtype = c.dtype, .bucket_bytes = 20'000}};
  AdamW optimizer{parameters, {.eps = 1e-8, .weight_decay = 0.1, .clip = 1.0, .zero = c.zero}};
  Loader loader{tokens(),
                mesh,
                {.batch = kBatch,
                 .micro_batch = kBatch / (mesh.size(Axis::dp) * c.accumulation),
                 .sequence = kSequence,
                 .seed = 5}};
  Trainer trainer{runtime,
                  mesh,
                  model,
                  optimizer,
                  loader,
                  {.rate = {.lr = 1e-3, .min_lr = 1e-4, .warmup = 5, .decay_steps = kSteps},
                   .pass = {.dtype = c.dtype, .regather = c.regather, .seed = 5, .dropout = 0.1},
                   .check_every = 5}};
  choose_algorithms({.deterministic = c.deterministic}, trainer.compute());
  Result result;
  for (Size i = 0; i < c.steps; ++i) {
    StepMetrics const m = trainer.step();
    result.losses.push_back(m.loss);
    result.norms.push_back(m.grad_norm);
  }
  result.weights = parameters.hash_values();
  return result;
}

/// A world of this rank alone.
Runtime alone(Device device) {
  return runtime_on(
      MPI_COMM_SELF,
      {.device = device, .threads = test::runtime().threads(), .termination = Termination::off});
}

Result train_alone(Device device, DType dtype) {
  Runtime runtime = alone(device);
  return train(runtime, Mesh{runtime, {}}, {.dtype = dtype});
}

double worst(std::vector<double> const& found, std::vector<double> const& expected) {
  double error = 0;
  for (std::size_t i = 0; i < found.size(); ++i)
    error = std::max(error, std::abs(found[i] / expected[i] - 1));
  return error;
}

void check_close(Result const& found, Result const& expected, test::Tolerance allowed,
                 std::string const& what) {
  double const loss_error = worst(found.losses, expected.losses),
               norm_error = worst(found.norms, expected.norms);
  if (test::on_cuda() && test::runtime().rank() == 0) {
    std::printf("%s: loss %.1e of %.1e, norm %.1e of %.1e\n", what.c_str(), loss_error,
                allowed.loss, norm_error, allowed.norm);
  }
  INFO(what);
  CAPTURE(loss_error, norm_error);
  CHECK(loss_error <= allowed.loss);
  CHECK(norm_error <= allowed.norm);
}

void check_mesh(Mesh const& mesh, Case const& c, Result const& serial) {
  std::string const what = to_string(mesh.shape()) + " " + std::string(name_of(c.dtype)) +
                           " zero " + std::to_string(static_cast<int>(c.zero)) + " regather " +
                           std::to_string(static_cast<int>(c.regather)) + " accumulation " +
                           std::to_string(c.accumulation);
  check_close(train(test::runtime(), mesh, c), serial, test::mesh_tolerance(c.dtype), what);
}

TEST_CASE("initial weights are the same bits on every mesh") {
  Runtime self = alone(kCpu);
  Mesh const serial_mesh{self, {}};
  Gpt serial_model{config(), serial_mesh};
  Parameters serial{serial_model, serial_mesh, {.seed = 5}};
  for (MeshShape const& shape : test::promised_meshes(test::runtime().size())) {
    Mesh const mesh{test::runtime(), shape};
    Gpt model{config(), mesh};
    Parameters parameters{model, mesh, {.seed = 5}};
    for (std::size_t p = 0; p < parameters.all().size(); ++p) {
      Parameter const& mine = *parameters.all()[p].parameter;
      std::vector<float> values = test::values_of<float>(mine.value());
      Tensor whole = serial.all()[p].parameter->value();
      Tensor local{values.data(), mine.value().shape(), DType::f32, kCpu};
      REQUIRE(mine.name() == serial.all()[p].parameter->name());
      Box const box = mine.shard().box(mesh.place());
      // As matrices: all dimensions but the first and the last are whole in every shard of this
      // model.
      auto const as_matrix = [](Tensor t) {
        return t.reshape({t.size(0), t.elements() / t.size(0)});
      };
      bool const last_is_cut = box.count[-1] != mine.shard().global()[-1] && whole.rank() > 1;
      if (last_is_cut) {
        whole = whole.reshape({whole.elements() / whole.size(-1), whole.size(-1)});
        local = local.reshape({local.elements() / local.size(-1), local.size(-1)});
      } else {
        whole = as_matrix(whole);
        local = as_matrix(local);
      }
      Size const rows = box.elements() / (last_is_cut ? box.count[-1] : whole.size(1));
      Size const first_row = box.begin[0] * (whole.size(0) / mine.shard().global()[0]);
      Size const columns = last_is_cut ? box.count[-1] : whole.size(1),
                 first_column = last_is_cut ? box.begin[-1] : 0;
      bool equal = true;
      for (Size r = 0; r < rows; ++r) {
        float const* a = whole.data<float>() + (first_row + r) * whole.size(1) + first_column;
        equal = equal && std::equal(a, a + columns, local.data<float>() + r * local.size(1));
      }
      INFO(mine.name() << " on " << to_string(shape));
      CHECK(equal);
    }
  }
}

std::vector<DType> dtypes() {
  return test::on_cuda() ? std::vector{DType::bf16} : std::vector{DType::f32, DType::f64};
}

TEST_CASE("losses and gradient norms of 20 steps equal the serial run's") {
  for (DType dtype : dtypes()) {
    Result const serial = train_alone(test::runtime().device(), dtype);
    CHECK(serial.losses.back() < serial.losses.front());
    if (test::on_cuda()) {
      check_close(serial, train_alone(kCpu, DType::f32), test::kBf16ToF32, "one rank, CPU in f32");
    }
    for (MeshShape const& shape : test::promised_meshes(test::runtime().size())) {
      Mesh const mesh{test::runtime(), shape};
      for (ZeroStage zero : {ZeroStage::zero, ZeroStage::one}) {
        for (Regather regather : {Regather::yes, Regather::no}) {
          check_mesh(mesh, {.dtype = dtype, .zero = zero, .regather = regather}, serial);
        }
      }
      check_mesh(mesh, {.dtype = dtype, .accumulation = 1}, serial);
    }
  }
}

TEST_CASE("the order of axes changes no number") {
  if (test::runtime().size() != 4) return;
  DType const dtype = dtypes().back();
  Result const serial = train_alone(test::runtime().device(), dtype);
  for (MeshShape const& shape : {MeshShape{.dp = 2, .row = 2, .order = {Axis::row, Axis::dp}},
                                 MeshShape{.row = 2, .col = 2, .order = {Axis::col, Axis::row}}}) {
    check_mesh(Mesh{test::runtime(), shape}, {.dtype = dtype}, serial);
  }
}

TEST_CASE("the same run twice gives the same bits") {
  for (MeshShape const& shape : test::promised_meshes(test::runtime().size())) {
    Mesh const mesh{test::runtime(), shape};
    Case const c{.dtype = test::dtype(),
                 .zero = ZeroStage::one,
                 .deterministic = Determinism::on,
                 .steps = 5};
    Result const a = train(test::runtime(), mesh, c), b = train(test::runtime(), mesh, c);
    INFO(to_string(shape));
    CHECK(a.losses == b.losses);
    CHECK(a.norms == b.norms);
    CHECK(a.weights == b.weights);
  }
}

}  // namespace
}  // namespace dsr
