// SPDX-License-Identifier: Apache-2.0
// Sets in several tiers: written into the fastest, copied downward, loaded from the newest.
#include <cerrno>
#include <fstream>

#include "checkpoint/tiers_job.hpp"
#include "dsr/core/error.hpp"
#include "support/faulty_files.hpp"

using namespace dsr;
using test::SharedDirectory;
using test::on_first;
using test::TiersJob;

namespace {

std::vector<Tier> const kAll{Tier::cold, Tier::hot, Tier::warm};  // in any order

std::string const kFirst = "/step_000000001.g001";

}  // namespace

TEST_CASE("one save fills all tiers, and each of them gives the state back") {
  SharedDirectory const place;
  TiersJob job{place};
  job.start();
  auto const reports = job.save(1, kAll);
  REQUIRE(reports.size() == 3);
  for (std::size_t i = 0; i < 3; ++i) {
    INFO(reports[i].reason);
    CHECK(reports[i].tier == static_cast<Tier>(i));
    CHECK(reports[i].acknowledged);
    CHECK(reports[i].content_hash.size() == 32);
    CHECK(reports[i].bytes > 0);
  }
  CHECK(reports[0].content_hash == reports[1].content_hash);  // though the view is on warm alone
  CHECK(reports[0].content_hash != reports[2].content_hash);
  for (Tier const tier : {Tier::hot, Tier::warm, Tier::cold}) {
    INFO(name_of(tier));
    TiersJob again{place};
    again.start();
    auto const resumed = again.load();
    REQUIRE(resumed);
    CHECK(resumed->tier == tier);
    CHECK(resumed->name == SetName{1, 1});
    CHECK(resumed->content_hash == reports[static_cast<std::size_t>(tier)].content_hash);
    CHECK(again.small.is(1));
    CHECK(to_string(*resumed).starts_with("resumed step 1 from " + std::string{name_of(tier)} +
                                          "/step_000000001.g001 (age "));
    on_first([&] {
      std::string const name{name_of(tier)};
      for (std::string const node : {"", "0", "1"})
        std::filesystem::remove_all(place.path() + "/" + name + node);
    });
  }
}

TEST_CASE("the newest set counts, wherever it is, and every tier raises the generation") {
  SharedDirectory const place;
  TiersJob job{place};
  job.start();
  job.save_well(1, {Tier::warm});
  job.save_well(2, {Tier::hot});
  CHECK(job.checkpointer->newest() == SetName{2, 1});
  auto resumed = job.load();
  REQUIRE(resumed);
  CHECK((resumed->tier == Tier::hot && job.small.is(2)));
  job.save_well(3, {Tier::warm});
  resumed = job.load();
  REQUIRE(resumed);
  CHECK((resumed->tier == Tier::warm && job.small.is(3)));

  // What a node that is not the first has seen counts too.
  int const node = test::half_of_ranks();
  int const last = (test::runtime().size() - 1) * 2 / test::runtime().size();
  if (node == last)
    std::filesystem::create_directories(place.path() + "/hot" + std::to_string(node) +
                                        "/run/step_000000001.g007");
  wait_for_all(test::runtime().world());
  TiersJob again{place};
  again.start();
  CHECK(again.checkpointer->generation() == 8);

  again.checkpointer->move_away();
  CHECK_FALSE(again.checkpointer->newest());
  CHECK(std::filesystem::exists(place.path() + "/hot" + std::to_string(node) + "/run/old.g008"));
}

TEST_CASE("cold weights are no state to go on from, and warm may be off") {
  SharedDirectory const place;
  TiersJob job{place};
  job.options.warm.directory.clear();
  job.options.hot.directory.clear();
  job.options.cold.content = ColdContent::weights;
  job.start();
  auto const reports = job.save(1, kAll);
  REQUIRE(reports.size() == 1);
  INFO(reports[0].reason);
  CHECK((reports[0].tier == Tier::cold && reports[0].acknowledged));
  CHECK_FALSE(job.load());
  CHECK(job.checkpointer->newest() == SetName{1, 1});
  CHECK(std::filesystem::exists(place.path() + "/cold" + kFirst));
}

