// SPDX-License-Identifier: Apache-2.0
#include "dsr/observe/metrics.hpp"

#include <limits>

#include "dsr/core/error.hpp"
#include "io/temporary_directory.hpp"
#include "support/catch.hpp"

using namespace dsr;
using namespace dsr::test;

namespace {

StepMetrics example() {
  return {.step = 120,
          .loss = 2.5,
          .grad_norm = 1.25,
          .lr = 6e-4,
          .tokens = 768,
          .tokens_per_s = 12345,
          .step_ms = 62.25,
          .comm_ms = 10.5,
          .exposed_comm_ms = 0.5};
}

}  // namespace

TEST_CASE("the file has one object a line, with the documented keys in order") {
  TemporaryDirectory const directory;
  std::string const path = directory / "run/metrics.jsonl";
  {
    MetricsWriter writer{path};
    writer.write(example());
    writer.write(EvaluationMetrics{.step = 120, .val_loss = 2.75});
  }
  MetricsWriter{path}.write({{"step", Size{121}}, {"note", "a \"b\"\n"}, {"ratio", 0.1}});
  CHECK(
      slurp(path) ==
      R"({"step":120,"loss":2.5,"grad_norm":1.25,"lr":0.0006,"tokens":768,"tokens_per_s":12345.0,)"
      R"("step_ms":62.25,"comm_ms":10.5,"exposed_comm_ms":0.5})"
      "\n"
      R"({"step":120,"val_loss":2.75})"
      "\n"
      R"({"step":121,"note":"a \"b\"\n","ratio":0.1})"
      "\n");
}

TEST_CASE("a resumed run appends, names its start, and ends a line that a crash has torn") {
  TemporaryDirectory const directory;
  std::string const path = directory.write("metrics.jsonl", "{\"step\":1}\n{\"st");
  for (int const generation : {2, 3}) {
    MetricsWriter writer{path, generation};
    writer.write(EvaluationMetrics{.step = 1, .val_loss = 0.5});
  }
  CHECK(slurp(path) ==
        "{\"step\":1}\n{\"st\n"
        "{\"step\":1,\"val_loss\":0.5,\"generation\":2}\n"
        "{\"step\":1,\"val_loss\":0.5,\"generation\":3}\n");
  std::string const empty = directory.write("empty.jsonl", "");
  MetricsWriter{empty}.write({{"a", Size{1}}});
  CHECK(slurp(empty) == "{\"a\":1}\n");
}

TEST_CASE("what became of a save has keys of its own") {
  CHECK(json_line(metrics_of(CheckpointMetrics{.step = 30,
                                               .tier = "warm",
                                               .state = "acknowledged",
                                               .stall_ms = 1.5,
                                               .bytes = 4096,
                                               .write_gb_s = 0.25,
                                               .age_steps = 2})) ==
        R"({"step":30,"checkpoint_tier":"warm","checkpoint_state":"acknowledged",)"
        R"("checkpoint_stall_ms":1.5,"checkpoint_bytes":4096,"checkpoint_write_gb_s":0.25,)"
        R"("checkpoint_age_steps":2})");
}

TEST_CASE("numbers that are not finite are null, and bad UTF-8 is replaced") {
  double const nan = std::numeric_limits<double>::quiet_NaN();
  double const infinity = std::numeric_limits<double>::infinity();
  CHECK(json_line(metrics_of(EvaluationMetrics{.step = 1, .val_loss = nan})) ==
        R"({"step":1,"val_loss":null})");
  std::vector<Metric> const metrics{{"a", infinity}, {"b", -infinity}, {"c", "\xff"}};
  CHECK(json_line(metrics) == "{\"a\":null,\"b\":null,\"c\":\"\xEF\xBF\xBD\"}");
  CHECK(json_line({}) == "{}");
}

TEST_CASE("doubles come back as they were") {
  double const loss = 0.1 + 0.2;
  std::string const line = json_line(metrics_of(EvaluationMetrics{.step = 1, .val_loss = loss}));
  CHECK(std::stod(line.substr(line.rfind(':') + 1)) == loss);
}

TEST_CASE("a file that cannot be opened is an IoError") {
  TemporaryDirectory const directory;
  std::string const file = directory.write("file", "x");
  CHECK_THROWS_AS(MetricsWriter{file + "/metrics.jsonl"}, IoError);
}

TEST_CASE("status_line has columns of fixed width") {
  CHECK(status_line(example(), 1000, 200) ==
        "step  120/1000  loss  2.5000  grad norm   1.2500  lr 6.00e-04   12.3k tokens/s      62.2 "
        "ms  ETA 3m 20s");
  StepMetrics first = example();
  first.step = 1;
  first.loss = 11.125;
  CHECK(status_line(first, 1000, 200).size() == status_line(example(), 1000, 200).size());
  CHECK(status_line(EvaluationMetrics{.step = 120, .val_loss = 2.75}, 1000) ==
        "step  120/1000  val_loss  2.7500");
  first.loss = std::numeric_limits<double>::quiet_NaN();
  CHECK(contains(status_line(first, 1000, first.loss), "nan"));
}
