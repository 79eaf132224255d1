// SPDX-License-Identifier: Apache-2.0
// What NCCL reports becomes an error of ours, and a group that failed is ended: on no GPU, with an
// NCCL whose answers the test writes. A symbol of the program comes before one of a library.
#include <deque>
#include <utility>
#include <vector>

#include "dsr/comm/mpi.hpp"
#include "dsr/core/error.hpp"
#include "libdsr/comm/nccl/check.hpp"
#include "libdsr/comm/nccl/nccl_communicator.hpp"
#include "support/catch.hpp"
#include "support/text_of.hpp"

namespace {

struct FakeNccl {
  std::deque<ncclResult_t> answers;  // of ncclCommGetAsyncError; the last one stays
  ncclResult_t finalize = ncclSuccess;
  int asked = 0, aborted = 0, destroyed = 0;
};

FakeNccl& fake() {
  static FakeNccl state;
  return state;
}

}  // namespace

extern "C" {

ncclResult_t ncclCommGetAsyncError(ncclComm_t, ncclResult_t* status) {
  FakeNccl& state = fake();
  ++state.asked;
  *status = state.answers.empty() ? ncclSuccess : state.answers.front();
  if (state.answers.size() > 1) state.answers.pop_front();
  return ncclSuccess;
}

ncclResult_t ncclCommAbort(ncclComm_t) {
  ++fake().aborted;
  return ncclSuccess;
}

ncclResult_t ncclCommFinalize(ncclComm_t) { return fake().finalize; }

ncclResult_t ncclCommDestroy(ncclComm_t) {
  ++fake().destroyed;
  return ncclSuccess;
}

char const* ncclGetLastError(ncclComm_t) { return "the peer hung up \n"; }

}  // extern "C"

namespace dsr::detail {
namespace {

constexpr double kTimeout_s = 0.05;

/// An address that nothing looks behind.
ncclComm_t some_comm() { return reinterpret_cast<ncclComm_t>(&fake()); }

void script(std::deque<ncclResult_t> answers, ncclResult_t finalize = ncclSuccess) {
  fake() = {std::move(answers), finalize};
}

struct Group {
  std::shared_ptr<NcclSession> session = std::make_shared<NcclSession>();
  std::shared_ptr<NcclHandle> handle = session->add(some_comm(), {0, 1});
  Communicator control = communicator(MPI_COMM_SELF, "pair", kTimeout_s);
  std::shared_ptr<NcclCommunicator> state = std::make_shared<NcclCommunicator>(
      std::dynamic_pointer_cast<MpiCommunicator>(control.state().shared_from_this()), session,
      handle, Device{Device::Kind::cuda, 0});
};

TEST_CASE("statuses of NCCL by who can act") {
  for (ncclResult_t status : {ncclSuccess, ncclInProgress})
    CHECK_NOTHROW(check_nccl(status, nullptr, "a call"));
  for (ncclResult_t status : {ncclUnhandledCudaError, ncclInvalidArgument, ncclInvalidUsage})
    CHECK_THROWS_AS(check_nccl(status, nullptr, "a call"), CudaError);
  for (ncclResult_t status : {ncclSystemError, ncclInternalError, ncclRemoteError})
    CHECK_THROWS_AS(check_nccl(status, nullptr, "a call"), CommError);
  std::string const text =
      test::text_of<CommError>([] { check_nccl(ncclRemoteError, nullptr, "split of world"); });
  CHECK(test::contains(text, "NCCL, split of world"));
  CHECK(test::contains(text, "(the peer hung up)"));
}

TEST_CASE("a call in progress is waited out") {
  script({ncclInProgress, ncclInProgress, ncclInProgress, ncclSuccess});
  CHECK_NOTHROW(settle(ncclInProgress, some_comm(), kTimeout_s, "a call"));
  CHECK(fake().asked == 4);
  script({});
  CHECK_NOTHROW(settle(ncclSuccess, some_comm(), kTimeout_s, "a call"));
  CHECK(fake().asked == 0);
}

TEST_CASE("a call in progress that fails, or never ends, is a CommError") {
  script({ncclInProgress, ncclRemoteError});
  CHECK_THROWS_AS(settle(ncclInProgress, some_comm(), kTimeout_s, "a call"), CommError);
  script({ncclInProgress});
  std::string const text =
      test::text_of<CommError>([] { settle(ncclInProgress, some_comm(), kTimeout_s, "a call"); });
  CHECK(test::contains(text, "a call"));
  CHECK(test::contains(text, "no progress for 0.05"));
}

TEST_CASE("who waits finds an error that came later; the group is ended once, and stays dead") {
  script({ncclSuccess, ncclInProgress, ncclRemoteError});
  Group group;
  group.state->note(Collective::all_reduce, 10, DType::f32);
  CHECK_NOTHROW(group.state->look(0));
  CHECK_NOTHROW(group.state->look(0));
  std::string const text = test::text_of<CommError>([&] { group.state->look(0); });
  CHECK(test::contains(text, "all_reduce"));
  CHECK(test::contains(text, "pair"));
  CHECK(test::contains(text, "the peer hung up"));
  CHECK(fake().aborted == 1);
  CHECK(group.state->comm() == nullptr);
  CHECK(test::text_of<CommError>([&] { group.state->look(0); }) == text);
  CHECK(fake().aborted == 1);
}

TEST_CASE("a collective that does not end is a CommError after the timeout") {
  script({ncclSuccess});
  Group group;
  group.state->note(Collective::all_gather, 10, DType::f32);
  CHECK_NOTHROW(group.state->look(0.9 * kTimeout_s));
  std::string const text = test::text_of<CommError>([&] { group.state->look(1.1 * kTimeout_s); });
  CHECK(test::contains(text, "all_gather"));
  CHECK(test::contains(text, "no progress for 0.05"));
  CHECK(fake().aborted == 1);
}

TEST_CASE("what nobody uses is destroyed in order, and aborted if it cannot be") {
  script({ncclInProgress, ncclSuccess}, ncclInProgress);
  {
    Group group;
    group.session->reclaim(kTimeout_s);
    CHECK(fake().destroyed == 0);  // the group still has it
    group.state.reset();
    group.handle.reset();
    group.session->reclaim(kTimeout_s);
    CHECK(fake().destroyed == 1);
    CHECK(group.session->find({0, 1}) == nullptr);
  }
  script({ncclInProgress}, ncclInProgress);
  {
    Group group;
    group.session->finish(kTimeout_s);
    CHECK(test::contains(group.handle->death(), "ncclCommFinalize"));
  }
  CHECK(fake().aborted == 1);
  CHECK(fake().destroyed == 0);
}

TEST_CASE("groups of the same ranks share one communicator while it lives") {
  script({});
  Group group;
  CHECK(group.session->find({0, 1}) == group.handle);
  CHECK(group.session->find({1, 0}) == nullptr);
  group.handle->abort("a test ends it");
  CHECK(group.session->find({0, 1}) == nullptr);
}

}  // namespace
}  // namespace dsr::detail
