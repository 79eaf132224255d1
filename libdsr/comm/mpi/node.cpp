// SPDX-License-Identifier: Apache-2.0
#include "libdsr/comm/mpi/node.hpp"

#include <sched.h>
#ifdef _OPENMP
#include <omp.h>
#endif

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <cstring>

#include "libdsr/comm/mpi/check.hpp"

namespace dsr::detail {

namespace {

cpu_set_t affinity() {
  cpu_set_t mask;
  CPU_ZERO(&mask);
  // Fails only where a machine has more than CPU_SETSIZE cores; the mask then stays empty.
  sched_getaffinity(0, sizeof mask, &mask);
  return mask;
}

std::string processor_name() {
  std::string name(MPI_MAX_PROCESSOR_NAME, '\0');
  int length = 0;
  check_mpi(MPI_Get_processor_name(name.data(), &length));
  name.resize(static_cast<std::size_t>(length));
  return name;
}

}  // namespace

Node find_node(MPI_Comm comm) {
  Node node;
  node.host = processor_name();
  int world_rank = 0;
  MPI_Comm here = MPI_COMM_NULL;
  check_mpi(MPI_Comm_rank(comm, &world_rank));
  check_mpi(MPI_Comm_split_type(comm, MPI_COMM_TYPE_SHARED, world_rank, MPI_INFO_NULL, &here));
  check_mpi(MPI_Comm_size(here, &node.size));
  check_mpi(MPI_Comm_rank(here, &node.rank));
  node.leader = world_rank;
  check_mpi(MPI_Bcast(&node.leader, 1, MPI_INT, 0, here));

  cpu_set_t const mine = affinity();
  std::vector<cpu_set_t> all(static_cast<std::size_t>(node.size));
  check_mpi(MPI_Allgather(&mine, sizeof mine, MPI_BYTE, all.data(), sizeof mine, MPI_BYTE, here));
  check_mpi(MPI_Comm_free(&here));
  for (int core = 0; core < CPU_SETSIZE; ++core) {
    if (CPU_ISSET(static_cast<std::size_t>(core), &mine)) node.cores.push_back(core);
  }
  node.sharing = static_cast<int>(std::count_if(
      all.begin(), all.end(), [&](cpu_set_t const& mask) { return CPU_EQUAL(&mask, &mine) != 0; }));
  return node;
}

int choose_threads(int asked, Node const& node) {
  if (asked > 0) return asked;
  if (char const* const text = std::getenv("OMP_NUM_THREADS")) {
    int threads = 0;
    // OpenMP allows a list, one number per level of nesting; the first counts.
    auto const result = std::from_chars(text, text + std::strlen(text), threads);
    if (result.ec == std::errc{} && threads > 0) return threads;
  }
  return std::max(1, static_cast<int>(node.cores.size()) / node.sharing);
}

#ifdef _OPENMP
void set_threads(int threads) { omp_set_num_threads(threads); }
#else
void set_threads(int) {}
#endif

}  // namespace dsr::detail
