// SPDX-License-Identifier: Apache-2.0
#pragma once
/// Texts of GradientFragments: what a fragment must agree with, and what becomes of it.
#include <compare>
#include <string>
#include <string_view>
#include <vector>

#include "dsr/checkpoint/fragment_file.hpp"
#include "dsr/train/trainer.hpp"

namespace dsr {

/// Hash of everything that changes a rank's gradients besides weights and data.
std::string hash_of_settings(Trainer& trainer, std::string_view more);

/// Why a fragment is not the wanted one, whatever its micro-batch; empty: it is.
std::string_view mismatch(FragmentHeader const& found, FragmentHeader const& wanted);

/// When a fragment was made: ordered by how much is done.
struct FragmentMoment {
  Size micro_batches = 0;
  int generation = 0;
  auto operator<=>(FragmentMoment const&) const = default;
};
/// "5.2 6.2", and back.
std::string to_text(std::vector<FragmentMoment> const& moments);
std::vector<FragmentMoment> parse_moments(std::string const& text);
/// Those in all of the texts, newest first.
std::vector<FragmentMoment> common_moments(std::vector<std::string> const& texts);

/// One line from what the ranks say in order, "<replica> <text>", the same text on the ranks of a
/// replica: "replicas 0, 2: none kept, …; replica 1: 3 of 4 kept".
std::string summary(std::vector<std::string> const& said);

}  // namespace dsr
