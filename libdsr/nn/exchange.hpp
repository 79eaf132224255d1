// SPDX-License-Identifier: Apache-2.0
#pragma once
/// The exchanges of the 2D layers on a pass's exchange stream. A group of one rank moves nothing
/// and makes no copy: then a gather is its input and a scatter's input may be its output.
#include "dsr/comm/collectives.hpp"
#include "dsr/nn/pass.hpp"

namespace dsr::detail {

/// Ranks of an axis.
inline Size ranks(Pass const& pass, AxisSet axes) { return pass.mesh().size(axes); }

/// Issues the gather of x [n, …] to out [n·ranks, …]; compute must wait for the exchange stream
/// before it reads.
inline void issue_gather(Pass& pass, Tensor x, Tensor out, Axis axis) {
  pass.exchange_after_compute();
  all_gather(x, out, pass.mesh()[axis], pass.exchange());
}

/// Issues the scatter of the sums of x [n·ranks, …] to out [n, …]. A rank alone on the axis passes
/// out as x.
inline void issue_scatter(Pass& pass, Tensor x, Tensor out, Axis axis) {
  if (ranks(pass, axis) == 1) return;
  pass.exchange_after_compute();
  reduce_scatter(x, out, pass.mesh()[axis], pass.exchange());
}

/// A gathered tensor and the Event after which it may be read.
struct Gathered {
  Tensor tensor;
  Event ready;
};

/// x [n, …] → [n·ranks, …], in memory that take(shape) gives; x itself if the rank is alone on the
/// axis.
template <class Take>
Gathered gather(Pass& pass, Tensor x, Axis axis, Take&& take) {
  if (ranks(pass, axis) == 1) return {x, {}};
  Tensor const out = take(x.shape().with(0, x.size(0) * ranks(pass, axis)));
  issue_gather(pass, x, out, axis);
  return {out, pass.exchange().record()};
}

}  // namespace dsr::detail
