// SPDX-License-Identifier: Apache-2.0
// Times every collective on the world group, and prints a table, then one JSON object:
//
//     mpirun -np 4 --bind-to none build/release/benchmarks/collectives/collectives_benchmark
//     mpirun -np 4 build/cuda/benchmarks/collectives/collectives_benchmark --device cuda
//
// bytes      of the whole tensor: gathered, to be scattered, reduced or sent
// median_us  of a call, the slowest rank's, over rounds of some calls with a barrier before each
// alg_GB_s   bytes over time
// bus_GB_s   what a ring would send in that time, as in NCCL's tests: alg · 2(n−1)/n for
//            all_reduce, · (n−1)/n for all_gather, reduce_scatter and all_to_all, · 1 for others
// Each size's result is checked against an oracle before it is timed.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <functional>
#include <iostream>
#include <string>
#include <thread>
#include <vector>

#include "benchmarks/collectives/oracle.hpp"
#include "dsr/comm/collectives.hpp"
#include "dsr/comm/runtime.hpp"
#include "dsr/core/buffer.hpp"
#include "dsr/core/error.hpp"

namespace {

using namespace dsr;

constexpr double kBudget_s = 0.4;  // for one operation at one size
constexpr double kRound_s = 0.02;

struct Settings {
  std::string device = "cpu";
  Size smallest = Size{1} << 10, largest = 0;
  bool busy = false;
  std::vector<std::string> only;
};

Settings parse(int argc, char** argv) {
  Settings settings;
  CLI::App app{"Times collectives"};
  app.add_option("--device", settings.device, "cpu or cuda");
  app.add_option("--smallest", settings.smallest, "bytes")->check(CLI::PositiveNumber);
  app.add_option("--largest", settings.largest, "bytes (default 64 MiB, on cuda 1 GiB)");
  app.add_option("--only", settings.only, "operations, by name")->delimiter(',');
  app.add_flag("--busy", settings.busy,
               "one more thread on each rank computes all the while, and the calls run on a "
               "communication stream (cpu)");
  try {
    app.parse(argc, argv);
  } catch (CLI::ParseError const& error) {
    std::exit(app.exit(error));
  }
  if (settings.largest == 0) settings.largest = Size{1} << (settings.device == "cpu" ? 26 : 30);
  return settings;
}

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

/// Tensors of one size: [e], [e/n] and [e].
struct Operands {
  Tensor whole, part, other;
};

struct Case {
  Collective operation;
  std::function<void(Operands const&)> call;
  bool counts_part;  // whether TrafficCount counts the rank's part instead of the whole
};

std::vector<Case> cases(Communicator& group, Stream& stream) {
  return {
      {Collective::all_gather,
       [&](Operands const& x) { all_gather(x.part, x.whole, group, stream); }, true},
      {Collective::reduce_scatter,
       [&](Operands const& x) { reduce_scatter(x.whole, x.part, group, stream); }, true},
      {Collective::all_reduce,
       [&](Operands const& x) { all_reduce(x.whole, Reduce::max, group, stream); }, false},
      {Collective::broadcast, [&](Operands const& x) { broadcast(x.whole, 0, group, stream); },
       false},
      {Collective::all_to_all,
       [&](Operands const& x) { all_to_all(x.whole, x.other, group, stream); }, false},
      {Collective::send,
       [&](Operands const& x) {
         // From 0 to 1; the others have nothing to do.
         if (group.rank() == 0 && group.size() > 1) send(x.whole, 1, group, stream);
         if (group.rank() == 1) receive(x.whole, 0, group, stream);
       },
       false},
  };
}

/// Where the call leaves its result.
Tensor result_of(Collective operation, Operands const& x) {
  if (operation == Collective::reduce_scatter) return x.part;
  return operation == Collective::all_to_all ? x.other : x.whole;
}

/// Elements on all ranks that are not what they should be. One call.
Size check(Case const& each, Operands const& x, Communicator& group, Stream& stream) {
  benchmark::fill(x.whole, group.rank(), stream);
  benchmark::fill(x.part, group.rank(), stream);
  each.call(x);
  Size const wrong = benchmark::count_wrong(result_of(each.operation, x), each.operation, group,
                                            x.part.elements(), stream);
  return static_cast<Size>(all_reduce_value(static_cast<double>(wrong), Reduce::sum, group));
}

/// Seconds of a call: the slowest rank's, over `calls` calls in a row.
double round_s(std::function<void()> const& call, int calls, Communicator& group, Stream& stream) {
  wait_for_all(group);
  double const begin = now_s();
  for (int i = 0; i < calls; ++i) call();
  stream.synchronize();
  return all_reduce_value(now_s() - begin, Reduce::max, group) / calls;
}

double median_s(std::function<void()> const& call, Communicator& group, Stream& stream) {
  bool const on_cuda = stream.device().kind == Device::Kind::cuda;
  double const first = round_s(call, 1, group, stream);
  // A GPU is kept busy; the same number on all ranks.
  int const calls = on_cuda ? static_cast<int>(std::clamp(kRound_s / first, 1.0, 20.0)) : 1;
  std::vector<double> times;
  double total = 0;
  do {
    times.push_back(round_s(call, calls, group, stream));
    total += calls * times.back();
  } while ((total < kBudget_s || times.size() < 3) && times.size() < 1000);
  auto const middle = times.begin() + static_cast<std::ptrdiff_t>(times.size() / 2);
  std::nth_element(times.begin(), middle, times.end());
  return *middle;
}

/// The largest of the sizes 1 KiB, 4 KiB, … whose operands all ranks have memory for.
Size fitting(Size largest, Device device, Communicator& group) {
  for (;; largest /= 4) {
    double fits = 1;
    try {
      Buffer const all{3 * largest, device};
      // Ranks may share a GPU: none lets go before all have tried.
      fits = all_reduce_value(1, Reduce::min, group);
    } catch (OutOfMemory const&) {
      fits = all_reduce_value(0, Reduce::min, group);
    }
    if (fits > 0 || largest <= 1024) return largest;
    if (group.rank() == 0)
      std::printf("%lld bytes do not fit and are skipped\n", static_cast<long long>(largest));
  }
}

/// One line of the table; returns the same as JSON.
std::string report(Case const& each, Size bytes, double seconds, int ranks, Size wrong) {
  Size const elements = bytes / 4 / (each.counts_part ? ranks : 1);
  double const sent = static_cast<double>(ring_elements(each.operation, elements, ranks)) * 4;
  double const algorithm = static_cast<double>(bytes) / seconds / 1e9, bus = sent / seconds / 1e9;
  std::string const name{name_of(each.operation)};
  std::printf("%-15s %12lld %12.2f %10.4f %10.4f  %s\n", name.c_str(),
              static_cast<long long>(bytes), seconds * 1e6, algorithm, bus,
              wrong == 0 ? "right" : "WRONG");
  std::fflush(stdout);
  return R"({"collective": ")" + name + R"(", "bytes": )" + std::to_string(bytes) +
         R"(, "median_us": )" + std::to_string(seconds * 1e6) + R"(, "alg_GB_s": )" +
         std::to_string(algorithm) + R"(, "bus_GB_s": )" + std::to_string(bus) + R"(, "wrong": )" +
         std::to_string(wrong) + "}";
}

/// Elements that were not right.
Size run(Settings const& settings, Runtime& runtime) {
  Communicator group = runtime.world().split(0, runtime.rank(), "benchmark");
  int const n = group.size();
  Device const device = runtime.device();
  bool const beside = settings.busy || device.kind == Device::Kind::cuda;
  Stream stream = beside ? runtime.communication_stream() : Stream{device};
  Size const largest = fitting(settings.largest, device, group);
  Load const load(settings.busy ? 1 : 0);
  Buffer const whole{largest, device}, part{largest, device}, other{largest, device};
  if (runtime.rank() == 0)
    std::printf("%-15s %12s %12s %10s %10s\n", "collective", "bytes", "median us", "alg GB/s",
                "bus GB/s");
  std::string results;
  Size all_wrong = 0;
  for (Case const& each : cases(group, stream)) {
    if (!settings.only.empty() && std::ranges::count(settings.only, name_of(each.operation)) == 0)
      continue;
    for (Size bytes = settings.smallest; bytes <= largest; bytes *= 4) {
      Size const elements = std::max<Size>(1, bytes / 4 / n) * n;
      Operands const x{{whole.data(), {elements}, DType::f32, device},
                       {part.data(), {elements / n}, DType::f32, device},
                       {other.data(), {elements}, DType::f32, device}};
      Size const wrong = check(each, x, group, stream);
      double const seconds = median_s([&] { each.call(x); }, group, stream);
      all_wrong += wrong;
      if (runtime.rank() != 0) continue;
      results += (results.empty() ? "" : ", ") + report(each, elements * 4, seconds, n, wrong);
    }
  }
  if (runtime.rank() == 0) {
    std::cout << R"({"program": "collectives", "device": ")" << to_string(device)
              << R"(", "ranks": )" << n << R"(, "cores": )" << runtime.cores().size()
              << R"(, "busy": )" << (settings.busy ? "true" : "false") << R"(, "results": [)"
              << results << "]}\n";
  }
  return all_wrong;
}

}  // namespace

int main(int argc, char** argv) {
  Settings const settings = parse(argc, argv);
  try {
    Runtime runtime{argc, argv, {.device = parse_device(settings.device)}};
    return run(settings, runtime) == 0 ? 0 : 1;
  } catch (Error const& error) {
    std::cerr << error.what() << '\n';
    return error.exit_code();
  }
}
