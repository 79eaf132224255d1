// SPDX-License-Identifier: Apache-2.0
#include "libdsr/ops/cuda/algorithm_table.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <optional>
#include <span>
#include <sstream>
#include <string_view>
#include <utility>

#include "dsr/core/error.hpp"

namespace dsr::detail {
namespace {

constexpr std::string_view kTitle = "dsr matmul algorithms 2";

char flag_of(Transpose transpose) { return transpose == Transpose::yes ? 'T' : 'N'; }

std::string to_text(GemmOperand const& x) {
  return fmt::format("{} {} {} {}", flag_of(x.transpose), x.leading, x.step, x.align_bytes);
}

constexpr std::array<std::pair<std::string_view, Epilogue>, 5> kEpilogues = {{
    {"none", Epilogue::none},
    {"bias", Epilogue::bias},
    {"gelu", Epilogue::gelu},
    {"gelu_bias", Epilogue::gelu_bias},
    {"gelu_backward", Epilogue::gelu_backward}}};

std::string_view name_of(Epilogue epilogue) {
  for (auto const& [name, value] : kEpilogues) {
    if (value == epilogue) return name;
  }
  return {};
}

std::string to_text(GemmLayout const& x) {
  bool const adds = x.reads == GemmLayout::Reads::operands_and_out;
  return fmt::format("{} {} {} {} {} {} {} {} {} {} {}", dsr::name_of(x.in),
                     dsr::name_of(x.out_type), adds ? "add" : "set", name_of(x.epilogue), x.rows, x.columns, x.inner, x.batch, to_text(x.left),
                     to_text(x.right), to_text(x.out));
}

std::string to_text(Algorithm const& x) {
  return fmt::format("{:x} {}", fmt::join(x.words, " "), x.us);
}

/// Words of one line, each read once; `ok` is false after one that does not fit.
class Words {
 public:
  explicit Words(std::string const& line) : stream_(line) {}

  Size number(Size least) {
    Size value = -1;
    stream_ >> value;
    ok_ = ok_ && !stream_.fail() && value >= least;
    return value;
  }
  double seconds() {
    double value = -1;
    stream_ >> value;
    ok_ = ok_ && !stream_.fail() && value >= 0;
    return value;
  }
  std::uint64_t hex() {
    std::uint64_t value = 0;
    stream_ >> std::hex >> value >> std::dec;
    ok_ = ok_ && !stream_.fail();
    return value;
  }
  /// The value whose name comes next.
  template <class T>
  T one_of(std::span<std::pair<std::string_view, T> const> choices) {
    std::string word;
    stream_ >> word;
    for (auto const& [name, value] : choices) {
      if (word == name) return value;
    }
    ok_ = false;
    return choices.front().second;
  }
  template <class T>
  T one_of(std::initializer_list<std::pair<std::string_view, T>> choices) {
    return one_of(std::span{choices.begin(), choices.size()});
  }
  bool fit_and_end() {
    std::string rest;
    return ok_ && !(stream_ >> rest);
  }

 private:
  std::istringstream stream_;
  bool ok_ = true;
};

DType read_type(Words& words) {
  return words.one_of<DType>({{dsr::name_of(DType::bf16), DType::bf16},
                              {dsr::name_of(DType::f32), DType::f32},
                              {dsr::name_of(DType::f64), DType::f64}});
}

GemmOperand read_operand(Words& words) {
  GemmOperand x;
  x.transpose = words.one_of<Transpose>({{"N", Transpose::no}, {"T", Transpose::yes}});
  x.leading = words.number(1);
  x.step = words.number(0);
  x.align_bytes = words.number(1);
  return x;
}

std::optional<std::pair<GemmLayout, Algorithm>> parse(std::string const& line) {
  using Reads = GemmLayout::Reads;
  Words words{line};
  GemmLayout x;
  x.in = read_type(words);
  x.out_type = read_type(words);
  x.reads = words.one_of<Reads>({{"set", Reads::operands}, {"add", Reads::operands_and_out}});
  x.epilogue = words.one_of(std::span<std::pair<std::string_view, Epilogue> const>{kEpilogues});
  for (Size* const size : {&x.rows, &x.columns, &x.inner, &x.batch}) *size = words.number(1);
  for (GemmOperand* const operand : {&x.left, &x.right, &x.out}) *operand = read_operand(words);
  Algorithm algorithm;
  for (std::uint64_t& word : algorithm.words) word = words.hex();
  algorithm.us = words.seconds();
  if (!words.fit_and_end()) return std::nullopt;
  return std::pair{x, algorithm};
}

[[noreturn]] void corrupt(int number, std::string const& line, std::string_view allowed) {
  throw CorruptData(problem("matmul algorithms",
                            "line " + std::to_string(number) + " \"" + line + "\"", allowed));
}

}  // namespace

Algorithm const* AlgorithmTable::find(GemmLayout const& layout) const {
  auto const found = algorithms_.find(layout);
  return found == algorithms_.end() ? nullptr : &found->second;
}

std::string AlgorithmTable::save() const {
  std::string text = fmt::format("{}\n{}\n", kTitle, validity_);
  for (auto const& [layout, algorithm] : algorithms_) {
    text += to_text(layout) + " " + to_text(algorithm) + "\n";
  }
  return text;
}

void AlgorithmTable::load(std::string const& text) {
  std::istringstream lines{text};
  std::string line;
  std::getline(lines, line);
  if (line != kTitle) corrupt(1, line, kTitle);
  line.clear();
  std::getline(lines, line);
  if (line != validity_) {
    throw InvalidArgument(
        problem("matmul algorithms", "chosen for " + line, validity_, "choose them anew"));
  }
  std::map<GemmLayout, Algorithm> added;
  for (int number = 3; std::getline(lines, line); ++number) {
    auto const entry = parse(line);
    if (!entry) corrupt(number, line, "types, sizes, three operands, eight words and a time");
    added.insert(*entry);
  }
  algorithms_.merge(added);
}

}  // namespace dsr::detail
