// SPDX-License-Identifier: Apache-2.0
/// Who stores what, on meta meshes of many shapes: no memory, no communication.
#include "dsr/state/pieces.hpp"

#include <algorithm>
#include <map>
#include <vector>

#include "dsr/core/error.hpp"
#include "dsr/model/gpt.hpp"
#include "dsr/optim/adamw.hpp"
#include "state/small_model.hpp"
#include "support/catch.hpp"
#include "support/meshes.hpp"
#include "support/text_of.hpp"

using namespace dsr;

namespace {

constexpr ZeroStage kStages[] = {ZeroStage::zero, ZeroStage::one};

/// A model's whole training state as rank `rank` of a meta mesh sees it.
template <class Model>
struct Training {
  template <class... Arguments>
  Training(MeshShape const& shape, int rank, ParameterOptions const& options, ZeroStage zero,
           Arguments const&... arguments)
      : mesh{shape, rank},
        model{arguments...},
        parameters{model, mesh, options},
        optimizer{parameters, {.zero = zero}} {
    optimizer.visit_state(state);
  }
  Mesh mesh;
  Model model;
  Parameters parameters;
  AdamW optimizer;
  State state;
};

std::vector<MeshShape> shapes() {
  std::vector<MeshShape> all{{.dp = 3},
                             {.row = 3, .col = 2},
                             {.dp = 2, .row = 3, .col = 2},
                             {.dp = 4, .row = 2, .order = {Axis::row, Axis::dp}},
                             {.dp = 5, .row = 2, .col = 2, .order = {Axis::col, Axis::row}}};
  for (int ranks : {1, 2, 3, 4, 6, 8}) {
    for (MeshShape const& shape : test::promised_meshes(ranks)) all.push_back(shape);
  }
  return all;
}

/// SmallModel's matrix of 24 columns and bias of 12 do not fit every shape: this one does.
class AnyMeshModel final : public Visitable {
 public:
  explicit AnyMeshModel(MeshShape const& mesh)
      : table_({{257, 12}, {{0, kModelAxes, Remainder::pad}}, mesh}, {.decay = Decay::yes}),
        // As a fused projection: both the first and the last dimension are cut.
        fused_({{12, 3, 5, 24}, {{0, Axis::row}, {3, Axis::col}}, mesh}, {.decay = Decay::yes}),
        norm_({{24}, {{0, Axis::col}}, mesh}, {.partial_over = Axis::dp | Axis::row}),
        padded_inside_({{3, 5, 7}, {{1, Axis::row, Remainder::pad}}, mesh}, {}),
        // Whole on all ranks, but its gradient is partial over dp only.
        copied_({{11, 3}, {}, mesh}, {}),
        scalar_({{}, {}, mesh}, {}) {}
  void visit(Visitor& visitor) override {
    visitor.parameter("table", table_);
    visitor.parameter("fused", fused_);
    visitor.parameter("norm", norm_);
    visitor.parameter("padded_inside", padded_inside_);
    visitor.parameter("copied", copied_);
    visitor.parameter("scalar", scalar_);
    visitor.text(
        "count", [] { return std::string{"7"}; }, [](std::string const&) {});
  }

 private:
  Parameter table_, fused_, norm_, padded_inside_, copied_, scalar_;
};

using Small = Training<AnyMeshModel>;

std::vector<Box> boxes_of(std::vector<StatePiece> const& pieces) {
  std::vector<Box> boxes;
  for (StatePiece const& piece : pieces) boxes.push_back(piece.box);
  return boxes;
}

struct Whole {
  Shape shape;
  std::vector<Box> boxes;
};

/// Every tensor's boxes of all ranks, as rank 0 knows them.
std::map<std::string, Whole> over_all_ranks(State const& state, Mesh const& mesh) {
  std::map<std::string, Whole> tensors;
  for (int rank = 0; rank < mesh.shape().ranks(); ++rank) {
    for (StatePiece const& piece : stored_by(state, mesh, rank)) {
      Whole& whole = tensors[piece.name];
      whole.shape = piece.global;
      whole.boxes.push_back(piece.box);
    }
  }
  return tensors;
}

Size bytes_of(std::vector<StatePiece> const& pieces) {
  Size bytes = 0;
  for (StatePiece const& piece : pieces) bytes += piece.box.elements() * size_of(piece.dtype);
  return bytes;
}

}  // namespace

TEST_CASE("every element of every tensor is stored exactly once") {
  for (MeshShape const& shape : shapes()) {
    for (ZeroStage zero : kStages) {
      for (DType dtype : {DType::f32, DType::bf16}) {
        Small const small{shape, 0, {.dtype = dtype, .bucket_bytes = 1000}, zero, shape};
        auto const tensors = over_all_ranks(small.state, small.mesh);
        CHECK(tensors.size() == 3 * 6);
        for (auto const& [name, whole] : tensors) {
          INFO(name << " on " << to_string(shape) << " zero " << static_cast<int>(zero));
          CHECK(covers_once(whole.shape, whole.boxes));
        }
      }
    }
  }
}

