// SPDX-License-Identifier: Apache-2.0
#include "libdsr/checkpoint/mirror.hpp"

#include <functional>

#include "libdsr/checkpoint/file_transfer.hpp"

namespace dsr::detail {

/// All ranks go through the transfers by phase, then by sender: one order, so nobody waits in a
/// circle, and half of the nodes send at the same time.
Outcome mirror_files(FileSystem& files, std::string const& directory,
                     std::vector<StoredFile> const& stored, Nodes const& nodes,
                     Communicator& group) {
  Outcome first;
  if (nodes.count() == 1) return first;
  bool received = false;
  auto const do_all = [&](std::function<void()> const& work) {
    Outcome const outcome = attempt(work);
    if (first.fine()) first = outcome;
  };
  for (int phase = 0; phase < Nodes::kPhases; ++phase) {
    for (int sender = 0; sender < group.size(); ++sender) {
      if (nodes.phase(nodes.of(sender)) != phase) continue;
      int const receiver = nodes.partner(sender);
      StoredFile const& file = stored[static_cast<std::size_t>(sender)];
      if (group.rank() == sender)
        do_all([&] { send_file(files, directory, file, {receiver}, group); });
      if (group.rank() != receiver) continue;
      do_all([&] { receive_file(files, directory, file, sender, group); });
      received = true;
    }
  }
  if (received) do_all([&] { files.sync_directory(directory); });
  return first;
}

}  // namespace dsr::detail
