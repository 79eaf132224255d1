// SPDX-License-Identifier: Apache-2.0
/// A layer of your own inside dsr's Gpt: an FFN with squared ReLU (So et al. 2021,
/// arXiv:2109.08668) instead of GELU. It runs on any mesh, since its matrices are Linear2D and the
/// rest is elementwise.
///
///     mpirun -np 4 --bind-to none build/release/examples/02_custom_layer README.md
#include <algorithm>
#include <dsr/dsr.hpp>
#include <iostream>
#include <memory>
#include <string>

namespace {

/// y = down(relu(up(x))²); x, y [T/R, H/C].
class SquaredReluFfn : public dsr::Layer {
 public:
  SquaredReluFfn(dsr::Size hidden, dsr::Size inner, dsr::Mesh const& mesh)
      : local_inner_(inner / mesh.size(dsr::kModelAxes)),
        up_(dsr::Direction::to_inner, {inner, hidden}, mesh),
        down_(dsr::Direction::to_residual, {hidden, inner}, mesh) {}

  void forward(dsr::Pass& pass, dsr::Tensor x, dsr::Tensor y) override {
    // What backward reads lives in saved memory; a layer's input stays valid by itself.
    dsr::Tensor const h = pass.make_saved({pass.tokens(), local_inner_});
    dsr::Tensor const active = pass.make_saved(h.shape());
    up_.forward(pass, x, h);
    pass.stream().run([h, active] {
      for (dsr::Size i = 0; i < h.elements(); ++i) {
        float const positive = std::max(h.data<float>()[i], 0.0F);
        active.data<float>()[i] = positive * positive;
      }
    });
    pass.keep(*this, h);
    down_.forward(pass, active, y);
  }

  void backward(dsr::Pass& pass, dsr::Tensor dy, dsr::Tensor dx) override {
    // Everything in the reverse order of forward.
    auto frame = pass.scratch();
    dsr::Tensor const dh = frame.take({pass.tokens(), local_inner_}, pass.dtype());
    down_.backward(pass, dy, dh);
    dsr::Tensor const h = pass.kept(*this);
    pass.stream().run([h, dh] {
      for (dsr::Size i = 0; i < h.elements(); ++i) {
        dh.data<float>()[i] *= 2 * std::max(h.data<float>()[i], 0.0F);
      }
    });
    up_.backward(pass, dh, dx);
  }

  void visit(dsr::Visitor& visitor) override {
    visitor.child("up", up_);
    visitor.child("down", down_);
  }

 private:
  dsr::Size local_inner_;
  dsr::Linear2D up_, down_;
};

/// Two rows if the ranks allow it, the rest data parallel.
dsr::MeshShape shape_for(int ranks) {
  return ranks % 2 == 0 ? dsr::MeshShape{.dp = ranks / 2, .row = 2} : dsr::MeshShape{.dp = ranks};
}

}  // namespace

int main(int argc, char** argv) {
  dsr::Runtime runtime{argc, argv};
  if (argc != 2)
    throw dsr::UsageError(dsr::problem("02_custom_layer", "no text file", "02_custom_layer FILE"));
  dsr::Tokens tokens;
  dsr::agree(runtime.world(), [&] { tokens = dsr::open_tokens(argv[1], dsr::TokenFormat::text); });

  dsr::Mesh const mesh{runtime, shape_for(runtime.size())};
  dsr::GptConfig const config{.layers = 2, .hidden = 64, .heads = 4, .sequence = 32};
  dsr::Gpt model{config, mesh, [&](int /*number*/, dsr::Mesh const& m) {
                   return std::make_unique<SquaredReluFfn>(config.hidden, config.inner(), m);
                 }};
  dsr::Parameters parameters{model, mesh};
  dsr::AdamW optimizer{parameters, {.weight_decay = 0.1, .clip = 1.0}};
  dsr::Loader loader{
      tokens,
      mesh,
      {.batch = 4 * mesh.size(dsr::Axis::dp), .micro_batch = 4, .sequence = config.sequence}};
  dsr::Trainer trainer{runtime,   mesh,   model,
                       optimizer, loader, {.rate = {.lr = 3e-3, .warmup = 10}}};
  dsr::report_to(trainer, runtime, 100, nullptr);
  trainer.run_to(100);
}
