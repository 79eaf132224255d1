// SPDX-License-Identifier: Apache-2.0
#include "libdsr/io/system.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>

#include "dsr/core/error.hpp"

namespace dsr::detail {

void fail_io(std::string_view path, std::string_view action, int error_number) {
  std::string const reason = std::generic_category().message(error_number);
  throw IoError(problem(path.empty() ? "a file without a name" : path,
                        "cannot " + std::string{action} + ": " + reason),
                error_number);
}

OpenFile::OpenFile(std::string const& path, int flags) {
  constexpr int kPermissions = 0666;  // the user's umask takes away from these
  do {
    descriptor_ = ::open(path.c_str(), flags | O_CLOEXEC, kPermissions);
  } while (descriptor_ < 0 && errno == EINTR);
  if (descriptor_ < 0) fail_io(path, "open", errno);
}

OpenFile::~OpenFile() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

int OpenFile::release() {
  int const descriptor = descriptor_;
  descriptor_ = -1;
  return descriptor;
}

long long regular_size(OpenFile const& file, std::string const& path) {
  struct stat status {};
  if (::fstat(file.descriptor(), &status) != 0) fail_io(path, "read the size", errno);
  if (S_ISDIR(status.st_mode)) fail_io(path, "read", EISDIR);
  if (!S_ISREG(status.st_mode)) throw IoError(problem(path, "not a regular file"));
  return status.st_size;
}

}  // namespace dsr::detail
