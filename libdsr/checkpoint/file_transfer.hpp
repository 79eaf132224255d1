// SPDX-License-Identifier: Apache-2.0
#pragma once
/// Files of a set that go from one node's disk to another's, by messages of a block each. Both
/// sides know the file's size and hashes; whatever fails on one side, the other sees all its
/// messages.
///
///     send_file(files, directory, stored, {receiver}, group);  // on the rank that has it
///     receive_file(files, directory, stored, sender, group);   // written durably, hashes compared
#include <string>
#include <vector>

#include "dsr/checkpoint/manifest.hpp"
#include "dsr/comm/communicator.hpp"
#include "dsr/io/file_system.hpp"

namespace dsr::detail {

/// Throws CorruptData at the end if the file could not be read as it should be; receivers then find
/// wrong hashes.
void send_file(FileSystem& files, std::string const& directory, StoredFile const& stored,
               std::vector<int> const& to, Communicator& group);

/// The directory is there, and is synced by the caller. Throws at the end: CorruptData for wrong
/// hashes, IoError if this node cannot keep the file.
void receive_file(FileSystem& files, std::string const& directory, StoredFile const& stored,
                  int from, Communicator& group);

}  // namespace dsr::detail
