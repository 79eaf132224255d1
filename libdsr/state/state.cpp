// SPDX-License-Identifier: Apache-2.0
#include "dsr/state/state.hpp"

#include <algorithm>
#include <utility>

#include "dsr/core/error.hpp"

namespace dsr {

void State::add(std::string name, Shard shard, Tensor local) {
  require_new(name);
  if (!local.defined() || local.shape() != shard.local_shape()) {
    throw InvalidArgument(
        problem("state \"" + name + "\"",
                local.defined() ? "tensor " + to_string(local.shape()) : "an empty tensor",
                to_string(shard.local_shape())));
  }
  tensors_.push_back({std::move(name), std::move(shard), local});
}

void State::add(std::string name, SaveText save, LoadText load) {
  require_new(name);
  texts_.push_back({std::move(name), std::move(save), std::move(load)});
}

void State::require_new(std::string const& name) const {
  auto taken = [&name](auto const& entry) { return entry.name == name; };
  if (std::any_of(tensors_.begin(), tensors_.end(), taken) ||
      std::any_of(texts_.begin(), texts_.end(), taken)) {
    throw InvalidArgument(problem("state \"" + name + "\"", "a name that is taken", "a new name"));
  }
}

}  // namespace dsr
