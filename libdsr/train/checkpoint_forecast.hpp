// SPDX-License-Identifier: Apache-2.0
#pragma once
/// What saving is going to take, said before training begins.
#include "dsr/checkpoint/checkpoint_options.hpp"
#include "dsr/comm/runtime.hpp"
#include "dsr/core/stream.hpp"
#include "dsr/io/file_system.hpp"
#include "dsr/mesh/mesh.hpp"
#include "dsr/state/state.hpp"

namespace dsr::detail {

/// Rank 0 prints one line: bytes of a set, how long steps will stand still, and how many sets the
/// hot and the warm tier have room for; a warning for each that has room for fewer than keep + 1,
/// since a new set is written before an old one goes. Sets that are there already count as room.
/// Collective over the world; what cannot be measured is left out.
void say_forecast(Runtime& runtime, FileSystem& files, State const& state, Mesh const& mesh,
                  Stream& stream, CheckpointOptions const& options);

}  // namespace dsr::detail
