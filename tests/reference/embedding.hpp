// SPDX-License-Identifier: Apache-2.0
#pragma once
/// Look-up in some rows of a table, features in blocks.
#include <vector>

namespace dsr::reference {

using Values = std::vector<double>;

struct Table {
  std::size_t columns, blocks;
  int first_row, rows;
};

/// f(table index, blocked index) for every element of every token's row that the table has.
template <class F>
void for_each_element(Table const& table, std::vector<int> const& ids, F f) {
  std::size_t const width = table.columns / table.blocks;
  for (std::size_t t = 0; t < ids.size(); ++t) {
    int const row = ids[t] - table.first_row;
    if (ids[t] < 0 || row < 0 || row >= table.rows) continue;
    for (std::size_t n = 0; n < table.columns; ++n) {
      f(static_cast<std::size_t>(row) * table.columns + n,
        (n / width * ids.size() + t) * width + n % width);
    }
  }
}

inline void embedding(Table const& table, std::vector<int> const& ids, Values const& weights,
                      Values& out) {
  for_each_element(table, ids, [&](std::size_t at, std::size_t to) { out[to] += weights[at]; });
}

inline void embedding_backward(Table const& table, std::vector<int> const& ids, Values const& dx,
                               Values& dtable) {
  for_each_element(table, ids, [&](std::size_t at, std::size_t from) { dtable[at] += dx[from]; });
}

}  // namespace dsr::reference
