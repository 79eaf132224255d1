// SPDX-License-Identifier: Apache-2.0
#pragma once
/// For programs with CUDA code of their own: Streams as cudaStream_t, and back. Needs the CUDA
/// toolkit's headers and a library built with DSR_CUDA=ON; not part of <dsr/dsr.hpp>.
///
///     dsr::Stream stream = dsr::view(my_stream, device);        // dsr's work on a queue of yours
///     my_kernel<<<blocks, threads, 0, dsr::native(stream)>>>(x.data<float>());
#include <cuda_runtime_api.h>

#include "dsr/core/stream.hpp"

namespace dsr {

/// The queue behind a stream; the stream owns it. Makes the stream's device current on the calling
/// thread, so that a launch may follow. Throws InvalidArgument if the stream is not on a CUDA
/// device.
cudaStream_t native(Stream& stream);

/// A Stream on a queue of the caller's, which must outlive it; 0 is the default queue.
/// Throws CudaError as require_device does.
Stream view(cudaStream_t stream, int device);

}  // namespace dsr
