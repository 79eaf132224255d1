// SPDX-License-Identifier: Apache-2.0
// However the bytes of a state reach a file, on whatever threads: the same file and hashes.
#include "dsr/checkpoint/staging.hpp"

#include <numeric>
#include <thread>

#include "dsr/core/error.hpp"
#include "io/temporary_directory.hpp"
#include "support/catch.hpp"
#include "support/faulty_files.hpp"
#include "support/ranks.hpp"
#include "support/text_of.hpp"

namespace dsr {
namespace {

/// Tensors of many sizes in one flat buffer, in reverse order, with gaps, and one apart.
class OddState {
 public:
  explicit OddState(Mesh const& mesh) {
    std::vector<Size> const sizes{3, 1'500'000, 1, 70'001, 4096, 0, 999'999};
    flat_.resize(4'000'000);
    std::iota(flat_.begin(), flat_.end(), 0.25F);
    apart_.assign(12'345, -7.5F);
    float* end = flat_.data() + flat_.size();
    for (std::size_t i = 0; i < sizes.size(); ++i) {
      end -= sizes[i] + (i % 3 == 0 ? 32 : 0);
      add("model/" + std::to_string(i), end, sizes[i], mesh);
    }
    add("model/apart", apart_.data(), std::ssize(apart_), mesh);
  }
  State const& state() const { return state_; }
  void change() { std::ranges::fill(flat_, 1e9F); }

 private:
  void add(std::string const& name, float* data, Size elements, Mesh const& mesh) {
    state_.add(name, Shard{{elements}, {}, mesh.shape()}, {data, {elements}, DType::f32, kCpu});
  }
  std::vector<float> flat_, apart_;
  State state_;
};

struct Written {
  RankReport report;
  std::string content;
};

Written read_back(std::string const& directory, RankReport report) {
  std::string content = test::slurp(directory + "/" + report.file.name);
  return {std::move(report), std::move(content)};
}

/// Straight from the state's memory, on one thread.
Written expected(State const& state, Mesh const& mesh) {
  test::TemporaryDirectory const directory;
  std::vector<HostPiece> pieces;
  for (StatePiece const& piece : stored_by(state, mesh)) {
    pieces.push_back({piece.name,
                      piece.global,
                      piece.dtype,
                      piece.box,
                      {static_cast<std::byte const*>(piece.local.raw()),
                       static_cast<std::size_t>(piece.local.bytes())}});
  }
  return read_back(directory.path(), write_rank_file(system_files(), directory.path(), 0, pieces));
}

/// Through staging, with a writer beside.
Written staged(Staging& staging, OddState const& state, Mesh const& mesh, int threads) {
  test::TemporaryDirectory const directory;
  staging.begin(state.state(), mesh);
  RankReport report;
  std::thread writer{[&] {
    report = write_rank_file(system_files(), directory.path(), 0, staging.pieces(), staging,
                             {.threads = threads});
  }};
  staging.copy();
  writer.join();
  return read_back(directory.path(), std::move(report));
}

}  // namespace

TEST_CASE("bounds and threads change neither file nor hashes") {
  Mesh const mesh{test::runtime(), {}};
  OddState const state{mesh};
  Written const right = expected(state.state(), mesh);
  REQUIRE(right.report.file.blocks.size() > 2);
  for (Size bytes :
       {Size{0}, Size{4096}, Size{5000}, Size{1} << 20, Size{9'999'999}, Size{1} << 30}) {
    for (int threads : {1, 2, 4}) {
      INFO(bytes << " bytes, " << threads << " threads");
      Staging staging{kCpu, {.bytes = bytes, .threads = threads}};
      for (int turn = 0; turn < 2; ++turn) {
        Written const found = staged(staging, state, mesh, threads);
        CHECK(to_text(found.report) == to_text(right.report));
        CHECK(found.content == right.content);
      }
      CHECK((bytes == 0 || staging.memory_bytes() <= bytes));
    }
  }
}

TEST_CASE("what was copied is kept while the state changes, in memory that stays") {
  Mesh const mesh{test::runtime(), {}};
  OddState state{mesh};
  Written const right = expected(state.state(), mesh);
  Staging staging{kCpu, {}};
  staging.reserve(state.state(), mesh);
  double const reserved = staging.reserve_s();
  auto const* const memory = staging.lend().data();
  CHECK(reserved > 0);
  staging.begin(state.state(), mesh);
  staging.copy();
  CHECK(staging.whole());
  state.change();
  test::TemporaryDirectory const directory;
  RankReport const report = write_rank_file(system_files(), directory.path(), 0, staging.pieces());
  CHECK(to_text(report) == to_text(right.report));
  staging.begin(state.state(), mesh);
  CHECK(staging.lend().data() == memory);
  CHECK(staging.reserve_s() == reserved);
}

TEST_CASE("a writer that fails lets the step go on, and the next set is whole") {
  Mesh const mesh{test::runtime(), {}};
  OddState const state{mesh};
  Written const right = expected(state.state(), mesh);
  for (int threads : {1, 3}) {
    Staging staging{kCpu, {.bytes = 4096}};
    test::TemporaryDirectory const directory;
    staging.begin(state.state(), mesh);
    std::string problem;
    std::thread writer{[&] {
      problem = test::text_of<IoError>([&] {
        write_rank_file(system_files(), directory / "not_there", 0, staging.pieces(), staging,
                        {.threads = threads});
      });
    }};
    staging.copy();  // returns, or this test never ends
    writer.join();
    CHECK(test::contains(problem, "not_there"));
    CHECK(test::contains(test::text_of<Error>([&] { staging.take(0, 0, 1); }), "abandoned"));
    CHECK(staged(staging, state, mesh, threads).content == right.content);
  }
}

TEST_CASE("options that mean nothing are refused") {
  auto const refused = [](StagingOptions const& options) {
    return test::text_of<InvalidArgument>([&] { Staging{kCpu, options}; });
  };
  CHECK(test::contains(refused({.bytes = 100}), "staging_bytes"));
  CHECK(test::contains(refused({.bytes = -1}), "staging_bytes"));
  CHECK(test::contains(refused({.limit_bytes_per_s = -1}), "limit_bytes_per_s"));
  CHECK(test::contains(refused({.threads = 0}), "threads"));
}

}  // namespace dsr
