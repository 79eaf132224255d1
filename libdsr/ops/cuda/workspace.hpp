// SPDX-License-Identifier: Apache-2.0
#pragma once
/// Memory that the vendor libraries compute in, one piece a stream: calls on a stream run one after
/// the other, so all of them share it.
///
///     Workspace& workspace = workspace_of(stream);
///     void* memory = workspace.at_least(bytes, stream);
#include <vector>

#include "dsr/core/buffer.hpp"
#include "dsr/core/cuda.hpp"
#include "dsr/ops/algorithms.hpp"
#include "libdsr/core/stream_state.hpp"

namespace dsr::detail {

inline constexpr Size kGemmWorkspace_bytes = kMatmulWorkspace_bytes;

/// Lives as long as its stream.
class Workspace {
 public:
  explicit Workspace(Device device) : device_(device) {}

  /// Grows on first use. Smaller pieces are kept: a captured graph may hold their addresses. Throws
  /// OutOfMemory, and InvalidArgument if it would have to grow while the stream is captured.
  void* at_least(Size bytes, Stream& stream);
  Size bytes() const;

 private:
  Device device_;
  std::vector<Buffer> pieces_;
};

/// True while work on the stream is recorded in a graph and not run.
bool capturing(Stream& stream);

inline Workspace& workspace_of(Stream& stream) {
  return StreamAccess::state(stream).resource<Workspace>();
}

}  // namespace dsr::detail
