// SPDX-License-Identifier: Apache-2.0
#pragma once
/// Mesh shapes, some with orders of their own, and ways to cut a matrix, for tests over many pairs.
#include <vector>

#include "dsr/layout/shard.hpp"

namespace dsr::test {

inline std::vector<MeshShape> mesh_shapes() {
  return {{},
          {.dp = 2},
          {.row = 3},
          {.col = 2},
          {.row = 2, .col = 2},
          {.dp = 2, .row = 3, .col = 2},
          {.dp = 2, .row = 2, .col = 3, .order = {Axis::col, Axis::row, Axis::dp}},
          {.dp = 3, .row = 2, .col = 2, .order = {Axis::row, Axis::dp, Axis::col}},
          {.row = 5, .col = 2, .order = {Axis::row}}};
}

/// Ways to cut a matrix that fit every mesh, because what is left over is padded.
inline std::vector<std::vector<Cut>> matrix_cuts() {
  auto const pad = Remainder::pad;
  return {{},
          {{0, Axis::row, pad}},
          {{1, Axis::row, pad}},
          {{0, Axis::row, pad}, {1, Axis::col, pad}},
          {{1, Axis::row, pad}, {0, Axis::col, pad}},
          {{0, kModelAxes, pad}},
          {{1, kWorld, pad}},
          {{0, Axis::dp, pad}, {1, kModelAxes, pad}}};
}

}  // namespace dsr::test
