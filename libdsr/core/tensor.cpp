// SPDX-License-Identifier: Apache-2.0
#include "dsr/core/tensor.hpp"

#include <algorithm>
#include <string>

#include "dsr/core/error.hpp"

namespace dsr {
namespace {

std::string describe(Tensor const& tensor) {
  return std::string{"tensor "} + to_string(tensor.shape()) + " " +
         std::string{name_of(tensor.dtype())};
}

}  // namespace

Tensor::Tensor(void* data, Shape const& shape, DType dtype, Device device)
    : data_(data), shape_(shape), dtype_(dtype), device_(device) {
  Size stride = 1;
  for (int dim = shape.rank() - 1; dim >= 0; --dim) {
    strides_[static_cast<std::size_t>(dim)] = stride;
    stride *= shape[dim];
  }
}

Size Tensor::stride(int dim) const {
  static_cast<void>(shape_[dim]);  // refuses what is outside
  return strides_[static_cast<std::size_t>(dim < 0 ? dim + rank() : dim)];
}

bool Tensor::contiguous() const {
  if (elements() == 0) return true;
  Size expected = 1;
  for (int dim = rank() - 1; dim >= 0; --dim) {
    // A dimension of size 1 is never stepped over, so its stride does not matter.
    if (shape_[dim] != 1 && stride(dim) != expected) return false;
    expected *= shape_[dim];
  }
  return true;
}

Tensor Tensor::slice(int dim, Size begin, Size end) const {
  Size const size = shape_[dim];
  if (begin < 0 || end < begin || end > size) {
    throw InvalidArgument(problem(describe(*this),
                                  "slice [" + std::to_string(begin) + ", " + std::to_string(end) +
                                      ") of dimension " + std::to_string(dim),
                                  "within [0, " + std::to_string(size) + ")"));
  }
  Tensor part = *this;
  part.shape_ = shape_.with(dim, end - begin);
  part.data_ = static_cast<std::byte*>(data_) + begin * stride(dim) * size_of(dtype_);
  return part;
}

Tensor Tensor::operator[](Size i) const {
  Tensor part = slice(0, i, i + 1);
  part.shape_ = part.shape_.inner();
  std::copy(strides_.begin() + 1, strides_.end(), part.strides_.begin());
  part.strides_.back() = 0;
  return part;
}

Tensor Tensor::reshape(Shape const& shape) const {
  if (shape.elements() != elements()) {
    throw InvalidArgument(problem(
        describe(*this),
        "reshape to " + to_string(shape) + " = " + std::to_string(shape.elements()) + " elements",
        std::to_string(elements()) + " elements"));
  }
  if (!contiguous()) {
    throw InvalidArgument(
        problem(describe(*this), "reshape of a view with gaps", "a contiguous tensor"));
  }
  return Tensor{data_, shape, dtype_, device_};
}

void Tensor::require_dtype(DType dtype) const {
  if (dtype == dtype_) return;
  throw InvalidArgument(
      problem(describe(*this), "read as " + std::string{name_of(dtype)}, name_of(dtype_)));
}

}  // namespace dsr
