// SPDX-License-Identifier: Apache-2.0
/// The header is read by events, not as a tree: its memory is that of the entries it describes.
#include <algorithm>
#include <array>
#include <bit>
#include <limits>
#include <nlohmann/json.hpp>
#include <set>

#include "dsr/checkpoint/safetensors.hpp"
#include "dsr/core/error.hpp"

namespace dsr {
namespace {

struct KnownType {
  std::string_view name;
  Size bytes;
};
constexpr std::array<KnownType, 15> kTypes{{{"BOOL", 1},
                                            {"U8", 1},
                                            {"I8", 1},
                                            {"F8_E5M2", 1},
                                            {"F8_E4M3", 1},
                                            {"I16", 2},
                                            {"U16", 2},
                                            {"F16", 2},
                                            {"BF16", 2},
                                            {"I32", 4},
                                            {"U32", 4},
                                            {"F32", 4},
                                            {"F64", 8},
                                            {"I64", 8},
                                            {"U64", 8}}};

/// 0 if the type is not known.
Size bytes_of_type(std::string_view type) {
  auto const* const found = std::ranges::find(kTypes, type, &KnownType::name);
  return found == kTypes.end() ? 0 : found->bytes;
}

bool printable(std::string_view name) {
  return !name.empty() &&
         std::ranges::none_of(name, [](char c) { return static_cast<unsigned char>(c) < 0x20; });
}

/// Receives the events of one header. Each returns false to stop, with the reason in problem_.
class HeaderEvents : public nlohmann::json_sax<nlohmann::json> {
 public:
  SafetensorsHeader header;
  std::string reason;

  bool start_object(std::size_t) override {
    if (where_ == Where::before) return go(Where::top);
    if (where_ == Where::value) return go(name_ == "__metadata__" ? Where::metadata : Where::entry);
    return unexpected("an object");
  }
  bool end_object() override {
    if (where_ == Where::entry) return finish_entry();
    return go(where_ == Where::metadata ? Where::top : Where::after);
  }
  bool key(string_t& text) override {
    if (where_ == Where::top) {
      if (!printable(text)) return stop("a name that is empty or has control characters");
      if (!names_.insert(text).second) return stop("the name '" + text + "' twice");
      name_ = text;
      entry_ = {};
      entry_.name = text;
      seen_.clear();
      return go(Where::value);
    }
    if (where_ == Where::metadata) {
      if (header.metadata.contains(text)) return stop("the metadata '" + text + "' twice");
      metadata_key_ = text;
      return true;
    }
    if (text != "dtype" && text != "shape" && text != "data_offsets")
      return stop(of_tensor() + "the key '" + text + "'");
    if (!seen_.insert(text).second) return stop(of_tensor() + "the key '" + text + "' twice");
    key_ = text;
    return true;
  }
  bool string(string_t& text) override {
    if (where_ == Where::metadata) {
      header.metadata.emplace(metadata_key_, text);
      return true;
    }
    if (where_ != Where::entry || key_ != "dtype") return unexpected("a string");
    if (bytes_of_type(text) == 0) return stop(of_tensor() + "the type '" + text + "'");
    entry_.type = text;
    return true;
  }
  bool start_array(std::size_t) override {
    if (where_ != Where::entry || key_ == "dtype") return unexpected("an array");
    numbers_.clear();
    return go(Where::array);
  }
  bool end_array() override {
    if (key_ == "shape")
      entry_.shape = Shape{std::span<Size const>{numbers_}};
    else if (numbers_.size() != 2)
      return stop(of_tensor() + "data_offsets of " + std::to_string(numbers_.size()) + " numbers");
    else
      begin_ = numbers_[0], end_ = numbers_[1];
    return go(Where::entry);
  }
  bool number_unsigned(number_unsigned_t number) override {
    if (where_ != Where::array) return unexpected("a number");
    if (number > static_cast<number_unsigned_t>(std::numeric_limits<Size>::max()))
      return stop(of_tensor() + "the number " + std::to_string(number));
    std::size_t const most = key_ == "shape" ? Shape::kMaxRank : 2;
    if (numbers_.size() == most)
      return stop(of_tensor() + "more than " + std::to_string(most) + " numbers in " + key_);
    numbers_.push_back(static_cast<Size>(number));
    return true;
  }
  bool number_integer(number_integer_t number) override {
    return stop(of_tensor() + "the number " + std::to_string(number));
  }
  bool number_float(number_float_t, string_t const& text) override {
    return stop(of_tensor() + "the number " + text);
  }
  bool null() override { return unexpected("null"); }
  bool boolean(bool) override { return unexpected("true or false"); }
  bool binary(binary_t&) override { return unexpected("bytes"); }
  bool parse_error(std::size_t position, std::string const&,
                   nlohmann::detail::exception const&) override {
    return stop("no JSON at byte " + std::to_string(position) + " of the header");
  }

