// SPDX-License-Identifier: Apache-2.0
/// Counts are exact: what Communicators were asked to move, the design's closed forms and `meta`
/// agree, and so do the arenas to the byte.
#include "dsr/model/gpt.hpp"
#include "dsr/ops/elementwise.hpp"
#include "dsr/state/parameters.hpp"
#include "support/catch.hpp"
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
Sent closed_forms(GptConfig const& c, MeshShape const& mesh, Size tokens, Size again, Size chunk) {
  Size const R = mesh.row, C = mesh.col, u = tokens * c.hidden / (R * C), attended = c.hidden;
  Size const qkv = (c.heads + 2 * c.groups_or_heads()) * c.hidden / c.heads, inner = c.inner();
  auto const ring = [](Size n, Size elements) { return 2 * (n - 1) * ceil_div(elements, n); };
  Size const features = 2 * (qkv + attended + inner + inner) + again * (attended + inner);
  Size const norm = 2 * tokens / R * (C - 1) + ring(C, 2 * tokens / R);
  Sent sent;
  sent.row = c.layers * (8 + 2 * again) * (R - 1) * u + 4 * (R - 1) * u;
  sent.col =
      c.layers * (features * (C - 1) * tokens / (R * C) + 2 * norm) + 4 * R * (C - 1) * u + norm;
  for (Size begin = 0; begin < tokens; begin += chunk) {
    Size const part = std::min(chunk, tokens - begin);
    sent.both += ring(R * C, part) + ring(R * C, 2 * part);
  }
  return sent;
}

TEST_CASE("elements sent and arena bytes equal the formula and meta") {
  GptConfig const config{
      .layers = 3, .hidden = 48, .heads = 12, .ffn = 60, .vocabulary = 257, .sequence = 11};
  Size const sequences = 3;
  for (MeshShape const& shape : test::promised_meshes(test::runtime().size())) {
    for (Regather regather : {Regather::yes, Regather::no}) {
      INFO(to_string(shape) << (regather == Regather::yes ? ", regathered" : ", kept"));
      PassOptions const options{.regather = regather, .dropout = 0.1};
      Mesh const mesh{test::runtime(), shape};
      Gpt model{config, mesh};
      Parameters parameters{model, mesh};
      Measured const predicted = measure(model, mesh, sequences, config.sequence, options);
      test::SmallBatch data{mesh, sequences, config.sequence, config.vocabulary};
      Stream compute{kCpu}, exchange{test::runtime().communication_stream()};
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
      Sent const expected =
          closed_forms(config, shape, pass.tokens(), regather == Regather::yes ? 1 : 0,
                       LmHeadOptions{}.chunk_tokens);
      CHECK(mesh[Axis::row].traffic().total().sent == expected.row);
      CHECK(mesh[Axis::col].traffic().total().sent == expected.col);
      CHECK(mesh.over(kModelAxes).traffic().total().sent == expected.both);
    }
  }
}

}  // namespace
}  // namespace dsr
