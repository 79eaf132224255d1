// SPDX-License-Identifier: Apache-2.0
#include "libdsr/comm/mpi/check.hpp"

#include <mpi.h>

#include <string>

#include "dsr/core/error.hpp"

namespace dsr::detail {

void check_mpi(int status, std::source_location place) {
  if (status == MPI_SUCCESS) return;
  std::string text(MPI_MAX_ERROR_STRING, '\0');
  int length = 0;
  if (MPI_Error_string(status, text.data(), &length) != MPI_SUCCESS) length = 0;
  text.resize(static_cast<std::size_t>(length));
  std::string_view file = place.file_name();
  file.remove_prefix(file.rfind('/') + 1);  // npos + 1 is 0: no slash, nothing removed
  throw CommError(
      problem("MPI", text + ", at " + std::string(file) + ":" + std::to_string(place.line())));
}

}  // namespace dsr::detail
