// SPDX-License-Identifier: Apache-2.0
#include "dsr/core/error.hpp"

#include "support/catch.hpp"

using namespace dsr;

TEST_CASE("a problem has one form, and empty parts are left out") {
  CHECK(problem("model.heads", "4 % 3 = 1", "0", "3 or 6") ==
        "dsr: model.heads: 4 % 3 = 1, allowed 0; nearest 3 or 6");
  CHECK(problem("model.heads", "4 % 3 = 1", "0") == "dsr: model.heads: 4 % 3 = 1, allowed 0");
  CHECK(problem("key", "\"haeds\"", "", "heads") == "dsr: key: \"haeds\"; nearest heads");
  CHECK(problem("key", "missing") == "dsr: key: missing");
}

TEST_CASE("each error has its exit code, seen through the base") {
  auto code = [](Error const& error) { return error.exit_code(); };
  CHECK(code(Error{"x"}) == 70);
  CHECK(code(InvalidArgument{"x"}) == 78);
  CHECK(code(UsageError{"x"}) == 64);
  CHECK(code(OutOfMemory{"x"}) == 71);
  CHECK(code(IoError{"x"}) == 74);
  CHECK(code(CorruptData{"x"}) == 65);
  CHECK(code(CudaError{"x"}) == 70);
  CHECK(code(CommError{"x"}) == 75);
  CHECK(code(AgreedError{"x", 65}) == 65);
  CHECK(std::string{InvalidArgument{"dsr: a: b"}.what()} == "dsr: a: b");
}

TEST_CASE("a usage error is an invalid argument") {
  CHECK_THROWS_AS(throw UsageError{"x"}, InvalidArgument);
}
