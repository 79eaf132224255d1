// SPDX-License-Identifier: Apache-2.0
#pragma once
/// One file of a set, copied into another directory with its hashes compared.
#include <string>

#include "dsr/checkpoint/manifest.hpp"
#include "dsr/checkpoint/rate_limit.hpp"
#include "dsr/io/file_system.hpp"

namespace dsr::detail {

/// Creates <to>/<name>, written, hashed, synced and closed; the caller syncs the directory. Throws
/// IoError, and CorruptData that names path and block if what was read has another size or hash.
void copy_file(FileSystem& files, std::string const& from, std::string const& to,
               StoredFile const& stored, RateLimit* limit = nullptr);

/// Throws CorruptData, naming the file and the block, unless a copy has the blocks that it should.
void require_hashes(StoredFile const& copy, StoredFile const& stored, std::string const& path);

}  // namespace dsr::detail
