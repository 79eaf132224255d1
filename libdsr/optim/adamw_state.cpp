// SPDX-License-Identifier: Apache-2.0
/// What an AdamW saves and loads.
#include <algorithm>
#include <string>

#include "dsr/optim/adamw.hpp"
#include "libdsr/optim/masters.hpp"
#include "libdsr/optim/step_counts.hpp"

namespace dsr {

AdamW::Owned const& AdamW::owned_part(ParameterPlace const& place) const {
  // There is one: the parts cover this rank's share of every bucket.
  return *std::ranges::find_if(owned_, [&](Owned const& part) {
    return part.flat == static_cast<std::size_t>(place.flat) &&
           (part.bucket == kAllBuckets || part.bucket == static_cast<std::size_t>(place.bucket));
  });
}

void AdamW::add_parts(State& state, std::string const& prefix, Tensor Owned::*which) const {
  for (ParameterPlace const& place : parameters_->all()) {
    Owned const& part = owned_part(place);
    FlatRange const held = place.range.common(part.range);
    Tensor const all = part.*which;
    FlatRange const in_part =
        held.elements() > 0 ? held.seen_from(part.range.begin) : FlatRange{0, 0};
    state.add_part(prefix + place.parameter->name(), place.parameter->shard(),
                   parameters_->deal(place), held.seen_from(place.range.begin),
                   all.slice(0, in_part.begin, in_part.end));
  }
}

void AdamW::visit_state(State& state) {
  if (has_masters()) {
    add_parts(state, "model/", &Owned::master);
    parameters_->visit_texts(state);
  } else {
    parameters_->visit_state(state);
  }
  add_parts(state, "optimizer/m/", &Owned::m);
  add_parts(state, "optimizer/v/", &Owned::v);
  state.add(
      "optimizer/step",
      [this] {
        return detail::to_text({steps_, skipped_});
      },
      [this](std::string const& text) {
        detail::StepCounts const counts = detail::parse_step_counts(text);
        steps_ = counts.applied;
        skipped_ = counts.skipped;
      });
}

void AdamW::after_load(Stream& compute, Stream& exchange) {
  if (!has_masters()) return;
  detail::MasterConverter converter;
  for (Owned const& part : owned_) {
    converter.round(part.master, values_of(part), compute);
    gather(part, compute, exchange);
  }
  compute.wait(exchange.record());
}

}  // namespace dsr
