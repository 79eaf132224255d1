// SPDX-License-Identifier: Apache-2.0
// Pieces of tensors made into compressed files, and read back through other boxes.
#include "dsr/checkpoint/cold_file.hpp"

#include <bit>
#include <cerrno>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <memory>
#include <random>

#include "dsr/checkpoint/container.hpp"
#include "dsr/checkpoint/sets.hpp"
#include "dsr/core/bf16.hpp"
#include "dsr/core/error.hpp"
#include "io/temporary_directory.hpp"
#include "libdsr/checkpoint/chunk_boxes.hpp"
#include "support/catch.hpp"
#include "support/faulty_files.hpp"

using namespace dsr;
using dsr::test::contains;
using dsr::test::message_of;

namespace {

/// A part of a tensor with memory of its own.
struct Part {
  std::string name;
  Shape global;
  Box box;
  std::vector<float> values;
};

/// Element i of a tensor, counted row-major; with more digits than bf16 keeps.
float value_at(Size flat) { return static_cast<float>(flat % 7919) * 0.001F - 3; }

/// The expected rounding, by another way than the library's: the nearer of the two neighbours.
float rounded(float value) {
  auto const word = std::bit_cast<std::uint32_t>(value);
  auto const below = std::bit_cast<float>(word & 0xFFFF0000U);
  auto const above = std::bit_cast<float>((word & 0xFFFF0000U) + 0x10000U);
  double const to_below = std::abs(double{value} - below),
               to_above = std::abs(double{above} - value);
  if (to_below != to_above) return to_below < to_above ? below : above;
  return (word & 0x10000U) == 0 ? below : above;
}

std::vector<float> values_of(Shape const& shape, Box const& box) {
  std::vector<float> values;
  for (Size i = 0; i < box.elements(); ++i) {
    Size rest = i, flat = 0, stride = 1;
    for (int dim = shape.rank() - 1; dim >= 0; --dim) {
      flat += stride * (box.begin[dim] + rest % box.count[dim]);
      rest /= box.count[dim];
      stride *= shape[dim];
    }
    values.push_back(value_at(flat));
  }
  return values;
}

/// A tensor dealt to ranks by flat ranges, so that a rank has several boxes.
std::vector<std::vector<Part>> deal(std::string const& name, Shape const& shape, int ranks) {
  std::vector<std::vector<Part>> parts(static_cast<std::size_t>(ranks));
  for (int rank = 0; rank < ranks; ++rank) {
    Size const elements = shape.elements();
    for (Box const& box :
         boxes_of_range(shape, elements * rank / ranks, elements * (rank + 1) / ranks))
      parts[static_cast<std::size_t>(rank)].push_back({name, shape, box, values_of(shape, box)});
  }
  return parts;
}

std::vector<HostPiece> pieces_of(std::vector<Part> const& parts) {
  std::vector<HostPiece> pieces;
  for (Part const& part : parts)
    pieces.push_back(
        {part.name, part.global, DType::f32, part.box, std::as_bytes(std::span{part.values})});
  return pieces;
}

struct Set {
  std::unique_ptr<test::TemporaryDirectory> folder = std::make_unique<test::TemporaryDirectory>();
  std::string directory;
  Manifest manifest;
  Set() : directory(folder->path() + "/step_000000003.g001") {
    system_files().make_directory(directory);
  }
  void commit(std::vector<RankReport> const& reports) {
    std::vector<RankReport> sent;
    for (RankReport const& report : reports) sent.push_back(parse_report(to_text(report)));
    manifest = merge_reports(sent);
    manifest.step = 3;
    manifest.generation = 1;
    manifest.run_id = "test";
    manifest.files.push_back(write_view(system_files(), directory, manifest));
    commit_manifest(system_files(), directory, manifest);
    manifest = read_manifest(system_files(), directory);
  }
};

Set save_cold(std::vector<std::vector<Part>> const& ranks, ColdOptions const& options) {
  Set set;
  std::vector<RankReport> reports;
  for (std::size_t rank = 0; rank < ranks.size(); ++rank)
    reports.push_back(write_cold_file(system_files(), set.directory, static_cast<int>(rank),
                                      pieces_of(ranks[rank]), options));
  set.commit(reports);
  return set;
}

/// Whether a box of a stored tensor has the values that it should.
void check_box(Set const& set, StoredTensor const& tensor, Box const& box) {
  INFO(tensor.name << " " << to_string(box));
  std::vector<float> expected = values_of(tensor.shape, box), found(expected.size());
  auto const read = [&](std::span<std::byte> bytes) {
    read_part(system_files(), set.directory, set.manifest, tensor, box, bytes);
  };
  if (tensor.dtype == DType::f32) {
    read(std::as_writable_bytes(std::span{found}));
  } else {
    REQUIRE(tensor.dtype == DType::bf16);
    std::vector<Bf16> stored(expected.size());
    read(std::as_writable_bytes(std::span{stored}));
    for (std::size_t i = 0; i < stored.size(); ++i) found[i] = static_cast<float>(stored[i]);
    for (float& value : expected) value = rounded(value);
  }
  REQUIRE(found == expected);
}

Box whole(Shape const& shape) {
  Box box{shape, shape};
  for (int dim = 0; dim < shape.rank(); ++dim) box.begin = box.begin.with(dim, 0);
  return box;
}

std::vector<std::byte> content(std::string const& path) {
  std::ifstream file{path, std::ios::binary};
  std::string const text{std::istreambuf_iterator<char>{file}, {}};
  auto const bytes = std::as_bytes(std::span{text});
  return {bytes.begin(), bytes.end()};
}

void overwrite(std::string const& path, std::vector<std::byte> const& bytes) {
  std::ofstream file{path, std::ios::binary};
  file.write(reinterpret_cast<char const*>(bytes.data()), std::ssize(bytes));
}

}  // namespace

