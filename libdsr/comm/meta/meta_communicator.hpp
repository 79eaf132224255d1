// SPDX-License-Identifier: Apache-2.0
#pragma once
/// The meta backend: a group of any size, seen from one rank, that counts and moves nothing.
#include "libdsr/comm/communicator_state.hpp"

namespace dsr::detail {

class MetaCommunicator final : public CommunicatorState {
 public:
  MetaCommunicator(std::string name, int rank, int size);

  bool moves_data() const override { return false; }
  void enqueue(CollectiveCall const&, Stream&) override {}
  void run_on_host(CollectiveCall const&) override {}
  /// Throws InvalidArgument: what the other ranks pass is unknown here.
  std::shared_ptr<CommunicatorState> split(int colour, int key, std::string name) override;
};

}  // namespace dsr::detail
