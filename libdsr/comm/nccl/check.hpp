// SPDX-License-Identifier: Apache-2.0
#pragma once
/// check_nccl: a status of NCCL that is neither success nor in progress becomes an error with
/// NCCL's own text: CudaError for what was wrong here, CommError for what went wrong between ranks.
#include <nccl.h>

#include <string>

namespace dsr::detail {

void check_nccl(ncclResult_t status, ncclComm_t comm, std::string const& what);

/// "unhandled system error (…)": the status and NCCL's last message.
std::string describe(ncclResult_t status, ncclComm_t comm);

}  // namespace dsr::detail
