// SPDX-License-Identifier: Apache-2.0
#include "dsr/ops/cross_entropy.hpp"

#include <string>

#include "libdsr/ops/backend.hpp"
#include "libdsr/ops/check.hpp"

namespace dsr {

using detail::backend;
using detail::Check;
using detail::count;

namespace {

void check_logits(Check const& check, Tensor const& logits, Size valid) {
  check.floating("logits", logits);
  check.tensor(logits.rank() == 2, "logits", logits, "[M, V]");
  check.that(valid >= 0 && valid <= logits.size(1), "valid", std::to_string(valid),
             "0 to " + std::to_string(logits.size(1)));
}

}  // namespace

void logits_max(Tensor logits, Size valid, Tensor top, Stream& stream) {
  Check const check{"logits_max", stream};
  check_logits(check, logits, valid);
  check.exactly("top", top, {logits.size(0)}, accumulator_of(logits.dtype()));
  count(stream, {logits, top});
  backend(stream.device()).logits_max(logits, valid, top, stream);
}

void logits_exp(Tensor logits, Size valid, Tensor top, Tensor targets, Size first, Tensor sums,
                Stream& stream) {
  Check const check{"logits_exp", stream};
  check_logits(check, logits, valid);
  check.exactly("top", top, {logits.size(0)}, accumulator_of(logits.dtype()));
  check.exactly("targets", targets, {logits.size(0)}, DType::i32);
  check.exactly("sums", sums, {logits.size(0), 2}, accumulator_of(logits.dtype()));
  count(stream, {logits, logits, top, targets, sums});
  backend(stream.device()).logits_exp(logits, valid, top, targets, first, sums, stream);
}

void add_cross_entropy(Tensor sums, Tensor targets, Tensor loss, Stream& stream) {
  Check const check{"add_cross_entropy", stream};
  check.floating("sums", sums);
  check.tensor(sums.rank() == 2 && sums.size(1) == 2, "sums", sums, "[M, 2]");
  check.exactly("targets", targets, {sums.size(0)}, DType::i32);
  check.exactly("loss", loss, {1}, DType::f64);
  count(stream, {sums, targets, loss, loss});
  backend(stream.device()).add_cross_entropy(sums, targets, loss, stream);
}

void logits_gradient(Tensor logits, Size valid, Tensor sums, Tensor targets, Size first,
                     Stream& stream) {
  Check const check{"logits_gradient", stream};
  check_logits(check, logits, valid);
  check.exactly("sums", sums, {logits.size(0), 2}, accumulator_of(logits.dtype()));
  check.exactly("targets", targets, {logits.size(0)}, DType::i32);
  count(stream, {logits, logits, sums, targets});
  backend(stream.device()).logits_gradient(logits, valid, sums, targets, first, stream);
}

void cross_entropy(Tensor logits, Size valid, Tensor targets, Tensor sums, Tensor loss,
                   Stream& stream) {
  Check const check{"cross_entropy", stream};
  check_logits(check, logits, valid);
  check.exactly("targets", targets, {logits.size(0)}, DType::i32);
  check.exactly("sums", sums, {logits.size(0), 2}, accumulator_of(logits.dtype()));
  check.exactly("loss", loss, {1}, DType::f64);
  count(stream, {logits, logits, targets, sums, sums, loss, loss});
  backend(stream.device()).cross_entropy(logits, valid, targets, sums, loss, stream);
}

}  // namespace dsr
