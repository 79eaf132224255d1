// SPDX-License-Identifier: Apache-2.0
#include "dsr/nn/pass.hpp"

namespace dsr {

Measured measure(Layer& model, Mesh const& mesh, Size sequences, Size sequence_tokens,
                 PassOptions options) {
  Mesh const meta = mesh.as_meta();
  Stream compute{kMeta};
  Stream exchange{kMeta, StreamKind::communication};
  Pass pass{meta, compute, exchange, {Arena::kUnbounded, Arena::kUnbounded}, options};
  MetaBatch const batch = meta_batch(meta, sequences, sequence_tokens);
  pass.begin(batch.batch, Mode::train, 0);
  model.forward(pass, {}, {});
  model.backward(pass, {}, {});

  Measured measured{.arenas = pass.high_water(), .work = compute.counted(), .traffic = {}};
  for (AxisSet axes : all_products()) {
    Traffic const traffic = meta.over(axes).traffic();
    if (traffic.total().calls > 0) measured.traffic.emplace_back(axes, traffic);
  }
  return measured;
}

}  // namespace dsr
