// SPDX-License-Identifier: Apache-2.0
#pragma once
/// Tensor: a view of typed memory with a shape and strides. It owns nothing and copies cheaply.
///
///     Tensor x{pointer, {T, H}, DType::f32, kCpu};     // may be foreign memory
///     Tensor half = x.slice(0, 0, T / 2);              // rows [0, T/2), contiguous
///     Tensor left = x.slice(1, 0, H / 2);              // [T, H/2], row stride H
#include <array>
#include <cstddef>

#include "dsr/core/device.hpp"
#include "dsr/core/dtype.hpp"
#include "dsr/core/shape.hpp"

namespace dsr {

class Tensor {
 public:
  /// An empty tensor: defined() is false.
  Tensor() = default;
  /// A contiguous view; the memory must outlive it.
  Tensor(void* data, Shape const& shape, DType dtype, Device device);

  bool defined() const { return data_ != nullptr; }
  Shape const& shape() const { return shape_; }
  int rank() const { return shape_.rank(); }
  /// Size of a dimension; -1 is the last.
  Size size(int dim) const { return shape_[dim]; }
  /// Elements between neighbours of a dimension; -1 is the last.
  Size stride(int dim) const;
  Size elements() const { return shape_.elements(); }
  Size bytes() const { return elements() * size_of(dtype_); }
  DType dtype() const { return dtype_; }
  Device device() const { return device_; }
  bool contiguous() const;
  void* raw() const { return data_; }

  /// The elements. Throws InvalidArgument if T is not the tensor's dtype.
  template <class T>
  T* data() const {
    require_dtype(dtype_of<T>);
    return static_cast<T*>(data_);
  }

  /// Elements [begin, end) of a dimension. Throws InvalidArgument outside the shape.
  Tensor slice(int dim, Size begin, Size end) const;
  /// Element i of the first dimension, which is dropped. Throws InvalidArgument outside the shape.
  Tensor operator[](Size i) const;
  /// The same elements in another shape. Throws InvalidArgument unless contiguous and equal in
  /// count.
  Tensor reshape(Shape const& shape) const;

 private:
  void require_dtype(DType dtype) const;

  void* data_ = nullptr;
  Shape shape_;
  std::array<Size, Shape::kMaxRank> strides_{};
  DType dtype_ = DType::f32;
  Device device_ = kCpu;
};

}  // namespace dsr
