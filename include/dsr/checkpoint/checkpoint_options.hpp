// SPDX-License-Identifier: Apache-2.0
#pragma once
/// CheckpointOptions: which tiers a Checkpointer has, and how it saves and loads.
///
///     CheckpointOptions options{.run_id = "gpt", .warm = {.directory = "run/checkpoints"}};
#include <functional>
#include <optional>
#include <string>

#include "dsr/checkpoint/staging.hpp"
#include "dsr/checkpoint/tier.hpp"

namespace dsr {

/// all: every block of every file is hashed before anything is used; used: those that are read.
enum class Verify : std::uint8_t { all, used };

struct CheckpointOptions {
  std::string run_id = {};  ///< plain_name; empty: "run"
  HotTier hot = {};
  WarmTier warm = {};
  ColdTier cold = {};
  StagingOptions staging = {};
  Verify verify = Verify::all;
  /// Called on rank 0, by the thread that writes, before a set is committed in a tier. What it
  /// throws fails the set there.
  std::function<void()> before_commit = {};
  /// This rank's node; without it, ranks that share memory are a node.
  std::optional<int> node = {};

  /// Throws InvalidArgument: no tier is on, keep is too small, or a name is not a plain_name.
  void validate() const;
};

}  // namespace dsr
