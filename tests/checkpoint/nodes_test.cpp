// SPDX-License-Identifier: Apache-2.0
// Hot sets of several nodes: pooled, mirrored, and lost with a node.
#include "libdsr/checkpoint/nodes.hpp"

#include <cerrno>
#include <fstream>

#include "checkpoint/tiers_job.hpp"
#include "support/faulty_files.hpp"

using namespace dsr;
using test::SharedDirectory;
using test::on_first;
using test::TiersJob;

namespace {

constexpr char const* kSecond = "/run/step_000000002.g001";

/// A warm set of step 1 and a hot one of step 2.
void save_two(SharedDirectory const& place, Partner partner, MeshShape shape) {
  TiersJob job{place, shape, partner};
  job.start();
  job.save_well(1, {Tier::warm});
  job.save_well(2, {Tier::hot});
}

void lose_node(SharedDirectory const& place, std::string const& node) {
  on_first([&] { std::filesystem::remove_all(place.path() + "/hot" + node); });
}

void change_byte(SharedDirectory const& place, int node, int rank) {
  on_first([&] {
    std::string const file = place.path() + "/hot" + std::to_string(node) + kSecond + "/rank_0000" +
                             std::to_string(rank) + ".h5";
    std::fstream bytes{file, std::ios::in | std::ios::out | std::ios::binary};
    bytes.seekp(4097);
    bytes.put('\x55');
    REQUIRE(bytes.good());
  });
}

}  // namespace

TEST_CASE("nodes are numbered by their lowest ranks, and partners are on the next one") {
  int const rank = test::runtime().rank(), size = test::runtime().size();
  detail::Nodes const one{test::runtime(), {}};
  CHECK(one.count() == 1);  // all ranks of a test share a machine
  CHECK(one.partner(rank) == -1);
  CHECK(one.leads(rank) == (rank == 0));
  if (size < 4) return;
  // Rank 0 alone, ranks 1 and 2, the rest.
  detail::Nodes const nodes{test::runtime(), rank == 0 ? 9 : rank < 3 ? 4 : 7};
  CHECK(nodes.count() == 3);
  CHECK(nodes.ranks(1) == std::vector<int>{1, 2});
  CHECK(nodes.place(2) == 1);
  CHECK(nodes.partner(0) == 1);
  CHECK(nodes.partner(1) == 3);
  CHECK(nodes.partner(2) == 3);
  CHECK(nodes.partner(3) == 0);
  // Nobody sends and receives in the same phase.
  for (int node = 0; node < 3; ++node) CHECK(nodes.phase(node) != nodes.phase((node + 1) % 3));
}

TEST_CASE("each node holds the files of its ranks and commits the same manifest") {
  SharedDirectory const place;
  save_two(place, Partner::none, {.dp = test::runtime().size()});
  auto const files_of = [&](int rank) {
    std::string const node = std::to_string(rank * 2 / test::runtime().size());
    return place.path() + "/hot" + node + kSecond;
  };
  for (int rank = 0; rank < test::runtime().size(); ++rank) {
    std::string const own = files_of(test::runtime().rank());
    bool const here = files_of(rank) == own;
    CHECK(system_files().exists(own + "/rank_0000" + std::to_string(rank) + ".h5") == here);
  }
  auto const manifest = [&](std::string const& directory) {
    return read_text(system_files(), directory + "/manifest.json", kManifestMost_bytes);
  };
  CHECK(manifest(files_of(0)) == manifest(files_of(test::runtime().rank())));
}

TEST_CASE("any mesh loads what nodes hold together") {
  int const size = test::runtime().size();
  for (MeshShape const& saved : {MeshShape{.dp = size}, MeshShape{.row = size}}) {
    for (MeshShape const& loaded : {MeshShape{.dp = size}, MeshShape{.row = size}}) {
      SharedDirectory const place;
      save_two(place, Partner::none, saved);
      TiersJob job{place, loaded};
      job.start();
      auto const resumed = job.load();
      REQUIRE(resumed);
      CHECK(resumed->tier == Tier::hot);
      CHECK(job.small.is(2));
      CHECK(job.load());  // again, from what was fetched
      CHECK(job.small.is(2));
    }
  }
}

TEST_CASE("a node that is lost takes the set along, unless its partner has it") {
  if (test::runtime().size() == 1) return;
  for (std::string const node : {"0", "1"}) {
    for (Partner const partner : {Partner::none, Partner::next}) {
      INFO("node " << node << ", partner " << (partner == Partner::next));
      SharedDirectory const place;
      MeshShape const shape{.dp = test::runtime().size()};
      save_two(place, partner, shape);
      lose_node(place, node);
      TiersJob job{place, shape, partner};
      job.start();
      auto const resumed = job.load();
      REQUIRE(resumed);
      bool const kept = partner == Partner::next;
      CHECK(resumed->tier == (kept ? Tier::hot : Tier::warm));
      CHECK(job.small.is(kept ? 2 : 1));
      std::string const other = place.path() + "/hot" + (node == "0" ? "1" : "0") + "/run/";
      CHECK(system_files().exists(other + "corrupt.step_000000002.g001") == !kept);
      // The node that came back empty has the files that its ranks read, and the manifest.
      if (kept)
        CHECK(system_files().exists(place.path() + "/hot" + node + kSecond + "/manifest.json"));
      job.save_well(3, {Tier::hot});
    }
  }
}

