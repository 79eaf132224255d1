// SPDX-License-Identifier: Apache-2.0
#include "dsr/core/graph.hpp"

#include "dsr/core/error.hpp"
#include "libdsr/core/cuda_device.hpp"

namespace dsr {

struct Graph::State {
  std::shared_ptr<void> recorded;
  Work work;
};

Graph::Graph() = default;
Graph::~Graph() = default;
Graph::Graph(Graph&&) noexcept = default;
Graph& Graph::operator=(Graph&&) noexcept = default;

bool Graph::captured() const { return state_ != nullptr; }

void Graph::capture(Stream& stream, std::function<void()> const& work) {
  if (stream.device().kind != Device::Kind::cuda) {
    throw InvalidArgument(
        problem("graph", "a stream on " + to_string(stream.device()), "a stream on cuda"));
  }
  state_.reset();
  Work const before = stream.counted();
  std::shared_ptr<void> recorded = detail::record_on_cuda(stream, work);
  Work const after = stream.counted();
  state_ = std::make_unique<State>(
      State{std::move(recorded),
            {after.flops - before.flops, after.bytes - before.bytes, after.calls - before.calls}});
}

void Graph::replay(Stream& stream) const {
  if (!captured()) throw InvalidArgument(problem("graph", "nothing recorded", "capture first"));
  detail::replay_on_cuda(state_->recorded.get(), stream);
  stream.count(state_->work);
}

}  // namespace dsr
