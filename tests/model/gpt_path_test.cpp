// SPDX-License-Identifier: Apache-2.0
/// What a layer is called while it runs is what a Visitor calls it.
#include <memory>
#include <string>
#include <vector>

#include "dsr/model/gpt.hpp"
#include "dsr/ops/elementwise.hpp"
#include "dsr/state/parameters.hpp"
#include "support/catch.hpp"

namespace dsr {
namespace {

/// An FFN that has a parameter and writes down under which path it ran.
class Witness : public Layer {
 public:
  Witness(std::vector<std::string>& seen, Mesh const& mesh)
      : seen_(&seen), bias_({{4}, {}, mesh.shape()}, {}) {}
  void forward(Pass& pass, Tensor x, Tensor y) override {
    seen_->push_back(pass.path());
    copy(x, y, pass.stream());
  }
  void backward(Pass& pass, Tensor dy, Tensor dx) override {
    seen_->push_back(pass.path());
    copy(dy, dx, pass.stream());
  }
  void visit(Visitor& visitor) override { visitor.parameter("bias", bias_); }

 private:
  std::vector<std::string>* seen_;
  Parameter bias_;
};

class Names : public Visitor {
 public:
  std::vector<std::string> found;

 protected:
  void on_parameter(std::string const& path, Parameter&) override {
    std::size_t const end = path.rfind("/bias");
    if (path.find("/ffn/") != std::string::npos) found.push_back(path.substr(0, end));
  }
};

std::vector<std::string> run(Recompute recompute, std::vector<std::string>& visited) {
  Mesh const mesh{MeshShape{}};
  std::vector<std::string> seen;
  Gpt model{{.layers = 11, .hidden = 16, .heads = 2, .sequence = 8}, mesh, [&](int, Mesh const& m) {
              return std::make_unique<Witness>(seen, m);
            }};
  Names names;
  model.visit(names);
  visited = names.found;
  Parameters const parameters{model, mesh};
  measure(model, mesh, 1, 8, {.recompute = recompute});
  return seen;
}

TEST_CASE("a layer runs under the path that a visitor gives it, forward and backward") {
  std::vector<std::string> visited, expected;
  std::vector<std::string> const seen = run(Recompute::none, visited);
  REQUIRE(visited.size() == 11);
  CHECK(visited[10] == "blocks/10/ffn");
  expected = visited;
  expected.insert(expected.end(), visited.rbegin(), visited.rend());
  CHECK(seen == expected);
}

TEST_CASE("what is computed again runs under the same path") {
  std::vector<std::string> visited, expected;
  std::vector<std::string> const seen = run(Recompute::block, visited);
  expected = visited;
  for (auto name = visited.rbegin(); name != visited.rend(); ++name) {
    expected.push_back(*name);  // forward again,
    expected.push_back(*name);  // then backward
  }
  CHECK(seen == expected);
}

}  // namespace
}  // namespace dsr
