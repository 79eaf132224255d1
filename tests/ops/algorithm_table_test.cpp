// SPDX-License-Identifier: Apache-2.0
#include "libdsr/ops/cuda/algorithm_table.hpp"

#include "dsr/core/error.hpp"
#include "support/catch.hpp"
#include "support/text_of.hpp"

namespace dsr {
namespace {

using detail::Algorithm;
using detail::AlgorithmTable;
using detail::GemmLayout;

std::string const kMaker = "cublasLt 130200 on NVIDIA H100 80GB HBM3";

GemmLayout layout(Size rows) {
  return {.rows = rows,
          .columns = 32768,
          .inner = 2048,
          .batch = 2,
          .in = DType::bf16,
          .out_type = DType::f32,
          .reads = GemmLayout::Reads::operands_and_out,
          .left = {.leading = 2048, .step = 0, .align_bytes = 8, .transpose = Transpose::yes},
          .right = {.leading = 4096, .step = 77},
          .out = {.leading = rows, .step = rows * 32768}};
}

constexpr Algorithm kFirst{{1, 0xFFFFFFFFFFFFFFFF, 0, 7, 8, 9, 10, 0xABCDEF}, 812.515625};
constexpr Algorithm kSecond{{5}, 0};

AlgorithmTable two() {
  AlgorithmTable table{kMaker};
  table.set(layout(8192), kFirst);
  table.set(layout(64), kSecond);
  return table;
}

}  // namespace

TEST_CASE("a table of algorithms comes back from its text") {
  AlgorithmTable const table = two();
  AlgorithmTable loaded{kMaker};
  loaded.load(table.save());
  REQUIRE(loaded.size() == 2);
  CHECK(*loaded.find(layout(8192)) == kFirst);
  CHECK(*loaded.find(layout(64)) == kSecond);
  CHECK(loaded.find(layout(65)) == nullptr);
  CHECK(loaded.save() == table.save());
  CHECK(table.save().find("dsr matmul algorithms 2\n" + kMaker +
                          "\nbf16 f32 add none 64 32768 2048 2 T 2048 0 8 ") == 0);
}

TEST_CASE("choices that were made stay when others are loaded") {
  AlgorithmTable table{kMaker};
  table.set(layout(64), kFirst);
  table.load(two().save());
  CHECK(table.size() == 2);
  CHECK(*table.find(layout(64)) == kFirst);
}

TEST_CASE("a table for another library, and a text that is none, change nothing") {
  AlgorithmTable table{"cublasLt 130100 on NVIDIA H200"};
  std::string const text = two().save();
  std::string const other = test::text_of<InvalidArgument>([&] { table.load(text); });
  CHECK(test::contains(other, "chosen for " + kMaker));
  CHECK(test::contains(other, "allowed cublasLt 130100 on NVIDIA H200"));
  AlgorithmTable same{kMaker};
  for (std::string const& bad : {std::string{}, std::string{"dsr matmul algorithms 1\n"}}) {
    CHECK(test::contains(test::text_of<CorruptData>([&] { same.load(bad); }), "line 1"));
  }
  std::string const head = "dsr matmul algorithms 2\n" + kMaker + "\n";
  std::string const line = text.substr(head.size(), text.find('\n', head.size()) - head.size());
  for (std::string const& bad :
       {line + " 1", line.substr(0, line.size() - 2), "f16" + line.substr(4),
        "bf16 f32 sub" + line.substr(12), std::string{"bf16 f32 add none -1"} + line.substr(20)}) {
    std::string const found =
        test::text_of<CorruptData>([&] { same.load(head + line + "\n" + bad + "\n"); });
    INFO(bad);
    CHECK(test::contains(found, "line 4"));
  }
  CHECK(same.size() == 0);
}

}  // namespace dsr
