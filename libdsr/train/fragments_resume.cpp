// SPDX-License-Identifier: Apache-2.0
// How a run finds the fragments that it goes on from.
#include <algorithm>

#include "dsr/comm/collectives.hpp"
#include "dsr/core/error.hpp"
#include "dsr/core/transfer.hpp"
#include "dsr/train/fragments.hpp"
#include "libdsr/train/fragment_text.hpp"

namespace dsr {

/// Slots of this rank that fit, and why others do not.
struct GradientFragments::Found {
  std::vector<FragmentHeader> fitting;
  std::vector<FragmentMoment> moments;  ///< of those
  std::string reason;
};

GradientFragments::Found GradientFragments::look(FragmentHeader const& wanted) {
  Found found;
  for (FragmentHeader const& header : file_.claimed()) {
    std::string_view const odd = mismatch(header, wanted);
    if (!odd.empty()) {
      found.reason = odd;
      continue;
    }
    found.fitting.push_back(header);
    found.moments.push_back({header.micro_batches, header.generation});
  }
  if (found.reason.empty())
    found.reason = "rank " + std::to_string(mesh_->rank()) + " has no fragment";
  return found;
}

/// The newest fragment that all ranks of the replica have, in memory; none if there is none.
std::optional<FragmentHeader> GradientFragments::load(Found& found) {
  std::vector<std::string> const all = gather_texts(to_text(found.moments), replica_);
  std::vector<FragmentMoment> const common = common_moments(all);
  if (common.empty()) {
    if (!found.moments.empty()) found.reason.clear();  // the fault is another rank's, or nobody's
    return std::nullopt;
  }
  for (FragmentMoment const& moment : common) {
    auto const mine =
        found.fitting.begin() + (std::ranges::find(found.moments, moment) - found.moments.begin());
    bool good = false;
    try {
      allocate_memory();
      good = file_.read(
          *mine, {static_cast<std::byte*>(memory_.data()), static_cast<std::size_t>(bytes_)});
    } catch (OutOfMemory const& error) {
      failure_ = error.what();
    }
    found.reason =
        good ? "" : "a fragment of rank " + std::to_string(mesh_->rank()) + " is damaged";
    if (all_reduce_value(good ? 1 : 0, Reduce::min, replica_) > 0) return *mine;
  }
  return std::nullopt;
}

void GradientFragments::take_up(FragmentHeader const& header) {
  Stream& compute = trainer_->compute();
  Size at = 0;
  for (FlatBuffer const& flat : trainer_->parameters().flats()) {
    transfer(on_host(flat.gradients, at), flat.gradients, compute);
    at += flat.gradients.bytes();
  }
  compute.synchronize();
  trainer_->resume_step({header.micro_batches, header.tokens}, header.loss);
}

std::string GradientFragments::resume(Size step, std::string const& content_hash) {
  acknowledged(step, content_hash);
  if (stage_ == Stage::off) return {};
  Found found = look(header_of({}));
  bool const silent =
      options_.policy != FragmentPolicy::always &&
      all_reduce_value(file_.claimed().empty() ? 0 : 1, Reduce::max, runtime_->world()) == 0;
  if (silent) return {};
  std::optional<FragmentHeader> const used = load(found);
  if (used) take_up(*used);
  return tell(used, found.reason);
}

std::string GradientFragments::tell(std::optional<FragmentHeader> const& used,
                                    std::string const& reason) {
  std::string kept = "none kept, its ranks have no fragment in common";
  // Of a replica that redoes its work the first rank with a reason speaks.
  std::vector<std::string> const reasons = gather_texts(reason, replica_);
  auto const spoken = std::ranges::find_if_not(reasons, &std::string::empty);
  if (spoken != reasons.end()) kept = "none kept, " + *spoken;
  if (used)
    kept = std::to_string(used->micro_batches) + " of " + std::to_string(used->of) + " kept";
  std::string const replica = std::to_string(mesh_->place()[Axis::dp]);
  auto const said = gather_texts(replica + " " + kept, runtime_->world());
  std::string const line =
      "gradient fragments, step " + std::to_string(base_step_ + 1) + ": " + summary(said);
  if (runtime_->rank() == 0) runtime_->log().info(line);
  return line;
}

}  // namespace dsr
