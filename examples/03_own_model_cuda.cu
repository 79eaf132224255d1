// SPDX-License-Identifier: Apache-2.0
/// 03_own_model on GPUs: kernels of your own on a stream of your own, and dsr around them. The same
/// samples, so the errors that it prints are those of 03_own_model up to rounding.
///
///     build/cuda/examples/03_own_model_cuda                       # one GPU
///     mpirun -np 4 --bind-to none build/cuda/examples/03_own_model_cuda
#include <cmath>
#include <cstdint>
#include <dsr/cuda.hpp>
#include <dsr/dsr.hpp>
#include <iostream>

namespace {

constexpr int kInputs = 3, kHidden = 16;
constexpr int kBatch = 64;        // samples in an optimizer step, over the whole job
constexpr int kAccumulation = 2;  // micro-batches in a step
constexpr int kMost = kBatch / kAccumulation;

/// A stream of the program's own. Declared before what works on it, so that it ends after.
struct OwnStream {
  OwnStream() { check(cudaStreamCreateWithFlags(&raw, cudaStreamNonBlocking)); }
  ~OwnStream() { cudaStreamDestroy(raw); }
  OwnStream(OwnStream const&) = delete;
  OwnStream& operator=(OwnStream const&) = delete;
  static void check(cudaError_t status) {
    if (status != cudaSuccess) throw dsr::CudaError(cudaGetErrorString(status));
  }
  cudaStream_t raw = nullptr;
};

/// y = tanh(x·A)·b and the gradient of Σ (y − target)², by one block: a thread for each sample, then
/// one for each parameter, which adds over the samples in their order: the same bits every time.
/// data: [samples, inputs and target].
__global__ void learn(float const* data, int samples, float const* a, float const* b, float* da,
                      float* db, double* error) {
  __shared__ float hidden[kMost][kHidden], dy[kMost];
  int const i = threadIdx.x;
  if (i < samples) {
    float const* x = data + i * (kInputs + 1);
    float y = 0;
    for (int j = 0; j < kHidden; ++j) {
      float sum = 0;
      for (int k = 0; k < kInputs; ++k) sum += x[k] * a[k * kHidden + j];
      hidden[i][j] = tanhf(sum);
      y += hidden[i][j] * b[j];
    }
    dy[i] = 2 * (y - x[kInputs]);
  }
  __syncthreads();
  int const row = i / kHidden, j = i % kHidden;  // row kInputs is b's gradient
  float sum = 0;
  for (int s = 0; s < samples; ++s) {
    float const h = hidden[s][j];
    sum += row == kInputs ? dy[s] * h : dy[s] * b[j] * (1 - h * h) * data[s * (kInputs + 1) + row];
  }
  (row == kInputs ? db[j] : da[i]) += sum;
  if (i > 0) return;
  for (int s = 0; s < samples; ++s) *error += double{dy[s]} * dy[s] / 4;
}

/// Two parameters, the same on every rank; their gradients are partial over dp.
class OwnModel : public dsr::Visitable {
 public:
  explicit OwnModel(dsr::Mesh const& mesh)
      : a_(dsr::Shard{{kInputs, kHidden}, {}, mesh.shape()}, {.init = dsr::normal_init(0.5),
                                                              .partial_over = dsr::Axis::dp,
                                                              .decay = dsr::Decay::yes}),
        b_(dsr::Shard{{kHidden}, {}, mesh.shape()},
           {.init = dsr::normal_init(0.3), .partial_over = dsr::Axis::dp}) {}

  void visit(dsr::Visitor& visitor) override {
    visitor.parameter("a", a_);
    visitor.parameter("b", b_);
  }

