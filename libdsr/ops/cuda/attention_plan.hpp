// SPDX-License-Identifier: Apache-2.0
#pragma once
/// cuDNN's fused attention for one layout; behind this header, so that cudnn-frontend stays in one
/// source file.
///
///     AttentionPlan plan{layout, Direction::forward, Determinism::off, cudnn};
///     plan.run(addresses, workspace, cudnn);
#include <memory>

#include "dsr/core/device.hpp"
#include "dsr/core/stream.hpp"
#include "dsr/ops/algorithms.hpp"
#include "libdsr/ops/cuda/attention_calls.hpp"

namespace dsr::detail {

/// A stream's cuDNN handle. Neither copies nor moves.
class Cudnn {
 public:
  explicit Cudnn(Device device);
  ~Cudnn();
  Cudnn(Cudnn const&) = delete;
  Cudnn& operator=(Cudnn const&) = delete;
  /// What is run with it goes to this stream.
  void use(Stream& stream);
  void* handle() const { return handle_; }
  /// Largest head size that cuDNN takes on this GPU.
  Size largest_head() const { return largest_head_; }

 private:
  void* handle_ = nullptr;
  Size largest_head_ = 0;
};

/// bf16, but `sums` f32. The forward pass writes out and sums; the backward pass reads them and
/// dout, writes the rest.
struct AttentionAddresses {
  void *query, *key, *value, *out, *sums;
  void *dout = nullptr, *dquery = nullptr, *dkey = nullptr, *dvalue = nullptr;
};

/// Moves. Made once a layout: that takes about a tenth of a second. Gradients of qkv are laid out
/// as qkv.
class AttentionPlan {
 public:
  enum class Pass : std::uint8_t { forward, backward };

  /// Throws InvalidArgument with cuDNN's reason if it has no plan for the layout.
  AttentionPlan(AttentionLayout const& layout, Pass pass, Determinism deterministic, Cudnn& cudnn);
  ~AttentionPlan();
  AttentionPlan(AttentionPlan&&) noexcept;

  Size workspace_bytes() const { return workspace_bytes_; }
  /// Throws CudaError.
  void run(AttentionAddresses const& at, void* workspace, Cudnn& cudnn) const;

 private:
  struct Graph;
  std::unique_ptr<Graph> graph_;
  Pass pass_;
  Size workspace_bytes_ = 0;
};

}  // namespace dsr::detail
