// SPDX-License-Identifier: Apache-2.0
#pragma once
/// Session: what all MPI groups of one Runtime share: how long to wait, what was called last, and
/// the MPI_Comms to free at the end. Groups only give up their handles when they die; the comms are
/// freed together, in one order on all ranks, because MPI_Comm_free is collective and destructors
/// must not communicate.
#include <mpi.h>

#include <functional>
#include <mutex>
#include <string>
#include <vector>

#include "dsr/comm/communicator.hpp"

namespace dsr::detail {

/// True between MPI_Init and MPI_Finalize.
bool mpi_is_up();

/// Shared by groups and the Runtime; thread-safe.
class Session {
 public:
  explicit Session(double timeout_s) : timeout_s_(timeout_s) {}
  /// Frees the comms if the MPI is up and no exception unwinds; otherwise leaves them to MPI.
  ~Session();
  Session(Session const&) = delete;
  Session& operator=(Session const&) = delete;

  double timeout_s() const;
  void set_timeout_s(double timeout_s);
  /// Makes errors of `comm` return, and takes it over.
  MPI_Comm own(MPI_Comm comm);
  /// Something to do before the comms are freed: what a backend beside MPI must end while all ranks
  /// live.
  void at_end(std::function<void()> work);
  /// Does what at_end() was given, the last first, then frees the comms.
  void free_all();

  void note(std::string const& group, CollectiveRecord const& record);
  /// "all_gather 12 of row (4096 bytes)", or "none".
  std::string last() const;

 private:
  mutable std::mutex mutex_;
  double timeout_s_;
  std::vector<MPI_Comm> owned_;
  std::vector<std::function<void()>> at_end_;
  std::string last_group_;
  CollectiveRecord last_;
};

/// "all_gather 12 of row (4096 bytes)".
std::string describe(std::string const& group, CollectiveRecord const& record);

}  // namespace dsr::detail
