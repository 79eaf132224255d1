// SPDX-License-Identifier: Apache-2.0
#include "dsr/core/dtype.hpp"

namespace dsr {

std::string_view name_of(DType type) {
  switch (type) {
    case DType::u8: return "u8";
    case DType::i32: return "i32";
    case DType::i64: return "i64";
    case DType::bf16: return "bf16";
    case DType::f32: return "f32";
    case DType::f64: return "f64";
  }
  return "unknown";
}

}  // namespace dsr
