// SPDX-License-Identifier: Apache-2.0
#pragma once
/// TrainSettings: every key of a file of settings for GPT training, with its default.
///
///     TrainSettings settings;
///     KeyTable table;
///     bind(table, settings);
///     configure(table, {.file_name = path, .text = text});
///     settings.train.lr;                                       // the key train.lr
///
/// Plain values: the rooms that use them check what keys must fulfil together (heads divide hidden,
/// a mesh fits).
#include <string>
#include <vector>

#include "dsr/config/key_table.hpp"

namespace dsr {

struct ModelSettings {
  Size layers = 4, hidden = 128, heads = 4;
  Size ffn = 0;  ///< 0: 4·hidden
  Size vocab = 256;
  Size sequence = 64;
  double dropout = 0;
  bool bias = true, tied = true;
};

struct MeshSettings {
  int dp = 1, row = 1, col = 1;
  std::vector<std::string> order = {"dp", "pp", "row", "col"};  ///< outermost first
};

struct DataSettings {
  std::string train, val;
  std::string format = "auto";  ///< auto, text or nanogpt
  double split = 0.1;           ///< part of `train` that is kept for validation if `val` is empty
};

struct StepSettings {
  Size steps = 1000;
  Size batch = 12, micro_batch = 6;
  double lr = 1e-3, min_lr = 0;
  Size warmup = 100;
  Size decay_steps = 0;  ///< 0: constant after warm-up
  double weight_decay = 0.1, beta1 = 0.9, beta2 = 0.95, eps = 1e-8;
  double clip = 1;  ///< 0: no clipping
  int zero = 0;
  bool regather = true;
  std::string recompute = "none";  ///< none, selective or block
  bool deterministic = false;       ///< on CUDA: attention's gradient too
  Size eval_every = 100;           ///< 0: never
  Size eval_batches = 10;
  Size seed = 1337;
};

struct RunSettings {
  std::string dir = "run";
  std::string device = "cpu";
};

/// NCCL's own settings; empty and 0 leave them to NCCL or to the environment.
struct NcclSettings {
  std::string socket_ifname, debug, algo, proto;
  Size buffsize = 0;
  int min_ctas = 0, max_ctas = 0;
};

/// Sets of every few steps, on a disk or in memory of each node's own.
struct HotTierSettings {
  std::string path;  ///< empty: off
  Size every = 10;   ///< steps
  int keep = 2;
  bool partner = false;
};

/// Committed sets in a folder that every node sees.
struct WarmTierSettings {
  std::string path = "checkpoints";  ///< relative to run.dir, or absolute; empty: off
  Size every = 1000;                 ///< steps; 0: not by steps
  double every_s = 1800;             ///< 0: not by time
  int keep = 3;
};

/// Models that stay.
struct ColdTierSettings {
  std::string path = "final";  ///< relative to run.dir, or absolute; empty: off
  Size every = 0;              ///< steps between milestones; 0: only the end
  int keep = 0;                ///< 0: all, else at least 2
  std::string content = "weights";  ///< weights or all
  std::string dtype = "bf16";       ///< bf16 or f32; all implies f32
  int level = 1;                    ///< of zstd
};

struct CheckpointSettings {
  std::string resume = "auto";  ///< auto, required or never
  Size staging_bytes = 0;       ///< of a rank; 0: all that it stores
  Size limit_bytes_per_s = 0;   ///< of a node; 0: none
  int threads = 1;
  std::string verify = "all";  ///< all or used
  bool at_exit = true;
  double lease_s = 30;
  std::string fragments = "auto";  ///< off, auto or always
  double mttf_s = 86400;
  HotTierSettings hot;
  WarmTierSettings warm;
  ColdTierSettings cold;
};

struct TrainSettings {
  ModelSettings model;
  MeshSettings mesh;
  DataSettings data;
  StepSettings train;
  RunSettings run;
  NcclSettings nccl;
  CheckpointSettings checkpoint;
};

/// Adds all keys, with ranges and help. `settings` must outlive the table.
void bind(KeyTable& table, TrainSettings& settings);

}  // namespace dsr
