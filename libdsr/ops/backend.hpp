// SPDX-License-Identifier: Apache-2.0
#pragma once
/// The seam between an op's front end and a device: one virtual per op. The front end
/// (libdsr/ops/<family>.cpp) has validated every operand and counted the work; a backend only
/// computes, enqueued on the stream.
///
///     check.same("y", y, h);
///     count(stream, {h, h, y});  backend(stream.device()).gelu(h, bias, y, stream);
#include "dsr/core/device.hpp"
#include "dsr/core/stream.hpp"
#include "dsr/core/tensor.hpp"
#include "dsr/ops/algorithms.hpp"
#include "dsr/ops/elementwise.hpp"
#include "dsr/ops/embedding.hpp"
#include "dsr/ops/matmul.hpp"
#include "dsr/ops/optimize.hpp"

namespace dsr::detail {

/// Stateless, so that any thread may use it. Undefined tensors stand for absent operands.
class Backend {
 public:
  virtual ~Backend() = default;

  virtual void fill(Tensor x, double value, Stream&) const = 0;
  virtual void copy(Tensor x, Tensor out, Stream&) const = 0;
  virtual void add(Tensor a, Tensor b, Tensor out, Stream&) const = 0;
  virtual void scale(Tensor x, double factor, Stream&) const = 0;
  virtual void add_bias(Tensor y, Tensor bias, Stream&) const = 0;
  virtual void add_bias_gradient(Tensor dy, Tensor dbias, Stream&) const = 0;
  virtual void gelu(Tensor h, Tensor bias, Tensor y, Stream&) const = 0;
  virtual void gelu_backward(Tensor h, Tensor dy, Tensor dh, Tensor dbias, Stream&) const = 0;
  virtual void dropout(Tensor x, DropoutMask const& mask, Tensor out, Stream&) const = 0;

  virtual void embedding(Tensor ids, Tensor table, Size first_row, Tensor out, Stream&) const = 0;
  virtual void embedding_sum(LookUp const& a, LookUp const& b, Tensor out, Stream&) const = 0;
  virtual void embedding_backward(Tensor ids, Size first_row, Tensor dx, Tensor dtable,
                                  Stream&) const = 0;

  virtual void matmul(Tensor a, Tensor b, Tensor out, MatmulOptions options, Stream&) const = 0;
  /// A product and what follows it, by default one after the other.
  virtual void matmul_bias(Tensor a, Tensor b, Tensor bias, Tensor out, MatmulOptions options,
                           Stream& stream) const {
    matmul(a, b, out, options, stream);
    add_bias(out, bias, stream);
  }
  virtual void matmul_gelu(Tensor a, Tensor b, Tensor bias, Tensor h, Tensor y,
                           MatmulOptions options, Stream& stream) const {
    matmul(a, b, h, options, stream);
    gelu(h, bias, y, stream);
  }
  virtual void matmul_gelu_backward(Tensor a, Tensor b, Tensor h, Tensor dh, Tensor dbias,
                                    MatmulOptions options, Stream& stream) const {
    matmul(a, b, dh, options, stream);
    gelu_backward(h, dh, dh, dbias, stream);
  }

  virtual void residual_moments(Tensor sum, Tensor branch, Tensor moments, Stream&) const = 0;
  virtual void merge_moments(Tensor gathered, Size features, double eps, Tensor statistics,
                             Stream&) const = 0;
  virtual void normalize(Tensor x, Tensor statistics, Tensor gamma, Tensor beta, Tensor y,
                         Stream&) const = 0;
  virtual void residual_norm(Tensor sum, Tensor branch, Tensor gamma, Tensor beta, double eps,
                             Tensor statistics, Tensor y, Stream&) const = 0;
  virtual void norm_backward_sums(Tensor dy, Tensor x, Tensor statistics, Tensor gamma, Tensor sums,
                                  Tensor dgamma, Tensor dbeta, Stream&) const = 0;
  virtual void norm_backward(Tensor dy, Tensor x, Tensor statistics, Tensor gamma, Tensor sums,
                             Size features, Tensor dresidual, Tensor dx, Stream&) const = 0;
  virtual void residual_norm_backward(Tensor dy, Tensor x, Tensor statistics, Tensor gamma,
                                      Tensor dresidual, Tensor dx, Tensor dgamma, Tensor dbeta,
                                      Stream&) const = 0;

  virtual void norm_gelu(Tensor x, Tensor gamma, Tensor beta, double eps, Tensor statistics,
                         Tensor y, Stream&) const = 0;
  virtual void norm_gelu_backward(Tensor dy, Tensor x, Tensor statistics, Tensor gamma, Tensor beta,
                                  Tensor dx, Tensor dgamma, Tensor dbeta, Stream&) const = 0;

  virtual void logits_max(Tensor logits, Size valid, Tensor top, Stream&) const = 0;
  virtual void logits_exp(Tensor logits, Size valid, Tensor top, Tensor targets, Size first,
                          Tensor sums, Stream&) const = 0;
  virtual void add_cross_entropy(Tensor sums, Tensor targets, Tensor loss, Stream&) const = 0;
  virtual void logits_gradient(Tensor logits, Size valid, Tensor sums, Tensor targets, Size first,
                               Stream&) const = 0;
  virtual void cross_entropy(Tensor logits, Size valid, Tensor targets, Tensor sums, Tensor loss,
                             Stream&) const = 0;

  virtual void add_sum_of_squares(Tensor x, Tensor total, Stream&) const = 0;
  virtual void adamw(Tensor value, Tensor gradient, Tensor m, Tensor v, AdamWStep const& step,
                     Tensor rounded, Stream&) const = 0;

  virtual void attention(Tensor qkv, Tensor sequence_starts, Tensor y, Tensor log_sum,
                         Stream&) const = 0;
  virtual void attention_backward(Tensor qkv, Tensor sequence_starts, Tensor y, Tensor log_sum,
                                  Tensor dy, Tensor dqkv, Stream&) const = 0;

  /// Backends without a choice of algorithms keep none.
  virtual void choose_algorithms(AlgorithmOptions, Stream&) const {}
  virtual std::string save_algorithms(Stream&) const { return {}; }
  virtual void load_algorithms(std::string const&, Stream&) const {}
  virtual void follow_algorithms(std::string const&, Stream&) const {}
};

Backend const& cpu_backend();
Backend const& meta_backend();
/// Throws CudaError in a build without CUDA.
Backend const& cuda_backend();

/// The backend of a stream's device.
inline Backend const& backend(Device device) {
  switch (device.kind) {
    case Device::Kind::cpu:
      return cpu_backend();
    case Device::Kind::cuda:
      return cuda_backend();
    case Device::Kind::meta:
      break;
  }
  return meta_backend();
}

}  // namespace dsr::detail
