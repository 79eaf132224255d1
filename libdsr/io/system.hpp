// SPDX-License-Identifier: Apache-2.0
#pragma once
/// What the files of this room share: an open file that closes itself, and errors in one form.
#include <string>
#include <string_view>

namespace dsr::detail {

/// Throws IoError "dsr: <path>: cannot <action>: <reason of the error number>".
[[noreturn]] void fail_io(std::string_view path, std::string_view action, int error_number);

/// Owns a descriptor; moves nowhere.
class OpenFile {
 public:
  /// Throws IoError. `flags` as open(2) takes them; close-on-exec is added.
  OpenFile(std::string const& path, int flags);
  ~OpenFile();
  OpenFile(OpenFile const&) = delete;
  OpenFile& operator=(OpenFile const&) = delete;

  int descriptor() const { return descriptor_; }
  /// Gives the descriptor up: the caller closes it.
  int release();

 private:
  int descriptor_;
};

/// Bytes of an open regular file. Throws IoError for a directory or a device.
long long regular_size(OpenFile const& file, std::string const& path);

}  // namespace dsr::detail
