// SPDX-License-Identifier: Apache-2.0
#pragma once
/// Mirror: a node's files are also on the next one, so that losing a node loses no set.
#include <string>
#include <vector>

#include "dsr/checkpoint/manifest.hpp"
#include "dsr/comm/communicator.hpp"
#include "dsr/io/file_system.hpp"
#include "libdsr/checkpoint/nodes.hpp"
#include "libdsr/checkpoint/outcome.hpp"

namespace dsr::detail {

/// Each rank sends its file, `stored` by rank, to its partner, which writes it durably into its own
/// node's `directory`. On one node nothing is done. Returns what first went wrong on this rank, after
/// all messages. Collective.
Outcome mirror_files(FileSystem& files, std::string const& directory,
                     std::vector<StoredFile> const& stored, Nodes const& nodes,
                     Communicator& group);

}  // namespace dsr::detail
