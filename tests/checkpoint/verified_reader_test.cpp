// SPDX-License-Identifier: Apache-2.0
// One pass that verifies and loads, beside read_part and verify_set's promises.
#include "libdsr/checkpoint/verified_reader.hpp"

#include <filesystem>
#include <fstream>
#include <numeric>

#include "dsr/checkpoint/rank_file.hpp"
#include "dsr/core/error.hpp"
#include "io/temporary_directory.hpp"
#include "support/catch.hpp"
#include "support/text_of.hpp"

namespace dsr::detail {
namespace {

/// Two files of 6 MB each: a matrix cut by columns, and a vector.
struct Set {
  test::TemporaryDirectory directory;
  Shape const shape{1500, 2000};
  std::vector<float> matrix, vector;
  Manifest manifest;

  Set() : matrix(3'000'000), vector(1000) {
    std::iota(matrix.begin(), matrix.end(), 0.5F);
    std::iota(vector.begin(), vector.end(), 7.0F);
    std::vector<RankReport> reports;
    for (int rank : {0, 1}) {
      Box const half{{0, 1000 * rank}, {1500, 1000}};
      std::vector<float> const part = elements_of(half);
      std::vector<HostPiece> pieces{
          {"model/m", shape, DType::f32, half, std::as_bytes(std::span{part})}};
      if (rank == 1)
        pieces.push_back(
            {"model/v", {1000}, DType::f32, {{0}, {1000}}, std::as_bytes(std::span{vector})});
      reports.push_back(write_rank_file(system_files(), directory.path(), rank, pieces));
    }
    manifest = merge_reports(reports);
  }
  std::vector<float> elements_of(Box const& box) const {
    std::vector<float> values;
    for (Size row = 0; row < box.count[0]; ++row) {
      for (Size column = 0; column < box.count[1]; ++column)
        values.push_back(
            matrix[static_cast<std::size_t>((box.begin[0] + row) * 2000 + box.begin[1] + column)]);
    }
    return values;
  }
  void flip(std::string const& file, Size at) {
    std::fstream stream{directory / file, std::ios::in | std::ios::out | std::ios::binary};
    stream.seekg(at);
    char const byte = static_cast<char>(stream.get() ^ 4);
    stream.seekp(at);
    stream.put(byte);
  }
};

WantedPart part_of(Set const& set, std::size_t tensor, Box box, std::vector<float>& memory) {
  memory.assign(static_cast<std::size_t>(box.elements()), -1.0F);
  return {&set.manifest.tensors[tensor], std::move(box), std::as_writable_bytes(std::span{memory})};
}

}  // namespace

TEST_CASE("any box is there after one pass and the rest, whatever the share") {
  Set const set;
  std::vector<Box> const boxes{{{0, 0}, {1500, 2000}},   {{3, 999}, {1490, 2}},
                               {{700, 1000}, {1, 1000}}, {{10, 0}, {1200, 1000}},
                               {{1499, 1999}, {1, 1}},   {{5, 100}, {1000, 1500}}};
  for (Box const& box : boxes) {
    for (BlockShare const& share : {BlockShare{0, 1}, BlockShare{0, 2}, BlockShare{2, 3}}) {
      INFO(to_string(box) << " reader " << share.reader << " of " << share.readers);
      std::vector<float> matrix, vector;
      VerifiedReader reader{system_files(),
                            set.directory.path(),
                            set.manifest,
                            {part_of(set, 0, box, matrix), part_of(set, 1, {{0}, {1000}}, vector)},
                            share};
      CHECK(reader.verify().empty());
      reader.read_rest();
      CHECK(matrix == set.elements_of(box));
      CHECK(vector == set.vector);
    }
  }
}

TEST_CASE("a flipped bit in any block is found by the reader who has it") {
  Set set;
  Size const last = set.manifest.files[1].bytes - 1;
  for (auto const& [file, at] : {std::pair{0, Size{5000}}, {0, Size{5 << 20}}, {1, last}}) {
    std::string const name = set.manifest.files[static_cast<std::size_t>(file)].name;
    set.flip(name, at);
    Size found = 0;
    for (int reader : {0, 1, 2}) {
      std::vector<float> matrix;
      VerifiedReader verified{system_files(),
                              set.directory.path(),
                              set.manifest,
                              {part_of(set, 0, {{0, 0}, {1500, 2000}}, matrix)},
                              {reader, 3}};
      for (Fault const& fault : verified.verify()) {
        ++found;
        CHECK(fault.file == name);
        CHECK(fault.block == at / kHashBlock_bytes);
        CHECK(fault.reason == "wrong hash");
      }
    }
    CHECK(found == 1);
    set.flip(name, at);
  }
}

TEST_CASE("what cannot be read as asked is refused or named") {
  Set set;
  std::vector<float> a, b;
  auto const make = [&](std::vector<WantedPart> const& parts) {
    VerifiedReader{system_files(), set.directory.path(), set.manifest, parts};
  };
  WantedPart part = part_of(set, 0, {{0, 0}, {10, 2000}}, a);
  CHECK_THROWS_AS(make({part, part_of(set, 0, {{9, 0}, {10, 2000}}, b)}), InvalidArgument);
  part.bytes = part.bytes.first(8);
  CHECK_THROWS_AS(make({part}), InvalidArgument);
  StoredTensor hole = set.manifest.tensors[0];
  hole.slices.pop_back();
  part = part_of(set, 0, {{0, 0}, {10, 2000}}, a);
  part.tensor = &hole;
  CHECK(test::contains(test::text_of<CorruptData>([&] { make({part}); }), "model/m"));

  VerifiedReader reader{system_files(),
                        set.directory.path(),
                        set.manifest,
                        {part_of(set, 0, {{0, 0}, {1500, 2000}}, a)},
                        {1, 2}};
  std::filesystem::resize_file(set.directory / "rank_00000.h5", 4100);
  CHECK(reader.verify().front().reason.starts_with("has 4100 bytes"));
  CHECK(test::contains(test::text_of<CorruptData>([&] { reader.read_rest(); }), "rank_00000.h5"));
  std::filesystem::remove(set.directory / "rank_00000.h5");
  CHECK(reader.verify().front().reason == "missing");
  CHECK(test::contains(test::text_of<IoError>([&] { reader.read_rest(); }), "rank_00000.h5"));
}

}  // namespace dsr::detail
