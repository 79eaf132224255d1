// SPDX-License-Identifier: Apache-2.0
/// A Gpt on CUDA in bf16 against the same Gpt on the CPU in f32, from the same rounded weights: loss and every gradient;
/// on one rank, and on meshes of ranks that share a GPU over NCCL.
#include <cmath>
#include <map>
#include <string>
#include <vector>

#include "dsr/comm/collectives.hpp"
#include "dsr/comm/mpi.hpp"
#include "dsr/core/bf16.hpp"
#include "dsr/core/transfer.hpp"
#include "dsr/model/gpt.hpp"
#include "dsr/ops/elementwise.hpp"
#include "dsr/optim/gradients.hpp"
#include "support/catch.hpp"
#include "support/meshes.hpp"
#include "support/ranks.hpp"
#include "support/small_batch.hpp"

namespace dsr {
namespace {

constexpr Size kSequences = 3, kTokens = 64;

GptConfig config() {
  return {.layers = 2,
          .hidden = 192,
          .heads = 12,
          .groups = 12,
          .ffn = 384,
          .vocabulary = 257,
          .sequence = kTokens};
}

struct Result {
  double loss = 0;
  std::map<std::string, std::vector<float>> gradients;  // local
};

std::vector<float> host_copy(Tensor const& x, Stream& stream) {
  std::vector<float> values(static_cast<std::size_t>(x.elements()));
  transfer(x, {values.data(), x.shape(), DType::f32, kCpu}, stream);
  stream.synchronize();
  return values;
}

/// One micro-batch; weights are drawn the same way on both devices and made ten times larger.
Result run(Communicator const& parent, MeshShape const& shape, DType dtype, Stream& compute,
           Stream& exchange) {
  Mesh const mesh{parent, shape};
  Gpt model{config(), mesh};
  Parameters parameters{model, mesh, {.seed = 3, .dtype = dtype}};
  for (FlatBuffer& flat : parameters.flats()) {
    if (flat.decay == Decay::yes) scale(flat.values, 4, compute);
  }
  if (dtype == DType::f32) {
    for (FlatBuffer& flat : parameters.flats()) {
      float* const values = flat.values.data<float>();
      for (Size i = 0; i < flat.values.elements(); ++i)
        values[i] = static_cast<float>(Bf16{values[i]});
    }
  }
  PassOptions const options{.dtype = dtype, .dropout = 0.1};
  Pass pass{mesh, compute, exchange, measure(model, mesh, kSequences, kTokens, options).arenas,
            options};
  test::SmallBatch data{mesh, kSequences, kTokens, config().vocabulary};
  parameters.zero_gradients(compute);
  fill(pass.loss(), 0, compute);
  pass.begin(data.batch(), Mode::train, 1);
  model.forward(pass, {}, {});
  model.backward(pass, {}, {});
  GradientReducer reducer{parameters, compute, exchange, ZeroStage::zero};
  reducer.finish();
  Result result;
  transfer(pass.loss(), {&result.loss, {1}, DType::f64, kCpu}, compute);
  for (ParameterPlace const& place : parameters.all()) {
    result.gradients[place.parameter->name()] = host_copy(place.parameter->gradient(), compute);
  }
  return result;
}

TEST_CASE("loss and gradients of a Gpt on CUDA") {
  Communicator const self = communicator(MPI_COMM_SELF, "self");
  Stream cpu{kCpu}, cpu_exchange{kCpu};
  for (MeshShape const& shape : test::promised_meshes(test::runtime().size())) {
    if (shape.dp > 1) continue;
    INFO(to_string(shape));
    // The CPU's model is whole on each rank; its local blocks are cut out by the shards of the mesh.
    Result const whole = run(self, {}, DType::f32, cpu, cpu_exchange);
    Stream compute{test::runtime().device()}, exchange = test::runtime().communication_stream();
    Result const found = run(test::runtime().world(), shape, DType::bf16, compute, exchange);
    CHECK(found.loss == test::Approx(whole.loss).epsilon(2e-3));
    Mesh const meta{shape, test::runtime().rank()};
    Mesh const serial{MeshShape{}};
    Gpt shards{config(), meta}, serial_model{config(), serial};
    Parameters const local{shards, meta}, global{serial_model, serial};
    for (ParameterPlace const& place : local.all()) {
      Parameter const& parameter = *place.parameter;
      Box const box = parameter.shard().box(meta.place());
      std::vector<float> const& all = whole.gradients.at(parameter.name());
      std::vector<float> const& mine = found.gradients.at(parameter.name());
      double difference = 0, norm = 1e-20;
      Shape const& sizes = parameter.shard().global();
      Shape const storage = parameter.shard().local_shape();
      for (Size i = 0; i < box.elements(); ++i) {
        Size rest = i, at_global = 0, at_local = 0, global_stride = 1, local_stride = 1;
        for (int d = sizes.rank() - 1; d >= 0; --d) {
          Size const index = rest % box.count[d];
          rest /= box.count[d];
          at_global += (box.begin[d] + index) * global_stride;
          at_local += index * local_stride;
          global_stride *= sizes[d];
          local_stride *= storage[d];
        }
        double const expected = static_cast<double>(all[static_cast<std::size_t>(at_global)]);
        difference +=
            std::pow(static_cast<double>(mine[static_cast<std::size_t>(at_local)]) - expected, 2);
        norm += expected * expected;
      }
      // Key biases have a gradient of zero in exact arithmetic, in a third of qkv's bias.
      INFO(parameter.name() << ": " << std::sqrt(difference / norm));
      CHECK(std::sqrt(difference / norm) <= 3e-2);
    }
  }
}

}  // namespace
}  // namespace dsr
