// SPDX-License-Identifier: Apache-2.0
#include "libdsr/comm/meta/meta_communicator.hpp"

#include <utility>

#include "dsr/core/error.hpp"

namespace dsr::detail {

MetaCommunicator::MetaCommunicator(std::string name, int rank, int size)
    : CommunicatorState(std::move(name), rank, size, kMeta) {}

std::shared_ptr<CommunicatorState> MetaCommunicator::split(int, int, std::string) {
  throw InvalidArgument(problem("split of " + name(),
                                "a meta group, which has no other ranks to ask",
                                "Communicator::meta(name, rank, size)"));
}

}  // namespace dsr::detail
