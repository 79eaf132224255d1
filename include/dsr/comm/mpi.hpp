// SPDX-License-Identifier: Apache-2.0
#pragma once
/// For programs with MPI code of their own: the only public header that includes <mpi.h>.
///
///     dsr::Runtime runtime = dsr::runtime_on(my_comm);           // instead of MPI_COMM_WORLD
///     dsr::Communicator group = dsr::communicator(my_comm, "mine", timeout_s);
///     MPI_Comm raw = dsr::native_mpi(mesh[dsr::Axis::dp]);
#include <mpi.h>

#include <string>

#include "dsr/comm/communicator.hpp"
#include "dsr/comm/runtime.hpp"

namespace dsr {

/// A Runtime whose world is a duplicate of `comm` (collective over it); it neither starts nor ends
/// MPI. A factory, because MPI_Comm is an int in some MPIs. Throws InvalidArgument if MPI is not
/// running, and as RuntimeOptions do.
Runtime runtime_on(MPI_Comm comm, RuntimeOptions options = {});

/// The MPI communicator behind a group; owned by the group. Throws InvalidArgument for a meta
/// group.
MPI_Comm native_mpi(Communicator const& group);

/// A group on the CPU over a duplicate of `comm` (collective over it). MPI must be initialised and
/// outlive the group; its ranks should drop their last handles alike. Throws InvalidArgument if
/// timeout_s <= 0 or MPI is not running.
Communicator communicator(MPI_Comm comm, std::string name, double timeout_s = 600);

}  // namespace dsr
