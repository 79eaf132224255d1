// SPDX-License-Identifier: Apache-2.0
/// The same numbers on every mesh: 20 steps with dropout, accumulation, clipping and decay against
/// the serial run.
#include <algorithm>
#include <cmath>
#include <memory>
#include <string>
#include <vector>

#include "dsr/comm/mpi.hpp"
#include "dsr/core/rng.hpp"
#include "dsr/data/loader.hpp"
#include "dsr/model/gpt.hpp"
#include "dsr/train/trainer.hpp"
#include "support/catch.hpp"
#include "support/meshes.hpp"
#include "support/ranks.hpp"

namespace dsr {
namespace {

// 257 is prime; 3·11 is odd.
constexpr Size kSteps = 20, kBatch = 12, kSequence = 11, kVocabulary = 257;

GptConfig config() {
  return {.layers = 2,
          .hidden = 48,
          .heads = 12,
          .ffn = 96,
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
  MeshShape shape = {};
  DType dtype = DType::f32;
  ZeroStage zero = ZeroStage::zero;
  Regather regather = Regather::yes;
  Size accumulation = 2;
};

struct Result {
  std::vector<double> losses, norms;
};

/// Trains on a mesh over `parent`.
Result train(Communicator const& parent, Case const& c) {
  Mesh const mesh{parent, c.shape};
  Gpt model{config(), mesh};
  Parameters parameters{model, mesh, {.seed = 5, .dtype = c.dtype, .bucket_bytes = 20'000}};
  AdamW optimizer{parameters, {.eps = 1e-8, .weight_decay = 0.1, .clip = 1.0, .zero = c.zero}};
  Loader loader{tokens(),
                mesh,
                {.batch = kBatch,
                 .micro_batch = kBatch / (c.shape.dp * c.accumulation),
                 .sequence = kSequence,
                 .seed = 5}};
  Trainer trainer{test::runtime(),
                  mesh,
                  model,
                  optimizer,
                  loader,
                  {.rate = {.lr = 1e-3, .min_lr = 1e-4, .warmup = 5, .decay_steps = kSteps},
                   .pass = {.dtype = c.dtype, .regather = c.regather, .seed = 5, .dropout = 0.1},
                   .check_every = 5}};
  Result result;
  for (Size i = 0; i < kSteps; ++i) {
    StepMetrics const m = trainer.step();
    result.losses.push_back(m.loss);
    result.norms.push_back(m.grad_norm);
  }
  return result;
}

Communicator& alone() {
  static Communicator self = communicator(MPI_COMM_SELF, "self");
  return self;
}

double worst(std::vector<double> const& found, std::vector<double> const& expected) {
  double error = 0;
  for (std::size_t i = 0; i < found.size(); ++i)
    error = std::max(error, std::abs(found[i] / expected[i] - 1));
  return error;
}

void check_equal(Case const& c, Result const& serial) {
  Result const found = train(test::runtime().world(), c);
  bool const f64 = c.dtype == DType::f64;
  double const loss_error = worst(found.losses, serial.losses),
               norm_error = worst(found.norms, serial.norms);
  INFO(to_string(c.shape) << " " << name_of(c.dtype) << " zero " << static_cast<int>(c.zero)
                          << " regather " << static_cast<int>(c.regather) << " accumulation "
                          << c.accumulation);
  CAPTURE(loss_error, norm_error);
  CHECK(loss_error <= (f64 ? 1e-11 : 1e-6));
  CHECK(norm_error <= (f64 ? 1e-11 : 3e-6));
}

TEST_CASE("initial weights are the same bits on every mesh") {
  Mesh const serial_mesh{alone(), {}};
  Gpt serial_model{config(), serial_mesh};
  Parameters serial{serial_model, serial_mesh, {.seed = 5}};
  for (MeshShape const& shape : test::promised_meshes(test::runtime().size())) {
    Mesh const mesh{test::runtime(), shape};
    Gpt model{config(), mesh};
    Parameters parameters{model, mesh, {.seed = 5}};
    for (std::size_t p = 0; p < parameters.all().size(); ++p) {
      Parameter const& mine = *parameters.all()[p].parameter;
      Tensor whole = serial.all()[p].parameter->value(), local = mine.value();
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

TEST_CASE("losses and gradient norms of 20 steps equal the serial run's") {
  for (DType dtype : {DType::f32, DType::f64}) {
    Result const serial = train(alone(), {.dtype = dtype});
    CHECK(serial.losses.back() < serial.losses.front());
    for (MeshShape const& shape : test::promised_meshes(test::runtime().size())) {
      for (ZeroStage zero : {ZeroStage::zero, ZeroStage::one}) {
        for (Regather regather : {Regather::yes, Regather::no}) {
          check_equal({.shape = shape, .dtype = dtype, .zero = zero, .regather = regather}, serial);
        }
      }
      check_equal({.shape = shape, .dtype = dtype, .accumulation = 1}, serial);
    }
  }
}

TEST_CASE("the order of axes changes no number") {
  if (test::runtime().size() != 4) return;
  Result const serial = train(alone(), {.dtype = DType::f64});
  check_equal({.shape = {.dp = 2, .row = 2, .order = {Axis::row, Axis::dp}}, .dtype = DType::f64},
              serial);
  check_equal({.shape = {.row = 2, .col = 2, .order = {Axis::col, Axis::row}}, .dtype = DType::f64},
              serial);
}

TEST_CASE("the same run twice gives the same bits") {
  for (MeshShape const& shape : test::promised_meshes(test::runtime().size())) {
    Result const a = train(test::runtime().world(), {.shape = shape, .zero = ZeroStage::one});
    Result const b = train(test::runtime().world(), {.shape = shape, .zero = ZeroStage::one});
    CHECK(a.losses == b.losses);
    CHECK(a.norms == b.norms);
  }
}

}  // namespace
}  // namespace dsr
