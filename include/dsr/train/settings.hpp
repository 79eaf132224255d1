// SPDX-License-Identifier: Apache-2.0
#pragma once
/// From a file of settings to the options of each part, and the files that a run reads and writes.
///
///     dsr::TrainSettings settings = …;
///     dsr::Mesh mesh{runtime, dsr::mesh_shape(settings)};
///     dsr::Gpt model{dsr::gpt_config(settings), mesh};
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "dsr/checkpoint/checkpoint_options.hpp"
#include "dsr/comm/nccl_options.hpp"
#include "dsr/comm/runtime.hpp"
#include "dsr/config/command_line.hpp"
#include "dsr/config/train_settings.hpp"
#include "dsr/data/loader.hpp"
#include "dsr/model/gpt.hpp"
#include "dsr/observe/metrics.hpp"
#include "dsr/plan/memory.hpp"
#include "dsr/train/trainer.hpp"

namespace dsr {

/// Rank 0 reads the command line's file, all ranks parse the same text. Throws IoError (as
/// AgreedError) or InvalidArgument with all problems, on every rank.
void read_settings(KeyTable& table, CommandLine const& line, Runtime& runtime);

MeshShape mesh_shape(TrainSettings const& settings);
GptConfig gpt_config(TrainSettings const& settings);
AdamWOptions adamw_options(TrainSettings const& settings);
/// bf16 with f32 masters on CUDA, f32 elsewhere; pass_options likewise.
ParameterOptions parameter_options(TrainSettings const& settings);
PassOptions pass_options(TrainSettings const& settings);
TrainerOptions trainer_options(TrainSettings const& settings);
/// Of all tiers, on a rank of a node that has `ranks_on_node` of them; without a run id.
CheckpointOptions checkpoint_options(TrainSettings const& settings, int ranks_on_node = 1);
LoaderOptions loader_options(TrainSettings const& settings);
/// The same for validation: in the order of the source.
LoaderOptions evaluation_options(TrainSettings const& settings);
/// For apply(), before the Runtime moves to CUDA.
NcclOptions nccl_options(TrainSettings const& settings);
DryRunOptions dry_run_options(TrainSettings const& settings);

/// Everything that settings alone can get wrong (sizes, mesh and model, batch, device), before any
/// data is read. `ranks`: of the job; for a dry run those of the mesh. Throws one InvalidArgument
/// with all problems.
void validate(TrainSettings const& settings, int ranks);

/// Sizes on one rank that the device takes, but slowly, one text each; none on the CPU.
std::vector<std::string> slow_sizes(TrainSettings const& settings);

/// For after Runtime::use and before anything is allocated: that each rank's share of its device's
/// memory is enough. Ranks that share a device share its memory. Collective; throws the same
/// OutOfMemory (as AgreedError), with advice, on every rank.
void require_memory(TrainSettings const& settings, Runtime& runtime);

/// The training and validation tokens of [data]; collective, throws the same error on every rank.
struct TrainingData {
  Tokens train, validation;  ///< validation may be null
};
TrainingData open_data(TrainSettings const& settings, Runtime& runtime);

/// Makes run.dir and opens its metrics.jsonl on rank 0, for appending; null on other ranks.
/// `generation`: see MetricsWriter. Collective, throws AgreedError. Two runs that write into one
/// folder spoil it: TrainingCheckpoints, made before, keeps the second one away.
std::unique_ptr<MetricsWriter> open_metrics(TrainSettings const& settings, Runtime& runtime,
                                            std::optional<int> generation = {});

}  // namespace dsr
