// SPDX-License-Identifier: Apache-2.0
#include "dsr/train/replay.hpp"

namespace dsr {

bool Replay::possible(Pass const& pass) {
  return pass.mesh().device().kind == Device::Kind::cuda && pass.mesh().shape().ranks() == 1 &&
         pass.dropout() == 0;
}

void Replay::run(Pass& pass, std::function<void()> const& work) {
  Tensor const& starts = pass.batch().sequence_starts;
  auto const* const first = starts.data<std::int32_t>();
  Key key{pass.batch().tokens.raw(), {first, first + starts.elements()}};
  if (key != key_) {
    graph_ = {};
    key_ = std::move(key);
    return work();
  }
  if (!graph_.captured()) {
    // Layers wait for the exchange stream also where no collective runs: it takes part too.
    graph_.capture(pass.stream(), [&] {
      pass.exchange_after_compute();
      work();
      pass.compute_after_exchange();
    });
  }
  graph_.replay(pass.stream());
}

}  // namespace dsr