TEST_CASE("chunks cover a box in the order of its memory") {
  std::mt19937 random{2};
  auto const draw = [&](Size least, Size most) {
    return std::uniform_int_distribution<Size>{least, most}(random);
  };
  for (int round = 0; round < 300; ++round) {
    Box box{{}, {}};
    std::vector<Size> begin, count, shape;
    for (Size rank = draw(0, 4); rank > 0; --rank) {
      begin.push_back(draw(0, 3));
      count.push_back(draw(1, 9));
      shape.push_back(begin.back() + count.back() + draw(0, 3));
    }
    box = {Shape{std::span<Size const>{begin}}, Shape{std::span<Size const>{count}}};
    Size const most = draw(1, 60);
    std::vector<float> joined;
    for (Box const& chunk : detail::chunk_boxes(box, most)) {
      REQUIRE(chunk.elements() <= most);
      auto const values = values_of(Shape{std::span<Size const>{shape}}, chunk);
      joined.insert(joined.end(), values.begin(), values.end());
    }
    REQUIRE(joined == values_of(Shape{std::span<Size const>{shape}}, box));
  }
  CHECK(detail::chunk_boxes({{0, 0}, {0, 4}}, 3).empty());
}

TEST_CASE("any box of a compressed tensor has the values that were saved") {
  std::mt19937 random{3};
  auto const draw = [&](Size least, Size most) {
    return std::uniform_int_distribution<Size>{least, most}(random);
  };
  for (DType const dtype : {DType::bf16, DType::f32}) {
    for (Shape const& shape : {Shape{}, Shape{1}, Shape{1013}, Shape{37, 41}, Shape{5, 1, 7},
                               Shape{3, 11, 13}, Shape{2, 3, 4, 5}}) {
      Set const set = save_cold(deal("model/w", shape, 3), {.dtype = dtype});
      StoredTensor const& tensor = set.manifest.tensors.at(0);
      CHECK(tensor.codec == Codec::shuffle_zstd);
      CHECK(tensor.dtype == dtype);
      CHECK(verify_set(system_files(), set.directory, set.manifest).empty());
      check_box(set, tensor, whole(shape));
      for (int round = 0; round < 20; ++round) {
        Box box = whole(shape);
        for (int dim = 0; dim < shape.rank(); ++dim) {
          Size const begin = draw(0, shape[dim] - 1);
          box.begin = box.begin.with(dim, begin);
          box.count = box.count.with(dim, draw(1, shape[dim] - begin));
        }
        check_box(set, tensor, box);
      }
    }
  }
}

