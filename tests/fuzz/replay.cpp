// SPDX-License-Identifier: Apache-2.0
/// Gives every file of a folder to a fuzz target, without libFuzzer.
///
/// usage: fuzz_<name>_replay <most milliseconds for a file> <folder>
///
/// Exit status: 0, or 1 if a file took longer or the folder has none; a target that fails aborts.
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size);

namespace {

double milliseconds_for(std::filesystem::path const& path) {
  std::ifstream file{path, std::ios::binary};
  std::string const bytes{std::istreambuf_iterator<char>{file}, std::istreambuf_iterator<char>{}};
  auto const start = std::chrono::steady_clock::now();
  LLVMFuzzerTestOneInput(reinterpret_cast<std::uint8_t const*>(bytes.data()), bytes.size());
  return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start)
      .count();
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) return 64;
  double const most = std::atof(argv[1]);
  int files = 0, slow = 0;
  for (auto const& entry : std::filesystem::directory_iterator{argv[2]}) {
    if (!entry.is_regular_file()) continue;
    std::string const name = entry.path().filename().string();
    std::printf("%s\n", name.c_str());
    std::fflush(stdout);  // the name of a file that ends the program
    double const took = milliseconds_for(entry.path());
    ++files;
    if (took <= most) continue;
    ++slow;
    std::printf("%s took %.0f ms, allowed %.0f\n", name.c_str(), took, most);
  }
  std::printf("%d files, %d too slow\n", files, slow);
  return files == 0 || slow > 0 ? 1 : 0;
}
