// SPDX-License-Identifier: Apache-2.0
#include "benchmarks/gpu_train/data.hpp"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <vector>

namespace benchmark {

namespace {

using dsr::Size;

std::array<std::uint32_t, 4> bits_of(Size i) {
  dsr::RandomKey const key = dsr::random_key(1, dsr::RandomPurpose::user, 0, 0);
  return dsr::random_bits(key, {static_cast<std::uint32_t>(i), 0, 0, 0});
}

class File {
 public:
  File(std::string const& folder, std::string const& name)
      : path_(std::filesystem::path{folder} / name), out_(path_, std::ios::binary) {}
  void write(void const* data, std::size_t bytes) {
    out_.write(static_cast<char const*>(data), static_cast<std::streamsize>(bytes));
  }
  void close() {
    out_.close();
    if (!out_) throw dsr::IoError(dsr::problem("gpu_train", path_.string() + " cannot be written"));
  }

 private:
  std::filesystem::path path_;
  std::ofstream out_;
};

/// The values as f32 on the host.
std::vector<float> read(dsr::Tensor value) {
  dsr::Stream stream{value.device()};
  auto const count = static_cast<std::size_t>(value.elements());
  std::vector<float> result(count);
  if (value.dtype() == dsr::DType::f32) {
    dsr::transfer(value, {result.data(), value.shape(), dsr::DType::f32, dsr::kCpu}, stream);
    stream.synchronize();
    return result;
  }
  std::vector<dsr::Bf16> rounded(count);
  dsr::transfer(value, {rounded.data(), value.shape(), dsr::DType::bf16, dsr::kCpu}, stream);
  stream.synchronize();
  std::ranges::transform(rounded, result.begin(),
                         [](dsr::Bf16 x) { return static_cast<float>(x); });
  return result;
}

nlohmann::json write_weights(dsr::Parameters const& parameters, std::string const& folder) {
  File file{folder, "weights.bin"};
  nlohmann::json list = nlohmann::json::array();
  std::size_t offset = 0;
  for (dsr::ParameterPlace const& place : parameters.all()) {
    std::vector<float> const values = read(place.parameter->value());
    nlohmann::json shape = nlohmann::json::array();
    for (int i = 0; i < place.parameter->value().shape().rank(); ++i)
      shape.push_back(place.parameter->value().size(i));
    list.push_back({{"name", place.parameter->name()}, {"shape", shape}, {"offset", offset}});
    file.write(values.data(), values.size() * sizeof(float));
    offset += values.size();
  }
  file.close();
  return list;
}

void write_batches(dsr::Loader& loader, Size steps, std::string const& folder) {
  File tokens{folder, "tokens.bin"}, targets{folder, "targets.bin"};
  for (Size step = 0; step < steps; ++step, loader.advance()) {
    for (Size micro = 0; micro < loader.accumulation(); ++micro) {
      dsr::Batch const& batch = loader.next(micro);
      auto const bytes = static_cast<std::size_t>(batch.tokens.bytes());
      tokens.write(batch.tokens.raw(), bytes);
      targets.write(batch.targets.raw(), bytes);
    }
  }
  tokens.close();
  targets.close();
}

}  // namespace

dsr::Tokens uniform_tokens(Size count, Size vocabulary) {
  std::vector<std::int32_t> tokens;
  for (Size i = 0; i < count; ++i)
    tokens.push_back(
        static_cast<std::int32_t>(bits_of(i)[0] % static_cast<std::uint32_t>(vocabulary)));
  return dsr::memory_tokens(std::move(tokens), vocabulary);
}

dsr::Tokens bigram_tokens(Size count, Size vocabulary) {
  auto const words = static_cast<std::uint32_t>(vocabulary);
  std::vector<std::int32_t> tokens;
  std::uint32_t last = 0;
  for (Size i = 0; i < count; ++i) {
    auto const bits = bits_of(i);
    // exp of a uniform number has the density 1/rank.
    double const rank = std::pow(static_cast<double>(words), double{dsr::uniform(bits[1])});
    std::uint32_t const fresh = static_cast<std::uint32_t>(rank - 1) % words;
    std::uint32_t const successor = (last * 2654435761U + bits[2] % 2 * 40503U) % words;
    last = bits[0] % 2 == 0 ? fresh : successor;
    tokens.push_back(static_cast<std::int32_t>(last));
  }
  return dsr::memory_tokens(std::move(tokens), vocabulary);
}

void dump(dsr::Parameters const& parameters, dsr::Loader& loader, DumpOptions const& options) {
  if (parameters.mesh().shape().ranks() != 1) {
    throw dsr::InvalidArgument(dsr::problem(
        "gpu_train: dump", std::to_string(parameters.mesh().shape().ranks()) + " ranks", "1"));
  }
  std::error_code ignored;  // the first file that cannot be written says it
  std::filesystem::create_directories(options.folder, ignored);
  dsr::GptConfig const config = options.job.config();
  nlohmann::json index = {{"model", options.job.model},
                          {"layers", config.layers},
                          {"hidden", config.hidden},
                          {"heads", config.heads},
                          {"vocabulary", config.vocabulary},
                          {"sequence", options.job.sequence},
                          {"batch", loader.options().batch},
                          {"steps", options.steps},
                          {"lr", options.lr},
                          {"lr_warm_up", options.lr_warm_up}};
  index["weights"] = write_weights(parameters, options.folder);
  write_batches(loader, options.steps, options.folder);
  File file{options.folder, "index.json"};
  std::string const text = index.dump(1);
  file.write(text.data(), text.size());
  file.close();
}

}  // namespace benchmark
