// SPDX-License-Identifier: Apache-2.0
#pragma once
/// What a Checkpointer is made of, beside what its header shows.
#include <mutex>
#include <vector>

#include "dsr/checkpoint/checkpointer.hpp"
#include "libdsr/checkpoint/candidates.hpp"
#include "libdsr/checkpoint/tier_writer.hpp"

namespace dsr {

/// A set whose manifest all ranks know.
struct detail::OpenSet {
  std::string text;
  Manifest manifest;
};

struct Checkpointer::Parts {
  Parts(Runtime& runtime, Mesh const& mesh, FileSystem& files, CheckpointOptions const& options,
        Staging& staging);
  detail::Nodes nodes;
  std::vector<detail::TierPlace> places;
  detail::JobFiles job;
  detail::TierWriter writer;
  std::mutex mutex;  ///< of what the writing thread tells
};

}  // namespace dsr
