// SPDX-License-Identifier: Apache-2.0
#pragma once
/// The NCCL backend: collectives on CUDA tensors over one NCCL communicator, beside the MPI group
/// of the same ranks, which carries control messages and splits.
///
/// Numerics  sums in NCCL's order: the same bits on all ranks, and every time for one choice of
///           algorithm and protocol
/// Errors    communicators do not block: a call that is still in progress is waited out before the
///           next, and whoever waits for a stream looks here for what went wrong (see Watcher)
/// Threads   NCCL runs each call of such a communicator on a thread that it starts for it; since it
///           is waited out, kernels are launched in the program's order, which
///           NCCL_LAUNCH_ORDER_IMPLICIT makes the device's order across communicators
/// Split     NCCL's resources are not shared with the parent: groups of different axes run at the
///           same time on streams of their own, and one that is aborted must not take others along
#include <nccl.h>

#include <memory>
#include <string>
#include <vector>

#include "libdsr/comm/mpi/mpi_communicator.hpp"
#include "libdsr/comm/nccl/session.hpp"
#include "libdsr/core/cuda/spans.hpp"
#include "libdsr/core/cuda/stream.hpp"

namespace dsr::detail {

/// Neither copies nor moves. One thread uses it.
class NcclCommunicator final : public CommunicatorState, public Watcher {
 public:
  /// `handle` is null if the group has one rank.
  NcclCommunicator(std::shared_ptr<MpiCommunicator> control, std::shared_ptr<NcclSession> nccl,
                   std::shared_ptr<NcclHandle> handle, Device device);

  ncclComm_t comm() const { return handle_ == nullptr ? nullptr : handle_->comm(); }
  bool moves_data() const override { return true; }
  CommunicatorState const& control() const override { return *control_; }
  void enqueue(CollectiveCall const& call, Stream& stream) override;
  void run_on_host(CollectiveCall const& call) override { control_->run_on_host(call); }
  std::shared_ptr<CommunicatorState> split(int colour, int key, std::string name) override;
  void look(double waited_s) override;
  /// Those of the host's control messages included: nothing is queued while it waits for them.
  double busy_s() override { return beside_.seconds() + inline_s(); }
  double inline_s() override { return inline_.seconds() + control_->inline_s(); }
  /// What is measured on streams for communication, and on others.
  Spans& beside() { return beside_; }
  Spans& in_line() { return inline_; }

 private:
  void noted(CollectiveRecord const& record) override { control_->session().note(name(), record); }
  double timeout_s() const { return control_->session().timeout_s(); }
  std::string context(CollectiveRecord const& record) const;
  [[noreturn]] void die(CollectiveRecord const& record, std::string const& why);
  ncclResult_t issue(CollectiveCall const& call, cudaStream_t queue) const;
  ncclResult_t exchange(CollectiveCall const& call, cudaStream_t queue) const;
  std::shared_ptr<NcclHandle> split_handle(MpiCommunicator& part, int colour, int key);

  std::shared_ptr<MpiCommunicator> control_;
  std::shared_ptr<NcclSession> nccl_;
  std::shared_ptr<NcclHandle> handle_;
  Spans beside_, inline_;
};

}  // namespace dsr::detail
