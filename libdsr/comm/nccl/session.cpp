// SPDX-License-Identifier: Apache-2.0
#include "libdsr/comm/nccl/session.hpp"

#include <algorithm>
#include <exception>
#include <utility>

#include "dsr/core/error.hpp"
#include "libdsr/comm/mpi/exchange.hpp"
#include "libdsr/comm/nccl/check.hpp"

namespace dsr::detail {
namespace {

/// How long the end of a program waits for communicators that an earlier error may have left in any
/// state.
constexpr double kLastWait_s = 30;

}  // namespace

void NcclHandle::abort(std::string why) noexcept {
  if (comm_ == nullptr) return;
  death_ = std::move(why);
  ncclCommAbort(std::exchange(comm_, nullptr));
}

void NcclHandle::destroy(double timeout_s) noexcept {
  if (comm_ == nullptr) return;
  try {
    settle(ncclCommFinalize(comm_), comm_, timeout_s, "ncclCommFinalize");
    death_ = "it has ended";
    ncclCommDestroy(std::exchange(comm_, nullptr));
  } catch (Error const& error) {
    abort(error.what());
  }
}

void settle(ncclResult_t status, ncclComm_t comm, double timeout_s, std::string const& what) {
  check_nccl(status, comm, what);
  Backoff backoff{timeout_s};
  while (status == ncclInProgress) {
    check_nccl(ncclCommGetAsyncError(comm, &status), comm, what);
    check_nccl(status, comm, what);
    if (status == ncclInProgress && !backoff.pause()) {
      throw CommError(
          problem("NCCL, " + what, "no progress for " + std::to_string(timeout_s) + " s"));
    }
  }
}

NcclSession::NcclSession() : exceptions_at_start_(std::uncaught_exceptions()) {}

NcclSession::~NcclSession() {
  if (std::uncaught_exceptions() > exceptions_at_start_) {
    for (auto const& handle : handles_) handle->abort("an exception ends the program");
  } else {
    finish(kLastWait_s);
  }
}

std::shared_ptr<NcclHandle> NcclSession::add(ncclComm_t comm, std::vector<int> members) {
  handles_.push_back(std::make_shared<NcclHandle>(comm, std::move(members)));
  return handles_.back();
}

std::shared_ptr<NcclHandle> NcclSession::find(std::vector<int> const& members) const {
  auto const fits = [&](auto const& handle) {
    return handle->comm() != nullptr && handle->members() == members;
  };
  auto const found = std::ranges::find_if(handles_, fits);
  return found == handles_.end() ? nullptr : *found;
}

void NcclSession::reclaim(double timeout_s) noexcept {
  std::erase_if(handles_, [&](auto const& handle) {
    if (handle.use_count() > 1) return false;
    handle->destroy(timeout_s);
    return true;
  });
}

void NcclSession::finish(double timeout_s) noexcept {
  for (; !handles_.empty(); handles_.pop_back()) handles_.back()->destroy(timeout_s);
}

}  // namespace dsr::detail
