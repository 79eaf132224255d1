// SPDX-License-Identifier: Apache-2.0
#include "dsr/comm/agree.hpp"

#include <string>

#include "dsr/comm/collectives.hpp"
#include "dsr/core/error.hpp"

namespace dsr {

void agree(Communicator& group, std::function<void()> const& work) {
  std::string mine;
  try {
    work();
  } catch (Error const& error) {
    mine = std::to_string(error.exit_code()) + " " + error.what();
  }
  for (std::string const& text : gather_texts(mine, group)) {
    if (text.empty()) continue;
    std::size_t const space = text.find(' ');
    throw AgreedError(text.substr(space + 1), std::stoi(text.substr(0, space)));
  }
}

}  // namespace dsr