TEST_CASE("tensors beyond a chunk are cut, and the threads do not show in the file") {
  Shape const shape{1801, 1801}, line{3'000'017};
  std::vector<std::vector<Part>> ranks = deal("model/table", shape, 1);
  ranks[0].push_back(deal("model/line", line, 1)[0][0]);
  Set const one = save_cold(ranks, {});
  Set const three = save_cold(ranks, {.write = {.threads = 3}});
  CHECK(content(one.directory + "/rank_00000.h5") == content(three.directory + "/rank_00000.h5"));
  CHECK(content(one.directory + "/checkpoint.h5") == content(three.directory + "/checkpoint.h5"));
  CHECK(one.manifest.files.at(0).bytes < shape.elements() * 2 + line.elements() * 2);
  for (StoredTensor const& tensor : one.manifest.tensors) {
    CHECK(tensor.slices.size() == 2);
    check_box(one, tensor, whole(tensor.shape));
  }
  check_box(one, one.manifest.tensors.at(0), {{890, 3}, {30, 1700}});
}

TEST_CASE("a rank's file of a warm set becomes a cold one") {
  std::vector<std::vector<Part>> ranks = deal("model/w", {600, 1999}, 2);
  auto const moments = deal("optimizer/m/w", {600, 1999}, 2);
  for (std::size_t rank = 0; rank < 2; ++rank)
    ranks[rank].insert(ranks[rank].begin(), moments[rank].begin(), moments[rank].end());
  Set warm;
  std::vector<RankReport> reports;
  for (int rank = 0; rank < 2; ++rank)
    reports.push_back(write_rank_file(system_files(), warm.directory, rank,
                                      pieces_of(ranks[static_cast<std::size_t>(rank)])));
  warm.commit(reports);
  auto const convert = [&](ColdContent what, int threads) {
    Set cold;
    std::vector<RankReport> converted;
    for (int rank = 0; rank < 2; ++rank) {
      StoredPieces source{system_files(), warm.directory, report_of(warm.manifest, rank), what};
      converted.push_back(write_cold_file(system_files(), cold.directory, rank, source.pieces(),
                                          source,
                                          {.content = what, .write = {.threads = threads}}));
    }
    cold.commit(converted);
    return cold;
  };

  SECTION("the weights alone, rounded") {
    Set const cold = convert(ColdContent::weights, 2);
    REQUIRE(cold.manifest.tensors.size() == 1);
    CHECK(cold.manifest.tensors[0].dtype == DType::bf16);
    check_box(cold, cold.manifest.tensors[0], whole({600, 1999}));
    Set const direct = save_cold(ranks, {});  // moments are passed over
    CHECK(content(direct.directory + "/rank_00001.h5") ==
          content(cold.directory + "/rank_00001.h5"));
  }
  SECTION("everything, as it is") {
    Set const cold = convert(ColdContent::all, 1);
    REQUIRE(cold.manifest.tensors.size() == 2);
    for (StoredTensor const& tensor : cold.manifest.tensors) {
      CHECK(tensor.dtype == DType::f32);
      check_box(cold, tensor, whole({600, 1999}));
    }
  }
  SECTION("a changed byte does not travel") {
    std::string const path = warm.directory + "/rank_00001.h5";
    auto bytes = content(path);
    bytes.at(4'500'000) ^= std::byte{1};
    overwrite(path, bytes);
    std::string const message = message_of<Error>([&] { convert(ColdContent::all, 2); });
    CHECK(contains(message, "rank_00001.h5 block 1"));
    CHECK(contains(message, "wrong hash"));
    bytes.resize(4'300'000);
    overwrite(path, bytes);
    CHECK(contains(message_of<Error>([&] { convert(ColdContent::all, 1); }), "cut off"));
  }
  SECTION("a cold file is no source") {
    Set const cold = convert(ColdContent::weights, 1);
    CHECK_THROWS_AS(StoredPieces(system_files(), cold.directory, report_of(cold.manifest, 0),
                                 ColdContent::weights),
                    InvalidArgument);
  }
}

TEST_CASE("types other than f32 stay, and integers come back") {
  std::vector<double> const doubles{1.0, 1e-300, -3.5};
  std::vector<std::int64_t> const counts{-1, 0, 1LL << 60};
  std::vector<std::uint8_t> const bytes{0, 7, 255};
  std::vector<HostPiece> const pieces{
      {"model/d", {3}, DType::f64, {{0}, {3}}, std::as_bytes(std::span{doubles})},
      {"model/i", {3}, DType::i64, {{0}, {3}}, std::as_bytes(std::span{counts})},
      {"model/u", {3}, DType::u8, {{0}, {3}}, std::as_bytes(std::span{bytes})},
      {"model/empty", {0, 2}, DType::f32, {{0, 0}, {0, 2}}, {}}};
  Set set;
  set.commit({write_cold_file(system_files(), set.directory, 0, pieces)});
  REQUIRE(set.manifest.tensors.size() == 3);
  for (std::size_t i = 0; i < 3; ++i) {
    std::vector<std::byte> found(pieces[i].bytes.size());
    read_part(system_files(), set.directory, set.manifest, set.manifest.tensors[i], {{0}, {3}},
              found);
    CHECK(std::ranges::equal(found, pieces[i].bytes));
  }
}

