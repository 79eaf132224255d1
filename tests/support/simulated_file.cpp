// SPDX-License-Identifier: Apache-2.0
#include "support/simulated_file.hpp"

#include <algorithm>
#include <cerrno>
#include <utility>

#include "libdsr/io/system.hpp"
#include "libdsr/io/whole_transfers.hpp"

namespace dsr::test {
namespace {

/// One call's worth of EINTR.
bool interrupted(int& error) {
  if (error != EINTR) return false;
  error = 0;
  errno = EINTR;
  return true;
}

}  // namespace

SimulatedFile::SimulatedFile(std::shared_ptr<DiskState> state, int node, std::string path,
                             InodePointer inode, Access access)
    : state_(std::move(state)),
      path_(std::move(path)),
      inode_(std::move(inode)),
      access_(access),
      node_(node),
      boot_(state_->boots[node]) {}

int SimulatedFile::begin(Call call, std::string_view action, Access needed) {
  int const error = state_->faults.next(call);
  if (!inode_ || (needed == Access::write && access_ == Access::read))
    detail::fail_io(path_, action, EBADF);
  if (boot_ != state_->boots[node_]) detail::fail_io(path_, action, EIO);
  if (needed == Access::write) inode_->writer = node_;
  return error;
}

Size SimulatedFile::largest(Size bytes) const {
  Size const most = state_->options.largest_transfer;
  return most == 0 ? bytes : std::min(bytes, most);
}

long SimulatedFile::write_some(Size offset, std::span<std::byte const> bytes) {
  if (offset < 0) {
    errno = EINVAL;
    return -1;
  }
  Size const room = state_->free_bytes() + std::max<Size>(0, inode_->content.size() - offset);
  Size const count = std::min(largest(std::ssize(bytes)), room);
  if (count <= 0) {
    errno = ENOSPC;
    return -1;
  }
  inode_->content.write(offset, bytes.first(static_cast<std::size_t>(count)));
  return count;
}

void SimulatedFile::write_at(Size offset, std::span<std::byte const> bytes) {
  std::scoped_lock const lock{state_->mutex};
  int error = begin(Call::write_at, "write", Access::write);
  bool const fails = error != 0 && error != EINTR;
  auto const reached = fails ? bytes.first(bytes.size() / 2) : bytes;
  detail::write_whole(path_, offset, reached, [&](Size at, std::span<std::byte const> rest) {
    return interrupted(error) ? -1L : write_some(at, rest);
  });
  if (fails) detail::fail_io(path_, "write", error);
}

Size SimulatedFile::read_at(Size offset, std::span<std::byte> bytes) {
  std::scoped_lock const lock{state_->mutex};
  int error = begin(Call::read_at, "read", Access::read);
  if (offset < 0) error = EINVAL;
  return detail::read_whole(path_, offset, bytes, [&](Size at, std::span<std::byte> rest) {
    if (interrupted(error)) return -1L;
    if (error != 0) {
      errno = error;
      return -1L;
    }
    auto const& content = inode_->content.bytes();
    Size const left = std::max<Size>(0, std::ssize(content) - at);
    Size const count = largest(std::min(std::ssize(rest), left));
    if (count > 0) std::copy_n(content.begin() + at, count, rest.begin());
    return static_cast<long>(count);
  });
}

void SimulatedFile::allocate(Size bytes) {
  std::scoped_lock const lock{state_->mutex};
  int error = begin(Call::allocate, "allocate", Access::write);
  if (error == EINTR) error = 0;
  if (bytes < 0) error = EINVAL;
  if (error == 0 && bytes - inode_->content.size() > state_->free_bytes()) error = ENOSPC;
  if (error != 0) detail::fail_io(path_, "allocate", error);
  inode_->content.grow(bytes);
}

Size SimulatedFile::size() {
  std::scoped_lock const lock{state_->mutex};
  if (int const error = begin(Call::size, "read the size", Access::read))
    detail::fail_io(path_, "read the size", error);
  return inode_->content.size();
}

void SimulatedFile::sync_data() {
  std::scoped_lock const lock{state_->mutex};
  if (int const error = begin(Call::sync_data, "sync", Access::read)) {
    inode_->content.fail_sync();
    detail::fail_io(path_, "sync", error);
  }
  inode_->content.sync();
}

void SimulatedFile::close() {
  std::scoped_lock const lock{state_->mutex};
  int const error = begin(Call::close, "close", Access::read);
  InodePointer const inode = std::exchange(inode_, nullptr);
  if (error == 0) return;
  inode->content.fail_sync();
  detail::fail_io(path_, "close", error);
}

}  // namespace dsr::test
