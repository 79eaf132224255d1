// SPDX-License-Identifier: Apache-2.0
#include "dsr/state/parameters.hpp"

#include <set>
#include <utility>

#include "dsr/core/error.hpp"
#include "state/small_model.hpp"
#include "support/catch.hpp"

using namespace dsr;

namespace {

struct Many final : Visitable {
  explicit Many(std::vector<Parameter*> list) : parameters(std::move(list)) {}
  void visit(Visitor& visitor) override {
    for (Parameter* parameter : parameters) visitor.parameter(std::to_string(number++), *parameter);
  }
  std::vector<Parameter*> parameters;
  int number = 0;
};

}  // namespace

TEST_CASE("parameters are named, numbered and grouped by (partial_over, decay)") {
  Mesh const mesh{{.dp = 2, .row = 2, .col = 3}, 7};
  test::SmallModel model{mesh.shape()};
  Parameters const parameters{model, mesh};
  auto const all = parameters.all();
  REQUIRE(all.size() == 5);
  char const* const names[] = {"table", "linear/weight", "linear/bias", "norm", "block"};
  for (int i = 0; i < 5; ++i) {
    auto const n = static_cast<std::size_t>(i);
    CHECK(all[n].parameter == model.in_order()[n]);
    CHECK(all[n].parameter->name() == names[i]);
    CHECK(all[n].parameter->index() == i);
  }
  CHECK(parameters.flats().size() == 3);
  CHECK(parameters.global_elements() == 257 * 12 + 12 * 24 + 12 + 12 + 3 * 5 * 7);
}

TEST_CASE("a flat buffer holds each of its parameters once, aligned, in reverse visiting order") {
  for (Size bucket_bytes : {Size{1}, Size{600}, Size{1} << 20}) {
    for (DType dtype : {DType::f32, DType::f64}) {
      Mesh const mesh{{.dp = 3, .row = 2, .col = 2}, 5};
      test::SmallModel model{mesh.shape()};
      Parameters const parameters{model, mesh, {.dtype = dtype, .bucket_bytes = bucket_bytes}};
      Size const aligned = kAlignment_bytes / size_of(dtype);
      std::set<int> seen;
      for (FlatBuffer const& flat : parameters.flats()) {
        Size const unit = aligned * mesh.size(flat.partial_over);
        Size end = 0;
        int last = 5;
        for (Bucket const& bucket : flat.buckets) {
          CHECK(bucket.range.begin == end);
          CHECK(bucket.range.elements() % unit == 0);
          end = bucket.range.begin;
          REQUIRE_FALSE(bucket.parameters.empty());
          for (int index : bucket.parameters) {
            auto const& place = parameters.all()[static_cast<std::size_t>(index)];
            CHECK(index < last);
            last = index;
            CHECK(seen.insert(index).second);
            CHECK(place.range.begin % aligned == 0);
            CHECK(place.range.begin >= end);
            CHECK(place.range.elements() == place.parameter->shard().local_shape().elements());
            CHECK(place.parameter->traits().partial_over == flat.partial_over);
            CHECK(place.parameter->traits().decay == flat.decay);
            CHECK(place.parameter->value().raw() ==
                  flat.values.slice(0, place.range.begin, place.range.end).raw());
            CHECK(place.parameter->gradient().raw() ==
                  flat.gradients.slice(0, place.range.begin, place.range.end).raw());
            end = place.range.end;
          }
          CHECK(bucket.range.end - end < unit);
          end = bucket.range.end;
        }
        CHECK(flat.values.elements() == end);
        CHECK(flat.gradients.elements() == end);
      }
      CHECK(seen.size() == 5);
    }
  }
}

TEST_CASE("a bucket is closed once it holds enough, and never inside a parameter") {
  MeshShape const shape{.dp = 2};
  Shard const shard{{100}, {}, shape};  // 400 bytes, 512 with alignment
  Parameter a{shard, {}}, b{shard, {}}, c{shard, {}}, d{shard, {}}, e{shard, {}};
  Mesh const mesh{shape};
  auto buckets = [&](Size bucket_bytes) {
    Many model{{&a, &b, &c, &d, &e}};
    Parameters const parameters{model, mesh, {.bucket_bytes = bucket_bytes}};
    std::vector<std::vector<int>> found;
    for (Bucket const& bucket : parameters.flats()[0].buckets) found.push_back(bucket.parameters);
    return found;
  };
  CHECK(buckets(1) == std::vector<std::vector<int>>{{4}, {3}, {2}, {1}, {0}});
  CHECK(buckets(512) == std::vector<std::vector<int>>{{4}, {3}, {2}, {1}, {0}});
  CHECK(buckets(513) == std::vector<std::vector<int>>{{4, 3}, {2, 1}, {0}});
  CHECK(buckets(1 << 20) == std::vector<std::vector<int>>{{4, 3, 2, 1, 0}});
}