TEST_CASE("with a node for each rank, partners in a ring keep every one of them") {
  int const size = test::runtime().size(), rank = test::runtime().rank();
  if (size == 1) return;
  SharedDirectory const place;
  {
    TiersJob job{place, {.row = size}, Partner::next, rank};
    job.start();
    job.save_well(2, {Tier::hot});
  }
  lose_node(place, std::to_string(size - 1));
  TiersJob job{place, {.dp = size}, Partner::next, rank};
  job.start();
  auto const resumed = job.load();
  REQUIRE(resumed);
  CHECK((resumed->tier == Tier::hot && job.small.is(2)));
}

TEST_CASE("a node that has no room for what it lacks leaves the set as it is") {
  if (test::runtime().size() == 1) return;
  SharedDirectory const place;
  MeshShape const shape{.dp = test::runtime().size()};
  save_two(place, Partner::none, shape);
  TiersJob job{place, shape};
  test::FaultyFiles faulty{job.files};
  job.start(faulty);
  if (test::runtime().rank() == 0)
    faulty.faults().fail_at(test::Call::allocate, 1, ENOSPC, test::Lasting::persistent);
  auto resumed = job.load();
  REQUIRE(resumed);
  CHECK((resumed->tier == Tier::warm && job.small.is(1)));
  faulty.faults().clear();
  on_first([&] {  // of a start that was killed while it fetched
    std::string const set = place.path() + "/hot0" + kSecond;
    std::ofstream{set + "/rank_0000" + std::to_string(test::runtime().size() - 1) + ".h5.part"}
        << "x";
  });
  resumed = job.load();
  REQUIRE(resumed);
  CHECK((resumed->tier == Tier::hot && job.small.is(2)));
}

TEST_CASE("a bit that changed on one node is found, and all nodes set the set aside") {
  SharedDirectory const place;
  MeshShape const shape{.dp = test::runtime().size()};
  save_two(place, Partner::none, shape);
  int const last = test::runtime().size() - 1;
  change_byte(place, last * 2 / test::runtime().size(), last);
  TiersJob job{place, shape};
  job.start();
  auto const resumed = job.load();
  REQUIRE(resumed);
  CHECK((resumed->tier == Tier::warm && job.small.is(1)));
  for (int rank = 0; rank <= last; ++rank) {
    std::string const of = std::to_string(rank * 2 / test::runtime().size());
    CHECK(system_files().exists(place.path() + "/hot" + of + "/run/corrupt.step_000000002.g001"));
  }
}

TEST_CASE("a file that is damaged on one node is taken from its partner") {
  int const last = test::runtime().size() - 1;
  if (last == 0) return;
  MeshShape const shape{.dp = last + 1};
  // A node's own file, one that it keeps for its partner, and one of each node.
  struct Damage {
    int node, rank;
  };
  std::vector<std::vector<Damage>> const cases{{{1, last}}, {{0, last}}, {{0, 0}, {1, last}}};
  for (std::vector<Damage> const& damages : cases) {
    SharedDirectory const place;
    save_two(place, Partner::next, shape);
    for (Damage const& damage : damages) change_byte(place, damage.node, damage.rank);
    for (int start = 0; start < 2; ++start) {
      TiersJob job{place, shape, Partner::next};
      job.start();
      auto const resumed = job.load();
      REQUIRE(resumed);
      CHECK((resumed->tier == Tier::hot && job.small.is(2)));
    }
    for (Damage const& damage : damages) {  // every node reads all files
      std::string const set = place.path() + "/hot" + std::to_string(damage.node) + kSecond;
      std::string const file = "rank_0000" + std::to_string(damage.rank) + ".h5";
      CHECK(system_files().exists(set + "/corrupt." + file));
      CHECK(system_files().exists(set + "/" + file));
    }
  }
  // Both copies.
  SharedDirectory const place;
  save_two(place, Partner::next, shape);
  change_byte(place, 0, last);
  change_byte(place, 1, last);
  TiersJob job{place, shape, Partner::next};
  job.start();
  auto const resumed = job.load();
  REQUIRE(resumed);
  CHECK((resumed->tier == Tier::warm && job.small.is(1)));
  for (std::string const node : {"0", "1"})
    CHECK(system_files().exists(place.path() + "/hot" + node + "/run/corrupt.step_000000002.g001"));
}

TEST_CASE("a manifest that is damaged on one node does not keep the others from the set") {
  if (test::runtime().size() == 1) return;
  SharedDirectory const place;
  MeshShape const shape{.dp = test::runtime().size()};
  save_two(place, Partner::next, shape);
  on_first([&] { std::ofstream{place.path() + "/hot0" + kSecond + "/manifest.json"} << "{}"; });
  TiersJob job{place, shape, Partner::next};
  job.start();
  auto const resumed = job.load();
  REQUIRE(resumed);
  CHECK((resumed->tier == Tier::hot && job.small.is(2)));
  CHECK(system_files().exists(place.path() + "/hot0/run/corrupt.step_000000002.g001"));
}
