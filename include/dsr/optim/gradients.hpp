// SPDX-License-Identifier: Apache-2.0
#pragma once
/// GradientReducer: adds up the gradients of all ranks that share parameters, bucket by bucket,
/// beside backward.
///
///     GradientReducer reducer{parameters, stream, exchange, ZeroStage::one};
///     reducer.begin();                                             // before the last micro-batch
///     pass.on_gradient([&](Parameter& p) { reducer.added(p); });
///     model.backward(pass, {}, {});
///     reducer.finish();                                            // compute waits for the sums
#include <vector>

#include "dsr/core/stream.hpp"
#include "dsr/state/parameters.hpp"

namespace dsr {

/// zero: every rank holds all sums and all optimizer state. one (ZeRO-1): each rank of a
/// parameter's partial_over group holds an equal part. Source: Rajbhandari et al. 2020,
/// arXiv:1910.02054.
enum class ZeroStage : std::uint8_t { zero = 0, one = 1 };

/// Does not move: passes hold a reference. Parameters and streams must outlive it.
class GradientReducer {
 public:
  GradientReducer(Parameters& parameters, Stream& compute, Stream& exchange, ZeroStage zero);
  GradientReducer(GradientReducer const&) = delete;
  GradientReducer& operator=(GradientReducer const&) = delete;

  /// Starts a reduction: forgets which parameters are complete.
  void begin();
  /// One use of a parameter has added its gradient; reduces its bucket when all of it is complete.
  void added(Parameter& parameter);
  /// Reduces what is left, in bucket order, and makes compute wait. All ranks call it.
  void finish();
  ZeroStage zero() const { return zero_; }

 private:
  struct BucketNumber {
    std::size_t flat, bucket;
  };
  bool complete(BucketNumber number) const;
  void issue(BucketNumber number);

  Parameters* parameters_;
  Stream* compute_;
  Stream* exchange_;
  ZeroStage zero_;
  std::vector<int> uses_left_;       // by parameter
  std::vector<BucketNumber> order_;  // in which all ranks issue
  std::size_t next_ = 0;             // the first bucket of order_ that was not issued
};

}  // namespace dsr
