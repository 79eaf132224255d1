// SPDX-License-Identifier: Apache-2.0
#include "libdsr/checkpoint/lock_record.hpp"

#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cstdio>
#include <random>

#include "dsr/io/files.hpp"

namespace dsr::detail {
namespace {

constexpr std::size_t kNonceDigits = 32;

std::string word(std::string text) {
  std::erase_if(text, [](char c) { return static_cast<unsigned char>(c) <= ' '; });
  return text;
}

/// Dead, and not yet waited for by its parent: in a container that may take for ever.
bool is_zombie(long long pid) {
  try {
    std::string const status = read_text("/proc/" + std::to_string(pid) + "/stat");
    std::size_t const name_end = status.rfind(") ");  // a name may hold anything
    return name_end != std::string::npos && status.substr(name_end + 2).starts_with('Z');
  } catch (IoError const&) {
    return false;
  }
}

/// The value of a line "<name> <value>"; empty if there is none.
std::string value_of(std::string_view text, std::string_view name) {
  while (!text.empty()) {
    std::size_t const end = std::min(text.find('\n'), text.size());
    std::string_view const line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    if (line.starts_with(name) && line.substr(name.size()).starts_with(' '))
      return std::string{line.substr(name.size() + 1)};
  }
  return {};
}

template <class T>
T number(std::string const& text) {
  T value{};
  std::from_chars(text.data(), text.data() + text.size(), value);
  return value;
}

bool is_nonce(std::string const& text) {
  return text.size() == kNonceDigits && text.find_first_not_of("0123456789abcdef") == text.npos;
}

/// The number that tells containers apart: each may count its processes from 1.
std::string process_space() {
  std::array<char, 64> link{};
  ssize_t const length = ::readlink("/proc/self/ns/pid", link.data(), link.size());
  std::string text{link.data(), static_cast<std::size_t>(std::max<ssize_t>(length, 0))};
  std::erase_if(text, [](char c) { return c < '0' || c > '9'; });
  return text;
}

}  // namespace

std::string to_text(LockRecord const& record) {
  char lease[32];
  std::snprintf(lease, sizeof lease, "%g", record.lease_s);
  return "host " + record.holder.host + "\npid " + std::to_string(record.holder.pid) + "\nboot " +
         record.holder.boot + "\nnonce " + record.nonce + "\nlease_s " + lease + "\ncounter " +
         record.counter + "\n";
}

std::optional<LockRecord> parse_lock(std::string_view text) {
  LockRecord record{.holder = {value_of(text, "host"), number<long>(value_of(text, "pid")),
                               value_of(text, "boot")},
                    .nonce = value_of(text, "nonce"),
                    .lease_s = number<double>(value_of(text, "lease_s")),
                    .counter = value_of(text, "counter")};
  if (!is_nonce(record.nonce)) return std::nullopt;
  return record;
}

std::string lock_counter(std::uint64_t value) {
  char digits[24];
  std::snprintf(digits, sizeof digits, "%020llu", static_cast<unsigned long long>(value));
  return digits;
}

std::string new_nonce() {
  std::random_device random;
  std::string nonce;
  for (int i = 0; i < 4; ++i) {
    char digits[9];
    std::snprintf(digits, sizeof digits, "%08x", random());
    nonce += digits;
  }
  return nonce;
}

LockHolder this_process() {
  std::array<char, 256> host{};
  if (::gethostname(host.data(), host.size() - 1) != 0) host[0] = '?';
  LockHolder self{.host = word(host.data()), .pid = ::getpid()};
  try {
    self.boot = word(read_text("/proc/sys/kernel/random/boot_id")) + "@" + process_space();
  } catch (IoError const&) {  // nothing is then known of other processes, and leases decide
    self.boot.clear();
  }
  return self;
}

bool is_gone(LockHolder const& holder, LockHolder const& self) {
  if (holder.boot.empty() || holder.host != self.host || holder.boot != self.boot) return false;
  if (holder.pid <= 0) return false;
  if (::kill(static_cast<pid_t>(holder.pid), 0) != 0) return errno == ESRCH;
  return is_zombie(holder.pid);
}

}  // namespace dsr::detail
