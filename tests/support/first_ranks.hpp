// SPDX-License-Identifier: Apache-2.0
#pragma once
/// Smaller worlds inside a test's: for what is saved by some ranks and loaded by others.
#include <vector>

#include "dsr/comm/mpi.hpp"
#include "support/ranks.hpp"

namespace dsr::test {

/// Calls work(runtime) on the first `ranks` ranks, in a world of their own. Every rank calls it.
template <class Work>
void on_first_ranks(int ranks, Work work) {
  Runtime& all = runtime();
  MPI_Comm part = MPI_COMM_NULL;
  MPI_Comm_split(MPI_COMM_WORLD, all.rank() < ranks ? 0 : MPI_UNDEFINED, all.rank(), &part);
  if (part == MPI_COMM_NULL) return;
  {
    Runtime few = runtime_on(part, {.device = all.device(),
                                    .threads = all.threads(),
                                    .timeout_s = 60,
                                    .termination = Termination::off});
    work(few);
  }
  MPI_Comm_free(&part);
}

}  // namespace dsr::test
