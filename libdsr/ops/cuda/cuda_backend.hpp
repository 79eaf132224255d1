// SPDX-License-Identifier: Apache-2.0
#pragma once
/// The CUDA backend: bf16 activations, f32 sums. Each family's file calls its kernels or a vendor
/// library.
#include <string>

#include "libdsr/ops/backend.hpp"

namespace dsr::detail {

class CudaBackend final : public Backend {
 public:
  void fill(Tensor x, double value, Stream&) const override;
  void copy(Tensor x, Tensor out, Stream&) const override;
  void add(Tensor a, Tensor b, Tensor out, Stream&) const override;
  void scale(Tensor x, double factor, Stream&) const override;
  void add_bias(Tensor y, Tensor bias, Stream&) const override;
  void add_bias_gradient(Tensor dy, Tensor dbias, Stream&) const override;
  void gelu(Tensor h, Tensor bias, Tensor y, Stream&) const override;
  void gelu_backward(Tensor h, Tensor dy, Tensor dh, Tensor dbias, Stream&) const override;
  void dropout(Tensor x, DropoutMask const& mask, Tensor out, Stream&) const override;

  void embedding(Tensor ids, Tensor table, Size first_row, Tensor out, Stream&) const override;
  void embedding_sum(LookUp const& a, LookUp const& b, Tensor out, Stream&) const override;
  void embedding_backward(Tensor ids, Size first_row, Tensor dx, Tensor dtable,
                          Stream&) const override;

  void matmul(Tensor a, Tensor b, Tensor out, MatmulOptions options, Stream&) const override;
  void matmul_bias(Tensor a, Tensor b, Tensor bias, Tensor out, MatmulOptions options,
                   Stream&) const override;
  void matmul_gelu(Tensor a, Tensor b, Tensor bias, Tensor h, Tensor y, MatmulOptions options,
                   Stream&) const override;
  void matmul_gelu_backward(Tensor a, Tensor b, Tensor h, Tensor dh, Tensor dbias,
                            MatmulOptions options, Stream&) const override;

  void residual_moments(Tensor sum, Tensor branch, Tensor moments, Stream&) const override;
  void merge_moments(Tensor gathered, Size features, double eps, Tensor statistics,
                     Stream&) const override;
  void normalize(Tensor x, Tensor statistics, Tensor gamma, Tensor beta, Tensor y,
                 Stream&) const override;
  void residual_norm(Tensor sum, Tensor branch, Tensor gamma, Tensor beta, double eps,
                     Tensor statistics, Tensor y, Stream&) const override;
  void norm_backward_sums(Tensor dy, Tensor x, Tensor statistics, Tensor gamma, Tensor sums,
                          Tensor dgamma, Tensor dbeta, Stream&) const override;
  void norm_backward(Tensor dy, Tensor x, Tensor statistics, Tensor gamma, Tensor sums,
                     Size features, Tensor dresidual, Tensor dx, Stream&) const override;
  void residual_norm_backward(Tensor dy, Tensor x, Tensor statistics, Tensor gamma,
                              Tensor dresidual, Tensor dx, Tensor dgamma, Tensor dbeta,
                              Stream&) const override;

  void norm_gelu(Tensor x, Tensor gamma, Tensor beta, double eps, Tensor statistics, Tensor y,
                 Stream&) const override;
  void norm_gelu_backward(Tensor dy, Tensor x, Tensor statistics, Tensor gamma, Tensor beta,
                          Tensor dx, Tensor dgamma, Tensor dbeta, Stream&) const override;

  void logits_max(Tensor logits, Size valid, Tensor top, Stream&) const override;
  void logits_exp(Tensor logits, Size valid, Tensor top, Tensor targets, Size first, Tensor sums,
                  Stream&) const override;
  void add_cross_entropy(Tensor sums, Tensor targets, Tensor loss, Stream&) const override;
  void logits_gradient(Tensor logits, Size valid, Tensor sums, Tensor targets, Size first,
                       Stream&) const override;
  void cross_entropy(Tensor logits, Size valid, Tensor targets, Tensor sums, Tensor loss,
                     Stream&) const override;

  void add_sum_of_squares(Tensor x, Tensor total, Stream&) const override;
  void adamw(Tensor value, Tensor gradient, Tensor m, Tensor v, AdamWStep const& step,
             Tensor rounded, Stream&) const override;

  void attention(Tensor qkv, Tensor sequence_starts, Tensor y, Tensor log_sum,
                 Stream&) const override;
  void attention_backward(Tensor qkv, Tensor sequence_starts, Tensor y, Tensor log_sum, Tensor dy,
                          Tensor dqkv, Stream&) const override;

  void choose_algorithms(AlgorithmOptions options, Stream&) const override;
  std::string save_algorithms(Stream&) const override;
  void load_algorithms(std::string const& text, Stream&) const override;
  void follow_algorithms(std::string const& text, Stream&) const override;
};

}  // namespace dsr::detail
