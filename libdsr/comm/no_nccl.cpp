// SPDX-License-Identifier: Apache-2.0
// Compiled instead of libdsr/comm/nccl/ in a build without CUDA.
#include "dsr/core/error.hpp"
#include "libdsr/comm/nccl/nccl_world.hpp"

namespace dsr::detail {

std::shared_ptr<CommunicatorState> make_nccl_world(std::shared_ptr<MpiCommunicator>, Device device,
                                                   std::string const&, Log const&) {
  throw CudaError(problem("group on " + to_string(device), "this build has no CUDA", "cpu, meta"));
}

}  // namespace dsr::detail
