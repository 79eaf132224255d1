// SPDX-License-Identifier: Apache-2.0
#include "dsr/comm/runtime.hpp"

#include <utility>

#include "dsr/comm/mpi.hpp"
#include "dsr/core/error.hpp"
#include "libdsr/comm/communicator_state.hpp"
#include "libdsr/comm/mpi/check.hpp"
#include "libdsr/comm/mpi/mpi_communicator.hpp"
#include "libdsr/comm/runtime_state.hpp"

namespace dsr {

namespace {

using detail::MpiOwner;
using detail::RuntimeState;

MpiOwner start_mpi(int& argc, char**& argv) {
  int finalised = 0;
  MPI_Finalized(&finalised);
  if (finalised != 0)
    throw InvalidArgument(
        problem("Runtime", "made after MPI_Finalize", "one for the whole program"));
  int initialised = 0;
  MPI_Initialized(&initialised);
  if (initialised != 0) return MpiOwner::caller;
  int provided = MPI_THREAD_SINGLE;
  detail::check_mpi(MPI_Init_thread(&argc, &argv, MPI_THREAD_MULTIPLE, &provided));
  return MpiOwner::runtime;
}

}  // namespace

void RuntimeOptions::validate() const {
  if (threads < 0) {
    throw InvalidArgument(
        problem("RuntimeOptions.threads", std::to_string(threads), "threads >= 0 (0: automatic)"));
  }
  if (!(timeout_s > 0)) {
    throw InvalidArgument(
        problem("RuntimeOptions.timeout_s", std::to_string(timeout_s), "timeout_s > 0"));
  }
}

Runtime::Runtime(int& argc, char**& argv, RuntimeOptions options)
    : Runtime(std::make_unique<RuntimeState>(MPI_COMM_WORLD, start_mpi(argc, argv),
                                             options.termination)) {
  state_->configure(options);
}

Runtime::Runtime(std::unique_ptr<RuntimeState> state) : state_(std::move(state)) {}
Runtime::~Runtime() = default;

Communicator& Runtime::world() const { return state_->world; }
Device Runtime::device() const { return state_->device; }
int Runtime::threads() const { return state_->threads; }
int Runtime::node_size() const { return state_->node.size; }
int Runtime::node_rank() const { return state_->node.rank; }
int Runtime::node_leader() const { return state_->node.leader; }
std::string const& Runtime::host() const { return state_->node.host; }
std::vector<int> const& Runtime::cores() const { return state_->node.cores; }
Log const& Runtime::log() const { return state_->log; }
void Runtime::use(Device device) { state_->use(device); }
void Runtime::set_place(std::string place) { state_->set_place(std::move(place)); }

Stream Runtime::communication_stream() const {
  // On CUDA a queue of the device moves the data, whatever MPI allows.
  if (device().kind == Device::Kind::cuda || state_->thread_level >= MPI_THREAD_MULTIPLE)
    return Stream{device(), StreamKind::communication};
  if (rank() == 0)
    log().warn("MPI gives no MPI_THREAD_MULTIPLE: communication runs inline and does not overlap");
  return Stream{device(), StreamKind::inline_communication};
}

/// Makes a Runtime around a state; a friend, so that <mpi.h> stays out of runtime.hpp.
struct RuntimeAccess {
  static Runtime make(MPI_Comm comm, RuntimeOptions const& options) {
    return Runtime(configured(comm, options));
  }

 private:
  static std::unique_ptr<RuntimeState> configured(MPI_Comm comm, RuntimeOptions const& options) {
    auto state = std::make_unique<RuntimeState>(comm, MpiOwner::caller, options.termination);
    state->configure(options);
    return state;
  }
};

Runtime runtime_on(MPI_Comm comm, RuntimeOptions options) {
  if (!detail::mpi_is_up())
    throw InvalidArgument(problem("runtime_on", "MPI is not running", "call MPI_Init first"));
  return RuntimeAccess::make(comm, options);
}

MPI_Comm native_mpi(Communicator const& group) {
  auto const* const mpi = dynamic_cast<detail::MpiCommunicator const*>(&group.state().control());
  if (mpi == nullptr)
    throw InvalidArgument(problem("native_mpi of " + group.name(), "a meta group", "an MPI group"));
  return mpi->comm();
}

Communicator communicator(MPI_Comm comm, std::string name, double timeout_s) {
  RuntimeOptions{.timeout_s = timeout_s}.validate();
  if (!detail::mpi_is_up())
    throw InvalidArgument(
        problem("communicator " + name, "MPI is not running", "call MPI_Init first"));
  MPI_Comm mine = MPI_COMM_NULL;
  detail::check_mpi(MPI_Comm_dup(comm, &mine));
  auto session = std::make_shared<detail::Session>(timeout_s);
  session->own(mine);
  return Communicator{
      std::make_shared<detail::MpiCommunicator>(session, mine, std::move(name), kCpu)};
}

}  // namespace dsr
