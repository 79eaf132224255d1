// SPDX-License-Identifier: Apache-2.0
#pragma once
/// For programs with NCCL calls of their own. Needs a library built with DSR_CUDA=ON; not part of
/// <dsr/dsr.hpp>.
///
///     ncclComm_t raw = dsr::native_nccl(mesh[dsr::Axis::dp]);
#include <nccl.h>

#include "dsr/comm/communicator.hpp"

namespace dsr {

/// The NCCL communicator behind a group; owned by the group, and non-blocking: a call may return
/// ncclInProgress. Null for a group of one rank. Throws InvalidArgument if the group's ranks have
/// no CUDA device.
ncclComm_t native_nccl(Communicator const& group);

}  // namespace dsr
