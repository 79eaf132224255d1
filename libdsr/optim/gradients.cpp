// SPDX-License-Identifier: Apache-2.0
#include "dsr/optim/gradients.hpp"

#include <algorithm>

#include "dsr/comm/collectives.hpp"

namespace dsr {

GradientReducer::GradientReducer(Parameters& parameters, Stream& compute, Stream& exchange,
                                 ZeroStage zero)
    : parameters_(&parameters), compute_(&compute), exchange_(&exchange), zero_(zero) {
  // All ranks must issue in one order: that in which backward completes the buckets, which is by
  // the earliest visited parameter, last first.
  std::vector<std::pair<int, BucketNumber>> by_completion;
  for (std::size_t f = 0; f < parameters.flats().size(); ++f) {
    auto const& buckets = parameters.flats()[f].buckets;
    for (std::size_t b = 0; b < buckets.size(); ++b) {
      by_completion.emplace_back(std::ranges::min(buckets[b].parameters), BucketNumber{f, b});
    }
  }
  std::ranges::sort(by_completion, std::ranges::greater{},
                    [](auto const& entry) { return entry.first; });
  for (auto const& entry : by_completion) order_.push_back(entry.second);
  begin();
}

void GradientReducer::begin() {
  uses_left_.clear();
  for (ParameterPlace const& place : parameters_->all())
    uses_left_.push_back(place.parameter->traits().uses);
  next_ = 0;
}

void GradientReducer::added(Parameter& parameter) {
  --uses_left_[static_cast<std::size_t>(parameter.index())];
  while (next_ < order_.size() && complete(order_[next_])) issue(order_[next_++]);
}

void GradientReducer::finish() {
  while (next_ < order_.size()) issue(order_[next_++]);
  compute_->wait(exchange_->record());
}

bool GradientReducer::complete(BucketNumber number) const {
  Bucket const& bucket = parameters_->flats()[number.flat].buckets[number.bucket];
  return std::ranges::all_of(bucket.parameters, [&](int index) {
    return uses_left_[static_cast<std::size_t>(index)] <= 0;
  });
}

void GradientReducer::issue(BucketNumber number) {
  FlatBuffer const& flat = parameters_->flats()[number.flat];
  Communicator& group = parameters_->mesh().over(flat.partial_over);
  if (group.size() == 1) return;
  FlatRange const range = flat.buckets[number.bucket].range;
  Tensor const whole = flat.gradients.slice(0, range.begin, range.end);
  exchange_->wait(compute_->record());
  if (zero_ == ZeroStage::zero) {
    all_reduce(whole, Reduce::sum, group, *exchange_);
  } else {
    FlatRange const mine =
        FlatBuffer::owned(flat.buckets[number.bucket], group.rank(), group.size());
    reduce_scatter(whole, flat.gradients.slice(0, mine.begin, mine.end), group, *exchange_);
  }
}

}  // namespace dsr
