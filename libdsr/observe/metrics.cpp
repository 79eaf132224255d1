// SPDX-License-Identifier: Apache-2.0
#include "dsr/observe/metrics.hpp"

#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <utility>

#include "dsr/core/error.hpp"
#include "dsr/io/file_system.hpp"
#include "dsr/observe/format.hpp"

namespace dsr {

std::vector<Metric> metrics_of(StepMetrics const& step) {
  return {{"step", step.step},
          {"loss", step.loss},
          {"grad_norm", step.grad_norm},
          {"lr", step.lr},
          {"tokens", step.tokens},
          {"tokens_per_s", step.tokens_per_s},
          {"step_ms", step.step_ms},
          {"comm_ms", step.comm_ms},
          {"exposed_comm_ms", step.exposed_comm_ms}};
}

std::vector<Metric> metrics_of(EvaluationMetrics const& evaluation) {
  return {{"step", evaluation.step}, {"val_loss", evaluation.val_loss}};
}

std::vector<Metric> metrics_of(CheckpointMetrics const& checkpoint) {
  return {{"step", checkpoint.step},
          {"checkpoint_tier", checkpoint.tier},
          {"checkpoint_state", checkpoint.state},
          {"checkpoint_stall_ms", checkpoint.stall_ms},
          {"checkpoint_bytes", checkpoint.bytes},
          {"checkpoint_write_gb_s", checkpoint.write_gb_s},
          {"checkpoint_age_steps", checkpoint.age_steps}};
}

std::string json_line(std::span<Metric const> metrics) {
  nlohmann::ordered_json object = nlohmann::ordered_json::object();
  for (Metric const& metric : metrics) {
    // A double that is not finite is written as null by dump().
    std::visit([&](auto const& value) { object[std::string{metric.name}] = value; }, metric.value);
  }
  return object.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
}

namespace {

/// Whether the file ends within a line. What cannot be read back, such as a pipe, does not.
bool is_torn(std::string const& path) {
  if (!file_exists(path)) return false;
  try {
    auto const file = system_files().open(path);
    Size const bytes = file->size();
    std::byte last{};
    return bytes > 0 && file->read_at(bytes - 1, {&last, 1}) == 1 && last != std::byte{'\n'};
  } catch (IoError const&) {
    return false;
  }
}

}  // namespace

MetricsWriter::MetricsWriter(std::string path, std::optional<int> generation)
    : file_(path), generation_(generation) {
  if (is_torn(path)) file_.line("");
}

void MetricsWriter::write(std::span<Metric const> metrics) {
  std::vector<Metric> all{metrics.begin(), metrics.end()};
  if (generation_) all.push_back({"generation", Size{*generation_}});
  file_.line(json_line(all));
}

namespace {

/// "step   120/1000", as wide for every step of a run.
std::string step_column(Size step, Size total_steps) {
  std::string const total = std::to_string(total_steps);
  return fmt::format("step {:>{}}/{}", step, total.size(), total);
}

}  // namespace

std::string status_line(StepMetrics const& step, Size total_steps, double eta_s) {
  return fmt::format(
      "{}  loss {:7.4f}  grad norm {:8.4f}  lr {:.2e}  {:>6} tokens/s  {:8.1f} ms  ETA {}",
      step_column(step.step, total_steps), step.loss, step.grad_norm, step.lr,
      format_count(step.tokens_per_s), step.step_ms, format_duration(eta_s));
}

std::string status_line(EvaluationMetrics const& evaluation, Size total_steps) {
  return fmt::format("{}  val_loss {:7.4f}", step_column(evaluation.step, total_steps),
                     evaluation.val_loss);
}

}  // namespace dsr