TEST_CASE("the owned parts of a bucket cover it in rank order") {
  Bucket const bucket{{96, 96 + 6 * 32}, {}};
  Size end = 96;
  for (int rank = 0; rank < 6; ++rank) {
    FlatRange const part = FlatBuffer::owned(bucket, rank, 6);
    CHECK(part.begin == end);
    CHECK(part.elements() == 32);
    end = part.end;
  }
  CHECK(end == bucket.range.end);
  CHECK_THROWS_AS(FlatBuffer::owned(bucket, 6, 6), InvalidArgument);
  CHECK_THROWS_AS(FlatBuffer::owned(bucket, -1, 6), InvalidArgument);
  CHECK_THROWS_AS(FlatBuffer::owned(bucket, 0, 5), InvalidArgument);
}

TEST_CASE("on a meta mesh a model of any size has addresses and no memory") {
  MeshShape const shape{.dp = 64, .row = 8};
  Parameter huge{Shard{{Size{1} << 20, Size{1} << 20}, {{0, Axis::row}}, shape},
                 {.init = normal_init(1)}};
  Many model{{&huge}};
  Mesh const mesh{shape};
  Parameters parameters{model, mesh};
  CHECK(huge.value().device() == kMeta);
  CHECK(huge.value().shape() == Shape{Size{1} << 17, Size{1} << 20});
  CHECK(parameters.global_elements() == Size{1} << 40);
  CHECK(parameters.local_bytes() == 2 * (Size{4} << 37));
  Stream stream{kMeta};
  parameters.zero_gradients(stream);
  CHECK(stream.counted().bytes == Size{4} << 37);
  CHECK(parameters.hash_values() == parameters.hash_values());
}

TEST_CASE("parameters can be bound anew, and move") {
  MeshShape const shape;
  Parameter weight{Shard{{4}, {}, shape}, {}};
  Mesh const mesh{shape};
  Many first{{&weight}}, second{{&weight}};
  Parameters old{first, mesh};
  Parameters const f64{second, mesh, {.dtype = DType::f64}};
  CHECK(weight.value().dtype() == DType::f64);
  Parameters const moved{std::move(old)};
  CHECK(moved.all().size() == 1);
  CHECK(&moved.mesh() == &mesh);
}

TEST_CASE("a model without parameters is fine") {
  Mesh const mesh{MeshShape{}};
  Many model{{}};
  Parameters const parameters{model, mesh};
  CHECK(parameters.flats().empty());
  CHECK(parameters.local_bytes() == 0);
}

TEST_CASE("what cannot be bound is refused") {
  MeshShape const shape{.row = 2};
  Mesh const mesh{shape};
  Parameter weight{Shard{{4}, {}, shape}, {}}, foreign{Shard{{4}, {}, {.row = 3}}, {}};
  Many twice{{&weight, &weight}}, other_mesh{{&foreign}}, fine{{&weight}};
  CHECK_THROWS_AS(Parameters(twice, mesh), InvalidArgument);
  CHECK_THROWS_AS(Parameters(other_mesh, mesh), InvalidArgument);
  CHECK_THROWS_AS(Parameters(fine, mesh, {.dtype = DType::i32}), InvalidArgument);
  CHECK_THROWS_AS(Parameters(fine, mesh, {.bucket_bytes = 0}), InvalidArgument);

  struct SameName final : Visitable {
    Parameter a{Shard{{1}, {}, {.row = 2}}, {}}, b{Shard{{1}, {}, {.row = 2}}, {}};
    void visit(Visitor& visitor) override {
      visitor.parameter("weight", a);
      visitor.parameter("weight", b);
    }
  } same_name;
  CHECK_THROWS_AS(Parameters(same_name, mesh), InvalidArgument);
}
