// SPDX-License-Identifier: Apache-2.0
#pragma once
/// What every rank puts into a collective and must find in its result: small whole numbers, a
/// function of (rank, index), so that sums are exact in any order.
#include <algorithm>
#include <vector>

#include "dsr/comm/collectives.hpp"
#include "dsr/core/transfer.hpp"

namespace benchmark {

inline float input(int rank, dsr::Size i) {
  return static_cast<float>((static_cast<int>(i % 1021) + 37 * rank) % 64);
}

/// What the call of an operation leaves on this rank: in `whole`, or in `part` for reduce_scatter.
inline float expected(dsr::Collective operation, dsr::Communicator const& group, dsr::Size part,
                      dsr::Size i) {
  int const n = group.size();
  switch (operation) {
    case dsr::Collective::all_gather:
      return input(static_cast<int>(i / part), i % part);
    case dsr::Collective::reduce_scatter: {
      float sum = 0;
      for (int rank = 0; rank < n; ++rank) sum += input(rank, group.rank() * part + i);
      return sum;
    }
    case dsr::Collective::all_reduce: {
      float most = 0;
      for (int rank = 0; rank < n; ++rank) most = std::max(most, input(rank, i));
      return most;
    }
    case dsr::Collective::all_to_all:
      return input(static_cast<int>(i / part), group.rank() * part + i % part);
    case dsr::Collective::broadcast:
      return input(0, i);
    default:  // send: from 0 to 1
      return input(group.rank() == 1 ? 0 : group.rank(), i);
  }
}

inline void fill(dsr::Tensor x, int rank, dsr::Stream& stream) {
  std::vector<float> host(static_cast<std::size_t>(x.elements()));
  for (std::size_t i = 0; i < host.size(); ++i) host[i] = input(rank, static_cast<dsr::Size>(i));
  dsr::transfer({host.data(), x.shape(), dsr::DType::f32, dsr::kCpu}, x, stream);
  stream.synchronize();
}

inline dsr::Size count_wrong(dsr::Tensor x, dsr::Collective operation, dsr::Communicator& group,
                             dsr::Size part, dsr::Stream& stream) {
  std::vector<float> host(static_cast<std::size_t>(x.elements()));
  dsr::transfer(x, {host.data(), x.shape(), dsr::DType::f32, dsr::kCpu}, stream);
  stream.synchronize();
  dsr::Size wrong = 0;
  for (std::size_t i = 0; i < host.size(); ++i)
    wrong += host[i] != expected(operation, group, part, static_cast<dsr::Size>(i));
  return wrong;
}

}  // namespace benchmark
