// SPDX-License-Identifier: Apache-2.0
/// What constructors refuse, and how parameters are laid out. That the arithmetic is right is
/// tested in tests/model, against finite differences and PyTorch on every mesh.
#include <map>
#include <string>

#include "dsr/core/error.hpp"
#include "dsr/nn/attention.hpp"
#include "dsr/nn/embedding2d.hpp"
#include "dsr/nn/ffn.hpp"
#include "dsr/nn/lm_head.hpp"
#include "dsr/nn/norm.hpp"
#include "support/catch.hpp"

namespace dsr {
namespace {

class Collector : public Visitor {
 public:
  std::map<std::string, Parameter*> found;

 protected:
  void on_parameter(std::string const& path, Parameter& parameter) override {
    found[path] = &parameter;
  }
};

std::map<std::string, Parameter*> parameters_of(Layer& layer) {
  Collector collector;
  layer.visit(collector);
  return collector.found;
}

Mesh mesh(int row, int col) { return Mesh{MeshShape{.dp = 2, .row = row, .col = col}}; }

TEST_CASE("Linear2D stores each matrix once: [F/R, H/C] to inner, [H/C, F/R] to residual") {
  Mesh const m = mesh(2, 3);
  Linear2D up{Direction::to_inner, {24, 12}, m}, down{Direction::to_residual, {12, 24}, m};
  CHECK(up.weight().shard().local_shape() == Shape{12, 4});
  CHECK(up.bias().shard().local_shape() == Shape{4});
  CHECK(up.bias().traits().partial_over == AxisSet{Axis::dp});
  CHECK(down.weight().shard().local_shape() == Shape{4, 12});
  CHECK(down.bias().shard().local_shape() == Shape{4});
  CHECK(down.bias().traits().partial_over == (Axis::dp | Axis::row));
  CHECK(up.weight().traits().decay == Decay::yes);
  CHECK(up.bias().traits().decay == Decay::no);
  Linear2D bare{Direction::to_inner, {24, 12}, m, {.bias = Bias::none}};
  CHECK_FALSE(bare.has_bias());
  CHECK_THROWS_AS(bare.bias(), InvalidArgument);
  CHECK(parameters_of(bare).size() == 1);
}

TEST_CASE("what cannot be divided is an equation") {
  Mesh const m = mesh(2, 3);
  CHECK_THROWS_WITH((Linear2D{Direction::to_inner, {20, 12}, m}),
                    test::contains("output units % (row·col) = 20 % 6 = 2, allowed 0; nearest 24"));
  CHECK_THROWS_WITH((Linear2D{Direction::to_inner, {24, 13}, m}),
                    test::contains("input features % col = 13 % 3"));
  CHECK_THROWS_AS((Linear2D{Direction::to_residual, {12, 20}, m}), InvalidArgument);
  CHECK_THROWS_AS((Linear2D{Direction::to_residual, {13, 24}, m}), InvalidArgument);
  CHECK_THROWS_AS((Linear2D{Direction::to_inner, {24, 12}, m, {.units = {6, 5}}}), InvalidArgument);
  CHECK_THROWS_AS((Attention{{.hidden = 24, .heads = 4}, m}), InvalidArgument);
  CHECK_THROWS_AS((Attention{{.hidden = 25, .heads = 6}, m}), InvalidArgument);
  CHECK_THROWS_AS((Attention{{.hidden = 24, .heads = 6, .groups = 4}, m}), InvalidArgument);
  CHECK_THROWS_AS((Ffn{{.hidden = 24, .inner = 20}, m}), InvalidArgument);
  CHECK_THROWS_AS((AddNorm{25, m}), InvalidArgument);
  CHECK_THROWS_AS((Embedding2D{{.vocabulary = 10, .positions = 4, .hidden = 25}, m}),
                  InvalidArgument);
}

TEST_CASE("QKV is stored in groups: query heads, then key, then value") {
  Mesh const m = mesh(2, 1);
  Attention attention{{.hidden = 24, .heads = 6, .groups = 2}, m};
  auto const found = parameters_of(attention);
  CHECK(found.at("qkv/weight")->shard().global() == Shape{2, 5, 4, 24});
  CHECK(found.at("qkv/weight")->shard().local_shape() == Shape{1, 5, 4, 24});
  CHECK(found.at("qkv/bias")->shard().global() == Shape{2, 5, 4});
  CHECK(found.at("output/weight")->shard().local_shape() == Shape{24, 12});
}

TEST_CASE("tables are padded, and a tied head has no weight of its own") {
  Mesh const m = mesh(2, 2);
  Embedding2D embedding{{.vocabulary = 257, .positions = 6, .hidden = 8, .token_uses = 2}, m};
  CHECK(embedding.tokens().shard().local_shape() == Shape{65, 8});
  CHECK(embedding.tokens().traits().uses == 2);
  LmHead tied{{.vocabulary = 257, .hidden = 8}, m, &embedding.tokens()},
      own{{.vocabulary = 257, .hidden = 8}, m};
  CHECK(parameters_of(tied).empty());
  CHECK(parameters_of(own).at("weight")->shard().local_shape() == Shape{65, 8});
}

}  // namespace
}  // namespace dsr
