// SPDX-License-Identifier: Apache-2.0
/// Prints the tables of docs/configuration.md; or, given files of settings, reads them and says
/// what is wrong.
#include <cstdio>
#include <fstream>
#include <sstream>

#include "dsr/config/train_settings.hpp"
#include "dsr/core/error.hpp"

int main(int argc, char** argv) {
  dsr::TrainSettings settings;
  dsr::KeyTable table;
  dsr::bind(table, settings);
  if (argc == 1) std::fputs(dsr::markdown(table).c_str(), stdout);
  int problems = 0;
  for (int i = 1; i < argc; ++i) {
    std::ostringstream text;
    text << std::ifstream{argv[i]}.rdbuf();
    try {
      dsr::parse_toml(table, text.str(), argv[i]);
    } catch (dsr::Error const& error) {
      std::printf("%s\n", error.what());
      ++problems;
    }
  }
  return problems == 0 ? 0 : 1;
}
