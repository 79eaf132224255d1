// SPDX-License-Identifier: Apache-2.0
/// Slots of gradient fragments: what survives a loss of power at every call, damage and failing
/// calls.
#include "dsr/checkpoint/fragment_file.hpp"

#include <algorithm>
#include <functional>
#include <limits>
#include <random>

#include "dsr/core/error.hpp"
#include "support/catch.hpp"
#include "support/faulty_files.hpp"
#include "support/simulated_disk.hpp"

using namespace dsr;
using namespace dsr::test;

namespace {

std::string const kDirectory = "/run/checkpoints/fragments";
constexpr Size kBytes = 10'000;
constexpr std::uint64_t kSeeds = 24;

FragmentHeader header_at(Size micro_batches) {
  return {.run_id = "run",
          .generation = 2,
          .base = hash_text({}),
          .step = 1200,
          .mesh = "dp=2 row=2 col=1",
          .rank = 3,
          .settings = std::string(32, 'a'),
          .micro_batches = micro_batches,
          .of = 16,
          .tokens = micro_batches * 64,
          .loss = 1.0 / 3 * static_cast<double>(micro_batches),
          .cursor = "epoch=0 index=12 sequences=90 sequence=8 seed=5 order=shuffled",
          .bytes = 0,
          .payload = {}};
}

std::vector<std::byte> payload_at(Size micro_batches, Size bytes = kBytes) {
  std::vector<std::byte> payload(static_cast<std::size_t>(bytes));
  std::mt19937_64 random{static_cast<std::uint64_t>(micro_batches)};
  for (std::byte& byte : payload) byte = static_cast<std::byte>(random());
  return payload;
}

FragmentFile slots_of(FileSystem& files, Size bytes = kBytes) {
  return {files, kDirectory, 3, bytes};
}

/// Writes fragments of micro-batches [begin, end) as one process does.
void write_some(FileSystem& files, Size begin, Size end) {
  FragmentFile slots = slots_of(files);
  for (FragmentHeader const& found : slots.claimed()) {
    std::vector<std::byte> payload(kBytes);
    slots.read(found, payload);
  }
  for (Size j = begin; j < end; ++j) slots.write(header_at(j), payload_at(j));
}

/// Micro-batches of the slots that can be used; −1 for one that is whole and holds something else.
std::vector<Size> usable(FileSystem& files) {
  FragmentFile slots = slots_of(files);
  std::vector<Size> found;
  for (FragmentHeader const& header : slots.claimed()) {
    std::vector<std::byte> payload(kBytes);
    if (!slots.read(header, payload)) continue;
    bool const right = payload == payload_at(header.micro_batches);
    found.push_back(right ? header.micro_batches : -1);
  }
  return found;
}

bool has(std::vector<Size> const& list, Size value) {
  return std::ranges::find(list, value) != list.end();
}

/// Files whose n-th sync_data is not done.
class WithoutSync final : public FileSystem {
 public:
  WithoutSync(FileSystem& files, Size skipped) : files_(files), left_(skipped) {}

  std::unique_ptr<File> create(std::string const& path) override {
    return std::make_unique<Open>(*this, files_.create(path));
  }
  std::unique_ptr<File> open(std::string const& path) override { return files_.open(path); }
  std::unique_ptr<File> open_for_writing(std::string const& path) override {
    return std::make_unique<Open>(*this, files_.open_for_writing(path));
  }
  bool make_directory(std::string const& path) override { return files_.make_directory(path); }
  void sync_directory(std::string const& path) override { files_.sync_directory(path); }
  void rename(std::string const& from, std::string const& to) override { files_.rename(from, to); }
  void link(std::string const& from, std::string const& to) override { files_.link(from, to); }
  void remove_file(std::string const& path) override { files_.remove_file(path); }
  void remove_directory(std::string const& path) override { files_.remove_directory(path); }
  std::vector<DirectoryEntry> list(std::string const& path) override { return files_.list(path); }
  bool exists(std::string const& path) override { return files_.exists(path); }
  Size free_bytes(std::string const& path) override { return files_.free_bytes(path); }

 private:
  class Open final : public File {
   public:
    Open(WithoutSync& owner, std::unique_ptr<File> file) : owner_(owner), file_(std::move(file)) {}
    void write_at(Size offset, std::span<std::byte const> bytes) override {
      file_->write_at(offset, bytes);
    }
    Size read_at(Size offset, std::span<std::byte> bytes) override {
      return file_->read_at(offset, bytes);
    }
    void allocate(Size bytes) override { file_->allocate(bytes); }
    Size size() override { return file_->size(); }
    void sync_data() override {
      if (--owner_.left_ != 0) file_->sync_data();
    }
    void close() override { file_->close(); }

