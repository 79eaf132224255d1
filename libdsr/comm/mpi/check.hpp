// SPDX-License-Identifier: Apache-2.0
#pragma once
/// check_mpi: an MPI status that is not success becomes a CommError with MPI's own text and the
/// place of the call.
#include <source_location>

namespace dsr::detail {

void check_mpi(int status, std::source_location place = std::source_location::current());

}  // namespace dsr::detail
