// SPDX-License-Identifier: Apache-2.0
/// What the Loader deals, on meta meshes, which need no MPI.
#include "dsr/data/loader.hpp"

#include <map>
#include <numeric>
#include <set>

#include "dsr/core/error.hpp"
#include "io/temporary_directory.hpp"
#include "support/catch.hpp"

using namespace dsr;
using namespace dsr::test;

namespace {

using List = std::vector<std::int32_t>;

/// Token i is i, so that a token says where it comes from.
Tokens counting(Size size) {
  List tokens(static_cast<std::size_t>(size));
  std::iota(tokens.begin(), tokens.end(), 0);
  return memory_tokens(std::move(tokens), size, "counting");
}

List values(Tensor const& tensor) {
  auto const* data = tensor.data<std::int32_t>();
  return {data, data + tensor.elements()};
}

/// Ordinal → (tokens, targets) of the loader's present step, over its micro-batches.
using Step = std::map<std::int32_t, std::pair<List, List>>;

void collect(Loader& loader, Step& step) {
  for (Size j = 0; j < loader.accumulation(); ++j) {
    Batch const& batch = loader.next(j);
    List const starts = values(batch.sequence_starts), ordinals = values(batch.ordinals);
    List const tokens = values(batch.tokens), targets = values(batch.targets);
    for (std::size_t b = 0; b + 1 < starts.size(); ++b) {
      auto const part = [&](List const& list) {
        return List(list.begin() + starts[b], list.begin() + starts[b + 1]);
      };
      auto const [place, is_new] = step.try_emplace(ordinals[static_cast<std::size_t>(starts[b])],
                                                    part(tokens), part(targets));
      CHECK(is_new);  // no sequence is dealt twice
      for (std::int32_t const ordinal : part(ordinals)) CHECK(ordinal == place->first);
    }
  }
}

/// Three steps of the whole job: all replicas, seen one after the other.
std::vector<Step> steps_of(MeshShape const& shape, LoaderOptions const& options, Size tokens) {
  std::vector<Step> steps(3);
  for (int d = 0; d < shape.dp; ++d) {
    Place place;
    place.index[static_cast<std::size_t>(Axis::dp)] = d;
    Mesh const mesh{shape, rank_of(shape, place)};
    Loader loader{counting(tokens), mesh, options};
    for (Step& step : steps) {
      collect(loader, step);
      loader.advance();
    }
  }
  return steps;
}

}  // namespace

TEST_CASE("changing dp or micro_batch changes no number") {
  constexpr Size kTokens = 5 * 31 + 4;  // 31 sequences: three steps of 12 cross an epoch
  LoaderOptions options{.batch = 12, .micro_batch = 12, .sequence = 5, .seed = 3};
  std::vector<Step> const serial = steps_of({}, options, kTokens);
  REQUIRE(serial[0].size() == 12);
  for (int const dp : {1, 2, 3, 4, 6, 12}) {
    for (Size const micro : {1, 2, 3, 4, 6, 12}) {
      if (12 % (dp * micro) != 0) continue;
      INFO("dp " << dp << " micro_batch " << micro);
      options.micro_batch = micro;
      CHECK(steps_of({.dp = dp}, options, kTokens) == serial);
      CHECK(steps_of({.dp = dp, .row = 2, .col = 2}, options, kTokens) == serial);
      CHECK(steps_of({.dp = dp, .row = 3, .order = {Axis::row, Axis::dp}}, options, kTokens) ==
            serial);
    }
  }
}

TEST_CASE("the ranks of one replica read the same batch") {
  LoaderOptions const options{.batch = 8, .micro_batch = 2, .sequence = 4, .seed = 1};
  MeshShape const shape{.dp = 2, .row = 2, .col = 2};
  std::map<int, List> by_replica;
  for (int rank = 0; rank < shape.ranks(); ++rank) {
    Mesh const mesh{shape, rank};
    Loader loader{counting(200), mesh, options};
    List const tokens = values(loader.next(1).tokens);
    auto const [seen, is_new] = by_replica.try_emplace(mesh.place()[Axis::dp], tokens);
    if (!is_new) CHECK(seen->second == tokens);
  }
  // Micro-batches are dealt to the replicas in turn: ordinal (j·dp + d)·micro_batch + b.
  for (int d = 0; d < 2; ++d) {
    Mesh const mesh{shape, d * 4};
    Loader loader{counting(200), mesh, options};
    std::int32_t const first = d == 0 ? 4 : 6;
    CHECK(values(loader.next(1).ordinals) ==
          List{first, first, first, first, first + 1, first + 1, first + 1, first + 1});
  }
  CHECK(by_replica.size() == 2);
  CHECK(by_replica[0] != by_replica[1]);
}

TEST_CASE("targets are the tokens shifted by one, windows start at multiples of S") {
  Mesh const mesh{{}};
  Loader loader{counting(5 * 20 + 1), mesh, {.batch = 20, .micro_batch = 20, .sequence = 5}};
  CHECK(loader.sequences() == 20);
  Step step;
  collect(loader, step);
  std::set<std::int32_t> starts;
  for (auto const& [ordinal, pair] : step) {
    auto const& [tokens, targets] = pair;
    std::int32_t const first = tokens[0];
    CHECK(first % 5 == 0);
    for (std::int32_t s = 0; s < 5; ++s) {
      CHECK(tokens[static_cast<std::size_t>(s)] == first + s);
      CHECK(targets[static_cast<std::size_t>(s)] == first + s + 1);
    }
    starts.insert(first);
  }
  CHECK(starts.size() == 20);  // one epoch: every sequence once
}

