// SPDX-License-Identifier: Apache-2.0
#include "libdsr/comm/runtime_state.hpp"

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <iostream>
#include <thread>
#include <utility>

#include "dsr/comm/agree.hpp"
#include "libdsr/comm/gpu_requirements.hpp"
#include "libdsr/comm/mpi/check.hpp"
#include "libdsr/comm/mpi/mpi_communicator.hpp"
#include "libdsr/comm/nccl/nccl_world.hpp"

namespace dsr::detail {

RuntimeState::RuntimeState(MPI_Comm parent, MpiOwner owner, Termination termination)
    : session(std::make_shared<Session>(RuntimeOptions{}.timeout_s)),
      owner_(owner),
      exceptions_at_start_(std::uncaught_exceptions()) {
  check_mpi(MPI_Comm_dup(parent, &comm));
  host_world_ =
      Communicator{std::make_shared<MpiCommunicator>(session, session->own(comm), "world", kCpu)};
  world = host_world_;
  log = console_log(world.rank());
  check_mpi(MPI_Query_thread(&thread_level));
  node = find_node(comm);
  if (termination == Termination::on) handler_ = std::make_unique<TerminateHandler>(*this);
}

RuntimeState::~RuntimeState() {
  if (std::uncaught_exceptions() > exceptions_at_start_ && world.size() > 1) {
    std::string const text = "dsr: an exception leaves the scope of Runtime on " + where() + "\n";
    std::fputs(text.c_str(), stderr);
    abort(70);
  }
  handler_.reset();
  world = {};
  host_world_ = {};
  session->free_all();
  if (owner_ == MpiOwner::runtime && mpi_is_up()) MPI_Finalize();
}

void RuntimeState::configure(RuntimeOptions const& options) {
  options.validate();
  session->set_timeout_s(options.timeout_s);
  emulate_hosts_ = options.emulate_hosts;
  use(options.device);
  threads = choose_threads(options.threads, node);
  set_threads(threads);
  auto const cores = static_cast<int>(node.cores.size());
  if (node.rank == 0 && cores > 0 && cores < threads) {
    log.warn("rank " + std::to_string(world.rank()) + " on " + node.host + " may use " +
             std::to_string(cores) + " cores and runs " + std::to_string(threads) +
             " threads; launch with mpirun --bind-to none");
  }
}

void RuntimeState::use(Device asked) {
  if (asked.kind == Device::Kind::cuda) return use_cuda(asked);
  world = host_world_;
  device = asked;
  world.state().set_device(device);
}

void RuntimeState::use_cuda(Device asked) {
  int const gpus = device_count(Device::Kind::cuda);
  if (asked.index < gpus) asked.index = choose_gpu(asked.index, node.rank, gpus);
  // A node without GPUs must not leave the others waiting; one rank alone has nobody to tell.
  if (world.size() == 1) {
    require_device(asked);
  } else {
    agree(host_world_, [&] { require_device(asked); });
  }
  if (emulate_hosts_ == HostEmulation::on) {
    setenv("NCCL_HOSTID", ("node" + std::to_string(world.rank())).c_str(), 0);
    setenv("NCCL_SOCKET_IFNAME", "lo", 0);
  }
  auto control = std::dynamic_pointer_cast<MpiCommunicator>(host_world_.state().shared_from_this());
  world = Communicator{make_nccl_world(std::move(control), asked, node.host, log)};
  device = asked;
}

void RuntimeState::set_place(std::string place) {
  std::lock_guard const lock(place_mutex_);
  place_ = std::move(place);
}

std::string RuntimeState::where() const {
  std::lock_guard const lock(place_mutex_);
  return "rank " + std::to_string(world.rank()) + " of " + std::to_string(world.size()) + " on " +
         node.host + (place_.empty() ? "" : ", " + place_) +
         "; last collective: " + session->last();
}

void RuntimeState::abort(int code) const {
  std::cout.flush();
  std::cerr.flush();
  std::fflush(nullptr);
  if (!mpi_is_up()) std::_Exit(code);
  // The launcher reads what ranks print through pipes, and drops them when the job is aborted.
  if (world.size() > 1) std::this_thread::sleep_for(std::chrono::milliseconds(100));
  MPI_Abort(comm, code);
  std::_Exit(code);
}

}  // namespace dsr::detail
