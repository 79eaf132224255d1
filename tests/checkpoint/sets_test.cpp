// SPDX-License-Identifier: Apache-2.0
#include "dsr/checkpoint/sets.hpp"

#include <cstdlib>
#include <filesystem>

#include "checkpoint/small_set.hpp"
#include "dsr/checkpoint/container.hpp"
#include "dsr/checkpoint/hash.hpp"
#include "dsr/core/error.hpp"
#include "io/temporary_directory.hpp"
#include "support/catch.hpp"

using namespace dsr;
using namespace dsr::test;

namespace {

FileSystem& disk() { return system_files(); }

void flip(std::string const& path, std::size_t bit) {
  std::string content = slurp(path);
  content[bit / 8] = static_cast<char>(content[bit / 8] ^ (1 << bit % 8));
  std::ofstream(path, std::ios::binary) << content;
}

std::vector<std::string> entries(std::string const& directory) {
  std::vector<std::string> names;
  for (DirectoryEntry const& entry : disk().list(directory)) names.push_back(entry.name);
  return names;
}

}  // namespace

TEST_CASE("Names of sets") {
  CHECK(to_string(SetName{1200, 2}) == "step_000001200.g002");
  CHECK(to_string(SetName{999'999'999, 999}) == "step_999999999.g999");
  CHECK(parse_set_name("step_000001200.g002") == SetName{1200, 2});
  CHECK(parse_set_name("step_000000000.g000") == SetName{});
  for (char const* const bad :
       {"", "step_000001200.g02", "step_000001200.g0002", "step_1200.g002", "step_000001200.h002",
        "step_-00001200.g002", "step_00000120x.g002", "step_000001200.g-02", "step_+00001200.g002",
        "trash.step_000001200.g002", "step_000001200.g002/", "Step_000001200.g002"}) {
    INFO(bad);
    CHECK_FALSE(parse_set_name(bad));
  }
  CHECK_THROWS_AS(to_string(SetName{1'000'000'000, 1}), InvalidArgument);
  CHECK_THROWS_AS(to_string(SetName{-1, 1}), InvalidArgument);
  CHECK_THROWS_AS(to_string(SetName{1, 1000}), InvalidArgument);
  CHECK_THROWS_AS(to_string(SetName{1, -1}), InvalidArgument);
  CHECK(SetName{5, 1} < SetName{5, 2});
  CHECK(SetName{4, 9} < SetName{5, 1});
}

TEST_CASE("Sets are found in a run, a tier and alone, in order") {
  TemporaryDirectory const run;
  std::string const warm = run / "checkpoints", cold = run / "final";
  write_set(disk(), warm, {20, 2});
  write_set(disk(), warm, {20, 1});
  write_set(disk(), warm, {30, 1}, Commit::no);
  write_set(disk(), warm, {9, 1});
  write_set(disk(), cold, {10, 1});
  write_set(disk(), run / "elsewhere", {1, 1});
  run.write("checkpoints/notes.txt", "not a set");
  std::filesystem::rename(write_set(disk(), warm, {7, 1}), warm + "/trash.step_000000007.g001");

  auto const all = find_sets(disk(), run.path());
  CHECK(names_of(all) == std::vector<std::string>{"step_000000001.g001", "step_000000009.g001",
                                                  "step_000000010.g001", "step_000000020.g001",
                                                  "step_000000020.g002", "step_000000030.g001"});
  CHECK(all[0].tier == "elsewhere");
  CHECK(all[1].tier == "warm");
  CHECK(all[2].tier == "cold");
  CHECK(all[4].committed);
  CHECK(all[4].manifest->step == 20);
  CHECK_FALSE(all[5].committed);
  CHECK(all[5].reason.empty());

  CHECK(find_sets(disk(), warm + "/").size() == 4);
  auto const one = find_sets(disk(), warm + "/step_000000020.g002/");
  REQUIRE(one.size() == 1);
  CHECK(one[0].tier == "warm");
  CHECK(one[0].directory == warm + "/step_000000020.g002");
  // Under a name of the user's own a set is still one.
  std::filesystem::rename(one[0].directory, run / "best");
  auto const renamed = find_sets(disk(), run / "best");
  REQUIRE(renamed.size() == 1);
  CHECK(renamed[0].name == SetName{20, 2});
  // A tier may be a link to another disk.
  std::filesystem::create_directory_symlink(warm, run / "linked");
  CHECK(find_sets(disk(), run.path()).size() == 5 + 3);

  CHECK(find_sets(disk(), run / "best/..").size() == 5 + 3);
  // A run that was begun anew left these, and a backup is the user's own.
  write_set(disk(), warm + "/old.g003", {90, 1});
  write_set(disk(), warm + "/backup", {91, 1});
  CHECK(find_sets(disk(), run.path()).size() == 5 + 3);
  CHECK(sets_of_tier(disk(), warm + "/").size() == 3);
  CHECK(find_sets(disk(), warm).size() == 3 + 1);
  CHECK(find_sets(disk(), warm + "/old.g003").size() == 1);
  CHECK_THROWS_AS(sets_of_tier(disk(), run / "absent"), IoError);
  TemporaryDirectory const empty;
  CHECK(find_sets(disk(), empty.path()).empty());
  CHECK_THROWS_AS(find_sets(disk(), empty / "absent"), IoError);
  CHECK_THROWS_AS(find_sets(disk(), empty / "step_000000001.g001"), IoError);
}

TEST_CASE("A manifest that cannot be believed is a reason") {
  TemporaryDirectory const tier;
  std::string const first = write_set(disk(), tier.path(), {1, 1});
  flip(first + "/manifest.json", 200);
  std::string const second = write_set(disk(), tier.path(), {2, 1});
  std::filesystem::rename(second, tier / "step_000000003.g001");
  std::filesystem::create_directories(tier / "step_000000004.g001/manifest.json");
  auto const sets = find_sets(disk(), tier.path());
  REQUIRE(sets.size() == 3);
  for (FoundSet const& set : sets) {
    CHECK_FALSE(set.committed);
    CHECK(contains(set.reason, set.directory));
  }
  CHECK(contains(sets[1].reason, "step_000000002.g001"));
  CHECK_THROWS_AS(read_manifest(disk(), first), CorruptData);
  CHECK_THROWS_AS(read_manifest(disk(), tier / "step_000000004.g001"), IoError);
}

TEST_CASE("Verification names file, block and tensors of every fault") {
  TemporaryDirectory const tier;
  Size const half = kHashBlock_bytes / 4 + 1000;  // two blocks a file
  std::string const set = write_set(disk(), tier.path(), {1, 1}, Commit::yes, half);
  Manifest const manifest = read_manifest(disk(), set);
  CHECK(verify_set(disk(), set, manifest).empty());

  std::string const second = set + "/rank_00001.h5";
  auto const bytes = static_cast<std::size_t>(manifest.files[1].bytes);
  flip(second, (bytes - 1) * 8);
  auto faults = verify_set(disk(), set, manifest);
  REQUIRE(faults.size() == 1);
  CHECK(faults[0].file == "rank_00001.h5");
  CHECK(faults[0].block == 1);
  CHECK(faults[0].tensor == "model/w, model/b");
  CHECK(to_string(faults[0], manifest) == "rank_00001.h5 block 1 (bytes 4194304-" +
                                              std::to_string(bytes - 1) + "): model/w, model/b");
  flip(second, 3);  // of the header: no slice begins before byte 64
  CHECK(verify_set(disk(), set, manifest)[0].tensor == "model/w");

  std::filesystem::resize_file(second, bytes - 1);
  faults = verify_set(disk(), set, manifest);
  REQUIRE(faults.size() == 1);
  CHECK(to_string(faults[0], manifest) == "rank_00001.h5 has " + std::to_string(bytes - 1) +
                                              " bytes instead of " + std::to_string(bytes));
  std::filesystem::remove(second);
  std::filesystem::create_directory(second);
  CHECK(verify_set(disk(), set, manifest)[0].block == -1);
  std::filesystem::remove(second);
  CHECK(to_string(verify_set(disk(), set, manifest)[0], manifest) == "rank_00001.h5 missing");
}

TEST_CASE("Every flipped bit and every truncation of a set is found") {
  TemporaryDirectory const tier;
  std::string const set = write_set(disk(), tier.path(), {1, 1});
  Manifest const manifest = read_manifest(disk(), set);
  for (StoredFile const& file : manifest.files) {
    std::string const path = set + "/" + file.name, good = slurp(path);
    for (std::size_t bit = 0; bit < good.size() * 8; ++bit) {
      flip(path, bit);
      CHECK(verify_set(disk(), set, manifest).size() == 1);
      flip(path, bit);
    }
    for (std::size_t bytes = 0; bytes < good.size(); ++bytes) {
      std::ofstream(path, std::ios::binary) << good.substr(0, bytes);
      CHECK(verify_set(disk(), set, manifest).size() == 1);
    }
    std::ofstream(path, std::ios::binary) << good << 'x';
    CHECK(verify_set(disk(), set, manifest).size() == 1);
    std::ofstream(path, std::ios::binary) << good;
  }
  CHECK(verify_set(disk(), set, manifest).empty());
}

TEST_CASE("A set is committed once") {
  TemporaryDirectory const tier;
  std::string const set = write_set(disk(), tier.path(), {1, 1}, Commit::no);
  std::ofstream(set + "/manifest.tmp") << "of another writer";
  CHECK_THROWS_AS(commit_manifest(disk(), set, small_manifest({1, 1})), Error);
  CHECK_FALSE(find_sets(disk(), set)[0].committed);
  CHECK_THROWS_AS(write_durably(disk(), set + "/rank_00000.h5", "x"), IoError);
}

TEST_CASE("Pruning keeps what it must") {
  TemporaryDirectory const tier;
  for (Size const step : {1, 2, 3, 4, 5}) write_set(disk(), tier.path(), {step, 1});
  write_set(disk(), tier.path(), {2, 2}, Commit::no);
  write_set(disk(), tier.path(), {4, 2}, Commit::no);  // one committed set is newer
  write_set(disk(), tier.path(), {6, 1}, Commit::no);
  CHECK_THROWS_AS(prunable(disk(), tier.path(), 1), InvalidArgument);
  CHECK_THROWS_AS(prune(disk(), tier.path(), 0), InvalidArgument);
  std::vector<std::string> const gone{"step_000000001.g001", "step_000000002.g001",
                                      "step_000000002.g002"};
  CHECK(names_of(prunable(disk(), tier.path() + "/", 3)) == gone);
  // Trash that a crash left, with the name that a set is about to get; and what is not ours.
  std::filesystem::create_directories(tier / "trash.step_000000001.g001/deep/er");
  tier.write("trash.step_000000001.g001/manifest.json", "{");
  std::filesystem::create_directories(tier / "trash.mine");
  TemporaryDirectory const other;
  other.write("kept", "x");
  std::filesystem::create_directory_symlink(other.path(), tier / "step_000000001.g001/link");
  prune(disk(), tier.path(), 3);
  CHECK(entries(tier.path()) ==
        std::vector<std::string>{"step_000000003.g001", "step_000000004.g001",
                                 "step_000000004.g002", "step_000000005.g001",
                                 "step_000000006.g001", "trash.mine"});
  CHECK(slurp(other / "kept") == "x");  // a link is unlinked, not followed
  prune(disk(), tier.path(), 3);
  CHECK(entries(tier.path()).size() == 6);
}

TEST_CASE("A set whose manifest is unsound does not count as newer") {
  TemporaryDirectory const tier;
  for (Size const step : {1, 2, 3}) write_set(disk(), tier.path(), {step, 1});
  flip(tier / "step_000000003.g001/manifest.json", 100);
  CHECK(prunable(disk(), tier.path(), 2).empty());
}

TEST_CASE("Rolling back sets later sets aside") {
  TemporaryDirectory const run;
  std::string const warm = run / "checkpoints";
  for (Size const step : {10, 20, 30}) write_set(disk(), warm, {step, 1});
  write_set(disk(), warm, {40, 2}, Commit::no);
  write_set(disk(), run / "final", {30, 1});
  std::string const text = message_of<InvalidArgument>([&] { rollback(disk(), run.path(), 15); });
  CHECK(contains(text, "10, 20, 30"));
  CHECK_THROWS_AS(rollback(disk(), run.path(), 40), InvalidArgument);
  CHECK(rollback(disk(), run.path(), 20).size() == 3);
  CHECK(names_of(find_sets(disk(), run.path())) ==
        std::vector<std::string>{"step_000000010.g001", "step_000000020.g001"});
  CHECK(entries(run / "final") == std::vector<std::string>{"abandoned.step_000000030.g001"});
  CHECK(rollback(disk(), run.path(), 20).empty());
  // A set that was set aside keeps its generation taken.
  CHECK(next_generation(disk(), warm) == 3);
  CHECK(next_generation(disk(), run.path()) == 3);
}

TEST_CASE("The next generation is above all that were seen") {
  TemporaryDirectory const run;
  CHECK(next_generation(disk(), run.path()) == 1);
  std::filesystem::create_directories(run / "checkpoints/step_000000001.g004");
  CHECK(next_generation(disk(), run.path()) == 5);
  std::filesystem::create_directories(run / "checkpoints/corrupt.step_000000001.g006");
  CHECK(next_generation(disk(), run / "checkpoints/") == 7);
  std::filesystem::create_directories(run / "old.g009/step_000000001.g001");
  std::filesystem::create_directories(run / "checkpoints/step_1.g100");
  CHECK(next_generation(disk(), run.path()) == 10);
}

TEST_CASE("A copy is a committed set of the same bytes") {
  TemporaryDirectory const run;
  std::string const set = write_set(disk(), run / "checkpoints", {5, 3});
  Manifest const manifest = read_manifest(disk(), set);
  std::string const copy = copy_set(disk(), set, manifest, run / "new/archive");
  CHECK(copy == run / "new/archive/step_000000005.g003");
  for (std::string const& name : entries(set))
    CHECK(slurp(copy + "/" + name) == slurp(set + "/" + name));
  CHECK(verify_set(disk(), copy, read_manifest(disk(), copy)).empty());
  CHECK_THROWS_AS(copy_set(disk(), set, manifest, run / "new/archive"), IoError);

  flip(set + "/rank_00001.h5", 600);
  std::string const text =
      message_of<CorruptData>([&] { copy_set(disk(), set, manifest, run / "other"); });
  CHECK(contains(text, "rank_00001.h5"));
  CHECK(contains(text, "block 0"));
  CHECK_FALSE(find_sets(disk(), run / "other")[0].committed);
  std::filesystem::resize_file(set + "/rank_00001.h5", 70);
  CHECK_THROWS_AS(copy_set(disk(), set, manifest, run / "third"), CorruptData);
}

TEST_CASE("A view is written again, and the manifest says so") {
  TemporaryDirectory const tier;
  std::string const set = write_set(disk(), tier.path(), {5, 3}, Commit::no);
  Manifest manifest = small_manifest({5, 3});
  for (int file = 0; file < 2; ++file) {
    std::string const name = "rank_0000" + std::to_string(file) + ".h5";
    std::string const content = slurp(set + "/" + name);
    std::filesystem::remove(set + "/" + name);
    HashedFile out{disk(), set, name, static_cast<Size>(content.size())};
    out.write(0, std::as_bytes(std::span{content}));
    manifest.files.push_back(out.finish());
  }
  // As an older HDF5 may have written it: other bytes, which the manifest lists.
  HashedFile old{disk(), set, kViewName, 3};
  old.write(0, std::as_bytes(std::span{"old", 3}));
  manifest.files.push_back(old.finish());
  commit_manifest(disk(), set, manifest);
  std::ofstream(set + "/manifest.tmp") << "of a call that died";

  rewrite_view(disk(), set, read_manifest(disk(), set));
  Manifest const changed = read_manifest(disk(), set);
  CHECK(changed.files[2].bytes > 3);
  CHECK(verify_set(disk(), set, changed).empty());
  CHECK_FALSE(disk().exists(set + "/manifest.tmp"));
  std::string const manifest_text = slurp(set + "/manifest.json"),
                    view = slurp(set + "/checkpoint.h5");
  rewrite_view(disk(), set, changed);
  CHECK(slurp(set + "/manifest.json") == manifest_text);
  CHECK(slurp(set + "/checkpoint.h5") == view);
}
