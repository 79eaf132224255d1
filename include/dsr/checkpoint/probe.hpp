// SPDX-License-Identifier: Apache-2.0
#pragma once
/// Probe: whether the directories of a run's tiers are what they have to be, before training
/// begins.
///
///     probe_tiers(runtime, system_files(), options);   // makes them, too
///
/// A path says nothing about that: the same one may be a shared disk on one cluster and each node's
/// own on another.
#include "dsr/checkpoint/checkpoint_options.hpp"
#include "dsr/comm/runtime.hpp"
#include "dsr/io/file_system.hpp"

namespace dsr {

/// Makes the directories of the tiers that are on, and writes, looks for and removes small files in
/// them. Collective over the world. Throws AgreedError with exit code 78 if a node does not see
/// what rank 0 wrote in the warm or the cold tier, or sees what another one wrote in its hot tier;
/// with 74 if a directory cannot be made or written.
void probe_tiers(Runtime& runtime, FileSystem& files, CheckpointOptions const& options);

}  // namespace dsr
