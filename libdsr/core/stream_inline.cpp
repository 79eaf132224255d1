// SPDX-License-Identifier: Apache-2.0
// Streams without a queue: work runs on the calling thread (CPU), or not at all (meta).
#include "libdsr/core/stream_state.hpp"

namespace dsr::detail {
namespace {

class InlineStream final : public StreamState {
 public:
  using StreamState::StreamState;
  void run(std::function<void()> work) override { work(); }
  std::shared_ptr<EventState> record() override { return nullptr; }
  void wait(std::shared_ptr<EventState> const& event) override { block_on(*event); }
  void synchronize() override {}
};

class MetaStream final : public StreamState {
 public:
  using StreamState::StreamState;
  void run(std::function<void()>) override {}
  std::shared_ptr<EventState> record() override { return nullptr; }
  void wait(std::shared_ptr<EventState> const&) override {}
  void synchronize() override {}
};

}  // namespace

std::unique_ptr<StreamState> make_inline_stream(Device device, StreamKind kind) {
  return std::make_unique<InlineStream>(device, kind);
}

std::unique_ptr<StreamState> make_meta_stream(Device device, StreamKind kind) {
  return std::make_unique<MetaStream>(device, kind);
}

}  // namespace dsr::detail
