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
  s.train.recompute = "selective";
  s.train.deterministic = true;
  s.train.seed = 9;
  GptConfig const g = gpt_config(s);
  CHECK(g.inner() == 96);
  CHECK(g.vocabulary == 300);
  CHECK(g.bias == ModelBias::no);
  CHECK(g.head == HeadWeight::own);
  CHECK(mesh_shape(s) == MeshShape{.dp = 2, .row = 2, .col = 2, .order = {Axis::row, Axis::dp}});
  CHECK(adamw_options(s).zero == ZeroStage::one);
  CHECK(pass_options(s).regather == Regather::no);
  CHECK(pass_options(s).recompute == Recompute::selective);
  CHECK(pass_options(s).seed == 9);
  CHECK(pass_options(s).dropout == 0.1);
  CHECK(trainer_options(s).rate.warmup == s.train.warmup);
  CHECK(trainer_options(s).algorithms.deterministic == Determinism::on);
  CHECK(trainer_options(s).algorithms_file == s.run.dir + "/algorithms.txt");
  CHECK(loader_options(s).vocabulary == 300);
  CHECK(evaluation_options(s).order == DataOrder::sequential);
  CHECK(dry_run_options(s).accumulation == 4);
  CHECK_NOTHROW(validate(s, mesh_shape(s).ranks()));
}

TEST_CASE("sizes that a GPU does not take are found without one, those that are slow are named") {
  TrainSettings s;
  s.model.hidden = 48;
  CHECK_NOTHROW(validate(s, 1));
  CHECK(slow_sizes(s).empty());
  s.run.device = "cuda";
  CHECK_THROWS_WITH(validate(s, 1), test::contains("head size hidden / heads = 48 / 4 = 12") &&
                                        test::contains("nearest heads = 3"));
  s.model.heads = 6;
  CHECK_NOTHROW(validate(s, 1));
  CHECK(slow_sizes(s).empty());
  s.model.vocab = 257;
  s.mesh.col = 3;
  s.model.hidden = 60;
  std::vector<std::string> const slow = slow_sizes(s);
  REQUIRE(slow.size() == 2);
  CHECK_THAT(slow[0], test::contains("model.hidden: 60, which is 20 on a rank") &&
                          test::contains("multiples of 24 are fast; nearest 72"));
  CHECK_THAT(slow[1], test::contains("model.vocab: 257, which is 86") && test::contains("264"));
  CHECK(dry_run_options(s).device == Device::Kind::cuda);
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
