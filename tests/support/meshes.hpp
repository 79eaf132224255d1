// SPDX-License-Identifier: Apache-2.0
#pragma once
/// Every mesh shape that the project promises the same numbers on, by number of ranks.
#include <vector>

#include "dsr/layout/mesh_shape.hpp"

namespace dsr::test {

inline std::vector<MeshShape> promised_meshes(int ranks) {
  switch (ranks) {
    case 1:
      return {{}};
    case 2:
      return {{.dp = 2}, {.row = 2}, {.col = 2}};
    case 3:
      return {{.dp = 3}, {.row = 3}, {.col = 3}};
    case 4:
      return {{.row = 2, .col = 2}, {.dp = 2, .row = 2}, {.dp = 2, .col = 2}};
    case 6:
      return {{.row = 3, .col = 2}, {.row = 6}};
    case 8:
      return {{.dp = 2, .row = 2, .col = 2}, {.row = 4, .col = 2}};
    default:
      return {};
  }
}

}  // namespace dsr::test