TEST_CASE("both ZeRO stages store the same, and every rank knows it of every other") {
  for (MeshShape const& shape : shapes()) {
    ParameterOptions const options{.bucket_bytes = 1000};
    Small const first{shape, 0, options, ZeroStage::zero, shape};
    for (int rank = 0; rank < shape.ranks(); ++rank) {
      std::vector<Box> const known = boxes_of(stored_by(first.state, first.mesh, rank));
      for (ZeroStage zero : kStages) {
        Small const other{shape, rank, options, zero, shape};
        INFO(to_string(shape) << " rank " << rank);
        CHECK(boxes_of(stored_by(other.state, other.mesh)) == known);
      }
    }
  }
}

TEST_CASE("a rank holds what it stores, and wants its copies too") {
  MeshShape const shape{.dp = 2, .row = 2};
  Small const copies{shape, 1, {}, ZeroStage::zero, shape},
      parts{shape, 1, {}, ZeroStage::one, shape};
  Place const place = place_of(shape, 1);
  auto const elements_wanted = [&](Small const& small, std::string const& name) {
    Size elements = 0;
    for (StatePiece const& piece : wanted_by(small.state, small.mesh)) {
      if (piece.name == name) elements += piece.box.elements();
    }
    return elements;
  };
  for (ParameterPlace const& p : copies.parameters.all()) {
    Parameter const& parameter = *p.parameter;
    Size const held = parameter.shard().box(place).elements();
    CHECK(elements_wanted(copies, "model/" + parameter.name()) == held);
    CHECK(elements_wanted(copies, "optimizer/v/" + parameter.name()) == held);
    CHECK(elements_wanted(parts, "model/" + parameter.name()) == held);
    CHECK(elements_wanted(parts, "optimizer/v/" + parameter.name()) <= held);
  }
  CHECK(elements_wanted(parts, "optimizer/m/fused") < elements_wanted(copies, "optimizer/m/fused"));
}

TEST_CASE("every piece is contiguous, shaped as its box, and of the parameter's memory") {
  for (MeshShape const& shape : shapes()) {
    Small const small{shape, shape.ranks() - 1, {}, ZeroStage::zero, shape};
    for (StatePiece const& piece : wanted_by(small.state, small.mesh)) {
      INFO(piece.name << " " << to_string(piece.box));
      CHECK(piece.local.contiguous());
      CHECK(piece.local.shape() == piece.box.count);
      CHECK(piece.local.dtype() == piece.dtype);
      CHECK_FALSE(piece.box.empty());
    }
  }
  // By hand: rank 1 of two rows has rows 3 and 4 of 5 in a block of 3 rows, whose last is padding.
  MeshShape const shape{.row = 2};
  Small const small{shape, 1, {}, ZeroStage::zero, shape};
  std::vector<StatePiece> found;
  for (StatePiece const& piece : wanted_by(small.state, small.mesh)) {
    if (piece.name == "model/padded_inside") found.push_back(piece);
  }
  REQUIRE(found.size() == 3);
  auto const* const memory = static_cast<float*>(found[0].local.raw());
  for (Size i = 0; i < 3; ++i) {
    StatePiece const& piece = found[static_cast<std::size_t>(i)];
    CHECK(piece.box == Box{{i, 3, 0}, {1, 2, 7}});
    CHECK(static_cast<float*>(piece.local.raw()) == memory + i * 3 * 7);
  }
}

TEST_CASE("ranks store equal shares, to 1 %, of a model of a usual size") {
  GptConfig const config{
      .layers = 12, .hidden = 768, .heads = 12, .vocabulary = 50257, .sequence = 1024};
  for (MeshShape const& shape :
       {MeshShape{.dp = 8}, MeshShape{.dp = 2, .row = 2, .col = 2}, MeshShape{.dp = 3, .row = 2},
        MeshShape{.dp = 4, .col = 3}, MeshShape{.row = 4, .col = 3}, MeshShape{.dp = 64}}) {
    for (ZeroStage zero : kStages) {
      Mesh const mesh{shape};
      Gpt model{config, mesh};
      Parameters parameters{model, mesh, {.dtype = DType::bf16}};
      AdamW optimizer{parameters, {.zero = zero}};
      State state;
      optimizer.visit_state(state);
      Size largest = 0, total = 0;
      std::size_t pieces = 0;
      for (int rank = 0; rank < shape.ranks(); ++rank) {
        std::vector<StatePiece> const stored = stored_by(state, mesh, rank);
        largest = std::max(largest, bytes_of(stored));
        total += bytes_of(stored);
        pieces = std::max(pieces, stored.size());
      }
      INFO(to_string(shape));
      CHECK(total == 3 * 4 * parameters.global_elements());
      double const mean = static_cast<double>(total) / shape.ranks();
      CHECK(static_cast<double>(largest) <= 1.01 * mean);
      CHECK(pieces <= 3 * 5 * parameters.all().size());
    }
  }
}

