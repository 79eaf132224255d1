// SPDX-License-Identifier: Apache-2.0
#include "dsr/comm/communicator.hpp"

#include <utility>

#include "dsr/core/error.hpp"
#include "libdsr/comm/communicator_state.hpp"
#include "libdsr/comm/meta/meta_communicator.hpp"

namespace dsr {

std::string_view name_of(Collective operation) {
  switch (operation) {
    case Collective::all_gather:
      return "all_gather";
    case Collective::reduce_scatter:
      return "reduce_scatter";
    case Collective::all_reduce:
      return "all_reduce";
    case Collective::broadcast:
      return "broadcast";
    case Collective::all_to_all:
      return "all_to_all";
    case Collective::send:
      return "send";
    case Collective::receive:
      return "receive";
    case Collective::barrier:
      return "barrier";
  }
  return "unknown";
}

TrafficCount Traffic::total() const {
  TrafficCount sum;
  for (TrafficCount const& count : by_operation) {
    sum.calls += count.calls;
    sum.elements += count.elements;
    sum.sent += count.sent;
    sum.sent_bytes += count.sent_bytes;
  }
  return sum;
}

Size ring_elements(Collective operation, Size elements, int ranks) {
  if (ranks == 1) return 0;
  Size const others = ranks - 1;
  switch (operation) {
    case Collective::all_gather:
    case Collective::reduce_scatter:
      return others * elements;
    case Collective::all_reduce:
      return 2 * others * ceil_div(elements, ranks);
    case Collective::all_to_all:
      return others * ceil_div(elements, ranks);
    case Collective::broadcast:
    case Collective::send:
      return elements;
    case Collective::receive:
    case Collective::barrier:
      return 0;
  }
  return 0;
}

Communicator Communicator::meta(std::string name, int rank, int size) {
  if (size < 1 || rank < 0 || rank >= size) {
    throw InvalidArgument(problem("meta group " + name,
                                  "rank " + std::to_string(rank) + " of " + std::to_string(size),
                                  "0 <= rank < size"));
  }
  return Communicator{std::make_shared<detail::MetaCommunicator>(std::move(name), rank, size)};
}

int Communicator::rank() const { return state_->rank(); }
int Communicator::size() const { return state_->size(); }
std::string const& Communicator::name() const { return state_->name(); }
Device Communicator::device() const { return state_->device(); }
Traffic Communicator::traffic() const { return state_->traffic(); }
void Communicator::reset_traffic() { state_->reset_traffic(); }
CollectiveRecord Communicator::last() const { return state_->last(); }
double Communicator::busy_s() const { return state_->busy_s(); }
double Communicator::inline_s() const { return state_->inline_s(); }

Communicator Communicator::split(int colour, int key, std::string name) const {
  if (colour < 0) {
    throw InvalidArgument(
        problem("split of " + state_->name(), "colour " + std::to_string(colour), "colour >= 0"));
  }
  return Communicator{state_->split(colour, key, std::move(name))};
}

}  // namespace dsr
