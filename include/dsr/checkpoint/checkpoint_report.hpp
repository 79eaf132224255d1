// SPDX-License-Identifier: Apache-2.0
#pragma once
/// What a Checkpointer says of a set that it loaded or saved.
#include <string>

#include "dsr/checkpoint/sets.hpp"
#include "dsr/checkpoint/tier.hpp"

namespace dsr {

struct ResumedSet {
  std::string directory;
  SetName name;
  std::string mesh;  ///< that saved it
  double age_s = 0;
  int files = 0;
  Tier tier = Tier::warm;
  std::string content_hash = {};  ///< dsr::content_hash of its manifest
  /// Imported weights, without optimizer state: moments are zero, texts were left as they are.
  bool fresh_start = false;
};
/// "resumed step 1200 from warm/step_000001200.g002 (age 4m12s, 4/4 files verified, saved on
/// dp=2 row=2 col=1)".
std::string to_string(ResumedSet const& set);

struct SaveReport {
  SetName name;
  bool acknowledged = false;
  std::string reason;   ///< why not
  Size bytes = 0;       ///< of all ranks
  double stall_ms = 0;  ///< in which this rank's training stood still
  double write_s = 0;   ///< of writing into this tier, until it was acknowledged
  Tier tier = Tier::warm;
  std::string content_hash = {};  ///< of an acknowledged set; in hot and warm the same
};

}  // namespace dsr
