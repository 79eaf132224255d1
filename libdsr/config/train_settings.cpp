// SPDX-License-Identifier: Apache-2.0
#include "dsr/config/train_settings.hpp"

#include "dsr/core/device.hpp"

namespace dsr {
namespace {

void bind_model(KeyTable& table, ModelSettings& model) {
  table.add("model.layers", model.layers, {.help = "transformer blocks", .min = 1});
  table.add("model.hidden", model.hidden, {.help = "size of the residual stream", .min = 1});
  table.add("model.heads", model.heads, {.help = "attention heads", .min = 1});
  table.add("model.ffn", model.ffn, {.help = "inner size of the FFN; 0: 4 times hidden", .min = 0});
  table.add("model.vocab", model.vocab,
            {.help = "vocabulary; 256 for text", .unit = "tokens", .min = 1});
  table.add("model.sequence", model.sequence,
            {.help = "length of a sequence", .unit = "tokens", .min = 1});
  table.add("model.dropout", model.dropout,
            {.help = "share dropped after the embedding and each branch", .min = 0, .below = 1});
  table.add("model.bias", model.bias, {.help = "biases in linear layers and norms"});
  table.add("model.tied", model.tied, {.help = "the head uses the token embedding's weight"});
}

void bind_mesh(KeyTable& table, MeshSettings& mesh) {
  table.add("mesh.dp", mesh.dp, {.help = "data-parallel replicas", .unit = "ranks", .min = 1});
  table.add(
      "mesh.row", mesh.row,
      {.help = "model-parallel axis over tokens and output features", .unit = "ranks", .min = 1});
  table.add("mesh.col", mesh.col,
            {.help = "model-parallel axis over hidden features", .unit = "ranks", .min = 1});
  table.add("mesh.order", mesh.order,
            {.help = "axes, outermost first; the last has neighbouring ranks",
             .choices = {"dp", "pp", "row", "col"}});
}

void bind_data(KeyTable& table, DataSettings& data) {
  table.add("data.train", data.train, {.help = "file to train on", .presence = Presence::required});
  table.add("data.val", data.val, {.help = "file to validate on; empty: a part of data.train"});
  table.add("data.format", data.format,
            {.help = "auto: nanogpt for names that end in .bin, otherwise text",
             .choices = {"auto", "text", "nanogpt"}});
  table.add("data.split", data.split,
            {.help = "part of data.train kept for validation if data.val is empty",
             .min = 0,
             .below = 1});
}

void bind_steps(KeyTable& table, StepSettings& train) {
  table.add("train.steps", train.steps, {.help = "optimizer steps", .unit = "steps", .min = 0});
  table.add("train.batch", train.batch,
            {.help = "sequences in a step, over the whole job", .unit = "sequences", .min = 1});
  table.add(
      "train.micro_batch", train.micro_batch,
      {.help = "sequences that a replica takes in one forward", .unit = "sequences", .min = 1});
  table.add("train.lr", train.lr, {.help = "largest learning rate", .min = 0});
  table.add("train.min_lr", train.min_lr,
            {.help = "learning rate at the end of the decay", .min = 0});
  table.add("train.warmup", train.warmup, {.help = "linear warm-up", .unit = "steps", .min = 0});
  table.add("train.decay_steps", train.decay_steps,
            {.help = "step at which cosine decay reaches min_lr; 0: constant",
             .unit = "steps",
             .min = 0});
  table.add("train.weight_decay", train.weight_decay,
            {.help = "decoupled, of matrices only", .min = 0});
  table.add("train.beta1", train.beta1,
            {.help = "AdamW: memory of the mean", .min = 0, .below = 1});
  table.add("train.beta2", train.beta2,
            {.help = "AdamW: memory of the square", .min = 0, .below = 1});
  table.add("train.eps", train.eps, {.help = "AdamW: added to the denominator", .above = 0});
  table.add("train.clip", train.clip,
            {.help = "largest global gradient norm; 0: no clipping", .min = 0});
  table.add(
      "train.zero", train.zero,
      {.help = "1: optimizer state is shared out over replicas (ZeRO-1)", .min = 0, .max = 1});
  table.add("train.regather", train.regather,
            {.help = "backward gathers inputs again: less memory, more communication"});
  table.add("train.recompute", train.recompute,
            {.help = "what backward computes again to save memory: nothing, outputs of norms and "
                     "GELU, or whole blocks",
             .choices = {"none", "selective", "block"}});
  table.add("train.deterministic", train.deterministic,
            {.help = "the same bits in every run, on CUDA too: a slower gradient of attention"});
  table.add("train.eval_every", train.eval_every,
            {.help = "steps between evaluations; 0: never", .unit = "steps", .min = 0});
  table.add("train.eval_batches", train.eval_batches,
            {.help = "batches in an evaluation", .unit = "batches", .min = 1});
  table.add("train.seed", train.seed, {.help = "of weights, data order and dropout", .min = 0});
}

void bind_run(KeyTable& table, RunSettings& run) {
  table.add("run.dir", run.dir, {.help = "directory for metrics.jsonl, made if missing"});
  table.add(
      "run.device", run.device,
      {.help = "cpu, cuda or meta", .check = [](std::string const& text) { parse_device(text); }});
}

void bind_nccl(KeyTable& table, NcclSettings& nccl) {
  table.add("nccl.socket_ifname", nccl.socket_ifname,
            {.help = "network interfaces, such as eth0 or ^lo (NCCL_SOCKET_IFNAME)"});
  table.add("nccl.buffsize", nccl.buffsize,
            {.help = "buffer of a channel; 0: NCCL's choice (NCCL_BUFFSIZE)",
             .unit = "bytes",
             .min = 0});
  table.add("nccl.debug", nccl.debug,
            {.help = "what NCCL prints: version, warn, info or trace (NCCL_DEBUG)"});
  table.add("nccl.algo", nccl.algo,
            {.help = "algorithms, such as ring,tree or allreduce:tree;allgather:ring (NCCL_ALGO)"});
  table.add("nccl.proto", nccl.proto,
            {.help = "protocols: ll, ll128 and simple, as in nccl.algo (NCCL_PROTO)"});
  table.add("nccl.min_ctas", nccl.min_ctas,
            {.help = "least thread blocks of a collective; 0: NCCL's choice (NCCL_MIN_CTAS)",
             .min = 0,
             .max = 64});
  table.add("nccl.max_ctas", nccl.max_ctas,
            {.help = "most thread blocks of a collective; 0: NCCL's choice (NCCL_MAX_CTAS)",
             .min = 0,
             .max = 64});
}

void bind_hot(KeyTable& table, HotTierSettings& hot) {
  table.add("checkpoint.hot.path", hot.path,
            {.help = "folder of each node's own, on its disk or in its memory; empty: off"});
  table.add("checkpoint.hot.every", hot.every,
            {.help = "a set is saved so often", .unit = "steps", .min = 1});
  table.add("checkpoint.hot.keep", hot.keep, {.help = "sets that stay", .unit = "sets", .min = 2});
  table.add("checkpoint.hot.partner", hot.partner,
            {.help = "the next node keeps a copy of each node's files"});
}

void bind_warm(KeyTable& table, WarmTierSettings& warm) {
  table.add("checkpoint.warm.path", warm.path,
            {.help = "folder that every node sees; relative to run.dir; empty: off"});
  table.add("checkpoint.warm.every", warm.every,
            {.help = "a set is saved so often; 0: not by steps", .unit = "steps", .min = 0});
  table.add("checkpoint.warm.every_s", warm.every_s,
            {.help = "and after so long, whichever comes first; 0: not by time",
             .unit = "s",
             .min = 0});
  table.add("checkpoint.warm.keep", warm.keep,
            {.help = "sets that stay", .unit = "sets", .min = 2});
}

void bind_cold(KeyTable& table, ColdTierSettings& cold) {
  table.add("checkpoint.cold.path", cold.path,
            {.help = "folder of compressed models that stay, which every node sees; relative to "
                     "run.dir; empty: off"});
  table.add("checkpoint.cold.every", cold.every,
            {.help = "steps between milestones; 0: only the end", .unit = "steps", .min = 0});
  table.add("checkpoint.cold.keep", cold.keep,
            {.help = "sets that stay, not 1; 0: all", .unit = "sets", .min = 0});
  table.add("checkpoint.cold.content", cold.content,
            {.help = "weights alone, or all that a run goes on with",
             .choices = {"weights", "all"}});
  table.add("checkpoint.cold.dtype", cold.dtype,
            {.help = "of weights; content all is stored as f32 whatever this is",
             .choices = {"bf16", "f32"}});
  table.add("checkpoint.cold.level", cold.level,
            {.help = "of zstd: larger is smaller and slower", .min = 1, .max = 19});
}

void bind_checkpoint(KeyTable& table, CheckpointSettings& checkpoint) {
  table.add("checkpoint.resume", checkpoint.resume,
            {.help = "auto: from the newest sound set, if there is one; required: or stop; never",
             .choices = {"auto", "required", "never"}});
  table.add("checkpoint.staging_bytes", checkpoint.staging_bytes,
            {.help = "memory of a rank into which its state is copied; less makes steps wait for "
                     "the disk; 0: as much as it stores",
             .unit = "bytes",
             .min = 0});
  table.add("checkpoint.limit_bytes_per_s", checkpoint.limit_bytes_per_s,
            {.help = "most that a node writes; 0: no limit", .unit = "bytes/s", .min = 0});
  table.add("checkpoint.threads", checkpoint.threads,
            {.help = "of a rank, that copy, hash, compress and write", .min = 1, .max = 256});
  table.add("checkpoint.verify", checkpoint.verify,
            {.help = "what is hashed before a set is used: all of it, or what this mesh reads",
             .choices = {"all", "used"}});
  table.add("checkpoint.at_exit", checkpoint.at_exit,
            {.help = "a warm set at the end, and on SIGTERM and SIGUSR1, which then end the run "
                     "with exit code 75"});
  table.add("checkpoint.lease_s", checkpoint.lease_s,
            {.help = "a run whose lock has not moved for so long is taken to be dead",
             .unit = "s",
             .max = 86400,
             .above = 0});
  table.add("checkpoint.fragments", checkpoint.fragments,
            {.help = "gradients saved between micro-batches; auto: if that pays at mttf_s",
             .choices = {"off", "auto", "always"}});
  table.add("checkpoint.mttf_s", checkpoint.mttf_s,
            {.help = "mean time between failures of the job, for fragments",
             .unit = "s",
             .above = 0});
  bind_hot(table, checkpoint.hot);
  bind_warm(table, checkpoint.warm);
  bind_cold(table, checkpoint.cold);
}

}  // namespace

void bind(KeyTable& table, TrainSettings& settings) {
  bind_model(table, settings.model);
  bind_mesh(table, settings.mesh);
  bind_data(table, settings.data);
  bind_steps(table, settings.train);
  bind_run(table, settings.run);
  bind_nccl(table, settings.nccl);
  bind_checkpoint(table, settings.checkpoint);
}

}  // namespace dsr
