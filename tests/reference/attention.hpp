// SPDX-License-Identifier: Apache-2.0
#pragma once
/// Attention over whole rows of probabilities, one (sequence, head, query) after the other.
#include <cmath>
#include <vector>

namespace dsr::reference {

using Values = std::vector<double>;

struct AttentionSizes {
  std::size_t tokens, groups, queries, size;
  std::vector<std::size_t> starts;

  std::size_t heads() const { return groups * queries; }
  std::size_t row() const { return groups * (queries + 2) * size; }
  /// Where feature 0 of a token's slot lies: slots of a group are its queries, its key, its value.
  std::size_t at(std::size_t token, std::size_t group, std::size_t slot) const {
    return token * row() + (group * (queries + 2) + slot) * size;
  }
};

inline void attention(AttentionSizes const& s, Values const& qkv, Values& y, Values& log_sum) {
  y.assign(s.tokens * s.heads() * s.size, 0);
  log_sum.assign(s.heads() * s.tokens, 0);
  for (std::size_t b = 0; b + 1 < s.starts.size(); ++b) {
    for (std::size_t head = 0; head < s.heads(); ++head) {
      std::size_t const group = head / s.queries, slot = head % s.queries;
      for (std::size_t i = s.starts[b]; i < s.starts[b + 1]; ++i) {
        Values p;
        double sum = 0;
        for (std::size_t j = s.starts[b]; j <= i; ++j) {
          double dot = 0;
          for (std::size_t d = 0; d < s.size; ++d) {
            dot += qkv[s.at(i, group, slot) + d] * qkv[s.at(j, group, s.queries) + d];
          }
          p.push_back(std::exp(dot / std::sqrt(static_cast<double>(s.size))));
          sum += p.back();
        }
        log_sum[head * s.tokens + i] = std::log(sum);
        for (std::size_t j = s.starts[b]; j <= i; ++j) {
          for (std::size_t d = 0; d < s.size; ++d) {
            y[(i * s.heads() + head) * s.size + d] +=
                p[j - s.starts[b]] / sum * qkv[s.at(j, group, s.queries + 1) + d];
          }
        }
      }
    }
  }
}

}  // namespace dsr::reference
