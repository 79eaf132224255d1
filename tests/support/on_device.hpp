// SPDX-License-Identifier: Apache-2.0
#pragma once
/// Host values of tensors that lie anywhere, for tests that run on every device.
#include <utility>
#include <vector>

#include "dsr/core/buffer.hpp"
#include "dsr/core/stream.hpp"
#include "dsr/core/tensor.hpp"
#include "dsr/core/transfer.hpp"

namespace dsr::test {

/// Waits for no other stream: what is read must be there.
template <class T>
std::vector<T> values_of(Tensor const& x) {
  std::vector<T> values(static_cast<std::size_t>(x.elements()));
  Stream stream{x.device()};
  transfer(x, {values.data(), x.shape(), dtype_of<T>, kCpu}, stream);
  stream.synchronize();
  return values;
}

template <class T>
void set_values(Tensor const& x, std::vector<T> values) {
  Stream stream{x.device()};
  transfer({values.data(), x.shape(), dtype_of<T>, kCpu}, x, stream);
  stream.synchronize();
}

/// A vector of the host's with memory of its own on a stream's device.
template <class T>
class OnDevice {
 public:
  OnDevice(std::vector<T> host, Stream& stream)
      : host_(std::move(host)),
        buffer_(static_cast<Size>(host_.size() * sizeof(T)), stream.device()),
        stream_(stream) {
    transfer(here(), tensor(), stream_);
  }
  Tensor tensor() const {
    return {buffer_.data(), {std::ssize(host_)}, dtype_of<T>, buffer_.device()};
  }
  /// After all work on the stream.
  std::vector<T> const& read() {
    transfer(tensor(), here(), stream_);
    stream_.synchronize();
    return host_;
  }

 private:
  Tensor here() { return {host_.data(), {std::ssize(host_)}, dtype_of<T>, kCpu}; }
  std::vector<T> host_;
  Buffer buffer_;
  Stream& stream_;
};

}  // namespace dsr::test
