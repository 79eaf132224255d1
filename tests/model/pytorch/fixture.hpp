// SPDX-License-Identifier: Apache-2.0
#pragma once
/// Fixture: numbers that another program wrote for a test, an index and a binary file (the format
/// is in make_fixture.py).
///
///     Fixture fixture{std::string{DSR_FIXTURES_DIR} + "/gpt_small"};
///     FixtureTensor<double> g = fixture.tensor<double>("gradient/norm/gamma");
///
/// Strict: an unknown name, another type, or a file that its index does not wholly describe is a
/// CorruptData.
#include <cstring>
#include <fstream>
#include <iterator>
#include <map>
#include <span>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "dsr/core/dtype.hpp"
#include "dsr/core/error.hpp"
#include "dsr/core/shape.hpp"

namespace dsr::test {

template <class T>
struct FixtureTensor {
  Shape shape;
  std::vector<T> values;
};

class Fixture {
 public:
  /// Reads <path>.txt and <path>.bin.
  explicit Fixture(std::string const& path) : path_(path), bytes_(read(path + ".bin")) {
    std::istringstream index{read(path + ".txt")};
    std::string line;
    std::getline(index, line);
    require(line == "dsr-fixture 1 " + std::to_string(bytes_.size()), "first line", line);
    std::size_t end = 0;
    while (std::getline(index, line)) end = add(line, end);
    require(end == bytes_.size(), "bytes described by the index", std::to_string(end));
  }

  template <class T>
  FixtureTensor<T> tensor(std::string const& name) const {
    auto const found = entries_.find(name);
    require(found != entries_.end(), "name", name);
    Entry const& entry = found->second;
    require(entry.type == name_of(dtype_of<T>), "type of " + name, entry.type);
    std::vector<T> values(static_cast<std::size_t>(entry.shape.elements()));
    std::memcpy(values.data(), bytes_.data() + entry.offset, values.size() * sizeof(T));
    return {entry.shape, std::move(values)};
  }

 private:
  struct Entry {
    std::string type;
    std::size_t offset = 0;
    Shape shape;
  };

  void require(bool good, std::string const& what, std::string const& found) const {
    if (!good) throw CorruptData(problem(path_ + ": " + what, found));
  }

  std::string read(std::string const& file) const {
    std::ifstream stream{file, std::ios::binary};
    require(stream.good(), "cannot open", file);
    return {std::istreambuf_iterator<char>{stream}, {}};
  }

  /// Takes one line of the index that must start at `expected`; where the next one must.
  std::size_t add(std::string const& line, std::size_t expected) {
    std::istringstream words{line};
    Entry entry;
    std::string name;
    words >> name >> entry.type >> entry.offset;
    std::vector<Size> sizes{std::istream_iterator<Size>{words}, {}};
    require(words.eof() && !sizes.empty() && entry.offset == expected, "line", line);
    entry.shape = Shape{std::span<Size const>{sizes}};
    require(entry.type == "f32" || entry.type == "f64" || entry.type == "i32", "type", line);
    Size const bytes = entry.shape.elements() * (entry.type == "f64" ? 8 : 4);
    require(entries_.emplace(name, std::move(entry)).second, "name given twice", name);
    std::size_t const end = expected + static_cast<std::size_t>(round_up(bytes, 8));
    require(end <= bytes_.size(), "line reaches beyond the file", line);
    return end;
  }

  std::string path_, bytes_;
  std::map<std::string, Entry> entries_;
};

}  // namespace dsr::test
