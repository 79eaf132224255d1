// SPDX-License-Identifier: Apache-2.0
#pragma once
/// For programs with MPI code of their own; see dsr/comm/mpi.hpp.
#include "dsr/comm/mpi.hpp"
