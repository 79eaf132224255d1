// SPDX-License-Identifier: Apache-2.0
#include "dsr/train/settings.hpp"

#include <algorithm>
#include <string>

#include "dsr/comm/agree.hpp"
#include "dsr/comm/collectives.hpp"
#include "dsr/core/error.hpp"
#include "dsr/io/files.hpp"

namespace dsr {

void read_settings(KeyTable& table, CommandLine const& line, Runtime& runtime) {
  std::string text;
  agree(runtime.world(), [&] {
    if (runtime.rank() == 0 && !line.config.empty()) text = read_text(line.config);
  });
  configure(table, {.file_name = line.config,
                    .text = broadcast_text(text, 0, runtime.world()),
                    .settings = line.settings,
                    .missing = line.dry_run ? Missing::allow : Missing::refuse});
}

MeshShape mesh_shape(TrainSettings const& settings) {
  MeshShape shape{.dp = settings.mesh.dp, .row = settings.mesh.row, .col = settings.mesh.col};
  for (std::string const& name : settings.mesh.order) shape.order.push_back(parse_axis(name));
  return shape;
}

GptConfig gpt_config(TrainSettings const& settings) {
  ModelSettings const& m = settings.model;
  return {.layers = m.layers,
          .hidden = m.hidden,
          .heads = m.heads,
          .ffn = m.ffn,
          .vocabulary = m.vocab,
          .sequence = m.sequence,
          .bias = m.bias ? ModelBias::yes : ModelBias::no,
          .head = m.tied ? HeadWeight::tied : HeadWeight::own};
}

AdamWOptions adamw_options(TrainSettings const& settings) {
  StepSettings const& t = settings.train;
  return {.beta1 = t.beta1,
          .beta2 = t.beta2,
          .eps = t.eps,
          .weight_decay = t.weight_decay,
          .clip = t.clip,
          .zero = t.zero == 0 ? ZeroStage::zero : ZeroStage::one};
}

namespace {

/// By name alone: what is no device at all is reported where devices are checked.
bool on_cuda(TrainSettings const& settings) { return settings.run.device.starts_with("cuda"); }

DType compute_dtype(TrainSettings const& settings) {
  return on_cuda(settings) ? DType::bf16 : DType::f32;
}

/// A name that the table of keys would refuse counts as the default.
Recompute recompute(TrainSettings const& settings) {
  std::string const& name = settings.train.recompute;
  if (name == "selective") return Recompute::selective;
  return name == "block" ? Recompute::block : Recompute::none;
}

}  // namespace

ParameterOptions parameter_options(TrainSettings const& settings) {
  return {.seed = static_cast<std::uint64_t>(settings.train.seed),
          .dtype = compute_dtype(settings)};
}

PassOptions pass_options(TrainSettings const& settings) {
  return {.dtype = compute_dtype(settings),
          .regather = settings.train.regather ? Regather::yes : Regather::no,
          .recompute = recompute(settings),
          .seed = static_cast<std::uint64_t>(settings.train.seed),
          .dropout = settings.model.dropout};
}

TrainerOptions trainer_options(TrainSettings const& settings) {
  StepSettings const& t = settings.train;
  return {
      .rate = {.lr = t.lr, .min_lr = t.min_lr, .warmup = t.warmup, .decay_steps = t.decay_steps},
      .pass = pass_options(settings),
      .algorithms = {.choice = AlgorithmChoice::timed,
                     .deterministic = t.deterministic ? Determinism::on : Determinism::off},
      .algorithms_file =
          settings.run.dir.empty() ? std::string{} : settings.run.dir + "/algorithms.txt"};
}

namespace {

/// A path is relative to the run's folder unless it begins with '/'; an empty one stays so.
std::string in_run(TrainSettings const& settings, std::string const& path) {
  return path.empty() || path.starts_with('/') ? path : settings.run.dir + "/" + path;
}

}  // namespace

CheckpointOptions checkpoint_options(TrainSettings const& settings, int ranks_on_node) {
  CheckpointSettings const& c = settings.checkpoint;
  Size const limit = c.limit_bytes_per_s;
  return {.hot = {.directory = c.hot.path,
                  .keep = c.hot.keep,
                  .partner = c.hot.partner ? Partner::next : Partner::none},
          .warm = {.directory = in_run(settings, c.warm.path), .keep = c.warm.keep},
          .cold = {.directory = in_run(settings, c.cold.path),
                   .keep = c.cold.keep,
                   .content = c.cold.content == "all" ? ColdContent::all : ColdContent::weights,
                   .dtype = c.cold.dtype == "f32" ? DType::f32 : DType::bf16,
                   .level = c.cold.level},
          .staging = {.bytes = c.staging_bytes,
                      .limit_bytes_per_s = limit == 0 ? 0 : ceil_div(limit, Size{ranks_on_node}),
                      .threads = c.threads},
          .verify = c.verify == "used" ? Verify::used : Verify::all};
}

LoaderOptions loader_options(TrainSettings const& settings) {
  return {.batch = settings.train.batch,
          .micro_batch = settings.train.micro_batch,
          .sequence = settings.model.sequence,
          .seed = static_cast<std::uint64_t>(settings.train.seed),
          .vocabulary = settings.model.vocab};
}

LoaderOptions evaluation_options(TrainSettings const& settings) {
  LoaderOptions options = loader_options(settings);
  options.order = DataOrder::sequential;
  return options;
}

NcclOptions nccl_options(TrainSettings const& settings) {
  NcclSettings const& n = settings.nccl;
  return {.socket_ifname = n.socket_ifname,
          .buffsize = n.buffsize,
          .debug = n.debug,
          .algo = n.algo,
          .proto = n.proto,
          .min_ctas = n.min_ctas,
          .max_ctas = n.max_ctas};
}

DryRunOptions dry_run_options(TrainSettings const& settings) {
  return {.micro_batch = settings.train.micro_batch,
          .accumulation = loader_options(settings).accumulation(settings.mesh.dp),
          .zero = adamw_options(settings).zero,
          .pass = pass_options(settings),
          .device = on_cuda(settings) ? Device::Kind::cuda : Device::Kind::cpu,
          .nccl_buffer_bytes = settings.nccl.buffsize};
}

void validate(TrainSettings const& settings, int ranks) {
  std::string problems;
  auto const collect = [&](auto&& check) {
    try {
      check();
    } catch (InvalidArgument const& error) {
      problems += (problems.empty() ? "" : "\n") + std::string(error.what());
    }
  };
  collect([&] { require_ranks(mesh_shape(settings), ranks); });
  collect([&] { gpt_config(settings).validate(mesh_shape(settings)); });
  collect([&] { adamw_options(settings).validate(); });
  collect([&] { trainer_options(settings).rate.validate(); });
  collect([&] {
    loader_options(settings).validate();
    static_cast<void>(loader_options(settings).accumulation(settings.mesh.dp));
  });
  collect([&] { nccl_options(settings).validate(); });
  collect([&] { checkpoint_options(settings).validate(); });
  collect([&] {
    Device const device = parse_device(settings.run.device);
    if (device.kind == Device::Kind::cuda)
      gpt_config(settings).validate_on_cuda(largest_head_size(compute_capability(device)));
  });
  if (!problems.empty()) throw InvalidArgument(problems);
}

std::vector<std::string> slow_sizes(TrainSettings const& settings) {
  constexpr Size kUnit = 8;  // elements of bf16 in the 16 bytes of a load
  std::vector<std::string> texts;
  if (!on_cuda(settings)) return texts;
  GptConfig const c = gpt_config(settings);
  auto const check = [&](char const* key, Size size, Size parts) {
    Size const local = ceil_div(size, parts);
    if (local % kUnit == 0) return;
    texts.push_back(problem(key,
                            std::to_string(size) + ", which is " + std::to_string(local) +
                                " on a rank: matrix products on cuda are slow",
                            "multiples of " + std::to_string(kUnit * parts) + " are fast",
                            std::to_string(round_up(size, kUnit * parts))));
  };
  MeshShape const mesh = mesh_shape(settings);
  Size const both = mesh.size(kModelAxes);
  check("model.hidden", c.hidden, mesh.col);
  check("model.ffn", c.inner(), both);
  check("model.vocab", c.vocabulary, both);
  return texts;
}

void require_memory(TrainSettings const& settings, Runtime& runtime) {
  Device const device = runtime.device();
  if (device.kind == Device::Kind::meta) return;
  agree(runtime.world(), [&] {
    int const devices = device_count(device.kind);
    Size const sharing = ceil_div(runtime.node_size(), std::max(1, devices));
    DryRun const run =
        dry_run(gpt_config(settings), mesh_shape(settings), dry_run_options(settings));
    require_memory(run, available_bytes(device) / sharing);
  });
}

TrainingData open_data(TrainSettings const& settings, Runtime& runtime) {
  TrainingData data;
  agree(runtime.world(), [&] {
    DataSettings const& d = settings.data;
    TokenFormat const format = parse_token_format(d.format);
    Tokens const all = open_tokens(d.train, format);
    require_tokens_below(*all, settings.model.vocab);
    bool const evaluates = settings.train.eval_every > 0;
    if (!d.val.empty()) {
      data = {all, open_tokens(d.val, format)};
      require_tokens_below(*data.validation, settings.model.vocab);
    } else if (evaluates && d.split > 0) {
      Split const split = split_tokens(all, d.split);
      data = {split.train, split.validation};
    } else {
      data = {all, nullptr};
    }
    require_sequence(*data.train, settings.model.sequence);
    if (data.validation && evaluates) require_sequence(*data.validation, settings.model.sequence);
  });
  return data;
}

std::unique_ptr<MetricsWriter> open_metrics(TrainSettings const& settings, Runtime& runtime,
                                            std::optional<int> generation) {
  std::unique_ptr<MetricsWriter> metrics;
  agree(runtime.world(), [&] {
    if (runtime.rank() != 0) return;
    require_writable_directory(settings.run.dir);
    metrics = std::make_unique<MetricsWriter>(settings.run.dir + "/metrics.jsonl", generation);
  });
  return metrics;
}

}  // namespace dsr
