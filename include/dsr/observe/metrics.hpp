// SPDX-License-Identifier: Apache-2.0
#pragma once
/// What a run reports: one JSON object a line in a file, and one plain line a step for people.
///
///     MetricsWriter metrics{"run/metrics.jsonl"};              // rank 0 only
///     metrics.write(StepMetrics{.step = 1, .loss = 5.5});
///     metrics.write({{"step", Size{1}}, {"my_number", 0.5}});  // a program's own
///     std::cout << status_line(step, 1000, eta_s) << '\n';
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "dsr/core/shape.hpp"
#include "dsr/io/files.hpp"

namespace dsr {

/// One optimizer step, in the order of its keys in the file.
struct StepMetrics {
  Size step = 0;         ///< steps done, this one included
  double loss = 0;       ///< mean over the step's tokens
  double grad_norm = 0;  ///< before clipping
  double lr = 0;
  Size tokens = 0;  ///< of this step, whole job
  double tokens_per_s = 0;
  double step_ms = 0;
  double comm_ms = 0;          ///< collectives running, on any stream of this rank
  double exposed_comm_ms = 0;  ///< of these, the time in which nothing was computed
};

struct EvaluationMetrics {
  Size step = 0;
  double val_loss = 0;
};

/// One key of an object.
struct Metric {
  std::string_view name;
  std::variant<Size, double, std::string_view> value;
};

std::vector<Metric> metrics_of(StepMetrics const& step);
std::vector<Metric> metrics_of(EvaluationMetrics const& evaluation);

/// One JSON object on one line, keys in the order given; a number that is not finite becomes null.
/// Bytes that are not UTF-8 are replaced.
std::string json_line(std::span<Metric const> metrics);

/// Moves, does not copy: it owns an open file. Appends each object with one write, so a crash
/// leaves whole lines.
class MetricsWriter {
 public:
  /// Appends to a file that exists; makes parent directories. Throws IoError.
  explicit MetricsWriter(std::string path) : file_(std::move(path)) {}

  void write(std::span<Metric const> metrics) { file_.line(json_line(metrics)); }
  void write(std::vector<Metric> const& metrics) { write(std::span<Metric const>{metrics}); }
  void write(StepMetrics const& step) { write(metrics_of(step)); }
  void write(EvaluationMetrics const& evaluation) { write(metrics_of(evaluation)); }

 private:
  FileWriter file_;
};

/// Step, loss, gradient norm, learning rate, tokens/s, ms and remaining time, in columns of fixed
/// width.
std::string status_line(StepMetrics const& step, Size total_steps, double eta_s);

/// "step   100/1000  val_loss 2.3456", in the columns of status_line.
std::string status_line(EvaluationMetrics const& evaluation, Size total_steps);

}  // namespace dsr
