// SPDX-License-Identifier: Apache-2.0
#pragma once
/// run_name: what tells runs apart that share a disk of a node's.
#include <string>

namespace dsr::detail {

/// "gpt.1f0a9c3e" of run.dir = "runs/gpt": its last part, and a hash of the whole path. The same
/// for each start of a run, as long as its folder is not moved.
std::string run_name(std::string const& directory);

}  // namespace dsr::detail
