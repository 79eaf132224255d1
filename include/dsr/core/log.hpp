// SPDX-License-Identifier: Apache-2.0
#pragma once
/// Where the library's few messages go. Nothing is global: a Runtime owns one and passes it down.
///
///     Log log = console_log(rank);           // warnings to standard error, "dsr: warning: …"
///     log.warn("rank 3 may use 1 core and runs 2 threads");
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace dsr {

enum class LogLevel : unsigned char { info, warning };

class Log {
 public:
  using Sink = std::function<void(LogLevel, std::string_view)>;
  Log() = default;  ///< drops everything
  explicit Log(Sink sink) : sink_(std::move(sink)) {}

  void info(std::string_view text) const {
    if (sink_) sink_(LogLevel::info, text);
  }
  void warn(std::string_view text) const {
    if (sink_) sink_(LogLevel::warning, text);
  }

 private:
  Sink sink_;
};

/// Info to standard output on rank 0 only; warnings to standard error, once per text.
Log console_log(int rank);

}  // namespace dsr
