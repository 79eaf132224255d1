// SPDX-License-Identifier: Apache-2.0
#include "dsr/state/parameter.hpp"

#include <utility>

#include "dsr/core/error.hpp"

namespace dsr {
namespace {

Tensor const& bound(Tensor const& tensor, Shard const& shard) {
  if (tensor.defined()) return tensor;
  throw InvalidArgument(problem("parameter " + to_string(shard.global()),
                                "used before it was bound",
                                "after a Parameters has been made of its model"));
}

}  // namespace

Parameter::Parameter(Shard shard, ParameterTraits traits)
    : shard_(std::move(shard)), traits_(traits) {
  AxisSet const both = shard_.cut_over() & traits_.partial_over;
  if (!both.empty()) {
    throw InvalidArgument(problem(
        "parameter " + to_string(shard_.global()),
        to_string(both) + " cuts it, and its gradient is partial over the same", "one of both"));
  }
  if (traits_.uses < 1) {
    throw InvalidArgument(problem("parameter " + to_string(shard_.global()),
                                  std::to_string(traits_.uses) + " uses", ">= 1", "1"));
  }
}

Tensor Parameter::value() const { return bound(value_, shard_); }
Tensor Parameter::gradient() const { return bound(gradient_, shard_); }

void Parameter::bind(std::string name, int index, Tensor value, Tensor gradient) {
  name_ = std::move(name);
  index_ = index;
  value_ = value;
  gradient_ = gradient;
}

}  // namespace dsr
