// SPDX-License-Identifier: Apache-2.0
/// Which rank stands where: prints host, rank, place on the mesh and cores, one line a rank.
///
///     mpirun -np 4 --bind-to none build/release/examples/01_hello_mesh 2 2 1        # dp row col
#include <cstdlib>
#include <dsr/dsr.hpp>
#include <iostream>
#include <string>

namespace {

/// dp, row and col from the command line; without them all ranks are data parallel.
dsr::MeshShape shape_from(int argc, char** argv, int ranks) {
  if (argc == 1) return {.dp = ranks};
  if (argc != 4)
    throw dsr::UsageError(dsr::problem("01_hello_mesh", "not three numbers", "dp row col"));
  return {.dp = std::atoi(argv[1]), .row = std::atoi(argv[2]), .col = std::atoi(argv[3])};
}

std::string join(std::vector<int> const& numbers) {
  std::string text;
  for (int number : numbers) {
    if (!text.empty()) text += ',';
    text += std::to_string(number);
  }
  return text;
}

}  // namespace

int main(int argc, char** argv) {
  dsr::Runtime runtime{argc, argv};
  dsr::Mesh const mesh{runtime, shape_from(argc, argv, runtime.size())};

  std::string const line = runtime.host() + "  rank " + std::to_string(runtime.rank()) + "  " +
                           dsr::to_string(mesh.place()) + "  cores " + join(runtime.cores()) +
                           "  threads " + std::to_string(runtime.threads());
  auto const lines = dsr::gather_texts(line, runtime.world());

  // Each axis is a Communicator: here every row adds up its ranks' numbers.
  double const sum = dsr::all_reduce_value(runtime.rank(), dsr::Reduce::sum, mesh[dsr::Axis::row]);
  auto const sums = dsr::gather_texts(std::to_string(static_cast<int>(sum)), runtime.world());

  if (runtime.rank() != 0) return 0;
  std::cout << "mesh " << dsr::to_string(mesh.shape()) << '\n';
  for (std::size_t i = 0; i < lines.size(); ++i) {
    std::cout << lines[i] << "  (ranks along row add up to " << sums[i] << ")\n";
  }
}
