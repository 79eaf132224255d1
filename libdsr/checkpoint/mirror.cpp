// SPDX-License-Identifier: Apache-2.0
#include "libdsr/checkpoint/mirror.hpp"

#include <exception>

#include "dsr/core/error.hpp"
#include "libdsr/checkpoint/file_transfer.hpp"

namespace dsr::detail {

/// All ranks go through the transfers by phase, then by sender: one order, so nobody waits in a
/// circle, and half of the nodes send at the same time.
void mirror_files(FileSystem& files, std::string const& directory,
                  std::vector<StoredFile> const& stored, Nodes const& nodes, Communicator& group) {
  if (nodes.count() == 1) return;
  std::exception_ptr failure;
  bool received = false;
  auto const attempt = [&](auto&& work) {
    try {
      work();
    } catch (CommError const&) {
      throw;
    } catch (Error const&) {
      if (!failure) failure = std::current_exception();
    }
  };
  for (int phase = 0; phase < Nodes::kPhases; ++phase) {
    for (int sender = 0; sender < group.size(); ++sender) {
      if (nodes.phase(nodes.of(sender)) != phase) continue;
      int const receiver = nodes.partner(sender);
      StoredFile const& file = stored[static_cast<std::size_t>(sender)];
      if (group.rank() == sender)
        attempt([&] { send_file(files, directory, file, {receiver}, group); });
      if (group.rank() != receiver) continue;
      attempt([&] { receive_file(files, directory, file, sender, group); });
      received = true;
    }
  }
  if (received) attempt([&] { files.sync_directory(directory); });
  if (failure) std::rethrow_exception(failure);
}

}  // namespace dsr::detail
