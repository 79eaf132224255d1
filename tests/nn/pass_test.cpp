// SPDX-License-Identifier: Apache-2.0
#include "dsr/nn/pass.hpp"

#include "dsr/core/error.hpp"
#include "support/catch.hpp"

namespace dsr {
namespace {

struct Nothing : Layer {
  void forward(Pass&, Tensor, Tensor) override {}
  void backward(Pass&, Tensor, Tensor) override {}
  void visit(Visitor&) override {}
};

struct OnMeta {
  Mesh mesh{MeshShape{.row = 2}};
  Stream compute{kMeta}, exchange{kMeta, StreamKind::communication};
  Pass pass{mesh, compute, exchange, {1 << 20, 1 << 20}, {.dropout = 0.25}};
  MetaBatch data = meta_batch(mesh, 3, 5);
  OnMeta() { pass.begin(data.batch, Mode::train, 0); }
};

TEST_CASE("kept views come back in reverse order, to the layer that kept them") {
  OnMeta m;
  Nothing a, b;
  Tensor const first = m.pass.make_saved({2}), second = m.pass.make_saved({3}),
               third = m.pass.make_saved({4});
  m.pass.keep(a, first);
  m.pass.keep(a, second);
  m.pass.keep(b, third);
  CHECK(m.pass.kept(b).raw() == third.raw());
  CHECK(m.pass.kept(a).raw() == second.raw());
  CHECK_THROWS_AS(m.pass.kept(b), InvalidArgument);
  CHECK(m.pass.kept(a).raw() == first.raw());
  CHECK_THROWS_AS(m.pass.kept(a), InvalidArgument);
}

TEST_CASE("a micro-batch starts with nothing kept and at the same addresses") {
  OnMeta m;
  Nothing a;
  void* const before = m.pass.make_saved({2}).raw();
  m.pass.keep(a, m.pass.make_saved({2}));
  m.pass.begin(m.data.batch, Mode::train, 1);
  CHECK(m.pass.make_saved({2}).raw() == before);
  CHECK_THROWS_AS(m.pass.kept(a), InvalidArgument);
}

TEST_CASE("views are seen where they lie, by the layer that kept them") {
  OnMeta m;
  Nothing a, b;
  Tensor const first = m.pass.make_saved({2}), second = m.pass.make_saved({3});
  m.pass.keep(a, first);
  m.pass.keep(a, second);
  m.pass.keep(b, first);
  CHECK(m.pass.seen(a, 0).raw() == second.raw());
  CHECK(m.pass.seen(a, 1).raw() == first.raw());
  CHECK_THROWS_AS(m.pass.seen(a, 2), InvalidArgument);
  CHECK_THROWS_AS(m.pass.seen(b, 1), InvalidArgument);
  CHECK(m.pass.kept(b).raw() == first.raw());
}

TEST_CASE(
    "a frame of saved memory forgets what was made in it, and hides the loss of a second run") {
  OnMeta m;
  Nothing a;
  Tensor const before = m.pass.make_saved({2});
  m.pass.keep(a, before);
  void* const loss = m.pass.loss().raw();
  void* inside = nullptr;
  for (Turn turn : {Turn::first, Turn::again}) {
    auto const frame = m.pass.saved_frame(turn);
    void* const made = m.pass.make_saved({5}).raw();
    CHECK((inside == nullptr || made == inside));
    inside = made;
    m.pass.keep(a, m.pass.make_saved({6}));
    CHECK((m.pass.loss().raw() == loss) == (turn == Turn::first));
  }
  CHECK(m.pass.loss().raw() == loss);
  CHECK(m.pass.make_saved({5}).raw() == inside);
  CHECK(m.pass.kept(a).raw() == before.raw());
  CHECK_THROWS_AS(m.pass.kept(a), InvalidArgument);
}

TEST_CASE("results that are made again share a place, those that are not have their own") {
  Mesh const mesh{MeshShape{.row = 2}};
  Stream compute{kMeta}, exchange{kMeta, StreamKind::communication};
  MetaBatch const data = meta_batch(mesh, 1, 4);
  for (Recompute recompute : {Recompute::none, Recompute::selective, Recompute::block}) {
    Pass pass{mesh, compute, exchange, {1 << 20, 1 << 20}, {.recompute = recompute}};
    pass.begin(data.batch, Mode::train, 0);
    bool const shared = recompute == Recompute::selective;
    Tensor const large = pass.make_remade(Remade::norm, {4, 100});
    Tensor const small = pass.make_remade(Remade::norm, {2, 3});
    CHECK((small.raw() == large.raw()) == shared);
    CHECK(small.shape() == Shape{2, 3});
    CHECK(pass.make_remade(Remade::activation, {2, 3}).raw() != small.raw());
    CHECK(pass.make_remade(Remade::norm, {4, 101}).raw() != large.raw());
    CHECK(pass.remakes_for(Axis::row) == shared);
    {
      auto const frame = pass.saved_frame(Turn::first);
      static_cast<void>(pass.make_remade(Remade::norm, {50, 50}));
    }
    CHECK(pass.make_remade(Remade::norm, {4, 101}).shape() == Shape{4, 101});
    pass.begin(data.batch, Mode::train, 0);
    CHECK(pass.make_saved({1}).raw() == large.raw());
  }
  Pass pass{mesh,
            compute,
            exchange,
            {1 << 20, 1 << 20},
            {.regather = Regather::no, .recompute = Recompute::selective}};
  CHECK_FALSE(pass.remakes_for(Axis::row));  // two ranks: what was gathered is kept
  CHECK(pass.remakes_for(Axis::col));
}

TEST_CASE("evaluation keeps nothing and drops nothing") {
  OnMeta m;
  Nothing a;
  CHECK(m.pass.dropout() == 0.25);
  m.pass.begin(m.data.batch, Mode::evaluate, 0);
  m.pass.keep(a, m.pass.make_saved({2}));
  CHECK(m.pass.dropout() == 0);
  CHECK_THROWS_AS(m.pass.kept(a), InvalidArgument);
}

TEST_CASE("tokens are padded for the mesh; scratch frames give memory back") {
  OnMeta m;
  CHECK(m.pass.tokens() == 16);  // 15 on two rows
  CHECK(m.pass.batch().counted == 15);
  void* inside = nullptr;
  {
    Scratch frame = m.pass.scratch();
    inside = frame.take({10}, DType::f32).raw();
    Scratch nested = m.pass.scratch();
    CHECK(nested.take({10}, DType::f32).raw() != inside);
  }
  Scratch again = m.pass.scratch();
  CHECK(again.take({10}, DType::f32).raw() == inside);
}

TEST_CASE("an arena that is too small says what was needed") {
  Mesh const mesh{MeshShape{}};
  Stream compute{kMeta}, exchange{kMeta, StreamKind::communication};
  Pass pass{mesh, compute, exchange, {256, 256}, {}};
  CHECK_THROWS_AS(pass.make_saved({1000}), OutOfMemory);
}

TEST_CASE("mesh and compute stream must be on one device") {
  Mesh const mesh{MeshShape{}};
  Stream compute{kCpu}, exchange{kMeta, StreamKind::communication};
  CHECK_THROWS_AS((Pass{mesh, compute, exchange, {256, 256}, {}}), InvalidArgument);
}

TEST_CASE("random keys differ by step, site and purpose") {
  OnMeta m;
  RandomKey const key = m.pass.random(RandomPurpose::dropout, 1);
  CHECK(key == m.pass.random(RandomPurpose::dropout, 1));
  CHECK_FALSE(key == m.pass.random(RandomPurpose::dropout, 2));
  CHECK_FALSE(key == m.pass.random(RandomPurpose::user, 1));
  m.pass.begin(m.data.batch, Mode::train, 1);
  CHECK_FALSE(key == m.pass.random(RandomPurpose::dropout, 1));
}

}  // namespace
}  // namespace dsr
