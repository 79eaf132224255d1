// SPDX-License-Identifier: Apache-2.0
// Memory, streams and events on a GPU.
#include "dsr/core/cuda.hpp"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <thread>
#include <vector>

#include "dsr/core/buffer.hpp"
#include "dsr/core/error.hpp"
#include "dsr/core/graph.hpp"
#include "dsr/core/transfer.hpp"
#include "libdsr/core/cuda/spans.hpp"
#include "support/catch.hpp"
#include "support/text_of.hpp"

using namespace dsr;

namespace {

constexpr Device kGpu{Device::Kind::cuda, 0};

/// Holds a stream's work back until it is opened.
class Gate {
 public:
  void open() { open_ = true; }
  void pass() const {
    while (!open_) std::this_thread::sleep_for(std::chrono::microseconds{50});
  }

 private:
  std::atomic<bool> open_{false};
};

}  // namespace

TEST_CASE("devices are counted, and one too many is refused") {
  int const count = device_count(Device::Kind::cuda);
  REQUIRE(count > 0);
  CHECK_NOTHROW(require_device(kGpu));
  std::string const refusal = test::text_of<CudaError>([&] {
    require_device({Device::Kind::cuda, count});
  });
  CHECK(test::contains(refusal, "nearest cuda:" + std::to_string(count - 1)));
  CHECK_THROWS_AS(Stream(Device{Device::Kind::cuda, count}), CudaError);
}

TEST_CASE("bytes go to the GPU and back, and zero clears") {
  for (Size n : {Size{1}, Size{1000}, Size{1} << 20}) {
    Buffer host = Buffer::pinned(4 * n);
    Buffer const gpu{4 * n, kGpu}, second{4 * n, kGpu};
    CHECK(host.device() == kCpu);
    Tensor const x{host.data(), {n}, DType::f32, kCpu};
    Tensor const a{gpu.data(), {n}, DType::f32, kGpu}, b{second.data(), {n}, DType::f32, kGpu};
    for (Size i = 0; i < n; ++i) x.data<float>()[i] = static_cast<float>(i % 1013);
    Stream stream{kGpu};
    transfer(x, a, stream);
    transfer(a, b, stream);
    zero(a, stream);
    std::vector<float> got(static_cast<std::size_t>(n)), cleared(got.size(), 1.0F);
    transfer(b, Tensor{got.data(), {n}, DType::f32, kCpu}, stream);
    transfer(a, Tensor{cleared.data(), {n}, DType::f32, kCpu}, stream);
    stream.synchronize();
    CHECK(std::equal(got.begin(), got.end(), x.data<float>()));
    CHECK(cleared == std::vector<float>(got.size(), 0.0F));
  }
}

TEST_CASE("memory that the GPU does not have is refused with what it has") {
  std::string const refusal = test::text_of<OutOfMemory>([] { Buffer(Size{1} << 50, kGpu); });
  CHECK(test::contains(refusal, "1125899906842624 bytes"));
  CHECK(test::contains(refusal, "bytes are free"));
  CHECK_NOTHROW(Buffer(1024, kGpu));
  Buffer const empty{0, kGpu};
  CHECK(empty.data() != nullptr);
}

TEST_CASE("streams: priorities, and handles both ways") {
  Stream compute{kGpu};
  Stream exchange{kGpu, StreamKind::communication};
  int lowest = 0, highest = 0, mine = 0, other = 0;
  cudaDeviceGetStreamPriorityRange(&lowest, &highest);
  cudaStreamGetPriority(native(compute), &mine);
  cudaStreamGetPriority(native(exchange), &other);
  CHECK(mine == lowest);
  CHECK(other == highest);
  cudaStream_t raw = nullptr;
  REQUIRE(cudaStreamCreate(&raw) == cudaSuccess);
  {
    Stream viewed = view(raw, 0);
    CHECK(native(viewed) == raw);
    CHECK(viewed.device() == kGpu);
    CHECK_NOTHROW(viewed.synchronize());
  }
  CHECK(cudaStreamDestroy(raw) == cudaSuccess);
  Stream cpu{kCpu};
  CHECK_THROWS_AS(native(cpu), InvalidArgument);
}

TEST_CASE("events order streams, and host work runs in its place") {
  Stream first{kGpu}, second{kGpu, StreamKind::communication};
  Gate gate;
  std::atomic<int> value{0};
  first.run([&] {
    gate.pass();
    value = 1;
  });
  Event const middle = first.record();
  second.wait(middle);
  std::atomic<int> seen{-1};
  second.run([&] { seen = value.load(); });
  Event const end = second.record();
  CHECK_FALSE(middle.done());
  CHECK_FALSE(end.done());
  gate.open();
  end.synchronize();
  CHECK(middle.done());
  CHECK(seen == 1);
}

TEST_CASE("what a compute queue waits for communication is measured on the device") {
  using std::chrono::milliseconds;
  Stream compute{kGpu}, other{kGpu}, exchange{kGpu, StreamKind::communication};
  auto const wait_for = [&](Stream& stream) {
    stream.run([] { std::this_thread::sleep_for(milliseconds{20}); });
    compute.wait(stream.record());
    compute.synchronize();
  };
  wait_for(exchange);
  CHECK(compute.waited_s() == 0);  // nobody had asked
  wait_for(exchange);
  CHECK(compute.waited_s() > 0.01);
  compute.reset_counts();
  CHECK(compute.waited_s() == 0);
  wait_for(other);
  compute.run([] { std::this_thread::sleep_for(milliseconds{20}); });
  compute.synchronize();
  CHECK(compute.waited_s() == 0);  // of its own work, and of other compute

  // Hidden: what is waited for has ended when compute comes to the wait.
  exchange.run([] { std::this_thread::sleep_for(milliseconds{20}); });
  compute.run([] { std::this_thread::sleep_for(milliseconds{60}); });
  compute.wait(exchange.record());
  double const before_its_end = compute.waited_s();
  compute.synchronize();
  CHECK(before_its_end < 0.01);
  CHECK(compute.waited_s() < 0.01);
  CHECK(exchange.waited_s() == 0);
}

