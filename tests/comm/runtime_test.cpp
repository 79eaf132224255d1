// SPDX-License-Identifier: Apache-2.0
#include "dsr/comm/runtime.hpp"

#include <sched.h>

#include <cstdlib>
#include <exception>
#include <string>

#include "dsr/comm/collectives.hpp"
#include "dsr/comm/mpi.hpp"
#include "dsr/core/error.hpp"
#include "libdsr/comm/mpi/node.hpp"
#include "libdsr/comm/mpi/session.hpp"
#include "support/catch.hpp"
#include "support/ranks.hpp"

using namespace dsr;

TEST_CASE("what a rank knows about itself") {
  Runtime& runtime = test::runtime();
  int size = 0;
  MPI_Comm_size(MPI_COMM_WORLD, &size);
  CHECK(runtime.size() == size);
  CHECK(runtime.world().name() == "world");
  CHECK(runtime.device() == kCpu);
  CHECK_FALSE(runtime.host().empty());
  // All ranks of the test run on this machine.
  CHECK(runtime.node_size() == size);
  CHECK(runtime.node_rank() == runtime.rank());
  cpu_set_t mask;
  sched_getaffinity(0, sizeof mask, &mask);
  CHECK(static_cast<int>(runtime.cores().size()) == CPU_COUNT(&mask));
  for (int const core : runtime.cores()) CHECK(CPU_ISSET(static_cast<std::size_t>(core), &mask));
  CHECK(runtime.threads() >= 1);
}

TEST_CASE("threads: asked for, else the environment, else a share of the cores") {
  detail::Node node;
  node.cores = {0, 1, 2, 3, 4, 5};
  node.sharing = 2;
  char const* const set = std::getenv("OMP_NUM_THREADS");
  std::string const before = set == nullptr ? "" : set;
  unsetenv("OMP_NUM_THREADS");
  CHECK(detail::choose_threads(0, node) == 3);
  CHECK(detail::choose_threads(5, node) == 5);
  node.sharing = 9;
  CHECK(detail::choose_threads(0, node) == 1);
  setenv("OMP_NUM_THREADS", "4,2", 1);
  CHECK(detail::choose_threads(0, node) == 4);
  CHECK(detail::choose_threads(2, node) == 2);
  setenv("OMP_NUM_THREADS", "many", 1);
  CHECK(detail::choose_threads(0, node) == 1);
  if (set == nullptr)
    unsetenv("OMP_NUM_THREADS");
  else
    setenv("OMP_NUM_THREADS", before.c_str(), 1);
}

TEST_CASE("options are validated") {
  CHECK_NOTHROW(RuntimeOptions{}.validate());
  CHECK_THROWS_AS((RuntimeOptions{.threads = -1}.validate()), InvalidArgument);
  CHECK_THROWS_AS((RuntimeOptions{.timeout_s = 0}.validate()), InvalidArgument);
  CHECK_THROWS_AS((RuntimeOptions{.timeout_s = -1}.validate()), InvalidArgument);
}

TEST_CASE("a Runtime joins an MPI that runs, and leaves it running") {
  std::terminate_handler const outer = std::get_terminate();
  {
    char name[] = "program";
    char* arguments[] = {name, nullptr};
    char** argv = arguments;
    int argc = 1;
    Runtime joined{argc, argv, {.threads = 1}};
    CHECK(joined.size() == test::runtime().size());
    CHECK(joined.threads() == 1);
    CHECK(all_reduce_value(2, Reduce::sum, joined.world()) == 2 * joined.size());
  }
  CHECK(std::get_terminate() == outer);
  int finalised = 1;
  MPI_Finalized(&finalised);
  CHECK(finalised == 0);
  CHECK(all_reduce_value(1, Reduce::sum, test::runtime().world()) == test::runtime().size());
}

TEST_CASE("a Runtime on part of the ranks") {
  Runtime part = runtime_on(MPI_COMM_SELF, {.timeout_s = 5});
  CHECK(part.size() == 1);
  CHECK(part.rank() == 0);
  CHECK(part.node_size() == 1);
  CHECK(all_reduce_value(3, Reduce::sum, part.world()) == 3);
}

TEST_CASE("the terminate handler is an option, and is restored") {
  std::terminate_handler const before = std::get_terminate();
  {
    Runtime const quiet = runtime_on(MPI_COMM_SELF, {.termination = Termination::off});
    CHECK(std::get_terminate() == before);
    std::set_terminate(std::abort);
    Runtime const loud = runtime_on(MPI_COMM_SELF);
    CHECK(std::get_terminate() != static_cast<std::terminate_handler>(std::abort));
  }
  CHECK(std::get_terminate() == static_cast<std::terminate_handler>(std::abort));
  std::set_terminate(before);
}

TEST_CASE("what must end before MPI's communicators ends first, the last begun before the others") {
  std::string order;
  {
    detail::Session session{5};
    session.at_end([&] { order += "a"; });
    session.at_end([&] { order += "b"; });
    CHECK(order.empty());
    session.free_all();
    CHECK(order == "ba");
  }
  CHECK(order == "ba");
}

TEST_CASE("devices") {
  Runtime runtime = runtime_on(MPI_COMM_SELF);
  runtime.use(kMeta);
  CHECK(runtime.device() == kMeta);
  CHECK(runtime.world().device() == kMeta);
  CHECK(runtime.communication_stream().device() == kMeta);
  // Control is about host values, whatever the device.
  CHECK(all_reduce_value(3, Reduce::sum, runtime.world()) == 3);
  Device const cuda{Device::Kind::cuda, 0};
  if (device_count(Device::Kind::cuda) > 0) {
    runtime.use(cuda);
    CHECK(runtime.world().device() == cuda);
    CHECK(runtime.communication_stream().device() == cuda);
    CHECK(all_reduce_value(3, Reduce::sum, runtime.world()) == 3);
    runtime.use(kCpu);
    CHECK(runtime.world().device() == kCpu);
    return;
  }
  CHECK_THROWS_AS(runtime.use(cuda), CudaError);
  CHECK(runtime.device() == kMeta);
  CHECK_THROWS_AS(runtime_on(MPI_COMM_SELF, {.device = cuda}), CudaError);
  CHECK_THROWS_AS(runtime_on(MPI_COMM_SELF, {.threads = -2}), InvalidArgument);
}
