// SPDX-License-Identifier: Apache-2.0
#pragma once
/// A model without layers: one parameter of every kind that a transformer has, with sizes that
/// nothing divides where padding is allowed.
#include <array>

#include "dsr/state/parameters.hpp"

namespace dsr::test {

class SmallModel final : public Visitable {
 public:
  explicit SmallModel(MeshShape const& mesh)
      : table_({{257, 12}, {{0, kModelAxes, Remainder::pad}}, mesh},
               {.init = normal_init(0.02), .decay = Decay::yes, .uses = 2}),
        weight_({{12, 24}, {{0, Axis::row}, {1, Axis::col}}, mesh},
                {.init = normal_init(0.1), .decay = Decay::yes}),
        bias_({{12}, {{0, kModelAxes}}, mesh}, {}),
        norm_({{12}, {{0, Axis::col}}, mesh},
              {.init = constant_init(1), .partial_over = Axis::dp | Axis::row}),
        block_({{3, 5, 7}, {{1, Axis::row, Remainder::pad}}, mesh},
               {.init = {0.5, 2}, .decay = Decay::yes}) {}

  void visit(Visitor& visitor) override {
    visitor.parameter("table", table_);
    struct Inner final : Visitable {
      explicit Inner(SmallModel& outer) : model(outer) {}
      void visit(Visitor& v) override {
        v.parameter("weight", model.weight_);
        v.parameter("bias", model.bias_);
      }
      SmallModel& model;
    } inner{*this};
    visitor.child("linear", inner);
    visitor.parameter("norm", norm_);
    visitor.parameter("block", block_);
  }

  std::array<Parameter*, 5> in_order() { return {&table_, &weight_, &bias_, &norm_, &block_}; }

 private:
  Parameter table_, weight_, bias_, norm_, block_;
};

}  // namespace dsr::test
