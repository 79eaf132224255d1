// SPDX-License-Identifier: Apache-2.0
#include "dsr/core/version.hpp"

namespace dsr {

std::string_view version() { return DSR_VERSION; }

}  // namespace dsr
