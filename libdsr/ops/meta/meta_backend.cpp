// SPDX-License-Identifier: Apache-2.0
/// Computes nothing: operands are checked and work is counted before a backend is called.
#include "libdsr/ops/backend.hpp"

namespace dsr::detail {
namespace {

class MetaBackend final : public Backend {
 public:
  void fill(Tensor, double, Stream&) const override {}
  void copy(Tensor, Tensor, Stream&) const override {}
  void add(Tensor, Tensor, Tensor, Stream&) const override {}
  void scale(Tensor, double, Stream&) const override {}
  void add_bias(Tensor, Tensor, Stream&) const override {}
  void add_bias_gradient(Tensor, Tensor, Stream&) const override {}
  void gelu(Tensor, Tensor, Tensor, Stream&) const override {}
  void gelu_backward(Tensor, Tensor, Tensor, Tensor, Stream&) const override {}
  void dropout(Tensor, DropoutMask const&, Tensor, Stream&) const override {}
  void embedding(Tensor, Tensor, Size, Tensor, Stream&) const override {}
  void embedding_sum(LookUp const&, LookUp const&, Tensor, Stream&) const override {}
  void embedding_backward(Tensor, Size, Tensor, Tensor, Stream&) const override {}
  void matmul(Tensor, Tensor, Tensor, MatmulOptions, Stream&) const override {}
  void residual_moments(Tensor, Tensor, Tensor, Stream&) const override {}
  void merge_moments(Tensor, Size, double, Tensor, Stream&) const override {}
  void normalize(Tensor, Tensor, Tensor, Tensor, Tensor, Stream&) const override {}
  void residual_norm(Tensor, Tensor, Tensor, Tensor, double, Tensor, Tensor,
                     Stream&) const override {}
  void norm_backward_sums(Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor,
                          Stream&) const override {}
  void norm_backward(Tensor, Tensor, Tensor, Tensor, Tensor, Size, Tensor, Tensor,
                     Stream&) const override {}
  void residual_norm_backward(Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor,
                              Stream&) const override {}
  void norm_gelu(Tensor, Tensor, Tensor, double, Tensor, Tensor, Stream&) const override {}
  void norm_gelu_backward(Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor,
                          Stream&) const override {}
  void logits_max(Tensor, Size, Tensor, Stream&) const override {}
  void logits_exp(Tensor, Size, Tensor, Tensor, Size, Tensor, Stream&) const override {}
  void add_cross_entropy(Tensor, Tensor, Tensor, Stream&) const override {}
  void logits_gradient(Tensor, Size, Tensor, Tensor, Size, Stream&) const override {}
  void cross_entropy(Tensor, Size, Tensor, Tensor, Tensor, Stream&) const override {}
  void add_sum_of_squares(Tensor, Tensor, Stream&) const override {}
  void adamw(Tensor, Tensor, Tensor, Tensor, AdamWStep const&, Tensor, Stream&) const override {}
  void attention(Tensor, Tensor, Tensor, Tensor, Stream&) const override {}
  void attention_backward(Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Stream&) const override {}
};

}  // namespace

Backend const& meta_backend() {
  static MetaBackend const instance;
  return instance;
}

}  // namespace dsr::detail