TEST_CASE("intervals are counted from the event that is given") {
  Stream stream{kGpu};
  cudaStream_t const queue = native(stream);
  cudaEvent_t origin = nullptr;
  REQUIRE(cudaEventCreate(&origin) == cudaSuccess);
  {
    detail::Spans spans{0};
    static_cast<void>(spans.seconds());
    REQUIRE(cudaEventRecord(origin, queue) == cudaSuccess);
    spans.keep(origin);
    for (int i = 0; i < 3; ++i) {
      stream.run([] { std::this_thread::sleep_for(std::chrono::milliseconds{10}); });
      detail::Span const span{spans, queue};
      stream.run([] { std::this_thread::sleep_for(std::chrono::milliseconds{10}); });
    }
    stream.synchronize();
    double const sum = spans.seconds();
    std::vector<detail::Interval> const found = spans.take_intervals();
    REQUIRE(found.size() == 3);
    double earlier = 0, total = 0;
    for (auto const [begin, end] : found) {
      CHECK(begin - earlier > 0.009);
      CHECK(end - begin > 0.009);
      total += end - begin;
      earlier = end;
    }
    CHECK(total == test::Approx(sum).epsilon(1e-3));
    CHECK(spans.take_intervals().empty());
  }
  CHECK(cudaEventDestroy(origin) == cudaSuccess);
}

TEST_CASE("a GPU's stream and the CPU's wait for each other") {
  Stream gpu{kGpu}, inline_cpu{kCpu}, worker{kCpu, StreamKind::communication};
  std::atomic<int> value{0};
  gpu.run([&] { value = 1; });
  inline_cpu.wait(gpu.record());
  CHECK(value == 1);
  worker.run([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds{5});
    value = 2;
  });
  gpu.wait(worker.record());
  CHECK(value == 2);
}

TEST_CASE("what host work throws reaches those who wait for it, and later host work is skipped") {
  Stream stream{kGpu};
  Gate gate;
  stream.run([&] { gate.pass(); });
  Event const before = stream.record();
  stream.run([] { throw CommError{"peer lost"}; });
  std::atomic<bool> ran{false};
  stream.run([&] { ran = true; });
  gate.open();
  CHECK_THROWS_AS(stream.synchronize(), CommError);
  CHECK_NOTHROW(before.synchronize());
  CHECK_FALSE(ran);
}

TEST_CASE("host work is refused while a graph is captured") {
  Stream stream{kGpu};
  REQUIRE(cudaStreamBeginCapture(native(stream), cudaStreamCaptureModeThreadLocal) == cudaSuccess);
  CHECK_THROWS_AS(stream.run([] {}), InvalidArgument);
  cudaGraph_t graph = nullptr;
  CHECK(cudaStreamEndCapture(native(stream), &graph) == cudaSuccess);
  if (graph != nullptr) cudaGraphDestroy(graph);
}

TEST_CASE("many events cost no growing number of handles") {
  Stream stream{kGpu};
  for (int i = 0; i < 10000; ++i) static_cast<void>(stream.record());
  CHECK_NOTHROW(stream.synchronize());
}

TEST_CASE("a graph records without running, replays on what memory holds then, and counts") {
  Stream stream{kGpu};
  Buffer memory{2 * 256, kGpu}, host = Buffer::pinned(256);
  auto* const first = static_cast<std::byte*>(memory.data());
  Tensor const x{first, {256}, DType::u8, kGpu}, y{first + 256, {256}, DType::u8, kGpu};
  Tensor const seen{host.data(), {256}, DType::u8, kCpu};
  auto const set = [&](Tensor const& to, unsigned char value) {
    std::fill_n(static_cast<unsigned char*>(host.data()), 256, value);
    transfer(seen, to, stream);
    stream.synchronize();
  };
  auto const y_is = [&](unsigned char value) {
    transfer(y, seen, stream);
    stream.synchronize();
    return std::all_of(static_cast<unsigned char*>(host.data()),
                       static_cast<unsigned char*>(host.data()) + 256,
                       [=](unsigned char c) { return c == value; });
  };
  set(x, 7);
  set(y, 1);
  Graph graph;
  CHECK_FALSE(graph.captured());
  CHECK_THROWS_AS(graph.replay(stream), InvalidArgument);
  graph.capture(stream, [&] {
    transfer(x, y, stream);
    stream.count({.flops = 5, .bytes = 0, .calls = 1});
  });
  CHECK(graph.captured());
  CHECK(y_is(1));
  auto const before = stream.counted().flops;
  graph.replay(stream);
  CHECK(y_is(7));
  CHECK(stream.counted().flops == before + 5);
  set(x, 9);
  Graph moved = std::move(graph);
  moved.replay(stream);
  CHECK(y_is(9));
}

TEST_CASE("a graph whose work throws records nothing, and the stream goes on") {
  Stream stream{kGpu};
  Graph graph;
  CHECK_THROWS_AS(graph.capture(stream, [] { throw InvalidArgument("no"); }), InvalidArgument);
  CHECK_FALSE(graph.captured());
  Buffer memory{256, kGpu};
  zero({memory.data(), {256}, DType::u8, kGpu}, stream);
  CHECK_NOTHROW(stream.synchronize());
}
