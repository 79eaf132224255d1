// SPDX-License-Identifier: Apache-2.0
#include "dsr/train/settings.hpp"

#include "dsr/core/error.hpp"
#include "support/catch.hpp"

namespace dsr {
namespace {

TEST_CASE("keys reach the options that they name") {
  TrainSettings s;
  s.model = {.layers = 2,
             .hidden = 64,
             .heads = 8,
             .ffn = 96,
             .vocab = 300,
             .sequence = 32,
             .dropout = 0.1,
             .bias = false,
             .tied = false};
  s.mesh = {.dp = 2, .row = 2, .col = 2, .order = {"row", "dp"}};
  s.train.batch = 24;
  s.train.micro_batch = 3;
  s.train.zero = 1;
  s.train.regather = false;
  s.train.seed = 9;
  GptConfig const g = gpt_config(s);
  CHECK(g.inner() == 96);
  CHECK(g.vocabulary == 300);
  CHECK(g.bias == ModelBias::no);
  CHECK(g.head == HeadWeight::own);
  CHECK(mesh_shape(s) == MeshShape{.dp = 2, .row = 2, .col = 2, .order = {Axis::row, Axis::dp}});
  CHECK(adamw_options(s).zero == ZeroStage::one);
  CHECK(pass_options(s).regather == Regather::no);
  CHECK(pass_options(s).seed == 9);
  CHECK(pass_options(s).dropout == 0.1);
  CHECK(trainer_options(s).rate.warmup == s.train.warmup);
  CHECK(loader_options(s).vocabulary == 300);
  CHECK(evaluation_options(s).order == DataOrder::sequential);
  CHECK(dry_run_options(s).accumulation == 4);
  CHECK_NOTHROW(validate(s, mesh_shape(s).ranks()));
}

TEST_CASE("all problems that keys have together are reported together") {
  TrainSettings s;
  s.model.heads = 3;   // does not divide hidden = 128
  s.train.batch = 13;  // nor micro_batch = 6 this
  s.train.min_lr = 1;  // above lr
  s.run.device = "gpu";
  s.mesh.dp = 2;  // and there are 3 ranks
  CHECK_THROWS_AS(validate(s, 3), InvalidArgument);
  CHECK_THROWS_WITH(validate(s, 3), test::contains("hidden % heads = 128 % 3") &&
                                        test::contains("batch % (dp·micro_batch) = 13 % (2·6)") &&
                                        test::contains("2·1·1 = 2 ≠ 3 ranks") &&
                                        test::contains("train.min_lr") && test::contains("gpu"));
}

}  // namespace
}  // namespace dsr
