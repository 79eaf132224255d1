// SPDX-License-Identifier: Apache-2.0
#include "libdsr/checkpoint/hdf5_layout.hpp"

#include <random>
#include <thread>

#include "dsr/core/error.hpp"
#include "io/temporary_directory.hpp"
#include "support/catch.hpp"

using namespace dsr;
using namespace dsr::detail;
using dsr::test::contains;
using dsr::test::message_of;

namespace {

/// What SparseBytes should hold: a byte for each address, and whether it was written.
struct PlainBytes {
  std::vector<std::byte> bytes = std::vector<std::byte>(200);
  std::vector<bool> written = std::vector<bool>(200);
};

void check_same(SparseBytes& sparse, PlainBytes const& plain) {
  std::vector<std::byte> all(plain.bytes.size());
  sparse.read(0, all.data(), std::ssize(all));
  CHECK(all == plain.bytes);
  std::vector<bool> covered(plain.bytes.size());
  Size end = -1;
  for (Container::Piece const& piece : sparse.take()) {
    CHECK(piece.offset > end);  // neither overlapping nor touching
    end = piece.offset + std::ssize(piece.bytes);
    for (Size i = piece.offset; i < end; ++i) covered[static_cast<std::size_t>(i)] = true;
  }
  CHECK(covered == plain.written);
}

herr_t print_nothing(hid_t, void*) { return 0; }

}  // namespace

TEST_CASE("SparseBytes agrees with an array") {
  std::mt19937 random{3};
  auto const draw = [&](Size most) { return std::uniform_int_distribution<Size>{0, most}(random); };
  for (int round = 0; round < 500; ++round) {
    SparseBytes sparse;
    PlainBytes plain;
    Size end = 0;
    for (Size writes = draw(12); writes > 0; --writes) {
      Size const offset = draw(180), count = draw(20);
      std::vector<std::byte> bytes(static_cast<std::size_t>(count));
      for (std::byte& byte : bytes) byte = static_cast<std::byte>(draw(255));
      sparse.write(offset, bytes.data(), count);
      std::copy(bytes.begin(), bytes.end(), plain.bytes.begin() + offset);
      std::fill_n(plain.written.begin() + offset, count, true);
      if (count > 0) end = std::max(end, offset + count);
    }
    REQUIRE(sparse.end() == end);
    check_same(sparse, plain);
  }
}

TEST_CASE("payload is aligned and metadata keeps together") {
  MemoryFile file;
  CHECK(file.allocate_metadata(48) == 0);
  CHECK(file.allocate_metadata(100) == 48);
  CHECK(file.allocate_payload(10) == 4096);
  CHECK(file.allocate_payload(1) == 8192);
  CHECK(file.allocate_metadata(3948) == 148);  // to the end of the first chunk
  CHECK(file.allocate_metadata(1) == 8193);
  CHECK(file.end == 8193 + 8192);
  CHECK(file.allocate_metadata(1'000'000) == 8193 + 8192);  // more than the chunk has
}

TEST_CASE("how the program wants HDF5's errors printed stays as it was") {
  H5open();
  int data = 0;
  H5E_auto2_t before = nullptr, after = nullptr;
  void *before_data = nullptr, *after_data = nullptr;
  H5Eget_auto2(H5E_DEFAULT, &before, &before_data);
  H5Eset_auto2(H5E_DEFAULT, print_nothing, &data);
  Size const huge = Size{1} << 62;
  std::string const text = message_of<Error>([&] { Container{{{.path = "a", .shape = {huge}}}}; });
  CHECK(contains(text, "dsr: HDF5: dataset a: "));
  H5Eget_auto2(H5E_DEFAULT, &after, &after_data);
  CHECK(after == print_nothing);
  CHECK(after_data == &data);
  H5Eset_auto2(H5E_DEFAULT, before, before_data);
}

TEST_CASE("an identifier that is none is an error with its action") {
  Hdf5Session const session;
  CHECK(contains(message_of<Error>([] {
                   Hdf5Id{H5Dopen2(H5I_INVALID_HID, "x", H5P_DEFAULT), H5Dclose, "opening x"};
                 }),
                 "dsr: HDF5: opening x: "));
}

TEST_CASE("threads may make containers at once") {
  std::vector<std::thread> threads;
  std::vector<Size> bytes(4);
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    threads.emplace_back([&bytes, i] {
      for (int round = 0; round < 20; ++round) {
        bytes[i] =
            Container{{{.path = "a/b", .shape = {1000}}, {.path = "c", .shape = {3}}}}.bytes();
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(bytes == std::vector<Size>(4, bytes[0]));
}
