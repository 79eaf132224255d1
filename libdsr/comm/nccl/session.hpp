// SPDX-License-Identifier: Apache-2.0
#pragma once
/// NcclSession: the NCCL communicators of one Runtime. Groups with the same members share one, so
/// that a mesh with axes of size 1 makes no more than it needs.
///
/// A group's destructor only lets go of its communicator; what nobody uses is destroyed where ranks
/// meet anyway, at the next split and at the end.
#include <nccl.h>

#include <memory>
#include <string>
#include <vector>

namespace dsr::detail {

/// One communicator. Neither copies nor moves; belongs to the session's thread.
class NcclHandle {
 public:
  /// `members`: the ranks of the world, in the order of the group.
  NcclHandle(ncclComm_t comm, std::vector<int> members)
      : comm_(comm), members_(std::move(members)) {}
  NcclHandle(NcclHandle const&) = delete;
  NcclHandle& operator=(NcclHandle const&) = delete;

  ncclComm_t comm() const { return comm_; }
  std::vector<int> const& members() const { return members_; }
  /// Why it is dead; empty while it lives.
  std::string const& death() const { return death_; }

  /// Ends what is under way on the device, so that streams run on. Never waits for other ranks.
  void abort(std::string why) noexcept;
  /// Ends it in order, once what is under way has run; aborts it if that takes longer than
  /// timeout_s.
  void destroy(double timeout_s) noexcept;

 private:
  ncclComm_t comm_;
  std::vector<int> members_;
  std::string death_;
};

/// Waits until `comm` has done what it was asked to do, if `status` is ncclInProgress. Throws
/// CommError after timeout_s, and what check_nccl throws; `what` names the operation.
void settle(ncclResult_t status, ncclComm_t comm, double timeout_s, std::string const& what);

class NcclSession {
 public:
  NcclSession();
  /// Aborts all communicators if an exception unwinds, otherwise finish().
  ~NcclSession();
  NcclSession(NcclSession const&) = delete;
  NcclSession& operator=(NcclSession const&) = delete;

  std::shared_ptr<NcclHandle> add(ncclComm_t comm, std::vector<int> members);
  /// One with these members that lives, or null.
  std::shared_ptr<NcclHandle> find(std::vector<int> const& members) const;
  /// Destroys what no group uses.
  void reclaim(double timeout_s) noexcept;
  /// Destroys all, the last made first.
  void finish(double timeout_s) noexcept;

 private:
  std::vector<std::shared_ptr<NcclHandle>> handles_;
  int exceptions_at_start_;
};

}  // namespace dsr::detail