  /// Adds the gradients of samples [n, inputs and target], and their error. Enqueued on `stream`.
  void learn(dsr::Tensor samples, dsr::Tensor error, dsr::Stream& stream) {
    ::learn<<<1, (kInputs + 1) * kHidden, 0, dsr::native(stream)>>>(
        samples.data<float>(), static_cast<int>(samples.size(0)), a_.value().data<float>(),
        b_.value().data<float>(), a_.gradient().data<float>(), b_.gradient().data<float>(),
        error.data<double>());
    OwnStream::check(cudaGetLastError());
  }

 private:
  dsr::Parameter a_, b_;
};

/// Writes sample `number` of the data set: counter-based, so any rank can make any sample.
void sample(std::uint32_t number, float* x) {
  dsr::RandomKey const key = dsr::random_key(1, dsr::RandomPurpose::user, 0, 0);
  auto const bits = dsr::random_bits(key, {number, 0, 0, 0});
  for (std::size_t i = 0; i < kInputs; ++i) x[i] = 2 * dsr::uniform(bits[i]) - 1;
  x[kInputs] = std::sin(2 * x[0]) - std::sin(x[1] + x[2]);
}

}  // namespace

int main(int argc, char** argv) {
  dsr::Runtime runtime{argc, argv, {.device = {dsr::Device::Kind::cuda}}};
  dsr::Mesh const mesh{runtime, {.dp = runtime.size()}};
  int const samples = kMost / runtime.size();  // of a micro-batch, on this rank
  if (samples * runtime.size() != kMost) {
    throw dsr::InvalidArgument(dsr::problem("03_own_model_cuda",
                                            std::to_string(runtime.size()) + " ranks",
                                            "a number that divides " + std::to_string(kMost)));
  }
  OwnModel model{mesh};
  dsr::Parameters parameters{model, mesh};  // f32, as this model's kernel wants them
  dsr::AdamW optimizer{parameters, {.clip = 1.0, .zero = dsr::ZeroStage::one}};

  OwnStream const own;
  dsr::Stream compute = dsr::view(own.raw, runtime.device().index);
  dsr::Stream exchange = runtime.communication_stream();
  dsr::GradientReducer reducer{parameters, compute, exchange, optimizer.options().zero};

  // Tensors of the program's own: what a step reads, and its error, on the host and on the GPU.
  dsr::Shape const shape{kAccumulation, samples, kInputs + 1};
  dsr::Size const bytes = shape.elements() * dsr::size_of(dsr::DType::f32);
  dsr::Buffer const on_host = dsr::Buffer::pinned(bytes), on_gpu{bytes, runtime.device()},
                    sum{sizeof(double), runtime.device()};
  dsr::Tensor const made{on_host.data(), shape, dsr::DType::f32, dsr::kCpu},
      data{on_gpu.data(), shape, dsr::DType::f32, runtime.device()},
      error{sum.data(), {1}, dsr::DType::f64, runtime.device()};

  for (int step = 0; step < 400; ++step) {
    for (int n = 0; n < kAccumulation * samples; ++n) {
      int const micro = n / samples, first = (micro * runtime.size() + runtime.rank()) * samples;
      auto const number = static_cast<std::uint32_t>(step * kBatch + first + n % samples);
      sample(number, made.data<float>() + n * (kInputs + 1));
    }
    dsr::transfer(made, data, compute);
    dsr::zero(error, compute);
    parameters.zero_gradients(compute);
    for (int micro = 0; micro < kAccumulation; ++micro) model.learn(data[micro], error, compute);
    reducer.begin();
    reducer.finish();  // sums gradients over dp
    optimizer.step(kBatch, 1e-2, compute, exchange);
    double mine = 0;
    dsr::transfer(error, dsr::Tensor{&mine, {1}, dsr::DType::f64, dsr::kCpu}, compute);
    compute.synchronize();
    double const all = dsr::all_reduce_value(mine, dsr::Reduce::sum, mesh[dsr::Axis::dp]);
    if (runtime.rank() == 0 && step % 50 == 0)
      std::cout << "step " << step << "  error " << all / kBatch << '\n';
  }
}
