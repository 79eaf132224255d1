// SPDX-License-Identifier: Apache-2.0
#include <fmt/core.h>

#include "dsr/plan/dry_run.hpp"
#include "dsr/plan/memory.hpp"

namespace dsr {

namespace {

double mebibytes(Size bytes) { return static_cast<double>(bytes) / (1 << 20); }

std::string memory_lines(DryRun const& run) {
  auto const line = [](std::string_view what, Size bytes) {
    return fmt::format("  {:<34}{:>16} bytes {:>12.2f} MiB\n", what, bytes, mebibytes(bytes));
  };
  std::string text = "bytes per rank\n" + line("weights and gradients", run.parameter_bytes) +
                     line("optimizer state", run.optimizer_bytes) +
                     line("arena: saved for backward", run.arenas.saved_bytes) +
                     line("arena: scratch", run.arenas.scratch_bytes) +
                     line("total", run.total_bytes());
  if (run.options.device != Device::Kind::cuda) return text;
  text += "outside of these, estimated\n";
  for (MemoryPart const& part : memory_parts(run)) {
    if (part.certainty == Certainty::estimated) text += line(part.what, part.bytes);
  }
  return text + line("context", kCudaContext_bytes) + line("used on the device", device_bytes(run));
}

char const* name_of(Recompute recompute) {
  switch (recompute) {
    case Recompute::none:
      return "none";
    case Recompute::selective:
      return "selective";
    case Recompute::block:
      return "block";
  }
  return "unknown";
}

std::string traffic_lines(std::vector<std::pair<AxisSet, Traffic>> const& groups,
                          MeshShape const& mesh) {
  std::string text;
  for (auto const& [axes, traffic] : groups) {
    if (mesh.size(axes) == 1) continue;
    for (int i = 0; i < kCollectives; ++i) {
      auto const operation = static_cast<Collective>(i);
      TrafficCount const& count = traffic[operation];
      if (count.sent == 0) continue;
      text +=
          fmt::format("  {:<14}{:<16}{:>8} calls {:>16} elements {:>12.2f} MiB\n", to_string(axes),
                      name_of(operation), count.calls, count.sent, mebibytes(count.sent_bytes));
    }
  }
  return text.empty() ? "  nothing\n" : text;
}

Size sent_over_model_axes(DryRun const& run) {
  return sent(run, Axis::row) + sent(run, Axis::col) + sent(run, kModelAxes);
}

std::string comparison(DryRun const& run) {
  MeshShape const& mesh = run.mesh;
  Size const two = sent_over_model_axes(run);
  if (mesh.col == 1) {
    return fmt::format(
        "one dimension: this mesh has col = 1, so it is one-dimensional ({} elements)\n", two);
  }
  MeshShape one = mesh;
  one.row = mesh.row * mesh.col;
  one.col = 1;
  Size const single = sent_over_model_axes(dry_run(run.config, one, run.options));
  return fmt::format(
      "one dimension: row = {} and col = 1 would send {} elements, this mesh sends {} ({:.2f}x)\n",
      one.row, single, two, static_cast<double>(two) / static_cast<double>(single));
}

}  // namespace

std::string report(DryRun const& run) {
  GptConfig const& c = run.config;
  Size const sequences = run.mesh.dp * run.options.micro_batch * run.options.accumulation;
  return fmt::format("mesh      {} ({} ranks)\n", to_string(run.mesh), run.mesh.ranks()) +
         fmt::format(
             "model     {} layers, hidden {}, heads {}, ffn {}, vocab {}, sequence {}: {} "
             "parameters\n",
             c.layers, c.hidden, c.heads, c.inner(), c.vocabulary, c.sequence,
             run.global_parameters) +
         fmt::format(
             "step      {} sequences = dp {} x micro_batch {} x accumulation {}; {:.3f} GFLOP a "
             "rank and "
             "micro-batch\n",
             sequences, run.mesh.dp, run.options.micro_batch, run.options.accumulation,
             static_cast<double>(run.work.flops) * 1e-9) +
         fmt::format("options   zero {}, regather {}, recompute {}, dropout {}\n",
                     static_cast<int>(run.options.zero),
                     run.options.pass.regather == Regather::yes ? "true" : "false",
                     name_of(run.options.pass.recompute), run.options.pass.dropout) +
         memory_lines(run) + "elements that a rank sends, one micro-batch (rings)\n" +
         traffic_lines(run.micro_batch, run.mesh) + "elements that a rank sends, once a step\n" +
         traffic_lines(run.update, run.mesh) + comparison(run);
}

}  // namespace dsr
