// SPDX-License-Identifier: Apache-2.0
#include "dsr/ops/algorithms.hpp"

#include "libdsr/ops/backend.hpp"

namespace dsr {

void choose_algorithms(AlgorithmOptions options, Stream& stream) {
  detail::backend(stream.device()).choose_algorithms(options, stream);
}

std::string save_algorithms(Stream& stream) {
  return detail::backend(stream.device()).save_algorithms(stream);
}

void follow_algorithms(std::string const& text, Stream& stream) {
  detail::backend(stream.device()).follow_algorithms(text, stream);
}

void load_algorithms(std::string const& text, Stream& stream) {
  detail::backend(stream.device()).load_algorithms(text, stream);
}

}  // namespace dsr
