// SPDX-License-Identifier: Apache-2.0
#include "dsr/comm/nccl_options.hpp"

#include <algorithm>
#include <array>
#include <cctype>
#include <cstdlib>
#include <span>
#include <string_view>

#include "dsr/core/error.hpp"
#include "dsr/core/text.hpp"

namespace dsr {
namespace {

using Names = std::span<std::string_view const>;

constexpr std::array<std::string_view, 4> kDebug{"version", "warn", "info", "trace"};
constexpr std::array<std::string_view, 7> kAlgorithms{
    "ring", "tree", "collnetdirect", "collnetchain", "nvls", "nvlstree", "pat"};
constexpr std::array<std::string_view, 3> kProtocols{"ll", "ll128", "simple"};
constexpr std::array<std::string_view, 5> kCollectiveNames{"allreduce", "allgather",
                                                           "reducescatter", "broadcast", "reduce"};
/// A buffer is used in eight steps; of a smaller one not even a page is left for each.
constexpr Size kSmallestBuffer_bytes = 8 * 4096;
constexpr int kMostCtas = 64;

/// What people write, and what is read. Empty: nothing of NCCL's stands for it.
struct Misnomer {
  char const* wrong;
  char const* right;
};
constexpr std::array<Misnomer, 10> kMisnomers{{
    {"NCCL_BUFFER_SIZE", "NCCL_BUFFSIZE (nccl.buffsize)"},
    {"NCCL_BUFF_SIZE", "NCCL_BUFFSIZE (nccl.buffsize)"},
    {"NCCL_BLOCKING_WAIT", "NCCL_COMM_BLOCKING; how long dsr waits is RuntimeOptions.timeout_s"},
    {"NCCL_ASYNC_ERROR_HANDLING", "nothing: dsr always looks for asynchronous errors"},
    {"NCCL_TIMEOUT", "RuntimeOptions.timeout_s"},
    {"NCCL_IFNAME", "NCCL_SOCKET_IFNAME (nccl.socket_ifname)"},
    {"NCCL_SOCKET_INTERFACE", "NCCL_SOCKET_IFNAME (nccl.socket_ifname)"},
    {"NCCL_ALGORITHM", "NCCL_ALGO (nccl.algo)"},
    {"NCCL_PROTOCOL", "NCCL_PROTO (nccl.proto)"},
    {"NCCL_DEBUG_LEVEL", "NCCL_DEBUG (nccl.debug)"},
}};

std::string lower(std::string_view text) {
  std::string result{text};
  std::ranges::transform(result, result.begin(), [](unsigned char c) { return std::tolower(c); });
  return result;
}

std::string upper(std::string_view text) {
  std::string result{text};
  std::ranges::transform(result, result.begin(), [](unsigned char c) { return std::toupper(c); });
  return result;
}

std::string quoted(std::string_view text) { return std::string{'"'}.append(text).append(1, '"'); }

std::vector<std::string_view> split(std::string_view text, char separator) {
  std::vector<std::string_view> parts;
  for (;;) {
    std::size_t const end = text.find(separator);
    parts.push_back(text.substr(0, end));
    if (end == std::string_view::npos) return parts;
    text.remove_prefix(end + 1);
  }
}

std::string join(Names names) {
  std::string text;
  for (std::string_view name : names) text.append(text.empty() ? "" : ", ").append(name);
  return text;
}

/// Collects problems, so that all are told at once.
class Problems {
 public:
  void add(std::string_view member, std::string const& found, std::string const& allowed,
           std::string const& nearest = {}) {
    if (!text_.empty()) text_ += "\n";
    text_ += problem("nccl." + std::string{member}, found, allowed, nearest);
  }
  void word(std::string_view member, std::string_view word, Names allowed) {
    if (std::ranges::find(allowed, lower(word)) != allowed.end()) return;
    add(member, quoted(word), join(allowed), nearest_name(word, allowed));
  }
  /// "a,b", "^a,b", or clauses "collective:a,b" separated by semicolons.
  void choice(std::string_view member, std::string_view text, Names allowed) {
    if (text.empty()) return;
    for (std::string_view clause : split(text, ';')) {
      std::size_t const colon = clause.find(':');
      if (colon != std::string_view::npos) {
        word(member, clause.substr(0, colon), kCollectiveNames);
        clause.remove_prefix(colon + 1);
      }
      if (clause.starts_with('^')) clause.remove_prefix(1);
      for (std::string_view each : split(clause, ',')) word(member, each, allowed);
    }
  }
  void ctas(std::string_view member, int count) {
    if (count >= 0 && count <= kMostCtas) return;
    add(member, std::to_string(count),
        "1 to " + std::to_string(kMostCtas) + ", or 0: NCCL's choice",
        std::to_string(std::clamp(count, 0, kMostCtas)));
  }
  void raise() const {
    if (!text_.empty()) throw InvalidArgument(text_);
  }

