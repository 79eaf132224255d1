// SPDX-License-Identifier: Apache-2.0
/// The Loader's cursor: where a run goes on.
#include <numeric>

#include "dsr/core/error.hpp"
#include "dsr/data/loader.hpp"
#include "io/temporary_directory.hpp"
#include "support/catch.hpp"

using namespace dsr;
using namespace dsr::test;

namespace {

using List = std::vector<std::int32_t>;

Loader make_loader(LoaderOptions const& options, Size size = 4 * 25 + 3) {
  List tokens(static_cast<std::size_t>(size));
  std::iota(tokens.begin(), tokens.end(), 0);
  return Loader{memory_tokens(std::move(tokens), size), Mesh{MeshShape{}}, options};
}

/// The tokens of one whole step, in the order of their ordinals; ends the step.
List take_step(Loader& loader) {
  List all;
  for (Size j = 0; j < loader.accumulation(); ++j) {
    Tensor const tokens = loader.next(j).tokens;
    all.insert(all.end(), tokens.data<std::int32_t>(),
               tokens.data<std::int32_t>() + tokens.elements());
  }
  loader.advance();
  return all;
}

constexpr LoaderOptions kOptions{.batch = 10, .micro_batch = 5, .sequence = 4, .seed = 9};

}  // namespace

TEST_CASE("a saved cursor resumes exactly, also with another micro_batch") {
  Loader straight = make_loader(kOptions);
  std::vector<List> steps;
  std::vector<std::string> saved;
  for (int k = 0; k < 7; ++k) {  // 70 sequences of 25: almost three epochs
    saved.push_back(straight.save());
    steps.push_back(take_step(straight));
  }
  CHECK(saved[0] == "epoch=0 index=0 sequences=25 sequence=4 seed=9 order=shuffled");
  CHECK(saved[3] == "epoch=1 index=5 sequences=25 sequence=4 seed=9 order=shuffled");
  for (std::size_t k = 0; k < steps.size(); ++k) {
    LoaderOptions options = kOptions;
    options.micro_batch = 2;
    Loader resumed = make_loader(options);
    resumed.load(saved[k]);
    for (std::size_t later = k; later < steps.size(); ++later)
      CHECK(take_step(resumed) == steps[later]);
  }
}

TEST_CASE("reading does not move the cursor, advance and rewind do") {
  Loader loader = make_loader(kOptions);
  loader.next(1);
  loader.next(0);
  CHECK(loader.cursor() == Cursor{0, 0});
  List const first = take_step(loader);
  CHECK(loader.cursor() == Cursor{0, 10});
  CHECK(take_step(loader) != first);
  loader.rewind();
  CHECK(take_step(loader) == first);
}

TEST_CASE("the cursor may be taken up with another batch") {
  LoaderOptions options = kOptions;
  options.batch = 5;
  Loader small = make_loader(options), large = make_loader(kOptions);
  List const first = take_step(large);
  List halves = take_step(small);
  small.load(small.save());
  List const second = take_step(small);
  halves.insert(halves.end(), second.begin(), second.end());
  CHECK(halves == first);
  CHECK(small.cursor() == large.cursor());
}

TEST_CASE("a text that save does not write is corrupt") {
  Loader loader = make_loader(kOptions);
  loader.advance();
  std::string const good = loader.save();
  for (std::string const& bad :
       {std::string{}, std::string{"epoch=1"}, good + " ", " " + good,
        good.substr(0, good.size() - 1), good + "\n",
        std::string{"epoch=+0 index=0 sequences=25 sequence=4 seed=9 order=shuffled"},
        std::string{"epoch=00 index=0 sequences=25 sequence=4 seed=9 order=shuffled"},
        std::string{"epoch=0  index=0 sequences=25 sequence=4 seed=9 order=shuffled"},
        std::string{"epoch=-1 index=0 sequences=25 sequence=4 seed=9 order=shuffled"},
        std::string{"epoch=0 index=25 sequences=25 sequence=4 seed=9 order=shuffled"},
        std::string{"epoch=0 index=-1 sequences=25 sequence=4 seed=9 order=shuffled"},
        std::string{
            "epoch=9223372036854775807 index=0 sequences=25 sequence=4 seed=9 order=shuffled"},
        std::string{
            "epoch=99999999999999999999 index=0 sequences=25 sequence=4 seed=9 order=shuffled"},
        std::string{"index=0 epoch=0 sequences=25 sequence=4 seed=9 order=shuffled"},
        std::string{"epoch=0 index=0 sequences=25 sequence=4 seed=9 order=random"}}) {
    INFO("\"" << bad << "\"");
    CHECK_THROWS_AS(loader.load(bad), CorruptData);
  }
  CHECK(loader.save() == good);  // a refused text changes nothing
}

TEST_CASE("a cursor of other data is refused") {
  std::string const saved = make_loader(kOptions).save();
  LoaderOptions seed = kOptions, sequence = kOptions, order = kOptions;
  seed.seed = 10;
  sequence.sequence = 5;
  order.order = DataOrder::sequential;
  for (LoaderOptions const& options : {seed, sequence, order}) {
    Loader loader = make_loader(options);
    CHECK(contains(message_of<InvalidArgument>([&] { loader.load(saved); }), loader.save()));
  }
  Loader longer = make_loader(kOptions, 4 * 30 + 3);
  CHECK_THROWS_AS(longer.load(saved), InvalidArgument);
}
