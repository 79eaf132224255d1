// SPDX-License-Identifier: Apache-2.0
#pragma once
/// The library's own kernels, as ops reach them, each with the bytes that it has to move at least:
/// every operand once, twice if it is read and written.
///
///     kernels.push_back({"add", 6 * elements, [=, &stream](Size call) {
///                          Operands const& of = in_turn(sets, call);
///                          add(of[0], of[1], of[2], stream);
///                        }});
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "benchmarks/kernels/memory.hpp"

namespace benchmark {

/// memory: its time should be that of its bytes. latency: too small to be judged by bytes.
enum class Bound { memory, latency };

struct Kernel {
  std::string name;
  double bytes;
  std::function<void(dsr::Size call)> call;
  Bound bound = Bound::memory;
  /// Sets what must not be random, after all memory has been filled anew.
  std::function<void()> prepare = [] {};
};

struct Sizes {
  dsr::Size rows = 16384, features = 2048;
};

/// The largest operands take this much memory in two sets; those of a copy of 1 GiB among them.
dsr::Size memory_bytes(Sizes const& sizes);

std::vector<Kernel> kernels(Sizes const& sizes, Memory const& memory, dsr::Stream& stream);

}  // namespace benchmark
