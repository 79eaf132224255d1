// SPDX-License-Identifier: Apache-2.0
#include "dsr/state/state.hpp"

#include <utility>

#include "dsr/core/error.hpp"

namespace dsr {
namespace {

std::string describe(Tensor const& tensor) {
  if (!tensor.defined()) return "an empty tensor";
  return (tensor.contiguous() ? "tensor " : "tensor with gaps ") + to_string(tensor.shape());
}

}  // namespace

void State::add(std::string name, Shard shard, Tensor local) {
  Shape const block = shard.local_shape();
  if (!local.defined() || local.shape() != block || !local.contiguous()) {
    throw InvalidArgument(problem("state \"" + name + "\"", describe(local), to_string(block)));
  }
  FlatRange const all{0, block.elements()};
  Deal const deal{kWorld - shard.cut_over(), all};
  add_part(std::move(name), std::move(shard), deal, all, local.reshape({block.elements()}));
}

void State::add_part(std::string name, Shard shard, Deal deal, FlatRange held, Tensor local) {
  auto const require = [&](bool good, std::string const& found, std::string const& allowed) {
    if (!good) throw InvalidArgument(problem("state \"" + name + "\"", found, allowed));
  };
  FlatRange const all{0, shard.local_shape().elements()};
  AxisSet const both = deal.over & shard.cut_over();
  require(both.empty(), "dealt over " + to_string(both) + ", which cuts it", "one of both");
  require(held.begin >= 0 && held.begin <= held.end && held.end <= all.end,
          "part " + to_string(held), "within " + to_string(all));
  require(local.defined() && local.contiguous() && local.shape() == Shape{held.elements()},
          describe(local), to_string(Shape{held.elements()}));
  require_new(name);
  tensors_.push_back({std::move(name), std::move(shard), deal, held, local});
}

void State::add(std::string name, SaveText save, LoadText load) {
  require_new(name);
  texts_.push_back({std::move(name), std::move(save), std::move(load)});
}

void State::require_new(std::string const& name) {
  if (names_.insert(name).second) return;
  throw InvalidArgument(problem("state \"" + name + "\"", "a name that is taken", "a new name"));
}

}  // namespace dsr