   private:
    WithoutSync& owner_;
    std::unique_ptr<File> file_;
  };
  FileSystem& files_;
  Size left_;
};

/// Loses power before call 1, 2, … of a third write, which goes through what `through` makes of the
/// disk, and once after it; how often what must hold does not.
int violations(std::function<void(FileSystem&, std::function<void(FileSystem&)>)> const& through) {
  int found = 0;
  for (Size n = 1;; ++n) {
    bool ended = false;
    for (std::uint64_t seed = 0; seed < kSeeds; ++seed) {
      SimulatedDisk disk;
      write_some(disk, 1, 3);
      disk.faults().fail_at(n, EIO, Lasting::persistent);
      try {
        through(disk, [](FileSystem& files) { write_some(files, 3, 4); });
        ended = true;
      } catch (Error const&) {
        ended = false;
      }
      disk.power_loss(seed);
      std::vector<Size> const left = usable(disk);
      bool holds = has(left, 2) && !has(left, -1) && (!ended || has(left, 3));
      // A header that is on the disk has its payload there.
      auto const claimed = slots_of(disk).claimed();
      bool const third = std::ranges::any_of(
          claimed, [](FragmentHeader const& header) { return header.micro_batches == 3; });
      if (third && !has(left, 3)) holds = false;
      if (!holds) ++found;
    }
    if (ended) return found;
    REQUIRE(n < 1000);
  }
}

}  // namespace

TEST_CASE("Slots are written in turns and come back bit for bit") {
  SimulatedDisk disk;
  CHECK(usable(disk).empty());
  write_some(disk, 1, 2);
  CHECK(usable(disk) == std::vector<Size>{1});
  write_some(disk, 2, 4);
  CHECK(usable(disk) == std::vector<Size>{2, 3});
  FragmentFile slots = slots_of(disk);
  auto const claimed = slots.claimed();
  REQUIRE(claimed.size() == 2);
  FragmentHeader expected = header_at(3);
  expected.bytes = kBytes;
  expected.payload = claimed[1].payload;
  CHECK(claimed[1] == expected);
  // What was read last stays when the next is written: here the older one.
  std::vector<std::byte> payload(kBytes);
  REQUIRE(slots.read(claimed[0], payload));
  slots.write(header_at(7), payload_at(7));
  CHECK(usable(disk) == std::vector<Size>{2, 7});
}

TEST_CASE("A payload of several blocks, of one, of none") {
  for (Size const bytes : {Size{0}, Size{1}, kHashBlock_bytes, 2 * kHashBlock_bytes + 5}) {
    SimulatedDisk disk;
    FragmentFile slots = slots_of(disk, bytes);
    slots.write(header_at(1), payload_at(1, bytes));
    auto const claimed = slots_of(disk, bytes).claimed();
    REQUIRE(claimed.size() == 1);
    std::vector<std::byte> payload(static_cast<std::size_t>(bytes));
    CHECK(slots_of(disk, bytes).read(claimed[0], payload));
    CHECK(payload == payload_at(1, bytes));
  }
}

TEST_CASE("Slots of another size are not read, and are made anew") {
  SimulatedDisk disk;
  write_some(disk, 1, 3);
  FragmentFile larger = slots_of(disk, 5 * kBytes);
  auto const claimed = larger.claimed();
  REQUIRE(claimed.size() == 2);
  CHECK(claimed[1].bytes == kBytes);
  std::vector<std::byte> payload(5 * kBytes);
  CHECK_FALSE(larger.read(claimed[1], payload));
  larger.write(header_at(4), payload_at(4, 5 * kBytes));
  CHECK(larger.claimed().size() == 1);
  CHECK(usable(disk).empty());
  std::vector<std::byte> wrong(7);
  CHECK_THROWS_AS(larger.write(header_at(5), wrong), InvalidArgument);
  CHECK_THROWS_AS(larger.read(header_at(5), wrong), InvalidArgument);
}

TEST_CASE("After a loss of power at any call the older slot is whole, and no other claims to be") {
  auto const plain = [](FileSystem& disk, auto const& act) { act(disk); };
  CHECK(violations(plain) == 0);
  for (Size const skipped : {1, 2}) {
    INFO("without sync " << skipped);
    CHECK(violations([skipped](FileSystem& disk, auto const& act) {
            WithoutSync files{disk, skipped};
            act(files);
          }) > 0);
  }
}

TEST_CASE("The first fragment outlives a loss of power once written, by the directory's sync") {
  for (bool const weak : {false, true}) {
    int lost = 0;
    for (std::uint64_t seed = 0; seed < kSeeds; ++seed) {
      SimulatedDisk disk;
      FaultyFiles files{disk};
      if (weak) files.weaken(Call::sync_directory);
      write_some(files, 1, 2);
      disk.power_loss(seed);
      if (usable(disk) != std::vector<Size>{1}) ++lost;
    }
    CHECK((lost > 0) == weak);
  }
}

