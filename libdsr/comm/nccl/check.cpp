// SPDX-License-Identifier: Apache-2.0
#include "libdsr/comm/nccl/check.hpp"

#include "dsr/core/error.hpp"

namespace dsr::detail {

std::string describe(ncclResult_t status, ncclComm_t comm) {
  std::string const text = ncclGetErrorString(status);
  char const* const found = ncclGetLastError(comm);
  std::string last = found == nullptr ? "" : found;
  while (!last.empty() && (last.back() == '\n' || last.back() == ' ')) last.pop_back();
  return last.empty() ? text : text + " (" + last + ")";
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
