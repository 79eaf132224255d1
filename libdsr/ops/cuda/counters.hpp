// SPDX-License-Identifier: Apache-2.0
#pragma once
/// Counters by which the last block of a kernel knows itself: zero between kernels, since the last
/// block puts them back. Not part of the workspace, which every call overwrites. One set a stream.
///
///     unsigned* counters = counters_of(stream).at_least(count, stream);
#include <vector>

#include "dsr/core/buffer.hpp"
#include "dsr/core/cuda.hpp"
#include "libdsr/core/stream_state.hpp"

namespace dsr::detail {

/// Lives as long as its stream.
class Counters {
 public:
  explicit Counters(Device device) : device_(device) {}

  /// Grows on first use; smaller pieces are kept, since a captured graph may hold their addresses.
  /// Throws InvalidArgument if it would have to grow while the stream is captured.
  unsigned* at_least(Size count, Stream& stream);

 private:
  Device device_;
  std::vector<Buffer> pieces_;
};

inline Counters& counters_of(Stream& stream) {
  return StreamAccess::state(stream).resource<Counters>();
}

}  // namespace dsr::detail