TEST_CASE("a hot tier that is full once is tried again, and slower tiers get their set") {
  SharedDirectory const place;
  TiersJob job{place};
  test::FaultyFiles faulty{job.files};
  job.start(faulty);
  bool const mine = test::runtime().rank() == test::runtime().size() - 1;
  if (mine) faulty.faults().fail_at(test::Call::allocate, 1, ENOSPC);
  auto reports = job.save(1, {Tier::hot, Tier::warm});
  REQUIRE(reports.size() == 2);
  CHECK_FALSE(reports[0].acknowledged);
  CHECK(reports[0].reason.find("next save there first prunes") != std::string::npos);
  INFO(reports[1].reason);
  CHECK(reports[1].acknowledged);
  CHECK_FALSE(job.files.exists(job.root + "/hot/run" + kFirst));
  auto const resumed = job.load();
  REQUIRE(resumed);
  CHECK((resumed->tier == Tier::warm && job.small.is(1)));

  reports = job.save(2, {Tier::hot});
  REQUIRE(reports.size() == 1);
  CHECK(reports[0].acknowledged);
}

TEST_CASE(
    "with bounded memory all tiers are filled, and a set that failed cannot be written again") {
  SharedDirectory const place;
  TiersJob job{place};
  job.options.staging.bytes = 4096;
  test::FaultyFiles faulty{job.files};
  job.start(faulty);
  job.save_well(1, kAll);
  auto const resumed = job.load();
  REQUIRE(resumed);
  CHECK(job.small.is(1));
  // Its state is larger than the memory, so that nothing of it is left for the warm tier.
  std::vector<float> values(5000, 2.5F);
  State large;
  large.add("model/w", Shard{{5000}, {}, job.mesh.shape()},
            Tensor{values.data(), {5000}, DType::f32, kCpu});
  bool const bounded = 5000 * 4 / test::runtime().size() > 4096;
  if (test::runtime().rank() == 0) faulty.faults().fail_at(test::Call::allocate, 1, EIO);
  REQUIRE(job.checkpointer->save(large, 2, {Tier::hot, Tier::warm}));
  auto const hot = job.checkpointer->wait(), warm = job.checkpointer->wait();
  REQUIRE((hot && warm));
  CHECK_FALSE(hot->acknowledged);
  INFO(warm->reason);
  CHECK(warm->acknowledged == !bounded);
}

TEST_CASE("a hot tier that stays full is off, with one warning") {
  SharedDirectory const place;
  TiersJob job{place};
  test::FaultyFiles faulty{job.files};
  job.start(faulty);
  if (test::runtime().rank() == 0)
    faulty.faults().fail_at(test::Call::allocate, 1, EDQUOT, test::Lasting::persistent);
  CHECK_FALSE(job.save(1, {Tier::hot})[0].acknowledged);
  auto reports = job.save(2, {Tier::hot});
  REQUIRE(reports.size() == 1);
  CHECK(reports[0].reason.find("sets go to slower tiers from now on") != std::string::npos);
  faulty.faults().clear();
  reports = job.save(3, {Tier::hot, Tier::warm});
  REQUIRE(reports.size() == 1);
  CHECK((reports[0].tier == Tier::warm && reports[0].acknowledged));
  CHECK(job.save(4, {Tier::hot}).empty());
}

TEST_CASE("what is called before a commit can fail the set") {
  SharedDirectory const place;
  TiersJob job{place};
  int calls = 0;
  job.options.before_commit = [&] {
    if (++calls == 2) throw IoError("the lock is gone");
  };
  job.start();
  auto const reports = job.save(1, {Tier::hot, Tier::warm});
  REQUIRE(reports.size() == 2);
  CHECK(reports[0].acknowledged);
  CHECK_FALSE(reports[1].acknowledged);
  CHECK(reports[1].reason == "the lock is gone");
  CHECK(calls == (test::runtime().rank() == 0 ? 2 : 0));
}

