// SPDX-License-Identifier: Apache-2.0
#pragma once
/// The command line of dsr-checkpoint. Pure: prints nothing, touches no file.
#include <dsr/core/dtype.hpp>
#include <dsr/core/shape.hpp>
#include <string>
#include <vector>

namespace tool {

enum class Output : unsigned char { text, json };
enum class Effect : unsigned char { real, dry };

struct Arguments {
  std::string command;  ///< "help" and "version" too
  std::vector<std::string> paths;
  Output output = Output::text;
  Effect effect = Effect::real;
  int keep = 0;
  dsr::Size step = 0;
  dsr::Size shard_bytes = 5'000'000'000;
  dsr::DType dtype = dsr::DType::f32;
};

/// Throws dsr::UsageError: an unknown command or option (with the nearest), a missing or repeated
/// one, another number of paths, a value that is not allowed.
Arguments parse_arguments(int argc, char const* const* argv);

std::string usage();

}  // namespace tool
