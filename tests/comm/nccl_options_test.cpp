// SPDX-License-Identifier: Apache-2.0
#include "dsr/comm/nccl_options.hpp"

#include <cstdlib>
#include <map>
#include <optional>

#include "dsr/core/error.hpp"
#include "support/catch.hpp"
#include "support/text_of.hpp"

using namespace dsr;

namespace {

/// Variables with a value (or none) while it lives; then as before.
class Environment {
 public:
  void set(char const* name, char const* value) {
    char const* const before = std::getenv(name);
    before_.try_emplace(name,
                        before == nullptr ? std::nullopt : std::optional<std::string>{before});
    if (value == nullptr)
      unsetenv(name);
    else
      setenv(name, value, 1);
  }
  ~Environment() {
    for (auto const& [name, value] : before_) {
      if (value)
        setenv(name.c_str(), value->c_str(), 1);
      else
        unsetenv(name.c_str());
    }
  }

 private:
  std::map<std::string, std::optional<std::string>> before_;
};

std::string variable(char const* name) {
  char const* const value = std::getenv(name);
  return value == nullptr ? "unset" : value;
}

std::string refusal(NcclOptions const& options) {
  return test::text_of<InvalidArgument>([&] { options.validate(); });
}

constexpr char const* kVariables[] = {"NCCL_SOCKET_IFNAME", "NCCL_BUFFSIZE", "NCCL_DEBUG",
                                      "NCCL_ALGO",          "NCCL_PROTO",    "NCCL_MIN_CTAS",
                                      "NCCL_MAX_CTAS"};

}  // namespace

TEST_CASE("options become the variables that NCCL reads") {
  Environment environment;
  for (char const* name : kVariables) environment.set(name, nullptr);
  apply({});
  for (char const* name : kVariables) CHECK(variable(name) == "unset");
  apply({.socket_ifname = "eth0",
         .buffsize = 1 << 20,
         .debug = "info",
         .algo = "allreduce:tree,ring;allgather:^pat",
         .proto = "^LL128",
         .min_ctas = 2,
         .max_ctas = 8});
  CHECK(variable("NCCL_SOCKET_IFNAME") == "eth0");
  CHECK(variable("NCCL_BUFFSIZE") == "1048576");
  CHECK(variable("NCCL_DEBUG") == "INFO");
  CHECK(variable("NCCL_ALGO") == "allreduce:tree,ring;allgather:^pat");
  CHECK(variable("NCCL_PROTO") == "^LL128");
  CHECK(variable("NCCL_MIN_CTAS") == "2");
  CHECK(variable("NCCL_MAX_CTAS") == "8");
  CHECK(test::contains(nccl_environment(), "NCCL_DEBUG=INFO"));
  apply({.max_ctas = 4});
  CHECK(variable("NCCL_MAX_CTAS") == "4");
  CHECK(variable("NCCL_MIN_CTAS") == "2");
}

TEST_CASE("what NCCL would misread is refused, all of it at once, with the nearest") {
  CHECK(refusal({}).empty());
  CHECK(refusal({.debug = "inof"}) ==
        "dsr: nccl.debug: \"inof\", allowed version, warn, info, trace; nearest info");
  CHECK(test::contains(refusal({.algo = "rnig"}), "nearest ring"));
  CHECK(test::contains(refusal({.algo = "ring,"}), "nccl.algo: \"\""));
  CHECK(test::contains(refusal({.algo = "allredcue:ring"}), "nearest allreduce"));
  CHECK(test::contains(refusal({.proto = "ll64"}), "nccl.proto: \"ll64\""));
  CHECK(test::contains(refusal({.socket_ifname = "eth0 eth1"}), "nccl.socket_ifname"));
  CHECK(test::contains(refusal({.buffsize = -1}), "nccl.buffsize: -1 bytes"));
  CHECK(test::contains(refusal({.buffsize = 4096}), "nearest 32768"));
  CHECK(test::contains(refusal({.min_ctas = -1}), "nccl.min_ctas: -1"));
  CHECK(test::contains(refusal({.max_ctas = 65}), "nearest 64"));
  CHECK(test::contains(refusal({.min_ctas = 8, .max_ctas = 4}), "min_ctas = 8 > max_ctas = 4"));
  std::string const both = refusal({.debug = "loud", .max_ctas = 99});
  CHECK((test::contains(both, "nccl.debug") && test::contains(both, "nccl.max_ctas")));
}

TEST_CASE("nothing is set if something is wrong") {
  Environment environment;
  environment.set("NCCL_PROTO", nullptr);
  CHECK_THROWS_AS(apply({.proto = "simple", .max_ctas = 99}), InvalidArgument);
  CHECK(variable("NCCL_PROTO") == "unset");
}

TEST_CASE("variables that NCCL does not read are told, with the right ones") {
  Environment environment;
  for (char const* name : {"NCCL_BUFFER_SIZE", "NCCL_BLOCKING_WAIT", "NCCL_TIMEOUT"})
    environment.set(name, nullptr);
  std::size_t const before = check_environment().size();
  environment.set("NCCL_BUFFER_SIZE", "1");
  environment.set("NCCL_BLOCKING_WAIT", "1");
  std::vector<std::string> const found = check_environment();
  REQUIRE(found.size() == before + 2);
  CHECK(test::contains(found[0], "NCCL_BUFFER_SIZE is set and NCCL does not read it"));
  CHECK(test::contains(found[0], "NCCL_BUFFSIZE"));
  CHECK(test::contains(found[1], "NCCL_COMM_BLOCKING"));
}
