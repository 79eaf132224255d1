// SPDX-License-Identifier: Apache-2.0
/// The floor of a training step on this GPU: the best rate of every matrix product of the step, of
/// attention forward and backward, and of a copy, each under sustained load; and their sum over a
/// step. Prints a table, then one JSON object.
///
///     build/cuda/benchmarks/floor/floor_benchmark --model 1.3b --sequence 2048 --micro_batch 8
///
/// A product's algorithm is the fastest of cuBLASLt's proposals (dsr::AlgorithmChoice::timed).
/// Operands are random. Work bound by memory is taken at the speed of a copy, each byte moved once
/// (see work.cpp): no step can reach that sum, and how near one comes says what is left to gain.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <dsr/core/bf16.hpp>
#include <dsr/dsr.hpp>
#include <functional>
#include <iostream>
#include <random>

#include "benchmarks/floor/work.hpp"

namespace {

using benchmark::Job;
using benchmark::Product;
using benchmark::Traffic;
using dsr::Buffer;
using dsr::Device;
using dsr::DType;
using dsr::Shape;
using dsr::Size;
using dsr::Stream;
using dsr::Tensor;
using dsr::Transpose;

constexpr Device kGpu{Device::Kind::cuda, 0};

struct Settings {
  Job job;
  Size head_chunk = 8192;
  double warm_up_s = 10, sample_s = 0.4;
  int rounds = 3;
};

Settings parse(int argc, char** argv) {
  Settings settings;
  CLI::App app{"The floor of a training step on this GPU"};
  benchmark::add_options(app, settings.job);
  app.add_option("--head_chunk", settings.head_chunk, "tokens whose logits exist at a time")
      ->check(CLI::PositiveNumber);
  app.add_option("--warm_up_s", settings.warm_up_s, "seconds of load before the first measurement");
  app.add_option("--sample_s", settings.sample_s, "seconds of load in one measurement")
      ->check(CLI::PositiveNumber);
  app.add_option("--rounds", settings.rounds, "measurements of each part")
      ->check(CLI::PositiveNumber);
  try {
    app.parse(argc, argv);
  } catch (CLI::ParseError const& error) {
    std::exit(app.exit(error));
  }
  return settings;
}

/// Device memory full of normal bf16 numbers, from which operands are cut.
class Noise {
 public:
  Noise(Size bytes, Stream& stream) : memory_(bytes, kGpu) {
    constexpr Size kBlock = Size{1} << 22;
    Buffer const host = Buffer::pinned(2 * kBlock);
    std::mt19937 engine{1};
    std::normal_distribution<float> normal;
    auto* const values = static_cast<dsr::Bf16*>(host.data());
    for (Size i = 0; i < kBlock; ++i) values[i] = dsr::Bf16{normal(engine)};
    auto* const to = static_cast<std::byte*>(memory_.data());
    for (Size begin = 0; begin < bytes; begin += 2 * kBlock) {
      Size const part = std::min(2 * kBlock, bytes - begin) / 2;
      transfer({values, {part}, DType::bf16, dsr::kCpu}, {to + begin, {part}, DType::bf16, kGpu},
               stream);
    }
    stream.synchronize();
  }
  Tensor tensor(Shape const& shape) const { return {memory_.data(), shape, DType::bf16, kGpu}; }

 private:
  Buffer memory_;
};

/// A part of a step: how to enqueue it once, and what was measured.
struct Part {
  std::string name;
  std::function<void()> call;
  double flops = 0, bytes = 0;  ///< of a call
  Size calls = 1;               ///< in a step
  double us = 0;                ///< best mean over a measurement

