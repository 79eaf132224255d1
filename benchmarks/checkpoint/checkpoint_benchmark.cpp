// SPDX-License-Identifier: Apache-2.0
/// Times saving and loading of a state of --bytes on each rank, and prints one JSON object of
/// lists, one entry a round; the first round is dropped. In each round, in turn with its opposite:
///
///   copy        the state into the staging memory, in one call       | stall    of a save
///   plain_set   a file as large, allocated, written and synced alike | set      until it is acknow-
///               in a thread, beside steps                            |          ledged, beside steps
///   plain_step  a step beside that                                   | busy_step  beside a save
///   plain_write the same without steps                               | file     write_rank_file
///   plain_read  a file from the page cache, on one thread            | load     and verify a set
///
/// A step is matrix products; `step` is one without a write under way. Times are those of rank 0, in
/// seconds; `file_cpu` and `plain_write_cpu` are seconds of processors, which other work on the
/// machine changes less. Removing older sets and plain files is in none of them.
#include <sys/mman.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstring>
#include <ctime>
#include <dsr/dsr.hpp>
#include <filesystem>
#include <iostream>
#include <map>
#include <string>
#include <thread>
#include <vector>

namespace {

using dsr::Size;
using Clock = std::chrono::steady_clock;

struct Settings {
  Size bytes = Size{1} << 30, staging_bytes = 0, limit = 0;
  bool fresh = false;
  int rounds = 4, threads = 1, product = 768, products = 8;
  std::string device = "cpu", directory = "checkpoint_benchmark";
};

Settings parse(int argc, char** argv) {
  Settings settings;
  CLI::App app{"Saving and loading against plain copies, writes and reads"};
  app.add_option("--bytes", settings.bytes, "of the state, on each rank")
      ->check(CLI::PositiveNumber);
  app.add_option("--rounds", settings.rounds, "after one that is dropped")
      ->check(CLI::PositiveNumber);
  app.add_option("--staging_bytes", settings.staging_bytes, "most staging memory; 0: the state");
  app.add_option("--limit", settings.limit, "bytes a second; 0: none");
  app.add_flag("--fresh", settings.fresh,
               "touch as much memory before each write, since hosts of virtual machines take back "
               "what is free, and whoever writes next would wait for it");
  app.add_option("--threads", settings.threads, "that copy, hash and write");
  app.add_option("--product", settings.product, "size of a step's matrices");
  app.add_option("--products", settings.products, "of a step");
  app.add_option("--device", settings.device, "cpu or cuda")->check(CLI::IsMember({"cpu", "cuda"}));
  app.add_option("--directory", settings.directory, "to write in; emptied before and after");
  app.option_defaults()->always_capture_default();
  try {
    app.parse(argc, argv);
  } catch (CLI::ParseError const& error) {
    std::exit(app.exit(error));
  }
  return settings;
}

template <class F>
double seconds(F&& work) {
  auto const start = Clock::now();
  work();
  return std::chrono::duration<double>(Clock::now() - start).count();
}

/// Of all threads of this process.
double processor_seconds() {
  timespec time{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
}

double median(std::vector<double> values) {
  auto const middle = values.begin() + std::ssize(values) / 2;
  std::ranges::nth_element(values, middle);
  return *middle;
}

/// Large tensors and small ones in one flat buffer, as a model's, whole on each rank of `row`.
class FlatState {
 public:
  FlatState(dsr::Mesh const& mesh, Size bytes)
      : memory_{bytes, mesh.device()}, stream_{mesh.device()} {
    constexpr Size kLarge = Size{8} << 20, kSmall = 2048;
    Size const all = bytes / 4;
    int number = 0;
    for (Size at = 0; at < all; ++number) {
      Size const elements = std::min(all - at, number % 2 == 0 ? kLarge : kSmall);
      dsr::Shard const shard{{elements * mesh.shape().row}, {{0, dsr::Axis::row}}, mesh.shape()};
      state_.add("model/blocks/" + std::to_string(number) + "/weight", shard,
                 {data() + at, {elements}, dsr::DType::f32, mesh.device()});
      at += elements;
    }
  }
  dsr::State& state() { return state_; }
  Size bytes() const { return memory_.bytes() / 4 * 4; }
  float* data() const { return static_cast<float*>(memory_.data()); }
  dsr::Device device() const { return memory_.device(); }

  /// The numbers 0, 1, 2, … modulo a prime, so that misplaced bytes show.
  void fill() {
    for_parts(
        [&](Size at, std::vector<float>& part) {
          for (Size i = 0; i < std::ssize(part); ++i)
            part[static_cast<std::size_t>(i)] = value(at + i);
        },
        false);
  }
  void clear() {
    dsr::zero({data(), {bytes() / 4}, dsr::DType::f32, device()}, stream_);
    stream_.synchronize();
  }
  bool full() {
    bool right = true;
    for_parts(
        [&](Size at, std::vector<float>& part) {
          for (Size i = 0; i < std::ssize(part); ++i)
            right = right && part[static_cast<std::size_t>(i)] == value(at + i);
        },
        true);
    return right;
  }

 private:
  static float value(Size i) { return static_cast<float>(i % 999'983); }

  template <class F>
  void for_parts(F&& work, bool const from_state) {
    std::vector<float> part(std::size_t{1} << 22U);
    for (Size at = 0, all = bytes() / 4; at < all; at += std::ssize(part)) {
      part.resize(static_cast<std::size_t>(std::min<Size>(Size{1} << 22U, all - at)));
      dsr::Tensor const host{part.data(), {std::ssize(part)}, dsr::DType::f32, dsr::kCpu};
      dsr::Tensor const mine{data() + at, {std::ssize(part)}, dsr::DType::f32, device()};
      if (from_state) dsr::transfer(mine, host, stream_);
      stream_.synchronize();
      work(at, part);
      if (!from_state) dsr::transfer(host, mine, stream_);
      stream_.synchronize();
    }
  }

  dsr::Buffer memory_;
  dsr::Stream stream_;
  dsr::State state_;
};

/// What computes: products of square matrices, bf16 on CUDA.
class Step {
 public:
  Step(dsr::Device device, Settings const& settings)
      : type_{device == dsr::kCpu ? dsr::DType::f32 : dsr::DType::bf16},
        size_{settings.product},
        products_{settings.products},
        memory_{3 * size_ * size_ * dsr::size_of(type_), device},
        stream_{device} {
    dsr::zero({memory_.data(), {memory_.bytes()}, dsr::DType::u8, device}, stream_);
  }
  double run() {
    return seconds([&] {
      for (int i = 0; i < products_; ++i) dsr::matmul(matrix(0), matrix(1), matrix(2), {}, stream_);
      stream_.synchronize();
    });
  }

 private:
  dsr::Tensor matrix(Size number) {
    auto* const at = static_cast<std::byte*>(memory_.data());
    return {
        at + number * size_ * size_ * dsr::size_of(type_), {size_, size_}, type_, memory_.device()};
  }

  dsr::DType type_;
  Size size_;
  int products_;
  dsr::Buffer memory_;
  dsr::Stream stream_;
};

class Benchmark {
 public:
  Benchmark(dsr::Runtime& runtime, Settings const& settings)
      : runtime_(runtime),
        settings_(settings),
        mesh_{runtime, {.row = runtime.size()}},
        directory_(settings.directory + "/sets"),
        plain_(settings.directory + "/plain_" + std::to_string(runtime.rank())),
        state_{mesh_, settings.bytes},
        step_{mesh_.device(), settings},
        checkpoints_{runtime,
                     mesh_,
                     dsr::system_files(),
                     {.warm = {.directory = directory_, .keep = 2},
                      .staging = {.bytes = settings.staging_bytes,
                                  .limit_bytes_per_s = settings.limit,
                                  .threads = settings.threads}}} {
    checkpoints_.reserve(state_.state());
    std::filesystem::create_directories(plain_);
    state_.fill();
    if (settings.staging_bytes == 0) return;
    own_ = dsr::Buffer::pinned(settings.bytes);
    std::memset(own_.data(), 1, static_cast<std::size_t>(settings.bytes));
  }

  void run() {
    for (int round = 0; round <= settings_.rounds; ++round) {
      std::map<std::string, double> times;
      std::vector<double> steps;
      for (int i = 0; i < 9; ++i) steps.push_back(step_.run());
      times["step"] = median(std::move(steps));
      in_turn(
          round, [&] { plain_set(times); }, [&] { save(round, times); });
      if (settings_.staging_bytes == 0)
        in_turn(
            round, [&] { plain_write(times); }, [&] { our_write(times); });
      in_turn(
          round, [&] { times["plain_read"] = plain_read(); }, [&] { load(times); });
      state_.fill();
      if (round == 0) continue;
      for (auto const& [name, value] : times) results_[name].push_back(value);
    }
  }

  void print() const {
    if (runtime_.rank() != 0) return;
    std::cout.precision(6);
    std::cout << R"({"program": "checkpoint_benchmark", "device": ")" << settings_.device
              << R"(", "ranks": )" << runtime_.size() << R"(, "bytes": )" << state_.bytes()
              << R"(, "threads": )" << settings_.threads << R"(, "staging_bytes": )"
              << settings_.staging_bytes << R"(, "reserve_s": )"
              << checkpoints_.staging().reserve_s() << R"(, "loaded_right": )"
              << (right_ ? "true" : "false");
    for (auto const& [name, values] : results_) {
      std::cout << ", \"" << name << "\": [";
      for (std::size_t i = 0; i < values.size(); ++i)
        std::cout << (i == 0 ? "" : ", ") << values[i];
      std::cout << "]";
    }
    std::cout << "}\n";
  }

 private:
  /// Memory that was touched and is page-locked where that matters: the staging's, between saves.
  std::byte* host() {
    if (own_.bytes() > 0) return static_cast<std::byte*>(own_.data());
    return checkpoints_.staging().lend().data();
  }

  double copy() {
    dsr::Stream stream{mesh_.device()};
    return seconds([&] {
      dsr::transfer({state_.data(), {state_.bytes()}, dsr::DType::u8, mesh_.device()},
                    {host(), {state_.bytes()}, dsr::DType::u8, dsr::kCpu}, stream);
      stream.synchronize();
    });
  }

  template <class A, class B>
  static void in_turn(int round, A&& plain, B&& ours) {
    if (round % 2 == 0) plain();
    ours();
    if (round % 2 == 1) plain();
  }

  void freshen() {
    if (!settings_.fresh) return;
    auto const bytes = static_cast<std::size_t>(state_.bytes());
    void* const memory =
        ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) throw dsr::Error("--fresh: no memory");
    ::madvise(memory, bytes,
              MADV_HUGEPAGE);  // they come back as the large pages that are taken first
    std::memset(memory, 1, bytes);
    ::munmap(memory, bytes);
  }

  /// The median of the steps until `ended`, but for the one in which it ended.
  template <class F>
  double steps_until(F&& ended) {
    std::vector<double> steps;
    while (!ended()) steps.push_back(step_.run());
    if (steps.size() > 1) steps.pop_back();
    return steps.empty() ? 0 : median(std::move(steps));
  }

  void save(int round, std::map<std::string, double>& times) {
    if (round % 2 == 0) times["copy"] = copy();
    freshen();
    checkpoints_.save(state_.state(), round);
    std::optional<dsr::SaveReport> report;
    times["busy_step"] = steps_until([&] { return (report = checkpoints_.finished()); });
    if (!report->acknowledged) throw dsr::Error(report->reason);
    times["stall"] = report->stall_ms / 1e3;
    times["set"] = report->write_s;
    if (round % 2 == 1) times["copy"] = copy();
  }

  void plain_set(std::map<std::string, double>& times) {
    freshen();
    std::atomic<bool> ended{false};
    std::thread writer{[&] {
      times["plain_set"] = seconds([&] { write_plain_file(); });
      ended = true;
    }};
    double const step = steps_until([&] { return ended.load(); });
    writer.join();
    times["plain_step"] = step;
    std::filesystem::remove(plain_ + "/plain");
  }

  /// The same bytes again, without training beside it.
  void our_write(std::map<std::string, double>& times) {
    std::vector<dsr::HostPiece> const pieces = checkpoints_.staging().pieces();
    std::string const path = plain_ + "/" + dsr::rank_file_name(runtime_.rank());
    freshen();
    double const before = processor_seconds();
    times["file"] = seconds([&] {
      dsr::write_rank_file(dsr::system_files(), plain_, runtime_.rank(), pieces,
                           {.threads = settings_.threads});
    });
    times["file_cpu"] = processor_seconds() - before;
    std::filesystem::remove(path);
  }

  void plain_write(std::map<std::string, double>& times) {
    freshen();
    double const before = processor_seconds();
    times["plain_write"] = seconds([&] { write_plain_file(); });
    times["plain_write_cpu"] = processor_seconds() - before;
    std::filesystem::remove(plain_ + "/plain");
  }

  void write_plain_file() {
    dsr::FileSystem& files = dsr::system_files();
    auto const file = files.create(plain_ + "/plain");
    file->allocate(kHead_bytes + state_.bytes());
    std::atomic<Size> next{0};
    auto const work = [&] {
      for (Size at = next.fetch_add(kCall_bytes); at < state_.bytes();
           at = next.fetch_add(kCall_bytes)) {
        Size const bytes = std::min(kCall_bytes, state_.bytes() - at);
        file->write_at(kHead_bytes + at, {host() + at, static_cast<std::size_t>(bytes)});
      }
    };
    std::vector<std::thread> others;
    for (int i = 1; i < settings_.threads; ++i) others.emplace_back(work);
    work();
    for (std::thread& other : others) other.join();
    file->sync_data();
    file->close();
    files.sync_directory(plain_);
  }

  std::string newest_file() {
    return directory_ + "/" + to_string(*checkpoints_.newest()) + "/" +
           dsr::rank_file_name(runtime_.rank());
  }

  /// To where a reader of this device puts it first: the state itself, or page-locked memory.
  double plain_read() {
    auto const file = dsr::system_files().open(newest_file());
    auto* const to =
        mesh_.device() == dsr::kCpu ? reinterpret_cast<std::byte*>(state_.data()) : host();
    return seconds([&] {
      for (Size at = 0; at < state_.bytes(); at += kCall_bytes) {
        Size const bytes = std::min(kCall_bytes, state_.bytes() - at);
        file->read_at(at, {to + at, static_cast<std::size_t>(bytes)});
      }
    });
  }

  void load(std::map<std::string, double>& times) {
    state_.clear();
    times["load"] = seconds([&] { checkpoints_.load(state_.state()); });
    right_ = right_ && state_.full();
  }

  /// As ours: payload lies behind other pages there, so that a file system does not cache whole
  /// megabytes as one.
  static constexpr Size kCall_bytes = Size{512} << 10, kHead_bytes = 4096;

  dsr::Runtime& runtime_;
  Settings const& settings_;
  dsr::Mesh mesh_;
  std::string directory_, plain_;
  FlatState state_;
  Step step_;
  dsr::Checkpointer checkpoints_;
  dsr::Buffer own_;
  std::map<std::string, std::vector<double>> results_;
  bool right_ = true;
};

}  // namespace

int main(int argc, char** argv) {
  Settings const settings = parse(argc, argv);
  try {
    dsr::Runtime runtime{argc, argv, {.device = dsr::parse_device(settings.device)}};
    if (runtime.rank() == 0) std::filesystem::remove_all(settings.directory);
    dsr::all_reduce_value(0, dsr::Reduce::max, runtime.world());  // removed, before anyone writes
    {
      Benchmark benchmark{runtime, settings};
      benchmark.run();
      benchmark.print();
    }
    dsr::all_reduce_value(0, dsr::Reduce::max, runtime.world());
    if (runtime.rank() == 0) std::filesystem::remove_all(settings.directory);
  } catch (dsr::Error const& error) {
    std::cerr << error.what() << '\n';
    return error.exit_code();
  }
  return 0;
}
