// SPDX-License-Identifier: Apache-2.0
#pragma once
/// A state of a few floats whose every value follows from the step, for tests of saving: what is
/// loaded shows by itself whether it is whole, and which step it is.
#include <string>
#include <vector>

#include "dsr/checkpoint/checkpointer.hpp"
#include "dsr/mesh/mesh.hpp"
#include "dsr/state/state.hpp"

namespace dsr::test {

/// "model/w" [elements], split over row, "model/b" [2] and the text "trainer/step". small_set.hpp
/// writes the same with functions, for 6 elements. Neither copies nor moves: the state has views.
class SmallState {
 public:
  explicit SmallState(Mesh const& mesh, Size elements = 6)
      : rows_(mesh.shape().row), w_(static_cast<std::size_t>(elements / rows_)), b_(2) {
    first_ = elements / rows_ * mesh.place()[Axis::row];
    state_.add("model/w", Shard{{elements}, {{0, Axis::row}}, mesh.shape()}, view(w_));
    state_.add("model/b", Shard{{2}, {}, mesh.shape()}, view(b_));
    state_.add(
        "trainer/step", [this] { return std::to_string(step_); },
        [this](std::string const& text) { text_ = text; });
  }
  SmallState(SmallState const&) = delete;
  SmallState& operator=(SmallState const&) = delete;

  State& state() { return state_; }
  void become(Size step) {
    step_ = step;
    for (std::size_t i = 0; i < w_.size(); ++i) w_[i] = value(first_ + static_cast<Size>(i));
    for (std::size_t i = 0; i < b_.size(); ++i) b_[i] = value(static_cast<Size>(i));
  }
  /// Whether what was loaded is this step, all of it.
  bool is(Size step) {
    std::vector<float> const w = w_, b = b_;
    become(step);
    return w == w_ && b == b_ && text_ == std::to_string(step);
  }

 private:
  float value(Size i) const { return static_cast<float>(i + step_); }
  static Tensor view(std::vector<float>& values) {
    return Tensor{values.data(), {std::ssize(values)}, DType::f32, kCpu};
  }

  int rows_;
  Size first_ = 0, step_ = 0;
  std::vector<float> w_, b_;
  std::string text_;
  State state_;
};

}  // namespace dsr::test
