// SPDX-License-Identifier: Apache-2.0
#include <fmt/core.h>

#include <string>
#include <vector>

#include "dsr/core/error.hpp"
#include "dsr/plan/memory.hpp"

namespace dsr {

namespace {

constexpr int kMostTimesRanks = 64;

std::string size_text(Size bytes) {
  double const mebibytes = static_cast<double>(bytes) / (1 << 20);
  return mebibytes < 1024 ? fmt::format("{:.2f} MiB", mebibytes)
                          : fmt::format("{:.2f} GiB", mebibytes / 1024);
}

/// A search for one kind of change; the first that fits ends it.
class Search {
 public:
  Search(DryRun const& run, Size free_bytes) : run_(&run), free_bytes_(free_bytes) {}

  bool found() const { return !text_.empty(); }
  std::string const& text() const { return text_; }

  void attempt(std::string const& change, MeshShape const& mesh, DryRunOptions const& options) {
    if (found()) return;
    Size const bytes = needed_bytes(dry_run(run_->config, mesh, options));
    if (bytes <= free_bytes_) text_ = fmt::format("{} ({})", change, size_text(bytes));
  }

 private:
  DryRun const* run_;
  Size free_bytes_;
  std::string text_;
};

char const* name_of(Recompute recompute) {
  return recompute == Recompute::selective ? "selective" : "block";
}

std::vector<Recompute> stronger(Recompute recompute) {
  if (recompute == Recompute::none) return {Recompute::selective, Recompute::block};
  if (recompute == Recompute::selective) return {Recompute::block};
  return {};
}

/// The same step in smaller micro-batches, halved again and again; those that do not divide a
/// replica's sequences are left out.
template <class Attempt>
void for_smaller_batches(DryRun const& run, Attempt&& attempt) {
  Size const sequences = run.options.micro_batch * run.options.accumulation;
  for (Size micro = run.options.micro_batch / 2; micro >= 1; micro /= 2) {
    if (sequences % micro != 0) continue;
    DryRunOptions options = run.options;
    options.micro_batch = micro;
    options.accumulation = sequences / micro;
    attempt("train.micro_batch=" + std::to_string(micro), options);
  }
}

bool fits(GptConfig const& config, MeshShape const& mesh) {
  try {
    config.validate(mesh);
    return true;
  } catch (InvalidArgument const&) {
    return false;
  }
}

/// More model-parallel ranks, with these options; `with` names what else they change.
void try_meshes(DryRun const& run, std::string const& with, DryRunOptions const& base,
                Search& search) {
  for (int times = 2; times <= kMostTimesRanks && !search.found(); times *= 2) {
    for (int rows = times; rows >= 1; rows /= 2) {
      MeshShape mesh = run.mesh;
      mesh.row *= rows;
      mesh.col *= times / rows;
      bool const from_dp = mesh.dp % times == 0;
      if (from_dp) mesh.dp /= times;
      if (!fits(run.config, mesh)) continue;
      DryRunOptions options = base;
      if (from_dp) options.accumulation *= times;
      search.attempt(fmt::format("{}mesh.dp={} mesh.row={} mesh.col={} on {} ranks", with, mesh.dp,
                                 mesh.row, mesh.col, mesh.ranks()),
                     mesh, options);
    }
  }
}

/// Two changes and more, for where none alone is enough.
void try_together(DryRun const& run, Search& search) {
  DryRunOptions least = run.options;
  least.pass.recompute = Recompute::block;
  for_smaller_batches(run, [&](std::string const& change, DryRunOptions options) {
    options.pass.recompute = Recompute::block;
    search.attempt(change + " train.recompute=block", run.mesh, options);
    least = options;
  });
  bool const changes = least.micro_batch != run.options.micro_batch ||
                       least.pass.recompute != run.options.pass.recompute;
  if (!changes) return;
  std::string const with =
      fmt::format("train.micro_batch={} train.recompute=block ", least.micro_batch);
  try_meshes(run, with, least, search);
}

std::string advice(DryRun const& run, Size free_bytes) {
  Search batch{run, free_bytes}, recompute{run, free_bytes}, zero{run, free_bytes},
      mesh{run, free_bytes}, together{run, free_bytes};
  for_smaller_batches(run, [&](std::string const& change, DryRunOptions const& options) {
    batch.attempt(change, run.mesh, options);
  });
  for (Recompute mode : stronger(run.options.pass.recompute)) {
    DryRunOptions options = run.options;
    options.pass.recompute = mode;
    recompute.attempt(fmt::format("train.recompute={}", name_of(mode)), run.mesh, options);
  }
  if (run.options.zero == ZeroStage::zero && run.mesh.dp > 1) {
    DryRunOptions options = run.options;
    options.zero = ZeroStage::one;
    zero.attempt("train.zero=1", run.mesh, options);
  }
  try_meshes(run, "", run.options, mesh);
  bool const alone = batch.found() || recompute.found() || zero.found();
  if (!alone) try_together(run, together);
  std::string text;
  for (Search const* search : {&batch, &recompute, &zero, &together, &mesh}) {
    if (search->found()) text += (text.empty() ? "" : ", or ") + search->text();
  }
  return text.empty() ? fmt::format(
                            "a smaller model: no micro_batch, no recompute mode and no mesh "
                            "of up to {} times as many ranks would fit",
                            kMostTimesRanks)
                      : text;
}

}  // namespace

std::string fit_report(DryRun const& run, Size free_bytes) {
  Size const needed = needed_bytes(run);
  if (needed <= free_bytes) return {};
  std::string found = fmt::format("{} needed on each rank:", size_text(needed));
  char const* separator = " ";
  for (MemoryPart const& part : memory_parts(run)) {
    found += fmt::format("{}{} {}", separator, part.what, size_text(part.bytes));
    separator = ", ";
  }
  return problem("memory", found, "up to " + size_text(free_bytes) + ", which is free",
                 advice(run, free_bytes));
}

void require_memory(DryRun const& run, Size free_bytes) {
  std::string const text = fit_report(run, free_bytes);
  if (!text.empty()) throw OutOfMemory(text);
}

}  // namespace dsr