 private:
  std::string text_;
};

void set(char const* variable, std::string const& value) { setenv(variable, value.c_str(), 1); }

}  // namespace

void NcclOptions::validate() const {
  Problems problems;
  if (socket_ifname.find_first_of(" \t;") != std::string::npos) {
    problems.add("socket_ifname", quoted(socket_ifname),
                 "names of interfaces, separated by commas");
  }
  if (buffsize != 0 && buffsize < kSmallestBuffer_bytes) {
    problems.add("buffsize", std::to_string(buffsize) + " bytes",
                 std::to_string(kSmallestBuffer_bytes) + " or more, or 0: NCCL's choice (4194304)",
                 std::to_string(kSmallestBuffer_bytes));
  }
  if (!debug.empty()) problems.word("debug", debug, kDebug);
  problems.choice("algo", algo, kAlgorithms);
  problems.choice("proto", proto, kProtocols);
  problems.ctas("min_ctas", min_ctas);
  problems.ctas("max_ctas", max_ctas);
  if (min_ctas > max_ctas && max_ctas > 0) {
    problems.add(
        "min_ctas",
        "min_ctas = " + std::to_string(min_ctas) + " > max_ctas = " + std::to_string(max_ctas),
        "min_ctas <= max_ctas", "min_ctas = " + std::to_string(max_ctas));
  }
  problems.raise();
}

void apply(NcclOptions const& options) {
  options.validate();
  if (!options.socket_ifname.empty()) set("NCCL_SOCKET_IFNAME", options.socket_ifname);
  if (options.buffsize > 0) set("NCCL_BUFFSIZE", std::to_string(options.buffsize));
  if (!options.debug.empty()) set("NCCL_DEBUG", upper(options.debug));
  if (!options.algo.empty()) set("NCCL_ALGO", options.algo);
  if (!options.proto.empty()) set("NCCL_PROTO", options.proto);
  if (options.min_ctas > 0) set("NCCL_MIN_CTAS", std::to_string(options.min_ctas));
  if (options.max_ctas > 0) set("NCCL_MAX_CTAS", std::to_string(options.max_ctas));
}

std::vector<std::string> check_environment() {
  std::vector<std::string> found;
  for (Misnomer const& each : kMisnomers) {
    if (std::getenv(each.wrong) == nullptr) continue;
    found.push_back(std::string{each.wrong} +
                    " is set and NCCL does not read it; the right one: " + each.right);
  }
  return found;
}

std::string nccl_environment() {
  std::string text;
  for (char const* name :
       {"NCCL_SOCKET_IFNAME", "NCCL_BUFFSIZE", "NCCL_DEBUG", "NCCL_ALGO", "NCCL_PROTO",
        "NCCL_MIN_CTAS", "NCCL_MAX_CTAS", "NCCL_LAUNCH_ORDER_IMPLICIT", "NCCL_HOSTID"}) {
    if (char const* const value = std::getenv(name)) {
      text += (text.empty() ? "" : ", ") + std::string{name} + "=" + value;
    }
  }
  return text;
}

}  // namespace dsr
