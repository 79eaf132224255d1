// SPDX-License-Identifier: Apache-2.0
#pragma once
/// What a run reports: one JSON object a line in a file, and one plain line a step for people.
///
///     MetricsWriter metrics{"run/metrics.jsonl"};              // rank 0 only
///     metrics.write(StepMetrics{.step = 1, .loss = 5.5});
///     metrics.write({{"step", Size{1}}, {"my_number", 0.5}});  // a program's own
///     std::cout << status_line(step, 1000, eta_s) << '\n';
#include <optional>
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

/// What became of a save, in one tier.
struct CheckpointMetrics {
  Size step = 0;                  ///< that was saved
  std::string_view tier;          ///< hot, warm or cold
  std::string_view state;         ///< acknowledged, failed or skipped
  double stall_ms = 0;            ///< in which training stood still
  Size bytes = 0;                 ///< of all ranks
  double write_gb_s = 0;          ///< bytes in 10⁹ a second, from the copy to the acknowledgement
  Size age_steps = 0;             ///< that had been done since the newest acknowledged set
};

/// One key of an object.
struct Metric {
  std::string_view name;
  std::variant<Size, double, std::string_view> value;
};

std::vector<Metric> metrics_of(StepMetrics const& step);
std::vector<Metric> metrics_of(EvaluationMetrics const& evaluation);
/// The keys begin with "checkpoint_", apart from the step.
std::vector<Metric> metrics_of(CheckpointMetrics const& checkpoint);

/// One JSON object on one line, keys in the order given; a number that is not finite becomes null.
/// Bytes that are not UTF-8 are replaced.
std::string json_line(std::span<Metric const> metrics);

/// Moves, does not copy: it owns an open file. Appends each object with one write, so a crash
/// leaves whole lines. A run that is resumed appends too, and does some steps again: of two records
/// of a step with the same keys the last one counts.
class MetricsWriter {
 public:
  /// Appends to a file that exists; makes parent directories. If its last line was torn by a crash
  /// it is ended first, and stays. `generation`: of the run's start, written as the last key of
  /// each object. Throws IoError.
  explicit MetricsWriter(std::string path, std::optional<int> generation = {});

  void write(std::span<Metric const> metrics);
  void write(std::vector<Metric> const& metrics) { write(std::span<Metric const>{metrics}); }
  void write(StepMetrics const& step) { write(metrics_of(step)); }
  void write(EvaluationMetrics const& evaluation) { write(metrics_of(evaluation)); }
  void write(CheckpointMetrics const& checkpoint) { write(metrics_of(checkpoint)); }

 private:
  FileWriter file_;
  std::optional<int> generation_;
};

/// Step, loss, gradient norm, learning rate, tokens/s, ms and remaining time, in columns of fixed
/// width.
std::string status_line(StepMetrics const& step, Size total_steps, double eta_s);

/// "step   100/1000  val_loss 2.3456", in the columns of status_line.
std::string status_line(EvaluationMetrics const& evaluation, Size total_steps);

}  // namespace dsr
