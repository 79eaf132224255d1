// SPDX-License-Identifier: Apache-2.0
#include "dsr/plan/dry_run.hpp"

#include "dsr/core/error.hpp"
#include "support/catch.hpp"

namespace dsr {
namespace {

GptConfig small() {
  return {.layers = 3, .hidden = 48, .heads = 12, .vocabulary = 100, .sequence = 16};
}

TEST_CASE("serial: nothing is sent over any axis") {
  DryRun const run = dry_run(small(), {}, {.micro_batch = 2});
  for (auto const& [axes, traffic] : run.micro_batch) CHECK(traffic.total().sent == 0);
  for (auto const& [axes, traffic] : run.update) CHECK(traffic.total().sent == 0);
  // f32 weights, gradients and two moments, plus padding.
  CHECK(run.parameter_bytes >= 8 * run.global_parameters);
  CHECK(run.optimizer_bytes == run.parameter_bytes);
  CHECK(report(run).find("nothing") != std::string::npos);
}

TEST_CASE("flops of a micro-batch: 6 per weight and token, plus attention") {
  GptConfig const c = small();
  Size const tokens = 2 * c.sequence,
             matrices = c.layers * 12 * c.hidden * c.hidden + c.vocabulary * c.hidden;
  Size const pairs = 2 * c.sequence * (c.sequence + 1) / 2;  // query and key, causal, per head
  // Forward 4·D, backward 2.5 times that.
  Size const attention = c.layers * pairs * c.hidden * 4 * 7 / 2;
  CHECK(dry_run(c, {}, {.micro_batch = 2}).work.flops == 6 * matrices * tokens + attention);
}

TEST_CASE("more ranks need less memory each; ZeRO-1 cuts the optimizer's state") {
  DryRun const one = dry_run(small(), {}, {}), two = dry_run(small(), {.row = 2}, {}),
               four = dry_run(small(), {.row = 2, .col = 2}, {});
  CHECK(two.parameter_bytes < one.parameter_bytes);
  CHECK(four.parameter_bytes < two.parameter_bytes);
  DryRun const whole = dry_run(small(), {.dp = 4}, {}),
               cut = dry_run(small(), {.dp = 4}, {.zero = ZeroStage::one});
  CHECK(cut.optimizer_bytes * 4 == whole.optimizer_bytes);
  CHECK(cut.global_parameters == one.global_parameters);
}

TEST_CASE("keeping what was gathered costs memory and saves traffic") {
  MeshShape const mesh{.row = 2, .col = 2};
  DryRun const again = dry_run(small(), mesh, {.pass = {.regather = Regather::yes}});
  DryRun const kept = dry_run(small(), mesh, {.pass = {.regather = Regather::no}});
  CHECK(kept.arenas.saved_bytes > again.arenas.saved_bytes);
  CHECK(sent(kept, Axis::row) < sent(again, Axis::row));
  CHECK(sent(kept, Axis::col) < sent(again, Axis::col));
}

TEST_CASE("the report compares with one dimension, for thousands of ranks too") {
  GptConfig const c{.layers = 2, .hidden = 1024, .heads = 64, .vocabulary = 1000, .sequence = 64};
  std::string const text =
      report(dry_run(c, {.dp = 64, .row = 8, .col = 8}, {.zero = ZeroStage::one}));
  CHECK(text.find("4096 ranks") != std::string::npos);
  CHECK(text.find("row = 64 and col = 1 would send") != std::string::npos);
}

TEST_CASE("a mesh that does not fit is refused") {
  CHECK_THROWS_AS(dry_run(small(), {.row = 5}, {}), InvalidArgument);
  CHECK_THROWS_AS(dry_run(small(), {.row = 0}, {}), InvalidArgument);
}

}  // namespace
}  // namespace dsr
