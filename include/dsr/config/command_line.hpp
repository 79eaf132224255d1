// SPDX-License-Identifier: Apache-2.0
#pragma once
/// The options of a training program. Pure: prints nothing, reads no file, exits nowhere.
///
///     CommandLine line = parse_command_line(argc, argv);
///     if (line.help) std::cout << usage_text("train_gpt") << help_text(table);
#include <string>
#include <string_view>
#include <vector>

#include "dsr/core/shape.hpp"

namespace dsr {

struct CommandLine {
  std::string config;                 ///< --config FILE; empty: none
  std::vector<std::string> settings;  ///< --set key=value, in the order given
  bool help = false, version = false, dry_run = false;
  bool fresh = false;  ///< --fresh: begin at step 0, whatever has been saved
  bool force = false;  ///< --force: with --fresh, move what has been saved out of the way
  Size sample = 0;  ///< --sample N; 0: no sample
};

/// Throws UsageError for an unknown option (with the nearest), a missing or repeated value, a --set
/// without "=", N < 1, or --force without --fresh.
CommandLine parse_command_line(int argc, char const* const* argv);

/// What the options mean, one a line.
std::string usage_text(std::string_view program);

}  // namespace dsr