TEST_CASE("wrong options and pieces are refused") {
  Set const set;
  std::vector<float> const values(4);
  auto const write = [&](HostPiece const& piece, ColdOptions const& options) {
    write_cold_file(system_files(), set.directory, 0, {piece}, options);
  };
  HostPiece const piece{"model/w", {4}, DType::f32, {{0}, {4}}, std::as_bytes(std::span{values})};
  CHECK_THROWS_AS(write(piece, {.dtype = DType::f64}), InvalidArgument);
  CHECK_THROWS_AS(write(piece, {.level = 0}), InvalidArgument);
  CHECK_THROWS_AS(write(piece, {.level = 23}), InvalidArgument);
  HostPiece longer = piece, unnamed = piece;
  longer.box = {{0}, {5}};
  unnamed.name = "model/../w";
  CHECK_THROWS_AS(write(longer, {}), InvalidArgument);
  CHECK_THROWS_AS(write(unnamed, {}), InvalidArgument);
  write(piece, {});
  CHECK_THROWS_AS(write(piece, {}), IoError);  // the file is there
}

TEST_CASE(
    "every bit of a compressed set is under a hash, and decoding changed ones never crashes") {
  Set set = save_cold(deal("model/w", {23, 17}, 1), {});
  StoredTensor const& tensor = set.manifest.tensors.at(0);
  std::string const path = set.directory + "/rank_00000.h5";
  auto const sound = content(path);
  int refused = 0;
  for (std::size_t at = 0; at < sound.size(); at += at < 4096 ? 64 : 1) {
    auto changed = sound;
    changed[at] ^= static_cast<std::byte>(1U << (at % 8));
    overwrite(path, changed);
    REQUIRE(verify_set(system_files(), set.directory, set.manifest).size() == 1);
    std::vector<Bf16> found(23 * 17);
    try {
      read_part(system_files(), set.directory, set.manifest, tensor, whole({23, 17}),
                std::as_writable_bytes(std::span{found}));
    } catch (CorruptData const& error) {
      ++refused;
      REQUIRE(contains(error.what(), "rank_00000.h5 at byte 4096"));
    }
  }
  CHECK(refused > 0);
}

TEST_CASE("manifests of compressed tensors are checked") {
  Set const set = save_cold(deal("model/w", {23, 17}, 1), {});
  auto const refused = [&](auto change) {
    Manifest manifest = set.manifest;
    change(manifest.tensors.at(0), manifest.files.at(0));
    return message_of<Error>([&] { to_text(manifest); });
  };
  CHECK(refused([](StoredTensor&, StoredFile&) {}).empty());
  CHECK(contains(refused([](StoredTensor& tensor, StoredFile&) { tensor.codec = Codec::none; }),
                 "bytes"));
  CHECK(contains(refused([](StoredTensor& tensor, StoredFile&) { tensor.slices[0].bytes = 0; }),
                 "1 to "));
  CHECK(contains(refused([](StoredTensor& tensor, StoredFile&) {
                   tensor.slices[0].bytes = encoded_bound(23 * 17 * 2) + 1;
                 }),
                 "1 to "));
  CHECK(contains(refused([](StoredTensor& tensor, StoredFile&) {
                   tensor.shape = {3000, 1000};
                   tensor.slices[0].box = {{0, 0}, {3000, 1000}};
                 }),
                 "as it is compressed"));
  std::string text = to_text(set.manifest);
  CHECK(contains(text, "\"codec\":\"shuffle-zstd\""));
}

TEST_CASE("a failing call ends the file, whichever it is, and no thread stays behind") {
  std::vector<std::vector<Part>> const ranks = deal("model/w", {900, 2999}, 1);
  for (int nth = 1;; ++nth) {
    Set const set;
    test::FaultyFiles files{system_files()};
    files.faults().fail_at(nth, EIO);
    bool failed = false;
    try {
      write_cold_file(files, set.directory, 0, pieces_of(ranks[0]), {.write = {.threads = 2}});
    } catch (IoError const&) {
      failed = true;
    }
    if (!failed) {
      CHECK(nth > 4);
      break;
    }
  }
}
