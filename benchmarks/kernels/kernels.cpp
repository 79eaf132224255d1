// SPDX-License-Identifier: Apache-2.0
/// The bandwidth of every kernel of the library that is bound by memory, beside that of a copy, in
/// one run on one GPU: bytes that a kernel has to move at least, over its time. Prints a table,
/// then one JSON object. PASS: 88 % of the copy's bandwidth or more.
///
///     build/cuda/benchmarks/kernels/kernels_benchmark --rows 16384 --features 2048
///     build/cuda/benchmarks/kernels/kernels_benchmark --only gelu
///
/// Operands are random, and calls take sets of them in turn that are far larger than any cache
/// together. All kernels run in turn for --seconds before the first measurement; a time is the
/// median of rounds, each a mean over calls that keep the GPU busy.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <dsr/core/error.hpp>
#include <dsr/core/transfer.hpp>
#include <iostream>

#include "benchmarks/kernels/table.hpp"

namespace {

using benchmark::Bound;
using benchmark::Kernel;
using benchmark::kGpu;
using dsr::DType;
using dsr::Size;
using dsr::Stream;

constexpr double kPass = 0.88;

struct Settings {
  benchmark::Sizes sizes;
  std::string only;
  double seconds = 10, sample_s = 0.1;
  int rounds = 5;
};

Settings parse(int argc, char** argv) {
  Settings settings;
  CLI::App app{"Bandwidth of every kernel beside a copy's"};
  app.option_defaults()->always_capture_default();
  app.add_option("--rows", settings.sizes.rows, "rows (tokens)")->check(CLI::PositiveNumber);
  app.add_option("--features", settings.sizes.features, "features of a row; GELU has 4 times more")
      ->check(CLI::PositiveNumber);
  app.add_option("--only", settings.only, "kernels whose name has this in it");
  app.add_option("--seconds", settings.seconds, "of load before the first measurement")
      ->check(CLI::NonNegativeNumber);
  app.add_option("--sample_s", settings.sample_s, "seconds of load in one measurement")
      ->check(CLI::PositiveNumber);
  app.add_option("--rounds", settings.rounds, "measurements of each kernel")
      ->check(CLI::PositiveNumber);
  try {
    app.parse(argc, argv);
  } catch (CLI::ParseError const& error) {
    std::exit(app.exit(error));
  }
  return settings;
}

/// A kernel and its times.
struct Timed {
  Kernel kernel;
  std::vector<double> us = {};

  double median_us() const {
    std::vector<double> sorted = us;
    std::ranges::sort(sorted);
    return sorted[sorted.size() / 2];
  }
  double gb_s() const { return kernel.bytes / median_us() / 1e3; }
};

/// Mean time of a call, in calls that keep the GPU busy for about `seconds`.
double mean_us(Kernel const& kernel, double seconds, Stream& stream) {
  auto const timed = [&](Size calls) {
    stream.synchronize();
    auto const start = std::chrono::steady_clock::now();
    for (Size i = 0; i < calls; ++i) kernel.call(i);
    stream.synchronize();
    return std::chrono::duration<double, std::micro>(std::chrono::steady_clock::now() - start)
               .count() /
           static_cast<double>(calls);
  };
  timed(2);  // the first call may allocate
  double const rough = std::max(timed(8), 1.0);
  return timed(std::max<Size>(8, static_cast<Size>(seconds * 1e6 / rough)));
}

void measure(std::vector<Timed>& all, Settings const& settings, benchmark::Memory& memory,
             Stream& stream) {
  auto const once = [&](Kernel const& kernel, double seconds) {
    memory.randomize(stream);
    kernel.prepare();
    return mean_us(kernel, seconds, stream);
  };
  double const share_s = settings.seconds / static_cast<double>(all.size());
  for (Timed const& timed : all) once(timed.kernel, share_s);
  for (int round = 0; round < settings.rounds; ++round) {
    for (Timed& timed : all) timed.us.push_back(once(timed.kernel, settings.sample_s));
  }
}

char const* verdict(Timed const& timed, double copy_gb_s) {
  if (timed.kernel.bound == Bound::latency) return "latency bound";
  return timed.gb_s() >= kPass * copy_gb_s ? "PASS" : "low";
}

void print_table(std::vector<Timed> const& all, double copy_gb_s) {
  std::printf("%-30s %9s %9s %8s %7s\n", "kernel", "us", "MB", "GB/s", "of copy");
  for (Timed const& t : all) {
    std::printf("%-30s %9.1f %9.1f %8.0f %6.1f%% %s\n", t.kernel.name.c_str(), t.median_us(),
                t.kernel.bytes / 1e6, t.gb_s(), 100 * t.gb_s() / copy_gb_s, verdict(t, copy_gb_s));
  }
  std::fflush(stdout);
}

void print_json(std::vector<Timed> const& all, Settings const& settings, double copy_gb_s) {
  std::cout << R"({"program": "kernels", "rows": )" << settings.sizes.rows << R"(, "features": )"
            << settings.sizes.features << R"(, "copy_gb_s": )" << copy_gb_s << R"(, "kernels": [)";
  char const* comma = "";
  for (Timed const& t : all) {
    std::cout << comma << R"({"name": ")" << t.kernel.name << R"(", "us": )" << t.median_us()
              << R"(, "bytes": )" << t.kernel.bytes << R"(, "gb_s": )" << t.gb_s()
              << R"(, "of_copy": )" << t.gb_s() / copy_gb_s << R"(, "verdict": ")"
              << verdict(t, copy_gb_s) << R"("})";
    comma = ", ";
  }
  std::cout << "]}\n";
}

/// 1 GiB: both ways it is well beyond any cache.
Kernel copy_kernel(benchmark::Memory const& memory, Stream& stream) {
  constexpr Size kBytes = Size{1} << 30;
  benchmark::Operand const operand{{kBytes}, DType::u8};
  return {"copy", 2.0 * static_cast<double>(kBytes),
          [&stream, sets = memory.sets({operand, operand})](Size call) {
            benchmark::Operands const& of = benchmark::in_turn(sets, call);
            transfer(of[0], of[1], stream);
          }};
}

void run(Settings const& settings) {
  Stream stream{kGpu};
  benchmark::Memory memory{benchmark::memory_bytes(settings.sizes), stream};
  std::vector<Timed> all{{copy_kernel(memory, stream)}};
  for (Kernel& kernel : benchmark::kernels(settings.sizes, memory, stream)) {
    if (kernel.name.find(settings.only) != std::string::npos) all.push_back({std::move(kernel)});
  }
  measure(all, settings, memory, stream);
  double const copy_gb_s = all.front().gb_s();
  print_table(all, copy_gb_s);
  print_json(all, settings, copy_gb_s);
}

}  // namespace

int main(int argc, char** argv) {
  Settings const settings = parse(argc, argv);
  try {
    run(settings);
  } catch (dsr::Error const& error) {
    std::cerr << error.what() << '\n';
    return error.exit_code();
  }
  return 0;
}
