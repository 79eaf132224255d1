// SPDX-License-Identifier: Apache-2.0
#include "libdsr/comm/nccl/check.hpp"

#include "dsr/core/error.hpp"

namespace dsr::detail {

std::string describe(ncclResult_t status, ncclComm_t comm) {
  std::string text = ncclGetErrorString(status);
  char const* const last = ncclGetLastError(comm);
  if (last != nullptr && *last != '\0') text.append(" (").append(last).append(")");
  while (text.size() > 1 && (text.back() == '\n' || text.back() == ' ')) text.pop_back();
  return text;
}

void check_nccl(ncclResult_t status, ncclComm_t comm, std::string const& what) {
  switch (status) {
    case ncclSuccess:
    case ncclInProgress:
      return;
    case ncclUnhandledCudaError:
    case ncclInvalidArgument:
    case ncclInvalidUsage:
      throw CudaError(problem("NCCL, " + what, describe(status, comm)));
    default:
      throw CommError(problem("NCCL, " + what, describe(status, comm)));
  }
}

}  // namespace dsr::detail
