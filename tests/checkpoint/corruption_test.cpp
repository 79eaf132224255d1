// SPDX-License-Identifier: Apache-2.0
/// Sets that a disk spoiled: every flipped bit and every truncation of every file is found when the
/// set is loaded, in a text that names file, block and tensor, and the older set is used.
#include <random>

#include "checkpoint/small_set.hpp"
#include "checkpoint/small_state.hpp"
#include "dsr/checkpoint/container.hpp"
#include "dsr/checkpoint/hash.hpp"
#include "dsr/comm/mpi.hpp"
#include "dsr/core/error.hpp"
#include "io/temporary_directory.hpp"
#include "support/catch.hpp"
#include "support/simulated_disk.hpp"

using namespace dsr;
using namespace dsr::test;

namespace {

std::string const kTier = "/run/tier";
std::string const kNewer = kTier + "/step_000000002.g001";

std::vector<std::byte> content_of(FileSystem& files, std::string const& path) {
  auto const file = files.open(path);
  std::vector<std::byte> bytes(static_cast<std::size_t>(file->size()));
  file->read_at(0, bytes);
  return bytes;
}

void replace(FileSystem& files, std::string const& path, std::span<std::byte const> bytes) {
  files.remove_file(path);
  auto const file = files.create(path);
  file->write_at(0, bytes);
  file->close();
}

/// Puts a set that a loader set aside back in its place.
void put_back(FileSystem& files) {
  std::string const aside = kTier + "/corrupt.step_000000002.g001";
  if (files.exists(aside)) files.rename(aside, kNewer);
}

/// Two sets by a Checkpointer, of a state of so many elements.
void save_two(Runtime& self, FileSystem& files, std::string const& tier, Size elements) {
  Mesh const mesh{self, {}};
  SmallState state{mesh, elements};
  Checkpointer checkpointer{self, mesh, files, {.warm = {.directory = tier}}};
  for (Size const step : {1, 2}) {
    state.become(step);
    REQUIRE(checkpointer.save(state.state(), step));
    REQUIRE(checkpointer.wait()->acknowledged);
  }
}

Runtime alone() {
  return runtime_on(MPI_COMM_SELF, {.threads = 1, .termination = Termination::off});
}

}  // namespace

TEST_CASE("Every flipped bit and every truncation is found at load, and the older set is used") {
  SimulatedDisk disk;
  Runtime self = alone();
  save_two(self, disk, kTier, 6);
  Mesh const mesh{self, {}};
  SmallState state{mesh};
  Checkpointer checkpointer{self, mesh, disk, {.warm = {.directory = kTier}}};
  auto const older_is_used = [&] {
    auto const resumed = checkpointer.load(state.state());
    bool const right = resumed && resumed->name.step == 1 && state.is(1) && !disk.exists(kNewer);
    put_back(disk);
    return right;
  };
  // Loading takes ten times as long as verifying, which it begins with: every 17th spoiled file of
  // tensors is loaded, so that all eight bits of a byte take part, and every spoiled manifest.
  Manifest const sound = read_manifest(disk, kNewer);
  int tried = 0;
  auto const is_found = [&](bool manifest, std::size_t number) {
    ++tried;
    if (manifest || number % 17 == 0) return older_is_used();
    return !verify_set(disk, kNewer, sound).empty();
  };
  for (char const* const name : {"rank_00000.h5", "checkpoint.h5", "manifest.json"}) {
    std::string const path = kNewer + "/" + name;
    std::vector<std::byte> const whole = content_of(disk, path);
    REQUIRE(whole.size() <= 16 * 1024);
    bool const manifest = std::string_view{name} == kManifestName;
    int wrong = 0;
    for (std::size_t bit = 0; bit < whole.size() * 8; ++bit) {
      std::byte const mask{static_cast<unsigned char>(1U << bit % 8)};
      auto const file = disk.open_for_writing(path);
      std::byte const flipped = whole[bit / 8] ^ mask;
      file->write_at(static_cast<Size>(bit / 8), std::span{&flipped, 1});
      wrong += is_found(manifest, bit) ? 0 : 1;
      disk.open_for_writing(path)->write_at(static_cast<Size>(bit / 8),
                                            std::span{&whole[bit / 8], 1});
    }
    for (std::size_t size = 0; size < whole.size(); ++size) {
      replace(disk, path, std::span{whole}.first(size));
      wrong += is_found(manifest, size) ? 0 : 1;
    }
    replace(disk, path, whole);
    INFO(name);
    CHECK(wrong == 0);
  }
  auto const resumed = checkpointer.load(state.state());
  CHECK((resumed && resumed->name.step == 2 && state.is(2)));
  CHECK(tried > 100'000);
}

TEST_CASE("10,000 flips in a set of 64 MB, each in the block that holds it") {
  constexpr Size kElements = Size{16} << 20;
  TemporaryDirectory const run;
  Runtime self = alone();
  save_two(self, system_files(), run.path(), kElements);
  std::string const set = run / "step_000000002.g001";
  Manifest const manifest = read_manifest(system_files(), set);
  StoredFile const& stored = manifest.files[0];
  REQUIRE(stored.bytes > kElements * 4);
  std::vector<std::byte> bytes = content_of(system_files(), set + "/" + stored.name);
  std::mt19937_64 random{3};
  int missed = 0;
  for (int i = 0; i < 10'000; ++i) {
    auto const at = static_cast<std::size_t>(random() % static_cast<std::uint64_t>(stored.bytes));
    std::size_t const block = at / static_cast<std::size_t>(kHashBlock_bytes);
    std::size_t const begin = block * static_cast<std::size_t>(kHashBlock_bytes);
    auto const part = std::span{bytes}.subspan(
        begin, std::min(static_cast<std::size_t>(kHashBlock_bytes), bytes.size() - begin));
    std::byte const mask{static_cast<unsigned char>(1U << random() % 8)};
    bytes[at] ^= mask;
    missed += hash_text(part) == stored.blocks[block] ? 1 : 0;
    bytes[at] ^= mask;
    if (i == 0) CHECK(hash_text(part) == stored.blocks[block]);
  }
  CHECK(missed == 0);

  // Whole loads: the text names file, block and tensor.
  for (int i = 0; i < 5; ++i) {
    Size const at = static_cast<Size>(random() % static_cast<std::uint64_t>(kElements * 4)) + 8192;
    if (at >= stored.bytes) continue;
    std::byte const spoiled = bytes[static_cast<std::size_t>(at)] ^ std::byte{1};
    auto const file = system_files().open_for_writing(set + "/" + stored.name);
    file->write_at(at, std::span{&spoiled, 1});
    std::vector<Fault> const faults = verify_set(system_files(), set, manifest);
    REQUIRE(faults.size() == 1);
    std::string const text = to_string(faults[0], manifest);
    CHECK(contains(text, stored.name + " block " + std::to_string(at / kHashBlock_bytes)));
    CHECK(contains(text, "model/w"));
    Mesh const mesh{self, {}};
    SmallState state{mesh, kElements};
    Checkpointer checkpointer{self, mesh, system_files(), {.warm = {.directory = run.path()}}};
    auto const resumed = checkpointer.load(state.state());
    CHECK((resumed && resumed->name.step == 1 && state.is(1)));
    std::filesystem::rename(run / "corrupt.step_000000002.g001", set);
    file->write_at(at, std::span{&bytes[static_cast<std::size_t>(at)], 1});
  }
}
