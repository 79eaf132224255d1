// SPDX-License-Identifier: Apache-2.0
#include <dsr/dsr.hpp>

#include <cstdio>

int main(int argc, char** argv) {
  dsr::Runtime runtime{argc, argv};
  dsr::Mesh mesh{runtime, {.row = runtime.size()}};
  dsr::Shard shard{{6, 4}, {{0, dsr::Axis::row}}, mesh.shape()};
  double const rows = dsr::all_reduce_value(static_cast<double>(shard.local_shape()[0]),
                                            dsr::Reduce::sum, mesh[dsr::Axis::row]);
  if (runtime.rank() == 0) {
    std::printf("dsr %s, mesh %s: %g rows\n", dsr::version().data(),
                dsr::to_string(mesh.shape()).c_str(), rows);
  }
  return rows == 6 ? 0 : 1;
}
