// SPDX-License-Identifier: Apache-2.0
#pragma once
/// What dsr-checkpoint does: data to `out`, progress to standard error.
#include <dsr/io/file_system.hpp>
#include <ostream>

#include "checkpoint_arguments.hpp"

namespace tool {

/// The exit code: 0, or 65 if `verify` found something. Throws dsr::Error with the others.
int run(Arguments const& arguments, dsr::FileSystem& files, std::ostream& out);

}  // namespace tool