  double step_ms() const { return us * static_cast<double>(calls) / 1e3; }
};

/// Mean time of a call, in calls that keep the GPU busy for about `seconds`.
double mean_us(Part const& part, double seconds, Stream& stream) {
  auto const timed = [&](Size calls) {
    stream.synchronize();
    auto const start = std::chrono::steady_clock::now();
    for (Size i = 0; i < calls; ++i) part.call();
    stream.synchronize();
    return std::chrono::duration<double, std::micro>(std::chrono::steady_clock::now() - start)
               .count() /
           static_cast<double>(calls);
  };
  double const rough = std::max(timed(3), 1.0);
  return timed(std::max<Size>(3, static_cast<Size>(seconds * 1e6 / rough)));
}

void measure(std::vector<Part>& parts, Settings const& settings, Stream& stream) {
  for (Part const& part : parts) part.call();  // chooses its algorithm
  double const share_s = settings.warm_up_s / static_cast<double>(parts.size());
  for (Part const& part : parts) mean_us(part, share_s, stream);
  for (int round = 0; round < settings.rounds; ++round) {
    for (Part& part : parts) {
      double const us = mean_us(part, settings.sample_s, stream);
      part.us = round == 0 ? us : std::min(part.us, us);
    }
  }
}

/// Operands lie in memory that all parts share: what they hold does not matter but that it is
/// random.
struct Memory {
  Noise left, right, bias, h;
  Buffer out, y;
};

Size largest(std::vector<Product> const& all, std::function<Size(Product const&)> const& bytes) {
  Size most = 0;
  for (Product const& p : all) most = std::max(most, bytes(p));
  return most;
}

Part product_part(Product const& p, Memory const& memory, Stream& stream) {
  bool const turned_a = p.options.a == Transpose::yes, turned_b = p.options.b == Transpose::yes;
  Tensor const a = memory.left.tensor(turned_a ? Shape{p.k, p.m} : Shape{p.m, p.k});
  Tensor const b = memory.right.tensor(turned_b ? Shape{p.n, p.k} : Shape{p.k, p.n});
  Tensor const out{memory.out.data(), {p.m, p.n}, p.out, kGpu};
  Tensor const y{memory.y.data(), {p.m, p.n}, p.out, kGpu};
  Tensor const bias = memory.bias.tensor({p.n}), h = memory.h.tensor({p.m, p.n});
  auto const call = [=, &stream] {
    switch (p.after) {
      case benchmark::After::nothing:
        return matmul(a, b, out, p.options, stream);
      case benchmark::After::bias:
        return matmul_bias(a, b, bias, out, p.options, stream);
      case benchmark::After::gelu:
        return matmul_gelu(a, b, bias, out, y, p.options, stream);
      case benchmark::After::gelu_backward:
        return matmul_gelu_backward(a, b, h, out, {}, p.options, stream);
    }
  };
  return {p.name, call, p.flops(), 0, p.calls};
}

/// What attention reads and writes, for one micro-batch.
struct AttentionMemory {
  Noise qkv, dy;
  Buffer y, log_sum, dqkv;
  std::vector<std::int32_t> starts;
};

AttentionMemory attention_memory(Job const& job, Stream& stream) {
  Size const bytes = 2 * job.micro_tokens() * job.config().hidden;
  std::vector<std::int32_t> starts;
  for (Size b = 0; b <= job.micro_batch; ++b)
    starts.push_back(static_cast<std::int32_t>(b * job.sequence));
  return {Noise{3 * bytes, stream}, Noise{bytes, stream},
          Buffer{bytes, kGpu},      Buffer{4 * job.micro_tokens() * job.config().heads, kGpu},
          Buffer{3 * bytes, kGpu},  std::move(starts)};
}

void add_attention(std::vector<Part>& parts, Job const& job, AttentionMemory& memory,
                   Stream& stream) {
  dsr::GptConfig const c = job.config();
  Size const tokens = job.micro_tokens(), size = c.hidden / c.heads;
  Tensor const qkv = memory.qkv.tensor({tokens, c.heads, 3, size}),
               dy = memory.dy.tensor({tokens, c.hidden});
  Tensor const y{memory.y.data(), {tokens, c.hidden}, DType::bf16, kGpu};
  Tensor const log_sum{memory.log_sum.data(), {c.heads, tokens}, DType::f32, kGpu};
  Tensor const dqkv{memory.dqkv.data(), qkv.shape(), DType::bf16, kGpu};
  Tensor const starts{memory.starts.data(), {job.micro_batch + 1}, DType::i32, dsr::kCpu};
  double const flops = 2.0 * static_cast<double>(tokens) * static_cast<double>(job.sequence) *
                       static_cast<double>(c.hidden);
  Size const calls = job.accumulation * c.layers;
  parts.push_back(
      {"attention", [=, &stream] { attention(qkv, starts, y, log_sum, stream); }, flops, 0, calls});
  parts.push_back({"attention backward",
                   [=, &stream] { attention_backward(qkv, starts, y, log_sum, dy, dqkv, stream); },
                   2.5 * flops, 0, calls});
}

/// A copy of 1 GiB: both ways it is well beyond any cache.
Part copy_part(Buffer const& from, Buffer const& to, Stream& stream) {
  Tensor const x{from.data(), {from.bytes()}, DType::u8, kGpu},
      y{to.data(), {to.bytes()}, DType::u8, kGpu};
  return {"copy", [=, &stream] { transfer(x, y, stream); }, 0,
          2.0 * static_cast<double>(from.bytes()), 0};
}

void print_table(std::vector<Part> const& parts, std::vector<Traffic> const& moved,
                 double bytes_per_us) {
  std::printf("%-22s %10s %8s %10s %6s %9s\n", "part", "us", "TFLOP/s", "GB/s", "calls", "step ms");
  for (Part const& p : parts) {
    std::printf("%-22s %10.1f %8.1f %10.1f %6lld %9.2f\n", p.name.c_str(), p.us,
                p.flops / p.us / 1e6, p.bytes / p.us / 1e3, static_cast<long long>(p.calls),
                p.step_ms());
  }
  for (Traffic const& t : moved) {
    std::printf("%-22s %10s %8s %10.1f %6s %9.2f\n", t.name.c_str(), "", "", bytes_per_us / 1e3, "",
                t.bytes / bytes_per_us / 1e3);
  }
}

struct Sums {
  double products_ms = 0, attention_ms = 0, memory_ms = 0;
  double all() const { return products_ms + attention_ms + memory_ms; }
};

void print_json(Job const& job, std::vector<Part> const& parts, std::vector<Traffic> const& moved,
                double bytes_per_us, Sums const& sums) {
  std::cout << R"({"program": "floor", "model": ")" << job.model << R"(", "sequence": )"
            << job.sequence << R"(, "micro_batch": )" << job.micro_batch << R"(, "accumulation": )"
            << job.accumulation << R"(, "copy_gb_s": )" << bytes_per_us / 1e3
            << R"(, "products_ms": )" << sums.products_ms << R"(, "attention_ms": )"
            << sums.attention_ms << R"(, "memory_ms": )" << sums.memory_ms << R"(, "floor_ms": )"
            << sums.all() << R"(, "parts": [)";
  char const* comma = "";
  for (Part const& p : parts) {
    std::cout << comma << R"({"name": ")" << p.name << R"(", "us": )" << p.us << R"(, "calls": )"
              << p.calls << R"(, "tflops": )" << p.flops / p.us / 1e6 << "}";
    comma = ", ";
  }
  for (Traffic const& t : moved) {
    std::cout << R"(, {"name": ")" << t.name << R"(", "ms": )" << t.bytes / bytes_per_us / 1e3
              << "}";
  }
  std::cout << "]}\n";
}

void run(Settings const& settings) {
  Job const& job = settings.job;
  Stream stream{kGpu};
  dsr::choose_algorithms({.choice = dsr::AlgorithmChoice::timed}, stream);
  std::vector<Product> const all = products(job, settings.head_chunk);
  auto const wide = [](Product const& p) { return p.after == benchmark::After::nothing ? 0 : 1; };
  Memory const memory{
      Noise{largest(all, [](Product const& p) { return 2 * p.m * p.k; }), stream},
      Noise{largest(all, [](Product const& p) { return 2 * p.n * p.k; }), stream},
      Noise{largest(all, [](Product const& p) { return 2 * p.n; }), stream},
      Noise{largest(all, [&](Product const& p) { return wide(p) * 2 * p.m * p.n; }), stream},
      Buffer{largest(all, [](Product const& p) { return size_of(p.out) * p.m * p.n; }), kGpu},
      Buffer{largest(all, [&](Product const& p) { return wide(p) * 2 * p.m * p.n; }), kGpu}};
  zero({memory.out.data(), {memory.out.bytes()}, DType::u8, kGpu}, stream);
  AttentionMemory attended = attention_memory(job, stream);
  Buffer const from{Size{1} << 30, kGpu}, to{Size{1} << 30, kGpu};

  std::vector<Part> parts;
  for (Product const& p : all) parts.push_back(product_part(p, memory, stream));
  std::size_t const count = parts.size();
  add_attention(parts, job, attended, stream);
  parts.push_back(copy_part(from, to, stream));
  measure(parts, settings, stream);

  double const bytes_per_us = parts.back().bytes / parts.back().us;
  std::vector<Traffic> const moved = traffic(job);
  Sums sums;
  for (std::size_t i = 0; i < parts.size(); ++i)
    (i < count ? sums.products_ms : sums.attention_ms) += parts[i].step_ms();
  for (Traffic const& t : moved) sums.memory_ms += t.bytes / bytes_per_us / 1e3;
  print_table(parts, moved, bytes_per_us);
  std::printf("floor of a step: products %.1f + attention %.1f + memory %.1f = %.1f ms\n",
              sums.products_ms, sums.attention_ms, sums.memory_ms, sums.all());
  std::fflush(stdout);
  print_json(job, parts, moved, bytes_per_us, sums);
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
