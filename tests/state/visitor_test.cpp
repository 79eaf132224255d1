// SPDX-License-Identifier: Apache-2.0
#include "dsr/state/visitor.hpp"

#include "dsr/core/error.hpp"
#include "support/catch.hpp"

using namespace dsr;

namespace {

/// Records paths, texts with what they save.
class Recorder final : public Visitor {
 public:
  std::vector<std::string> lines;

 private:
  void on_parameter(std::string const& path, Parameter&) override { lines.push_back(path); }
  void on_text(std::string const& path, SaveText save, LoadText) override {
    lines.push_back(path + "=" + save());
  }
};

struct Leaf final : Visitable {
  Parameter weight{Shard{{1}, {}, {}}, {}};
  void visit(Visitor& visitor) override {
    visitor.parameter("weight", weight);
    visitor.text(
        "count", [] { return std::string{"7"}; }, [](std::string const&) {});
  }
};

struct Tree final : Visitable {
  Leaf a, b;
  Parameter bias{Shard{{1}, {}, {}}, {}};
  void visit(Visitor& visitor) override {
    visitor.child("blocks/0", a);
    visitor.parameter("bias", bias);
    visitor.child("blocks/1", b);
  }
};

struct Nested final : Visitable {
  Tree tree;
  void visit(Visitor& visitor) override { visitor.child("model", tree); }
};

}  // namespace

TEST_CASE("paths are the names on the way, joined by slashes, in visiting order") {
  Recorder recorder;
  Nested{}.visit(recorder);
  CHECK(recorder.lines ==
        std::vector<std::string>{"model/blocks/0/weight", "model/blocks/0/count=7", "model/bias",
                                 "model/blocks/1/weight", "model/blocks/1/count=7"});
}

TEST_CASE("a visitor that takes no texts drops them") {
  class Parameters final : public Visitor {
    void on_parameter(std::string const&, Parameter&) override {}
  } visitor;
  CHECK_NOTHROW(Leaf{}.visit(visitor));
}

TEST_CASE("a full name is given once, and no name is empty") {
  Recorder recorder;
  Leaf leaf, other;
  recorder.child("a", leaf);
  CHECK_THROWS_AS(recorder.child("a", other), InvalidArgument);
  Recorder fresh;
  CHECK_THROWS_AS(fresh.parameter("", leaf.weight), InvalidArgument);
  CHECK_THROWS_AS(fresh.child("", leaf), InvalidArgument);
}
