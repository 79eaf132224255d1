// SPDX-License-Identifier: Apache-2.0
#pragma once
/// Pool: nodes put together what they hold of a hot set. A node whose ranks read from files that it
/// lacks gets them from the lowest node that has them, written durably into its own directory.
///
///     Pooled const pooled = pool_files(job, candidate, manifest, text, needed);
///     if (pooled.outcome.fine()) verify(pooled.mine);
#include <string>
#include <string_view>
#include <vector>

#include "libdsr/checkpoint/candidates.hpp"
#include "libdsr/checkpoint/outcome.hpp"

namespace dsr::detail {

struct Pooled {
  Outcome outcome;  ///< corrupt: a file is nowhere, or cannot be read; else it may be next time
  std::vector<bool>
      mine;  ///< files that this node's ranks verify: those they need, and each at least once
};

/// `needed` says by file what this rank reads. A file of another size than the manifest's is
/// absent. Collective.
Pooled pool_files(JobFiles const& job, Candidate const& candidate, Manifest const& manifest,
                  std::string const& text, std::vector<bool> const& needed);

/// Renames the files in which ranks of this node have found faults to corrupt.<name>, so that they
/// are absent when the set is pooled again. False if there are none on any node, or one could not
/// be renamed. Collective.
bool drop_damaged(JobFiles const& job, Candidate const& candidate,
                  std::vector<Fault> const& faults);

}  // namespace dsr::detail
