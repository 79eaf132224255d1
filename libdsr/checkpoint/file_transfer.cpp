// SPDX-License-Identifier: Apache-2.0
#include "libdsr/checkpoint/file_transfer.hpp"

#include <algorithm>
#include <exception>
#include <memory>
#include <optional>

#include "dsr/checkpoint/hash.hpp"
#include "dsr/checkpoint/hashed_file.hpp"
#include "dsr/comm/collectives.hpp"
#include "dsr/core/error.hpp"
#include "libdsr/checkpoint/copy_file.hpp"

namespace dsr::detail {
namespace {

/// Calls work(offset, part of one buffer) for each block.
template <class Work>
void for_blocks(StoredFile const& stored, Work&& work) {
  std::vector<std::byte> memory(static_cast<std::size_t>(std::min(stored.bytes, kHashBlock_bytes)));
  for (Size at = 0; at < stored.bytes; at += kHashBlock_bytes) {
    Size const bytes = std::min(kHashBlock_bytes, stored.bytes - at);
    work(at, std::span{memory}.first(static_cast<std::size_t>(bytes)));
  }
}

/// Runs work that touches a disk until something fails, and keeps what that was.
class Attempts {
 public:
  template <class Work>
  void operator()(Work&& work) {
    if (failure_) return;
    try {
      work();
    } catch (Error const&) {
      failure_ = std::current_exception();
    }
  }
  void rethrow() const {
    if (failure_) std::rethrow_exception(failure_);
  }

 private:
  std::exception_ptr failure_;
};

}  // namespace

void send_file(FileSystem& files, std::string const& directory, StoredFile const& stored,
               std::vector<int> const& to, Communicator& group) {
  std::string const path = directory + "/" + stored.name;
  std::unique_ptr<File> file;
  Attempts attempt;
  auto const read = [&](Size at, std::span<std::byte> part) {
    try {
      if (file->read_at(at, part) == std::ssize(part)) return;
    } catch (IoError const& error) {
      throw CorruptData(error.what());
    }
    throw CorruptData(problem(path, "it ends early", std::to_string(stored.bytes) + " bytes"));
  };
  attempt([&] { file = files.open(path); });
  for_blocks(stored, [&](Size at, std::span<std::byte> part) {
    attempt([&] { read(at, part); });
    for (int const rank : to) send_bytes(part, rank, group);
  });
  attempt.rethrow();
}

void receive_file(FileSystem& files, std::string const& directory, StoredFile const& stored,
                  int from, Communicator& group) {
  std::optional<HashedFile> copy;
  Attempts attempt;
  attempt([&] { copy.emplace(files, directory, stored.name, stored.bytes); });
  for_blocks(stored, [&](Size at, std::span<std::byte> part) {
    receive_bytes(part, from, group);
    attempt([&] { copy->write(at, part); });
  });
  attempt([&] { require_hashes(copy->finish(), stored, stored.name); });
  attempt.rethrow();
}

}  // namespace dsr::detail
