// SPDX-License-Identifier: Apache-2.0
// A peer that does not take part: CommError after the time-out, on whatever thread the operation
// ran.
#include <string>
#include <vector>

#include "dsr/comm/collectives.hpp"
#include "dsr/comm/mpi.hpp"
#include "dsr/core/error.hpp"
#include "libdsr/comm/mpi/check.hpp"
#include "support/catch.hpp"
#include "support/ranks.hpp"

using namespace dsr;

namespace {

Tensor view(std::vector<float>& x) {
  return Tensor{x.data(), {static_cast<Size>(x.size())}, DType::f32, kCpu};
}

bool contains(std::string const& text, std::string const& part) {
  return text.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("a silent peer is a CommError that names what was waited for") {
  Communicator& world = test::runtime().world();
  int const absent = world.size() - 1;
  Communicator group = communicator(native_mpi(world), "row", 0.3);
  std::vector<float> x(5000, 1.0F);
  if (world.rank() != absent) {
    Stream compute{kCpu};
    try {
      all_reduce(view(x), Reduce::sum, group, compute);
      FAIL("the absent rank was not missed");
    } catch (CommError const& error) {
      std::string const text = error.what();
      INFO(text);
      CHECK(contains(text, "all_reduce 1 of row (20000 bytes)"));
      CHECK(contains(
          text, "on rank " + std::to_string(world.rank()) + " of " + std::to_string(world.size())));
      CHECK(contains(text, "0.3 s"));
      CHECK(contains(text, "rank " + std::to_string(absent)));
      CHECK(error.exit_code() == 75);
    }
    // The group is dead: at once, and saying since when.
    try {
      all_reduce(view(x), Reduce::sum, group, compute);
      FAIL("a dead group went on");
    } catch (CommError const& error) {
      CHECK(contains(error.what(), "dead since all_reduce 1 of row"));
    }
  }
  wait_for_all(world);
}

TEST_CASE("on a communication stream it is rethrown when the stream is waited for") {
  Communicator& world = test::runtime().world();
  Communicator group = communicator(native_mpi(world), "row", 0.3);
  std::vector<float> x(5000, 1.0F);
  if (world.rank() == 0) {
    Stream exchange = test::runtime().communication_stream();
    Stream compute{kCpu};
    all_reduce(view(x), Reduce::sum, group, exchange);
    CHECK_THROWS_AS(exchange.synchronize(), CommError);
    CHECK_THROWS_AS(compute.wait(exchange.record()), CommError);
  }
  wait_for_all(world);
}

TEST_CASE("the other groups live on") {
  CHECK(all_reduce_value(1, Reduce::sum, test::runtime().world()) == test::runtime().size());
}

TEST_CASE("an MPI status becomes a CommError with MPI's text and the place") {
  detail::check_mpi(MPI_SUCCESS);
  try {
    detail::check_mpi(MPI_ERR_RANK);
    FAIL("not thrown");
  } catch (CommError const& error) {
    INFO(error.what());
    CHECK(contains(error.what(), "silence_test.cpp:"));
    CHECK(contains(error.what(), "MPI_ERR_RANK"));
  }
}
