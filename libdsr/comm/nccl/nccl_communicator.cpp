// SPDX-License-Identifier: Apache-2.0
#include "libdsr/comm/nccl/nccl_communicator.hpp"

#include <algorithm>
#include <atomic>
#include <utility>

#include "dsr/comm/nccl.hpp"
#include "dsr/core/cuda.hpp"
#include "dsr/core/error.hpp"
#include "libdsr/comm/nccl/check.hpp"
#include "libdsr/core/cuda/check.hpp"

namespace dsr::detail {
namespace {

ncclDataType_t nccl_type(DType type) {
  switch (type) {
    case DType::u8:
      return ncclUint8;
    case DType::i32:
      return ncclInt32;
    case DType::i64:
      return ncclInt64;
    case DType::bf16:
      return ncclBfloat16;
    case DType::f32:
      return ncclFloat32;
    case DType::f64:
      return ncclFloat64;
  }
  return ncclUint8;
}

ncclRedOp_t nccl_reduction(Reduce operation) {
  switch (operation) {
    case Reduce::sum:
      return ncclSum;
    case Reduce::max:
      return ncclMax;
    case Reduce::min:
      return ncclMin;
  }
  return ncclSum;
}

/// The numbers that the ranks of `part` have in the world, in the order of `part`. Collective over
/// it.
std::vector<int> gather_members(MpiCommunicator& part, int mine) {
  std::vector<int> members(static_cast<std::size_t>(part.size()));
  part.run_on_host({.operation = Collective::all_gather,
                    .dtype = DType::i32,
                    .x = reinterpret_cast<std::byte const*>(&mine),
                    .out = reinterpret_cast<std::byte*>(members.data()),
                    .elements = 1});
  return members;
}

/// Whether any rank of the group says so. Collective.
bool any_rank(MpiCommunicator& group, bool mine) {
  std::int32_t answer = mine ? 1 : 0;
  auto* const bytes = reinterpret_cast<std::byte*>(&answer);
  group.run_on_host({.operation = Collective::all_reduce,
                     .reduce = Reduce::max,
                     .dtype = DType::i32,
                     .x = bytes,
                     .out = bytes,
                     .elements = 1});
  return answer != 0;
}

/// A child that NCCL's own thread stores when it is made: its parent may look settled before that.
ncclComm_t await(ncclComm_t& made, double timeout_s, std::string const& what) {
  Backoff backoff{timeout_s};
  for (;;) {
    if (ncclComm_t const comm = std::atomic_ref{made}.load(std::memory_order_acquire)) return comm;
    if (!backoff.pause()) {
      throw CommError(
          problem("NCCL, " + what, "no communicator for " + std::to_string(timeout_s) + " s"));
    }
  }
}

}  // namespace

NcclCommunicator::NcclCommunicator(std::shared_ptr<MpiCommunicator> control,
                                   std::shared_ptr<NcclSession> nccl,
                                   std::shared_ptr<NcclHandle> handle, Device device)
    : CommunicatorState(control->name(), control->rank(), control->size(), device),
      control_(std::move(control)),
      nccl_(std::move(nccl)),
      handle_(std::move(handle)),
      beside_(device.index),
      inline_(device.index) {}

std::string NcclCommunicator::context(CollectiveRecord const& record) const {
  return describe(name(), record) + " on rank " + std::to_string(rank()) + " of " +
         std::to_string(size());
}

void NcclCommunicator::die(CollectiveRecord const& record, std::string const& why) {
  std::string const text = problem(context(record), why);
  handle_->abort(text);
  throw CommError(text);
}

void NcclCommunicator::enqueue(CollectiveCall const& call, Stream& stream) {
  cudaStream_t const queue = native(stream);
  if (handle_ == nullptr) {
    if (call.x == call.out) return;
    return check(cudaMemcpyAsync(call.out, call.x, static_cast<std::size_t>(call.bytes()),
                                 cudaMemcpyDeviceToDevice, queue));
  }
  if (handle_->comm() == nullptr) {
    throw CommError(problem(context(call.record), "the group is dead since " + handle_->death()));
  }
  watch(stream, std::static_pointer_cast<NcclCommunicator>(shared_from_this()));
  Span const running{stream.kind() == StreamKind::compute ? inline_ : beside_, queue};
  try {
    // Work that others order behind this call must find it on the stream: it is not there while
    // NCCL still prepares it.
    settle(issue(call, queue), comm(), timeout_s(), describe(name(), call.record));
  } catch (CommError const& error) {
    die(call.record, error.what());
  }
}

ncclResult_t NcclCommunicator::issue(CollectiveCall const& call, cudaStream_t queue) const {
  auto const count = static_cast<std::size_t>(call.elements);
  ncclDataType_t const type = nccl_type(call.dtype);
  ncclRedOp_t const reduction = nccl_reduction(call.reduce);
  switch (call.operation) {
    case Collective::all_gather:
      return ncclAllGather(call.x, call.out, count, type, comm(), queue);
    case Collective::reduce_scatter:
      return ncclReduceScatter(call.x, call.out, count, type, reduction, comm(), queue);
    case Collective::all_reduce:
      return ncclAllReduce(call.x, call.out, count, type, reduction, comm(), queue);
    case Collective::broadcast:
      return ncclBroadcast(call.x, call.out, count, type, call.peer, comm(), queue);
    case Collective::all_to_all:
      return exchange(call, queue);
    case Collective::send:
      return ncclSend(call.x, count, type, call.peer, comm(), queue);
    case Collective::receive:
      return ncclRecv(call.out, count, type, call.peer, comm(), queue);
    case Collective::barrier:
      break;  // of the host alone
  }
  return ncclSuccess;
}

ncclResult_t NcclCommunicator::exchange(CollectiveCall const& call, cudaStream_t queue) const {
  Size const part = call.bytes() / size();
  auto const bytes = static_cast<std::size_t>(part);
  ncclResult_t status = ncclGroupStart();
  for (int peer = 0; peer < size() && status == ncclSuccess; ++peer) {
    status = ncclSend(call.x + peer * part, bytes, ncclUint8, peer, comm(), queue);
    if (status == ncclSuccess)
      status = ncclRecv(call.out + peer * part, bytes, ncclUint8, peer, comm(), queue);
  }
  ncclResult_t const end = ncclGroupEnd();
  return status == ncclSuccess ? end : status;
}

std::shared_ptr<CommunicatorState> NcclCommunicator::split(int colour, int key, std::string name) {
  auto part =
      std::static_pointer_cast<MpiCommunicator>(control_->split(colour, key, std::move(name)));
  std::shared_ptr<NcclHandle> handle;
  if (size() > 1) handle = split_handle(*part, colour, key);
  return std::make_shared<NcclCommunicator>(std::move(part), nccl_, std::move(handle), device());
}

std::shared_ptr<NcclHandle> NcclCommunicator::split_handle(MpiCommunicator& part, int colour,
                                                           int key) {
  nccl_->reclaim(timeout_s());
  std::vector<int> const members =
      gather_members(part, handle_->members()[static_cast<std::size_t>(rank())]);
  bool const alone = members.size() == 1;
  std::shared_ptr<NcclHandle> handle = alone ? nullptr : nccl_->find(members);
  // A rank may have let go of a group that another still has.
  bool const needs_one = !alone && any_rank(part, handle == nullptr);
  // ncclCommSplit is collective over the parent: all call it, or none does.
  if (!any_rank(*control_, needs_one)) return handle;
  if (handle_->comm() == nullptr) {
    throw CommError(
        problem("split of " + this->name(), "the group is dead since " + handle_->death()));
  }
  CurrentDevice const current{device().index};
  ncclConfig_t config = NCCL_CONFIG_INITIALIZER;
  config.blocking = 0;
  config.splitShare = 0;
  std::string const what = "split of " + this->name();
  ncclComm_t made = nullptr;
  try {
    // NCCL writes to `made` later, and the parent is what is in progress meanwhile.
    ncclResult_t const status =
        ncclCommSplit(comm(), needs_one ? colour : NCCL_SPLIT_NOCOLOR, key, &made, &config);
    settle(status, comm(), timeout_s(), what);
    if (needs_one) settle(ncclInProgress, await(made, timeout_s(), what), timeout_s(), what);
  } catch (Error const& error) {
    handle_->abort(error.what());  // ends what still could write to `made`
    throw;
  }
  return needs_one ? nccl_->add(made, members) : handle;
}

void NcclCommunicator::look(double waited_s) {
  if (handle_ == nullptr) return;
  if (handle_->comm() == nullptr) throw CommError(handle_->death());
  ncclResult_t status = ncclSuccess;
  ncclResult_t const asked = ncclCommGetAsyncError(comm(), &status);
  if (asked != ncclSuccess) die(last(), detail::describe(asked, comm()));
  if (status != ncclSuccess && status != ncclInProgress)
    die(last(), detail::describe(status, comm()));
  if (waited_s > timeout_s()) die(last(), "no progress for " + std::to_string(timeout_s()) + " s");
}

}  // namespace dsr::detail

namespace dsr {

ncclComm_t native_nccl(Communicator const& group) {
  auto const* const state = dynamic_cast<detail::NcclCommunicator const*>(&group.state());
  if (state == nullptr) {
    throw InvalidArgument(problem("native_nccl of " + group.name(),
                                  "a group on " + to_string(group.device()),
                                  "a group of ranks on CUDA"));
  }
  return state->comm();
}

}  // namespace dsr