 private:
  enum class Where { before, top, value, metadata, entry, array, after };

  bool go(Where next) {
    where_ = next;
    return true;
  }
  bool stop(std::string text) {
    if (reason.empty()) reason = std::move(text);
    return false;
  }
  bool unexpected(char const* what) { return stop(of_tensor() + what + " out of place"); }
  std::string of_tensor() const { return name_.empty() ? "" : "tensor '" + name_ + "': "; }

  bool finish_entry() {
    if (seen_.size() != 3) return stop(of_tensor() + "dtype, shape or data_offsets is missing");
    Size bytes = bytes_of_type(entry_.type);
    for (Size const size : entry_.shape) {
      if (__builtin_mul_overflow(bytes, size, &bytes))
        return stop(of_tensor() + "shape " + to_string(entry_.shape) + " overflows");
    }
    if (end_ < begin_ || end_ - begin_ != bytes) {
      return stop(of_tensor() + "data_offsets [" + std::to_string(begin_) + ", " +
                  std::to_string(end_) + "] for " + std::to_string(bytes) + " bytes");
    }
    entry_.offset = begin_;
    entry_.bytes = bytes;
    header.tensors.push_back(std::move(entry_));
    name_.clear();
    return go(Where::top);
  }

  Where where_ = Where::before;
  std::set<std::string> names_, seen_;
  std::string name_, key_, metadata_key_;
  SafetensorsEntry entry_;
  std::vector<Size> numbers_;
  Size begin_ = 0, end_ = 0;
};

/// Sorts by offset and makes offsets those of the file. Throws CorruptData unless the data is
/// covered from its first byte to its last.
void place(SafetensorsHeader& header, Size data, Size file_bytes, std::string const& path) {
  // An empty tensor may share its offset with the next one: it comes first.
  std::ranges::sort(header.tensors, [](auto const& a, auto const& b) {
    return std::pair{a.offset, a.bytes} < std::pair{b.offset, b.bytes};
  });
  Size at = 0;
  for (SafetensorsEntry& entry : header.tensors) {
    if (entry.offset != at) {
      throw CorruptData(problem(path,
                                "tensor '" + entry.name + "' at " + std::to_string(entry.offset),
                                "offset " + std::to_string(at) + ": no hole and no overlap"));
    }
    at += entry.bytes;
    if (at > file_bytes - data) {
      throw CorruptData(problem(
          path, "tensor '" + entry.name + "' ends at byte " + std::to_string(at) + " of the data",
          "at most " + std::to_string(file_bytes - data)));
    }
    entry.offset += data;
  }
  if (at != file_bytes - data) {
    throw CorruptData(problem(
        path, std::to_string(file_bytes - data - at) + " bytes after the last tensor", "none"));
  }
}

constexpr Size kLengthBytes = 8;

}  // namespace

SafetensorsHeader parse_safetensors_header(std::string_view json, Size file_bytes,
                                           std::string const& path) {
  Size const data = kLengthBytes + static_cast<Size>(json.size());
  if (data > file_bytes) {
    throw CorruptData(problem(path, "a header that ends at byte " + std::to_string(data),
                              "at most " + std::to_string(file_bytes)));
  }
  if (json.empty() || json.front() != '{')
    throw CorruptData(problem(path, "a header without '{'", "a JSON object"));
  HeaderEvents events;
  bool const whole = nlohmann::json::sax_parse(json, &events);
  if (!whole || !events.reason.empty())
    throw CorruptData(problem(path, events.reason, "a header of safetensors"));
  place(events.header, data, file_bytes, path);
  return std::move(events.header);
}

SafetensorsHeader read_safetensors_header(FileSystem& files, std::string const& path) {
  std::unique_ptr<File> const file = files.open(path);
  Size const file_bytes = file->size();
  std::array<std::byte, kLengthBytes> raw{};
  if (file->read_at(0, raw) != kLengthBytes)
    throw CorruptData(problem(path, std::to_string(file_bytes) + " bytes", "at least 8"));
  std::uint64_t length = 0;
  for (std::size_t i = raw.size(); i-- > 0;)
    length = length << 8U | std::to_integer<std::uint64_t>(raw[i]);
  auto const most = std::min(kMostSafetensorsHeaderBytes, file_bytes - kLengthBytes);
  if (length > static_cast<std::uint64_t>(most)) {
    throw CorruptData(problem(path, "a header of " + std::to_string(length) + " bytes",
                              "at most " + std::to_string(most)));
  }
  std::string json(static_cast<std::size_t>(length), '\0');
  Size const got = file->read_at(kLengthBytes, std::as_writable_bytes(std::span{json}));
  if (got != static_cast<Size>(length))
    throw CorruptData(problem(path, "the header cut off after " + std::to_string(got) + " bytes",
                              std::to_string(length)));
  return parse_safetensors_header(json, file_bytes, path);
}

}  // namespace dsr