TEST_CASE("a user's own tensor needs a Shard only, and copies of it are shared evenly") {
  MeshShape const shape{.dp = 3, .row = 2};
  std::vector<float> memory(30);
  State state;
  state.add("ema", Shard{{10, 6}, {{0, Axis::row}}, shape},
            Tensor{memory.data(), {5, 6}, DType::f32, kCpu});
  Mesh const mesh{shape, 3};  // dp 1, row 1
  auto const mine = stored_by(state, mesh);
  REQUIRE(mine.size() == 3);  // elements 10 to 19 of 30: rows 1 to 3 of the block, in part
  CHECK(mine[0].box == Box{{6, 4}, {1, 2}});
  CHECK(mine[1].box == Box{{7, 0}, {1, 6}});
  CHECK(mine[2].box == Box{{8, 0}, {1, 2}});
  CHECK(mine[0].local.raw() == memory.data() + 10);
  CHECK(mine[0].global == Shape{10, 6});
  auto const all = over_all_ranks(state, mesh);
  CHECK(covers_once({10, 6}, all.at("ema").boxes));
  auto const wanted = wanted_by(state, mesh);
  REQUIRE(wanted.size() == 1);
  CHECK(wanted[0].box == Box{{5, 0}, {5, 6}});
}

TEST_CASE("what does not fit the mesh is refused") {
  MeshShape const shape{.dp = 2, .row = 2};
  std::vector<float> memory(8);
  Tensor const local{memory.data(), {8}, DType::f32, kCpu};
  State state;
  state.add("a", Shard{{8}, {}, shape}, local);
  Mesh const other{MeshShape{.dp = 4}}, mesh{shape};
  CHECK_THROWS_AS(stored_by(state, other), InvalidArgument);
  CHECK_THROWS_AS(stored_by(state, other, 0), InvalidArgument);
  CHECK_THROWS_AS(wanted_by(state, other), InvalidArgument);
  CHECK_THROWS_AS(stored_by(state, mesh, 4), InvalidArgument);
  CHECK_THROWS_AS(stored_by(state, mesh, -1), InvalidArgument);

  State partly;
  partly.add_part("b", Shard{{8}, {}, shape}, {Axis::dp, {0, 8}}, {4, 8}, local.slice(0, 4, 8));
  CHECK(test::contains(
      test::text_of<InvalidArgument>([&] { stored_by(partly, mesh); }),
      "state \"b\": [4, 8) of the local block, allowed [0, 2), which this rank stores"));
  CHECK_NOTHROW(stored_by(partly, mesh, 0));  // numbers only: nothing need be held
}

TEST_CASE("a state has a training run's tensors and texts under fixed names") {
  MeshShape const shape;
  Small const small{shape, 0, {.dtype = DType::bf16}, ZeroStage::one, shape};
  std::vector<std::string> names;
  for (TensorEntry const& entry : small.state.tensors()) {
    names.push_back(entry.name);
    CHECK(entry.local.dtype() == DType::f32);
  }
  CHECK(names[0] == "model/table");
  CHECK(names[6] == "optimizer/m/table");
  CHECK(names[12] == "optimizer/v/table");
  std::vector<std::string> texts;
  for (TextEntry const& text : small.state.texts()) texts.push_back(text.name + "=" + text.save());
  CHECK(texts == std::vector<std::string>{"model/count=7", "optimizer/step=applied=0 skipped=0"});
}

TEST_CASE("an optimizer takes up its counts, and refuses what it would not write") {
  MeshShape const shape;
  Small const small{shape, 0, {}, ZeroStage::zero, shape};
  TextEntry const& text = small.state.texts().back();
  text.load("applied=1200 skipped=3");
  CHECK(small.optimizer.steps() == 1200);
  CHECK(small.optimizer.skipped() == 3);
  for (std::string const bad :
       {"", "applied=1", "applied=1 skipped=", "applied=01 skipped=0", "applied=-1 skipped=0",
        "applied=1 skipped=-2", " applied=1 skipped=0", "applied=1 skipped=0 ",
        "skipped=0 applied=1", "applied=99999999999999999999 skipped=0"}) {
    INFO("\"" << bad << "\"");
    CHECK_THROWS_AS(text.load(bad), CorruptData);
  }
  CHECK(text.save() == "applied=1200 skipped=3");
}