TEST_CASE("damage is found by every way to verify, and a copy downward does not spread it") {
  for (Verify const verify : {Verify::all, Verify::used}) {
    SharedDirectory const place;
    TiersJob job{place};
    job.options.verify = verify;
    job.start();
    job.save_well(1, {Tier::warm});
    job.save_well(2, {Tier::warm});
    on_first([&] {
      std::string const file = place.path() + "/warm/step_000000002.g001/rank_00000.h5";
      std::fstream bytes{file, std::ios::in | std::ios::out | std::ios::binary};
      bytes.seekp(5000);
      bytes.put('\x55');
      REQUIRE(bytes.good());
    });
    auto const resumed = job.load();
    REQUIRE(resumed);
    CHECK((resumed->name.step == 1 && job.small.is(1)));
    CHECK(std::filesystem::exists(place.path() + "/warm/corrupt.step_000000002.g001"));
  }
}

TEST_CASE("imported weights are a fresh start; other gaps are refused") {
  SharedDirectory const place;
  TiersJob job{place};
  job.start();
  Shard const whole{{24}, {}, job.mesh.shape()};
  std::vector<float> w(24, 1.5F), m(24, 2.5F);
  auto const view = [](std::vector<float>& values) {
    return Tensor{values.data(), {24}, DType::f32, kCpu};
  };
  State weights;
  weights.add("model/w", whole, view(w));
  REQUIRE(job.checkpointer->save(weights, 0));
  REQUIRE(job.checkpointer->wait()->acknowledged);

  std::string text = "as it was";
  State state;
  std::vector<float> loaded(24, 0.0F);
  state.add("model/w", whole, view(loaded));
  state.add("optimizer/m/w", whole, view(m));
  state.add(
      "train/step", [&] { return text; }, [&](std::string const& given) { text = given; });
  auto const resumed = job.checkpointer->load(state);
  REQUIRE(resumed);
  CHECK(resumed->fresh_start);
  CHECK((resumed->name.step == 0 && text == "as it was"));
  CHECK(loaded == w);
  CHECK(m == std::vector<float>(24, 0.0F));
  CHECK(to_string(*resumed).find("with the weights of warm/step_000000000.g001") !=
        std::string::npos);

  std::vector<float> more(24, 3.0F);
  state.add("model/more", whole, view(more));
  CHECK_THROWS_AS(job.checkpointer->load(state), AgreedError);
  CHECK(more == std::vector<float>(24, 3.0F));

  // The same gap at a later step is no import.
  REQUIRE(job.checkpointer->save(weights, 5));
  REQUIRE(job.checkpointer->wait()->acknowledged);
  CHECK_THROWS_AS(job.checkpointer->load(state), AgreedError);
}

TEST_CASE("options that cannot be kept are refused") {
  CheckpointOptions options;
  CHECK_THROWS_AS(options.validate(), InvalidArgument);  // no tier
  options.warm = {.directory = "w", .keep = 1};
  CHECK_THROWS_AS(options.validate(), InvalidArgument);
  options.warm.keep = 2;
  CHECK_NOTHROW(options.validate());
  options.hot = {.directory = "h", .keep = 1};
  CHECK_THROWS_AS(options.validate(), InvalidArgument);
  options.hot.keep = 2;
  options.cold = {.directory = "c", .keep = 1};
  CHECK_THROWS_AS(options.validate(), InvalidArgument);
  options.cold.keep = 0;
  CHECK_NOTHROW(options.validate());
  options.run_id = "../other";
  CHECK_THROWS_AS(options.validate(), InvalidArgument);
}
