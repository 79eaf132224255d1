// SPDX-License-Identifier: Apache-2.0
#include "dsr/core/log.hpp"

#include <unistd.h>

#include <array>
#include <cstdio>

#include "support/catch.hpp"

using namespace dsr;

namespace {

/// What a call writes to a file descriptor of the process, through a pipe that holds less than 64
/// KiB.
template <class Call>
std::string written_to(int descriptor, Call call) {
  std::array<int, 2> ends{};
  REQUIRE(pipe(ends.data()) == 0);
  std::fflush(nullptr);
  int const original = dup(descriptor);
  dup2(ends[1], descriptor);
  close(ends[1]);
  call();
  std::fflush(nullptr);
  dup2(original, descriptor);
  close(original);
  std::string text(4096, '\0');
  auto const got = read(ends[0], text.data(), text.size());
  close(ends[0]);
  text.resize(got > 0 ? static_cast<std::size_t>(got) : 0);
  return text;
}

}  // namespace

TEST_CASE("a sink gets level and text; a default log drops both") {
  std::vector<std::pair<LogLevel, std::string>> lines;
  Log const log{[&](LogLevel level, std::string_view text) { lines.emplace_back(level, text); }};
  log.info("a");
  log.warn("b");
  CHECK(lines == decltype(lines){{LogLevel::info, "a"}, {LogLevel::warning, "b"}});
  CHECK_NOTHROW(Log{}.warn("dropped"));
}

TEST_CASE("information is printed on rank 0 only") {
  CHECK(written_to(STDOUT_FILENO, [] { console_log(0).info("step 1"); }) == "step 1\n");
  CHECK(written_to(STDOUT_FILENO, [] { console_log(1).info("step 1"); }).empty());
  CHECK(written_to(STDERR_FILENO, [] { console_log(0).info("step 1"); }).empty());
}

TEST_CASE("a warning goes to standard error, once for each text, also through copies") {
  CHECK(written_to(STDERR_FILENO, [] {
          Log const log = console_log(3);
          Log const copy = log;
          log.warn("few cores");
          copy.warn("few cores");
          log.warn("slow disk");
        }) == "dsr: warning: few cores\ndsr: warning: slow disk\n");
}
