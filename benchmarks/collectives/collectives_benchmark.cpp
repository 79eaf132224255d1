// SPDX-License-Identifier: Apache-2.0
// Times every collective on the world group, from 1 KiB to 64 MiB, and prints JSON:
//
//     mpirun -np 4 --bind-to none build/release/benchmarks/collectives/collectives_benchmark
//     [LARGEST_BYTES] [busy]
//
// bytes     of the whole tensor: gathered, to be scattered, reduced or sent
// median_us of a call on the caller's thread, barrier before each; the slowest rank counts
// bus_GB_s  what a ring would send in that time: comparable across numbers of ranks and with NCCL's
// "busbw" busy      one more thread on each rank computes all the while, and the calls run on a
// communication stream
#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <functional>
#include <string>
#include <thread>
#include <vector>

#include "dsr/comm/collectives.hpp"
#include "dsr/comm/runtime.hpp"
#include "dsr/core/buffer.hpp"

namespace {

using namespace dsr;

constexpr Size kSmallest_bytes = Size{1} << 10;
constexpr Size kLargest_bytes = Size{1} << 26;
constexpr double kBudget_s = 0.4;  // for one operation at one size

double now_s() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

/// Computes beside the collectives, as a training step would.
class Load {
 public:
  explicit Load(int threads) {
    for (int i = 0; i < threads; ++i) threads_.emplace_back([this] { work(); });
  }
  ~Load() {
    stop_ = true;
    for (std::thread& thread : threads_) thread.join();
  }
  Load(Load const&) = delete;
  Load& operator=(Load const&) = delete;

 private:
  void work() {
    double x = 1;
    while (!stop_) {
      for (int i = 0; i < 1000; ++i) x = x * 0.999 + 1e-9;
      result_ = x;
    }
  }
  std::atomic<bool> stop_{false};
  std::atomic<double> result_{0};
  std::vector<std::thread> threads_;
};

struct Case {
  Collective operation;
  std::function<void(Tensor whole, Tensor part, Tensor other)> call;
  bool counts_part;  // whether TrafficCount counts the rank's part instead of the whole
};

std::vector<Case> cases(Communicator& group, Stream& stream) {
  return {
      {Collective::all_gather,
       [&](Tensor x, Tensor part, Tensor) { all_gather(part, x, group, stream); }, true},
      {Collective::reduce_scatter,
       [&](Tensor x, Tensor part, Tensor) { reduce_scatter(x, part, group, stream); }, true},
      {Collective::all_reduce,
       [&](Tensor x, Tensor, Tensor) { all_reduce(x, Reduce::max, group, stream); }, false},
      {Collective::broadcast, [&](Tensor x, Tensor, Tensor) { broadcast(x, 0, group, stream); },
       false},
      {Collective::all_to_all, [&](Tensor x, Tensor, Tensor y) { all_to_all(x, y, group, stream); },
       false},
      {Collective::send,
       [&](Tensor x, Tensor, Tensor) {
         // From 0 to 1; the others have nothing to do.
         if (group.rank() == 0 && group.size() > 1) send(x, 1, group, stream);
         if (group.rank() == 1) receive(x, 0, group, stream);
       },
       false},
  };
}

/// Median over the runs of the slowest rank's seconds.
double median_s(std::function<void()> const& call, Communicator& group) {
  std::vector<double> times;
  double total = 0;
  do {
    wait_for_all(group);
    double const begin = now_s();
    call();
    times.push_back(all_reduce_value(now_s() - begin, Reduce::max, group));
    total += times.back();
  } while ((total < kBudget_s || times.size() < 3) && times.size() < 1000);
  std::nth_element(times.begin(), times.begin() + static_cast<std::ptrdiff_t>(times.size() / 2),
                   times.end());
  return times[times.size() / 2];
}

void print_result(Case const& each, Size bytes, double seconds, int ranks, char const* separator) {
  Size const elements = bytes / 4 / (each.counts_part ? ranks : 1);
  double const sent = static_cast<double>(ring_elements(each.operation, elements, ranks)) * 4;
  std::printf(
      "%s\n    {\"collective\": \"%s\", \"bytes\": %lld, \"median_us\": %.2f, \"bus_GB_s\": %.4f}",
      separator, std::string(name_of(each.operation)).c_str(), static_cast<long long>(bytes),
      seconds * 1e6, sent / seconds / 1e9);
  std::fflush(stdout);
}

}  // namespace

int main(int argc, char** argv) {
  Runtime runtime{argc, argv};
  Communicator group = runtime.world().split(0, runtime.rank(), "benchmark");
  int const n = group.size();
  Size const largest = argc > 1 ? std::stoll(argv[1]) : kLargest_bytes;
  bool const busy = argc > 2 && std::string(argv[2]) == "busy";
  Load const load(busy ? 1 : 0);
  Stream stream = busy ? runtime.communication_stream() : Stream{kCpu};
  Buffer memory(3 * largest + 4096, kCpu);
  std::fill_n(static_cast<float*>(memory.data()), memory.bytes() / 4, 1.0F);

  if (runtime.rank() == 0) {
    std::printf("{\"ranks\": %d, \"cores\": %zu, \"busy\": %s, \"results\": [", n,
                runtime.cores().size(), busy ? "true" : "false");
  }
  char const* separator = "";
  for (Case const& each : cases(group, stream)) {
    for (Size bytes = kSmallest_bytes; bytes <= largest; bytes *= 4) {
      Size const elements = bytes / 4 / n * n;
      auto* const base = static_cast<float*>(memory.data());
      Tensor const whole{base, {elements}, DType::f32, kCpu};
      Tensor const other{base + largest / 4, {elements}, DType::f32, kCpu};
      Tensor const part{base + largest / 2, {elements / n}, DType::f32, kCpu};
      auto const call = [&] {
        each.call(whole, part, other);
        stream.synchronize();
      };
      call();
      double const seconds = median_s(call, runtime.world());
      if (runtime.rank() == 0) print_result(each, elements * 4, seconds, n, separator);
      separator = ",";
    }
  }
  if (runtime.rank() == 0) std::printf("\n]}\n");
  return 0;
}
