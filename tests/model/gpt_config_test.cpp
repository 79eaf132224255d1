// SPDX-License-Identifier: Apache-2.0
#include "dsr/core/error.hpp"
#include "dsr/model/gpt.hpp"
#include "dsr/state/parameters.hpp"
#include "support/catch.hpp"
#include "support/text_of.hpp"

namespace dsr {
namespace {

TEST_CASE("sizes: all problems in one text") {
  CHECK_NOTHROW(GptConfig{}.validate());
  CHECK_THROWS_AS((GptConfig{.layers = 0}.validate()), InvalidArgument);
  CHECK_THROWS_WITH(
      (GptConfig{.layers = 0, .hidden = 130, .heads = 4}.validate()),
      test::contains("model.layers: 0, allowed at least 1") &&
          test::contains("hidden % heads = 130 % 4 = 2, allowed 0; nearest hidden = 132"));
  CHECK_THROWS_WITH((GptConfig{.heads = 4, .groups = 3}.validate()),
                    test::contains("heads % groups = 4 % 3 = 1"));
}

TEST_CASE("a mesh that does not divide the model: equations and the nearest shapes that fit") {
  GptConfig const config{.hidden = 128, .heads = 4};
  CHECK_NOTHROW(config.validate(MeshShape{.dp = 3, .row = 2, .col = 2}));
  CHECK_THROWS_AS(config.validate(MeshShape{.row = 3}), InvalidArgument);
  CHECK_THROWS_WITH(config.validate(MeshShape{.row = 3, .col = 2}),
                    test::contains("model.heads % (row·col) = 4 % 6 = 4") &&
                        test::contains("model.ffn % (row·col) = 512 % 6 = 2") &&
                        test::contains("nearest dp=3"));
  CHECK_THROWS_AS((Gpt{config, Mesh{{.row = 3}}}), InvalidArgument);
}

TEST_CASE("head sizes that cuDNN does not take, and the nearest that it does") {
  CHECK(largest_head_size(90) == 256);
  CHECK(largest_head_size(80) == 128);
  CHECK(largest_head_size(100) == 128);
  CHECK(largest_head_size(0) == 256);
  for (Size heads : {1, 2, 4, 8, 16}) {
    CHECK_NOTHROW(GptConfig{.hidden = 128, .heads = heads}.validate_on_cuda(128));
  }
  auto const refusal = [](Size hidden, Size heads, Size largest) {
    return test::text_of<InvalidArgument>(
        [&] { GptConfig{.hidden = hidden, .heads = heads}.validate_on_cuda(largest); });
  };
  CHECK(refusal(48, 4, 256) ==
        "dsr: model.heads: head size hidden / heads = 48 / 4 = 12 on cuda, allowed head sizes that "
        "are multiples of 8 up to 256, which cuDNN takes; nearest heads = 3");
  CHECK(test::contains(refusal(512, 2, 128), "nearest heads = 4"));
  CHECK(refusal(512, 2, 256).empty());
  CHECK(test::contains(refusal(36, 3, 256), "nearest hidden = 48"));
  CHECK(test::contains(refusal(1001, 1, 256), "nearest hidden = 1008 and heads = 6"));
  CHECK(refusal(10, 3, 256).empty());  // validate() refuses it
}

TEST_CASE("parameters are counted as users count them, on any mesh") {
  GptConfig const c{.layers = 2, .hidden = 12, .heads = 6, .vocabulary = 257, .sequence = 10};
  // 12·H² of matrices; biases and norms: 3H + H + 4H + H + 4H.
  Size const per_layer = 12 * 12 * 12 + 13 * 12;
  Size const expected = 257 * 12 + 10 * 12 + 2 * per_layer + 2 * 12;
  for (MeshShape const& shape :
       {MeshShape{}, MeshShape{.row = 2, .col = 3}, MeshShape{.dp = 2, .row = 6}}) {
    Mesh const mesh{shape};
    Gpt model{c, mesh};
    CHECK(Parameters{model, mesh}.global_elements() == expected);
  }
}

TEST_CASE("GPT-2 124M has 124 million parameters") {
  Mesh const mesh{MeshShape{}};
  GptConfig config = gpt2_124m();
  config.vocabulary = 50257;  // without the padding to a multiple of 128
  Gpt model{config, mesh};
  CHECK(Parameters{model, mesh}.global_elements() == 124'439'808);
}

}  // namespace
}  // namespace dsr