TEST_CASE("the fields of a batch, padded to a multiple of the row axis") {
  Mesh const mesh{{.row = 4}};
  Loader loader{counting(19),
                mesh,
                {.batch = 2, .micro_batch = 2, .sequence = 3, .order = DataOrder::sequential}};
  CHECK(loader.sequences() == 6);
  CHECK(loader.accumulation() == 1);
  Batch const& batch = loader.next(0);
  CHECK(values(batch.tokens) == List{0, 1, 2, 3, 4, 5, -1, -1});
  CHECK(values(batch.targets) == List{1, 2, 3, 4, 5, 6, -1, -1});
  CHECK(values(batch.positions) == List{0, 1, 2, 0, 1, 2, 0, 0});
  CHECK(values(batch.ordinals) == List{0, 0, 0, 1, 1, 1, 0, 0});
  CHECK(values(batch.sequence_starts) == List{0, 3, 6});
  CHECK(batch.counted == 6);
  CHECK(batch.tokens.device() == kCpu);
  CHECK(reinterpret_cast<std::uintptr_t>(batch.targets.raw()) % kAlignment_bytes == 0);
  void const* const address = batch.tokens.raw();
  loader.advance();
  CHECK(loader.next(0).tokens.raw() == address);  // the memory is reused
  CHECK(values(batch.tokens)[0] == 6);
}

TEST_CASE("a step may take more than an epoch has") {
  Mesh const mesh{{}};
  Loader loader{counting(10),
                mesh,
                {.batch = 7, .micro_batch = 7, .sequence = 3, .order = DataOrder::sequential}};
  CHECK(loader.sequences() == 3);
  List firsts;
  List const tokens = values(loader.next(0).tokens);
  for (std::size_t b = 0; b < 7; ++b) firsts.push_back(tokens[b * 3]);
  CHECK(firsts == List{0, 3, 6, 0, 3, 6, 0});
  loader.advance();
  CHECK(loader.cursor() == Cursor{2, 1});
  CHECK(values(loader.next(0).tokens)[0] == 3);
}

TEST_CASE("shuffled order depends on seed and epoch") {
  Mesh const mesh{{}};
  auto const first_epochs = [&](std::uint64_t seed) {
    Loader loader{
        counting(4 * 50 + 1), mesh, {.batch = 50, .micro_batch = 50, .sequence = 4, .seed = seed}};
    List const first = values(loader.next(0).tokens);
    loader.advance();
    return std::pair{first, values(loader.next(0).tokens)};
  };
  auto const [a0, a1] = first_epochs(1);
  auto const [b0, b1] = first_epochs(2);
  CHECK(first_epochs(1) == std::pair{a0, a1});
  CHECK(a0 != a1);
  CHECK(a0 != b0);
  CHECK_FALSE(std::is_sorted(a0.begin(), a0.end()));
}

TEST_CASE("what does not divide is an equation with the nearest numbers") {
  Mesh const mesh{{.dp = 2}};
  auto const error_of = [&](Size batch, Size micro) {
    return message_of<InvalidArgument>([&] {
      Loader{counting(100), mesh, {.batch = batch, .micro_batch = micro, .sequence = 4}};
    });
  };
  CHECK(error_of(12, 5) ==
        "dsr: train.batch: batch % (dp·micro_batch) = 12 % (2·5) = 2, allowed 0; "
        "nearest train.batch = 10 or 20, or train.micro_batch = 3");
  CHECK(error_of(7, 2) ==
        "dsr: train.batch: batch % (dp·micro_batch) = 7 % (2·2) = 3, allowed 0; nearest "
        "train.batch = 4 or 8");
  CHECK(error_of(6, 100) ==
        "dsr: train.batch: batch % (dp·micro_batch) = 6 % (2·100) = 6, allowed 0; "
        "nearest train.batch = 200, or train.micro_batch = 3");
  CHECK(error_of(12, 3).empty());
}

TEST_CASE("options out of range are refused together") {
  LoaderOptions const options{.batch = 0, .micro_batch = -1, .sequence = 0, .vocabulary = -1};
  std::string const text = message_of<InvalidArgument>([&] { options.validate(); });
  for (char const* key :
       {"train.batch: 0", "train.micro_batch: -1", "model.sequence: 0", "model.vocab: -1"}) {
    CHECK(contains(text, key));
  }
  constexpr Size kLarge = Size{1} << 31U;
  CHECK_THROWS_AS((LoaderOptions{.batch = kLarge}.validate()), InvalidArgument);
  CHECK_THROWS_AS((LoaderOptions{.micro_batch = 1 << 16, .sequence = 1 << 16}.validate()),
                  InvalidArgument);
  Mesh const mesh{{}};
  CHECK_THROWS_AS(Loader(counting(100), mesh, options), InvalidArgument);
}

TEST_CASE("a loader checks length and vocabulary of its data") {
  Mesh const mesh{{}};
  LoaderOptions options{.batch = 1, .micro_batch = 1, .sequence = 10};
  CHECK(contains(message_of<CorruptData>([&] { Loader(counting(10), mesh, options); }),
                 "10 tokens, allowed >= 11"));
  options.vocabulary = 10;
  CHECK(contains(message_of<CorruptData>([&] { Loader(counting(11), mesh, options); }),
                 "counting: token 10: 10, allowed 0 to 9"));
  options.vocabulary = 11;
  CHECK(Loader(counting(11), mesh, options).sequences() == 1);
}

TEST_CASE("a micro-batch outside the step is refused") {
  Mesh const mesh{{}};
  Loader loader{counting(100), mesh, {.batch = 4, .micro_batch = 2, .sequence = 4}};
  CHECK_THROWS_AS(loader.next(2), InvalidArgument);
  CHECK_THROWS_AS(loader.next(-1), InvalidArgument);
}
