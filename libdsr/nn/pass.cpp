// SPDX-License-Identifier: Apache-2.0
#include "dsr/nn/pass.hpp"

#include <cstring>

#include "dsr/core/error.hpp"
#include "dsr/core/transfer.hpp"

namespace dsr {

Pass::Pass(Mesh const& mesh, Stream& compute, Stream& exchange, ArenaSizes sizes,
           PassOptions options)
    : mesh_(&mesh),
      compute_(&compute),
      exchange_(&exchange),
      options_(options),
      saved_(sizes.saved_bytes, compute.device()),
      scratch_(sizes.scratch_bytes, compute.device()),
      loss_arena_(2 * kAlignment_bytes, compute.device()),
      loss_(loss_arena_.take({1}, DType::f64)),
      loss_again_(loss_arena_.take({1}, DType::f64)) {
  if (mesh.device() != compute.device()) {
    throw InvalidArgument(problem("pass",
                                  "a compute stream on " + to_string(compute.device()) +
                                      " and a mesh on " + to_string(mesh.device()),
                                  "one device"));
  }
}

void Pass::begin(Batch const& batch, Mode mode, Size step) {
  batch_ = compute_->device().kind == Device::Kind::cuda ? on_device(batch) : batch;
  mode_ = mode;
  step_ = step;
  kept_.clear();
  remade_ = {};
  saved_.release(0);
}

SavedFrame::SavedFrame(Pass& pass, Turn turn)
    : pass_(&pass),
      mark_(pass.saved_.used_bytes()),
      views_(pass.kept_.size()),
      loss_(pass.loss_),
      remade_(pass.remade_) {
  if (turn == Turn::again) pass.loss_ = pass.loss_again_;
}

SavedFrame::~SavedFrame() {
  pass_->loss_ = loss_;
  pass_->remade_ = remade_;
  while (pass_->kept_.size() > views_) pass_->kept_.pop_back();
  pass_->saved_.release(mark_);
}

Tensor Pass::make_remade(Remade what, Shape const& shape) {
  if (!remakes()) return make_saved(shape);
  Tensor& place = remade_[static_cast<std::size_t>(what)];
  // Layers of other sizes may follow; views of a smaller place stay valid.
  if (!place.defined() || place.elements() < shape.elements()) place = make_saved(shape);
  return place.reshape({place.elements()}).slice(0, 0, shape.elements()).reshape(shape);
}

/// Two stagings take turns, so that the host may prepare the next batch while one is still on its
/// way.
Batch Pass::on_device(Batch const& batch) {
  Tensor Batch::*const parts[] = {&Batch::tokens, &Batch::targets, &Batch::positions,
                                  &Batch::ordinals};
  Size const each = round_up(batch.tokens.bytes(), kAlignment_bytes),
             all = each * std::ssize(parts);
  Staging& staging = staging_[next_staging_];
  next_staging_ = (next_staging_ + 1) % staging_.size();
  staging.sent.synchronize();
  if (staging.host.bytes() < all) staging.host = Buffer::pinned(all);
  if (batch_memory_.bytes() < all) {
    compute_->synchronize();  // nothing reads the old memory any more
    batch_memory_ = Buffer{all, compute_->device()};
  }
  Batch moved = batch;
  Size at = 0;
  for (auto part : parts) {
    Tensor const& source = batch.*part;
    auto const place = [&](Buffer const& buffer) {
      return static_cast<std::byte*>(buffer.data()) + at;
    };
    Tensor const host{place(staging.host), source.shape(), source.dtype(), kCpu};
    std::memcpy(host.raw(), source.raw(), static_cast<std::size_t>(source.bytes()));
    moved.*part = Tensor{place(batch_memory_), source.shape(), source.dtype(), compute_->device()};
    transfer(host, moved.*part, *compute_);
    at += each;
  }
  staging.sent = compute_->record();
  return moved;
}

RandomKey Pass::random(RandomPurpose purpose, std::uint64_t site) const {
  return random_key(options_.seed, purpose, site, static_cast<std::uint64_t>(step_));
}

void Pass::keep(Layer const& layer, Tensor view) {
  if (mode_ == Mode::train) kept_.push_back({&layer, view});
}

Tensor Pass::kept(Layer const& layer) {
  if (kept_.empty() || kept_.back().layer != &layer) {
    throw InvalidArgument(problem("pass",
                                  kept_.empty()
                                      ? "a layer asks for a view, and none is kept"
                                      : "a layer asks for a view that another layer kept last",
                                  "backward in the exact reverse of forward, in Mode::train"));
  }
  Tensor const view = kept_.back().view;
  kept_.pop_back();
  return view;
}

Tensor Pass::seen(Layer const& layer, int before) const {
  for (auto kept = kept_.rbegin(); kept != kept_.rend(); ++kept) {
    if (kept->layer == &layer && before-- == 0) return kept->view;
  }
  throw InvalidArgument(problem("pass", "a layer looks for a view that it has not kept",
                                "views of the same micro-batch, in Mode::train"));
}

MetaBatch meta_batch(Mesh const& mesh, Size sequences, Size sequence_tokens) {
  Size const tokens = round_up(sequences * sequence_tokens, mesh.size(Axis::row));
  MetaBatch meta;
  for (Size b = 0; b <= sequences; ++b)
    meta.starts.push_back(static_cast<std::int32_t>(b * sequence_tokens));
  // Of these only the shapes are read: any address will do for what is never touched.
  Tensor const nowhere{meta.starts.data(), {tokens}, DType::i32, kMeta};
  meta.batch = {.tokens = nowhere,
                .targets = nowhere,
                .positions = nowhere,
                .ordinals = nowhere,
                .sequence_starts = Tensor{meta.starts.data(), {sequences + 1}, DType::i32, kCpu},
                .counted = sequences * sequence_tokens};
  return meta;
}

}  // namespace dsr
