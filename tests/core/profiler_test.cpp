// SPDX-License-Identifier: Apache-2.0
/// What a profiler is told: this program passes for one, by NVTX's own interface for tools that are
/// linked in. Needs no GPU.
#include <nvtx3/nvToolsExt.h>

#include <string>
#include <vector>

#include "dsr/core/range.hpp"
#include "support/catch.hpp"

namespace {

std::vector<std::string>& told() {
  static std::vector<std::string> list;
  return list;
}

int begun(char const* name) {
  told().push_back(std::string{"begin "} + name);
  return 0;
}

int ended() {
  told().emplace_back("end");
  return 0;
}

int attach(NvtxGetExportTableFunc_t table_of) {
  auto const* callbacks =
      static_cast<NvtxExportTableCallbacks const*>(table_of(NVTX_ETID_CALLBACKS));
  NvtxFunctionTable table = nullptr;
  unsigned size = 0;
  if (callbacks == nullptr ||
      callbacks->GetModuleFunctionTable(NVTX_CB_MODULE_CORE, &table, &size) == 0 ||
      size <= NVTX_CBID_CORE_RangePop) {
    return 0;
  }
  *table[NVTX_CBID_CORE_RangePushA] = reinterpret_cast<NvtxFunctionPointer>(&begun);
  *table[NVTX_CBID_CORE_RangePop] = reinterpret_cast<NvtxFunctionPointer>(&ended);
  return 1;
}

}  // namespace

TEST_CASE("a profiler is told of ranges by their whole path") {
  InitializeInjectionNvtx2_fnptr = &attach;  // NVTX looks here at its first call
  std::string path;
  {
    dsr::Range const outer{path, "blocks/3"};
    dsr::Range inner{path, "attention"};
    inner.next("ffn");
  }
  CHECK(told() == std::vector<std::string>{"begin blocks/3", "begin blocks/3/attention", "end",
                                           "begin blocks/3/ffn", "end", "end"});
}