TEST_CASE("A failing call is an error of write, never of looking, and the older slot stays") {
  for (int const error : {ENOSPC, EIO, EROFS, EDQUOT}) {
    for (Size n = 1;; ++n) {
      SimulatedDisk disk;
      write_some(disk, 1, 3);
      FragmentFile slots = slots_of(disk);
      Size const before = disk.operations();
      disk.faults().fail_at(n, error);
      std::vector<std::byte> payload(kBytes);
      for (FragmentHeader const& found : slots.claimed()) slots.read(found, payload);
      Size const looked = disk.operations() - before;
      bool ended = false;
      try {
        slots.write(header_at(3), payload_at(3));
        ended = true;
      } catch (IoError const&) {
        ended = false;
      }
      bool const clean = disk.operations() - before < n;
      disk.faults().clear();
      INFO("call " << n << ", error " << error);
      std::vector<Size> const left = usable(disk);
      CHECK_FALSE(has(left, -1));
      if (n > looked) CHECK(has(left, 2));
      if (ended) CHECK(has(left, 3));
      if (clean) break;
      REQUIRE(n < 1000);
    }
  }
}

TEST_CASE("Every bit of a slot: what is claimed and read is what was written") {
  SimulatedDisk disk;
  constexpr Size kFew = 40;
  FragmentFile slots = slots_of(disk, kFew);
  slots.write(header_at(1), payload_at(1, kFew));
  std::unique_ptr<File> const file = disk.open_for_writing(kDirectory + "/rank_00003.0");
  FragmentHeader const header = slots.claimed().at(0);
  int harmless = 0;
  for (Size at = 0; at < file->size(); ++at) {
    for (unsigned bit = 0; bit < 8; ++bit) {
      std::byte byte{};
      file->read_at(at, {&byte, 1});
      std::byte const flipped = byte ^ std::byte{static_cast<unsigned char>(1U << bit)};
      file->write_at(at, {&flipped, 1});
      std::vector<std::byte> payload(kFew);
      if (slots.read(header, payload)) {
        ++harmless;
        if (payload != payload_at(1, kFew)) FAIL("another payload");
      }
      file->write_at(at, {&byte, 1});
    }
  }
  // The table has one hash, and the payload 40 bytes: the rest of their sectors says nothing.
  CHECK(harmless == 8 * (2 * 4096 - 32 - kFew));
}

TEST_CASE("Headers: what is accepted was written by to_text, whatever it is") {
  FragmentHeader header = header_at(5);
  header.payload = header.base;
  header.bytes = 77;
  header.loss = std::numeric_limits<double>::denorm_min();
  std::string const sector = to_text(header);
  REQUIRE(sector.size() == 4096);
  REQUIRE(parse_fragment_header(sector) == header);
  CHECK_FALSE(parse_fragment_header(""));
  CHECK_FALSE(parse_fragment_header(sector + '\0'));
  CHECK_FALSE(parse_fragment_header(std::string_view{sector}.substr(0, 4095)));
  CHECK_FALSE(parse_fragment_header(std::string(4096, '\0')));
  CHECK_FALSE(parse_fragment_header(std::string(4096, '\n')));
  // A hash stops no stranger: changed bodies, sealed again.
  std::string const body = sector.substr(0, sector.find("hash "));
  std::mt19937_64 random{1};
  int accepted = 0;
  for (int i = 0; i < 20'000; ++i) {
    std::string changed = body;
    for (std::uint64_t k = 0; k <= random() % 3; ++k) {
      std::size_t const at = random() % changed.size();
      if (random() % 4 == 0)
        changed.erase(at, random() % 40);
      else
        changed[at] = static_cast<char>(random() % 256);
    }
    changed += "hash " + hash_text(std::as_bytes(std::span{changed})) + "\n";
    changed.resize(4096, '\0');
    auto const found = parse_fragment_header(changed);
    if (!found) continue;
    ++accepted;
    CHECK(to_text(*found) == changed);
  }
  CHECK(accepted > 0);
}

TEST_CASE("Headers that cannot be written name the field") {
  FragmentHeader good = header_at(5);
  good.payload = good.base;
  auto const refused = [&good](std::string const& field, auto const& change) {
    FragmentHeader bad = good;
    change(bad);
    CHECK_THROWS_WITH(to_text(bad), contains("another value of " + field));
  };
  refused("run", [](FragmentHeader& h) { h.run_id = "../up"; });
  refused("generation", [](FragmentHeader& h) { h.generation = 1000; });
  refused("base", [](FragmentHeader& h) { h.base = "0"; });
  refused("step", [](FragmentHeader& h) { h.step = -1; });
  refused("mesh", [](FragmentHeader& h) { h.mesh = "two\nlines"; });
  refused("rank", [](FragmentHeader& h) { h.rank = -1; });
  refused("settings", [](FragmentHeader& h) { h.settings.clear(); });
  refused("micro_batches", [](FragmentHeader& h) { h.micro_batches = h.of; });
  refused("tokens", [](FragmentHeader& h) { h.tokens = -1; });
  refused("cursor", [](FragmentHeader& h) { h.cursor = std::string(600, 'x'); });
  refused("bytes", [](FragmentHeader& h) { h.bytes = -1; });
  refused("payload", [](FragmentHeader& h) { h.payload = std::string(32, 'X'); });
}
