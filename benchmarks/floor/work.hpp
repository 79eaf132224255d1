// SPDX-License-Identifier: Apache-2.0
#pragma once
/// The work of one optimizer step of a GPT, in parts that can be timed alone: matrix products,
/// attention, and bytes that passes bound by memory have to move at least.
#include <dsr/ops/matmul.hpp>
#include <string>
#include <vector>

#include "benchmarks/gpu_train/job.hpp"

namespace benchmark {

/// What follows a product in the step, in its epilogue where that is faster.
enum class After : std::uint8_t { nothing, bias, gelu, gelu_backward };

/// out [m, n] = op(a)·op(b) over k; `calls` of them in a step.
struct Product {
  std::string name;
  dsr::Size m, n, k;
  dsr::MatmulOptions options;
  dsr::DType out;
  dsr::Size calls;
  After after = After::nothing;
  double flops() const {
    return 2.0 * static_cast<double>(m) * static_cast<double>(n) * static_cast<double>(k);
  }
};

struct Traffic {
  std::string name;
  double bytes;  ///< of a step, read and written
};

/// Forward, input gradient and weight gradient of the four products of a block, and of the head in
/// chunks of tokens.
std::vector<Product> products(Job const& job, dsr::Size head_chunk);

/// With each operand read once, each result written once, and everything fused that one row allows.
std::vector<Traffic> traffic(Job const& job);

}  // namespace benchmark
