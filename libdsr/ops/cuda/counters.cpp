// SPDX-License-Identifier: Apache-2.0
#include "libdsr/ops/cuda/counters.hpp"

#include <algorithm>
#include <string>

#include "dsr/core/error.hpp"
#include "dsr/core/transfer.hpp"
#include "libdsr/ops/cuda/workspace.hpp"

namespace dsr::detail {

unsigned* Counters::at_least(Size count, Stream& stream) {
  constexpr Size kFewest = 4096;
  Size const bytes = std::max(count, kFewest) * static_cast<Size>(sizeof(unsigned));
  if (pieces_.empty() || pieces_.back().bytes() < bytes) {
    if (capturing(stream)) {
      throw InvalidArgument(problem("counters",
                                    "first use of an operation that needs " +
                                        std::to_string(count) + ", while a graph is captured",
                                    "operations that have run on this stream before"));
    }
    Buffer const& piece = pieces_.emplace_back(bytes, device_);
    zero({piece.data(), {bytes}, DType::u8, device_}, stream);
  }
  return static_cast<unsigned*>(pieces_.back().data());
}

}  // namespace dsr::detail
