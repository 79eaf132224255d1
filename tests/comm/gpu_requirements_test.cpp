// SPDX-License-Identifier: Apache-2.0
#include "libdsr/comm/gpu_requirements.hpp"

#include "dsr/core/error.hpp"
#include "support/catch.hpp"
#include "support/text_of.hpp"

using namespace dsr;
using namespace dsr::detail;

TEST_CASE("ranks of a node take its GPUs in turn") {
  CHECK(choose_gpu(0, 0, 4) == 0);
  CHECK(choose_gpu(0, 3, 4) == 3);
  CHECK(choose_gpu(0, 5, 4) == 1);
  CHECK(choose_gpu(2, 3, 4) == 1);
  CHECK(choose_gpu(0, 2, 1) == 0);
  CHECK(choose_gpu(0, 2, 0) == 0);
}

TEST_CASE("ranks that do not map to GPUs are told which, and how they would") {
  CHECK_NOTHROW(require_own_gpus({}));
  CHECK_NOTHROW(
      require_own_gpus({{"a", "0000:01:00.0"}, {"a", "0000:02:00.0"}, {"b", "0000:01:00.0"}}));
  std::string const refusal = test::text_of<InvalidArgument>([] {
    require_own_gpus({{"a", "0000:01:00.0"}, {"b", "0000:01:00.0"}, {"a", "0000:01:00.0"}});
  });
  CHECK(test::contains(refusal, "ranks 0 and 2 of host a share the GPU 0000:01:00.0"));
  CHECK(test::contains(refusal, "one rank for each GPU"));
  CHECK(test::contains(refusal, "emulate_hosts"));
}

TEST_CASE("versions of NCCL") {
  CHECK(nccl_version_text(22809) == "2.28.9");
  CHECK(nccl_version_text(22703) == "2.27.3");
  for (int good : {22700, 22802, 22809}) CHECK(require_nccl({good, good}).empty());
  for (int faulty : {22803, 22808}) CHECK(test::contains(require_nccl({faulty}), "nearest 2.28.9"));
  CHECK(
      test::text_of<AgreedError>([] {
        require_nccl({22809, 22704});
      }) ==
      "dsr: NCCL: 2.27.4 on rank 1 and 2.28.9 on rank 0, allowed one version on all ranks; nearest "
      "the same libnccl.so.2 on LD_LIBRARY_PATH of every host");
  CHECK(test::text_of<AgreedError>([] {
          require_nccl({22809, 22605});
        }) ==
        "dsr: NCCL: 2.26.5 on rank 1, allowed 2.27.0 or newer; nearest put a newer libnccl.so.2 on "
        "LD_LIBRARY_PATH");
}
