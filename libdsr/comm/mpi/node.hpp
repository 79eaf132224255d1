// SPDX-License-Identifier: Apache-2.0
#pragma once
/// Node: where this rank runs, which cores it may use, and how many threads that makes.
#include <mpi.h>

#include <string>
#include <vector>

namespace dsr::detail {

struct Node {
  std::string host;
  int size = 1;            ///< ranks on this node
  int rank = 0;            ///< this rank's number among them
  int leader = 0;          ///< rank in `comm` of the first of them
  std::vector<int> cores;  ///< this rank's affinity mask
  int sharing = 1;         ///< ranks on this node with the same mask, this one included
};

/// Collective over `comm`.
Node find_node(MPI_Comm comm);

/// The number asked for, else OMP_NUM_THREADS, else this rank's share of its cores, at least 1.
int choose_threads(int asked, Node const& node);

/// Tells OpenMP, if this build has it.
void set_threads(int threads);

}  // namespace dsr::detail
