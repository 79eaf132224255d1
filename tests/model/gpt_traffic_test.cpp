// SPDX-License-Identifier: Apache-2.0
/// Counts are exact: what Communicators were asked to move, the design's closed forms and `meta`
/// agree, and so do the arenas to the byte.
#include "dsr/model/gpt.hpp"
#include "dsr/ops/elementwise.hpp"
#include "dsr/state/parameters.hpp"
#include "support/catch.hpp"
#include "support/device.hpp"
#include "support/meshes.hpp"
#include "support/ranks.hpp"
#include "support/small_batch.hpp"

namespace dsr {
namespace {

struct Sent {
  Size row = 0, col = 0, both = 0;
};

/// closed_forms of the design's executable specification, for one micro-batch of a Gpt with a head
/// that computes its gradient in forward (so its input is gathered once, whatever `again` says).
/// Recompute::block repeats forward's exchanges of every block: of the four products (over row one
/// u each, over col their features) and of the two norms' moments.
Sent closed_forms(GptConfig const& c, MeshShape const& mesh, Size tokens, PassOptions options,
                  Size chunk) {
  Size const again = options.regather == Regather::yes ? 1 : 0,
             forwards = options.recompute == Recompute::block ? 2 : 1;
  Size const R = mesh.row, C = mesh.col, u = tokens * c.hidden / (R * C), attended = c.hidden;
  Size const qkv = (c.heads + 2 * c.groups_or_heads()) * c.hidden / c.heads, inner = c.inner();
  auto const ring = [](Size n, Size elements) { return 2 * (n - 1) * ceil_div(elements, n); };
  Size const features =
      (forwards + 1) * (qkv + attended + inner + inner) + again * (attended + inner);
  Size const moments = 2 * tokens / R * (C - 1), norm = moments + ring(C, 2 * tokens / R);
  Sent sent;
  sent.row = c.layers * (4 * (forwards + 1) + 2 * again) * (R - 1) * u + 4 * (R - 1) * u;
  sent.col =
      c.layers * (features * (C - 1) * tokens / (R * C) + 2 * norm + 2 * (forwards - 1) * moments) +
      4 * R * (C - 1) * u + norm;
  for (Size begin = 0; begin < tokens; begin += chunk) {
    Size const part = std::min(chunk, tokens - begin);
    sent.both += ring(R * C, part) + ring(R * C, 2 * part);
  }
  return sent;
}

constexpr Size kSequences = 3;

/// On CUDA heads have the 8 features that cuDNN asks for.
GptConfig config() {
  bool const cuda = test::on_cuda();
  return {.layers = 3,
          .hidden = cuda ? 192 : 48,
          .heads = cuda ? 24 : 12,
          .ffn = cuda ? 384 : 60,
          .vocabulary = 257,
          .sequence = 11};
}

void check_counts(Mesh const& mesh, PassOptions const& options) {
  for (AxisSet axes : all_products()) mesh.over(axes).reset_traffic();
  Gpt model{config(), mesh};
  Parameters parameters{model, mesh, {.dtype = test::dtype()}};
  Measured const predicted = measure(model, mesh, kSequences, config().sequence, options);
  test::SmallBatch data{mesh, kSequences, config().sequence, config().vocabulary};
  Stream compute{mesh.device()}, exchange{test::runtime().communication_stream()};
  Pass pass{mesh, compute, exchange, predicted.arenas, options};
  fill(pass.loss(), 0, compute);
  pass.begin(data.batch(), Mode::train, 0);
  model.forward(pass, {}, {});
  model.backward(pass, {}, {});
  compute.synchronize();

  CHECK(pass.high_water() == predicted.arenas);
  CHECK(compute.counted().flops == predicted.work.flops);
  std::size_t used = 0;
  for (AxisSet axes : all_products()) {
    if (mesh.over(axes).traffic().total().calls > 0) ++used;
  }
  CHECK(used == predicted.traffic.size());
  for (auto const& [axes, traffic] : predicted.traffic) {
    INFO(to_string(axes));
    CHECK(mesh.over(axes).traffic() == traffic);
  }
  Sent const expected = closed_forms(config(), mesh.shape(), pass.tokens(), options,
                                     default_chunk_tokens(options.dtype));
  CHECK(mesh[Axis::row].traffic().total().sent == expected.row);
  CHECK(mesh[Axis::col].traffic().total().sent == expected.col);
  CHECK(mesh.over(kModelAxes).traffic().total().sent == expected.both);
}

TEST_CASE("elements sent and arena bytes equal the formula and meta") {
  for (MeshShape const& shape : test::promised_meshes(test::runtime().size())) {
    Mesh const mesh{test::runtime(), shape};
    for (Regather regather : {Regather::yes, Regather::no}) {
      for (Recompute recompute : {Recompute::none, Recompute::selective, Recompute::block}) {
        INFO(to_string(shape) << (regather == Regather::yes ? ", regathered" : ", kept")
                              << ", recompute " << static_cast<int>(recompute));
        check_counts(
            mesh,
            {.dtype = test::dtype(), .regather = regather, .recompute = recompute, .dropout = 0.1});
      }
    }
  }
}

}  // namespace
}  // namespace dsr
