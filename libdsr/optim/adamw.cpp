// SPDX-License-Identifier: Apache-2.0
#include "dsr/optim/adamw.hpp"

#include <algorithm>
#include <cmath>
#include <string>

#include "dsr/comm/collectives.hpp"
#include "dsr/core/error.hpp"
#include "dsr/core/transfer.hpp"
#include "dsr/ops/elementwise.hpp"
#include "dsr/ops/optimize.hpp"
#include "libdsr/optim/masters.hpp"

namespace dsr {

void AdamWOptions::validate() const {
  auto const require = [](char const* key, double value, char const* allowed, bool const good) {
    if (!good) throw InvalidArgument(problem(key, std::to_string(value), allowed));
  };
  require("train.beta1", beta1, "[0, 1)", beta1 >= 0 && beta1 < 1);
  require("train.beta2", beta2, "[0, 1)", beta2 >= 0 && beta2 < 1);
  require("train.eps", eps, "a number > 0", eps > 0);
  require("train.weight_decay", weight_decay, "a number >= 0", weight_decay >= 0);
  require("train.clip", clip, "a number >= 0", clip >= 0);
}

AdamW::AdamW(Parameters& parameters, AdamWOptions options)
    : parameters_(&parameters), options_(options) {
  options_.validate();
  Mesh const& mesh = parameters.mesh();
  Size elements = 0;
  for (std::size_t f = 0; f < parameters.flats().size(); ++f) {
    FlatBuffer const& flat = parameters.flats()[f];
    Communicator const& group = mesh.over(flat.partial_over);
    if (options_.zero == ZeroStage::zero || group.size() == 1) {
      owned_.push_back({f, kAllBuckets, {0, flat.values.elements()}, {}, {}, {}});
    } else {
      for (std::size_t b = 0; b < flat.buckets.size(); ++b) {
        FlatRange const range = FlatBuffer::owned(flat.buckets[b], group.rank(), group.size());
        owned_.push_back({f, b, range, {}, {}, {}});
      }
    }
  }
  for (Owned const& part : owned_) elements += part.range.elements();
  DType const dtype = accumulator_of(parameters.dtype());
  bool const masters = has_masters();
  Shape const shape{masters ? 3 : 2, elements};
  moments_ = Buffer{shape.elements() * size_of(dtype), mesh.device()};
  norm_ = Buffer{size_of(DType::f64), mesh.device()};
  norm_on_host_ = Buffer::pinned(size_of(DType::f64));
  Tensor const all{moments_.data(), shape, dtype, mesh.device()};
  Size at = 0;
  for (Owned& part : owned_) {
    auto const take = [&](Size which) {
      return all[which].slice(0, at, at + part.range.elements());
    };
    part.m = take(0);
    part.v = take(1);
    if (masters) part.master = take(2);
    at += part.range.elements();
  }
  Stream setup{mesh.device()};
  zero(all, setup);
  setup.synchronize();
  if (masters) start_masters();
}

/// Masters start as the rounded values, so that a run's first weights are the same in both.
void AdamW::start_masters() {
  Stream stream{parameters_->mesh().device()};
  detail::MasterConverter converter;
  for (Owned const& part : owned_) converter.widen(values_of(part), part.master, stream);
}

Tensor AdamW::values_of(Owned const& part) const {
  return parameters_->flats()[part.flat].values.slice(0, part.range.begin, part.range.end);
}

void AdamW::gather(Owned const& part, Stream& compute, Stream& exchange) {
  if (part.bucket == kAllBuckets) return;
  FlatBuffer const& flat = parameters_->flats()[part.flat];
  FlatRange const range = flat.buckets[part.bucket].range;
  exchange.wait(compute.record());
  all_gather(values_of(part), flat.values.slice(0, range.begin, range.end),
             parameters_->mesh().over(flat.partial_over), exchange);
}

Size AdamW::state_bytes() const { return moments_.bytes(); }

/// Each element is counted on the one rank that owns it, whatever part of the buffers a rank
/// updates.
double AdamW::gradient_norm(Size tokens, Stream& compute) {
  Mesh const& mesh = parameters_->mesh();
  Tensor const total{norm_.data(), {1}, DType::f64, mesh.device()};
  fill(total, 0, compute);
  for (FlatBuffer const& flat : parameters_->flats()) {
    Communicator const& group = mesh.over(flat.partial_over);
    if (group.size() == 1) {
      add_sum_of_squares(flat.gradients, total, compute);
      continue;
    }
    for (Bucket const& bucket : flat.buckets) {
      FlatRange const mine = FlatBuffer::owned(bucket, group.rank(), group.size());
      add_sum_of_squares(flat.gradients.slice(0, mine.begin, mine.end), total, compute);
    }
  }
  Tensor const found{norm_on_host_.data(), {1}, DType::f64, kCpu};
  transfer(total, found, compute);
  compute.synchronize();
  double const sum = mesh.device() == kMeta ? 0 : *found.data<double>();
  return std::sqrt(all_reduce_value(sum, Reduce::sum, mesh.over(kWorld))) /
         static_cast<double>(tokens);
}

StepResult AdamW::step(Size tokens, double lr, Stream& compute, Stream& exchange) {
  double const norm = gradient_norm(tokens, compute);
  if (!std::isfinite(norm)) {
    ++skipped_;
    parameters_->zero_gradients(compute);
    return {norm, StepOutcome::skipped_not_finite};
  }
  ++steps_;
  // The same small term as in PyTorch's clip_grad_norm_, so that the factor is never above 1 by
  // rounding.
  double const factor = options_.clip > 0 ? std::min(1.0, options_.clip / (norm + 1e-6)) : 1.0;
  AdamWStep numbers{.lr = lr,
                    .beta1 = options_.beta1,
                    .beta2 = options_.beta2,
                    .eps = options_.eps,
                    .gradient_scale = factor / static_cast<double>(tokens),
                    .number = steps_,
                    .gradient_after = GradientAfter::zero};
  for (Owned const& part : owned_) {
    FlatBuffer const& flat = parameters_->flats()[part.flat];
    auto const mine = [&](Tensor t) { return t.slice(0, part.range.begin, part.range.end); };
    numbers.weight_decay = flat.decay == Decay::yes ? options_.weight_decay : 0;
    bool const masters = part.master.defined();
    adamw(masters ? part.master : mine(flat.values), mine(flat.gradients), part.m, part.v, numbers,
          masters ? mine(flat.values) : Tensor{}, compute);
    if (part.bucket == kAllBuckets) continue;
    // The new weights travel while the next part is updated.
    gather(part, compute, exchange);
    // What other ranks own here holds this rank's parts of sums.
    FlatRange const range = flat.buckets[part.bucket].range;
    zero(flat.gradients.slice(0, range.begin, part.range.begin), compute);
    zero(flat.gradients.slice(0, part.range.end, range.end), compute);
  }
  compute.wait(exchange.record());
  return {norm, StepOutcome::applied};
}

}  // namespace dsr
