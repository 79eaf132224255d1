// SPDX-License-Identifier: Apache-2.0
#pragma once
/// The door to the NCCL backend, without NCCL's header: nccl_communicator.cpp is behind it, or
/// no_nccl.cpp in a build without CUDA.
#include <memory>
#include <string>

#include "dsr/core/log.hpp"
#include "libdsr/comm/mpi/mpi_communicator.hpp"

namespace dsr::detail {

/// The group of `control`'s ranks on their CUDA devices: tensors over NCCL, control over MPI.
/// Collective. Leaves the device current on the calling thread. Throws InvalidArgument (on all
/// ranks) if two ranks share a GPU of one host, CudaError if NCCL is too old, CommError if the
/// ranks do not find each other within the session's timeout.
std::shared_ptr<CommunicatorState> make_nccl_world(std::shared_ptr<MpiCommunicator> control,
                                                   Device device, std::string const& host,
                                                   Log const& log);

}  // namespace dsr::detail
