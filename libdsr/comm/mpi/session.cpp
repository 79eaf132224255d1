// SPDX-License-Identifier: Apache-2.0
#include "libdsr/comm/mpi/session.hpp"

#include <exception>
#include <utility>

#include "libdsr/comm/mpi/check.hpp"

namespace dsr::detail {

bool mpi_is_up() {
  int initialised = 0;
  int finalised = 0;
  MPI_Initialized(&initialised);
  MPI_Finalized(&finalised);
  return initialised != 0 && finalised == 0;
}

Session::~Session() {
  if (std::uncaught_exceptions() == 0 && mpi_is_up()) free_all();
}

double Session::timeout_s() const {
  std::lock_guard const lock(mutex_);
  return timeout_s_;
}

void Session::set_timeout_s(double timeout_s) {
  std::lock_guard const lock(mutex_);
  timeout_s_ = timeout_s;
}

MPI_Comm Session::own(MPI_Comm comm) {
  check_mpi(MPI_Comm_set_errhandler(comm, MPI_ERRORS_RETURN));
  std::lock_guard const lock(mutex_);
  owned_.push_back(comm);
  return comm;
}

void Session::at_end(std::function<void()> work) {
  std::lock_guard const lock(mutex_);
  at_end_.push_back(std::move(work));
}

void Session::free_all() {
  for (;;) {
    std::function<void()> work;
    {
      std::lock_guard const lock(mutex_);
      if (at_end_.empty()) break;
      work = std::move(at_end_.back());
      at_end_.pop_back();
    }
    work();
  }
  std::lock_guard const lock(mutex_);
  for (MPI_Comm& comm : owned_) MPI_Comm_free(&comm);
  owned_.clear();
}

void Session::note(std::string const& group, CollectiveRecord const& record) {
  std::lock_guard const lock(mutex_);
  last_group_ = group;
  last_ = record;
}

std::string Session::last() const {
  std::lock_guard const lock(mutex_);
  return last_.sequence == 0 ? "none" : describe(last_group_, last_);
}

std::string describe(std::string const& group, CollectiveRecord const& record) {
  return std::string(name_of(record.operation)) + " " + std::to_string(record.sequence) + " of " +
         group + " (" + std::to_string(record.bytes) + " bytes)";
}

}  // namespace dsr::detail
