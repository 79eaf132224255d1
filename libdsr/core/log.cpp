// SPDX-License-Identifier: Apache-2.0
#include "dsr/core/log.hpp"

#include <cstdio>
#include <memory>
#include <mutex>
#include <set>

namespace dsr {
namespace {

/// One write a line, so that the lines of several ranks do not mix.
void write_line(std::FILE* file, std::string_view prefix, std::string_view text) {
  std::string line{prefix};
  line += text;
  line += '\n';
  std::fwrite(line.data(), 1, line.size(), file);
  std::fflush(file);
}

struct Warned {
  std::mutex mutex;
  std::set<std::string, std::less<>> texts;
};

}  // namespace

Log console_log(int rank) {
  return Log{[rank, warned = std::make_shared<Warned>()](LogLevel level, std::string_view text) {
    if (level == LogLevel::info) {
      if (rank == 0) write_line(stdout, "", text);
      return;
    }
    std::lock_guard const lock{warned->mutex};
    if (warned->texts.emplace(text).second) write_line(stderr, "dsr: warning: ", text);
  }};
}

}  // namespace dsr
