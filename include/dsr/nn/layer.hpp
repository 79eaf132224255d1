// SPDX-License-Identifier: Apache-2.0
#pragma once
/// Layer: what a model is made of, and what users derive from. A model is a Layer too.
///
///     class Relu : public dsr::Layer {
///       void forward(dsr::Pass& pass, dsr::Tensor x, dsr::Tensor y) override {
///         …; pass.keep(*this, x);
///       }
///       void backward(dsr::Pass& pass, dsr::Tensor dy, dsr::Tensor dx) override {
///         x = pass.kept(*this); …
///       }
///       void visit(dsr::Visitor&) override {}
///     };
///
/// Contract. The caller allocates y and dx. What forward was given as x stays unchanged until the
/// same layer's backward has run, or is written again before it (Recompute), so a layer keeps
/// views, not copies; memory for inner results that backward reads comes from Pass::make_saved,
/// other memory from Pass::scratch. forward calls run in one order and backward calls in the exact
/// reverse. backward overwrites dx and adds into gradients; it reduces nothing over dp.
#include "dsr/core/tensor.hpp"
#include "dsr/state/visitor.hpp"

namespace dsr {

class Pass;

/// Neither copies nor moves: Parameters points into it.
class Layer : public Visitable {
 public:
  Layer() = default;
  Layer(Layer const&) = delete;
  Layer& operator=(Layer const&) = delete;
  virtual void forward(Pass& pass, Tensor x, Tensor y) = 0;
  virtual void backward(Pass& pass, Tensor dy, Tensor dx) = 0;
};

}  // namespace dsr
