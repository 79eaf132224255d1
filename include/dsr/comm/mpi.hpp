// SPDX-License-Identifier: Apache-2.0
#pragma once
/// For programs with MPI code of their own: the only public header that includes <mpi.h>.
///
///     dsr::Communicator group = dsr::communicator(my_comm, "mine", timeout_s);   // dsr collectives on my_comm
///     MPI_Comm raw = dsr::native_mpi(mesh[dsr::Axis::dp]);
#include <mpi.h>

#include <string>

#include "dsr/comm/communicator.hpp"

namespace dsr {

/// The MPI communicator behind a group; owned by the group. Throws InvalidArgument for a meta group.
MPI_Comm native_mpi(Communicator const& group);

/// A group over a duplicate of `comm` (collective over it). MPI must be initialised and outlive the group.
Communicator communicator(MPI_Comm comm, std::string name, double timeout_s = 600);

}  // namespace dsr
