// SPDX-License-Identifier: Apache-2.0
#include "dsr/config/train_settings.hpp"

#include "dsr/core/error.hpp"
#include "io/temporary_directory.hpp"
#include "support/catch.hpp"

using namespace dsr;
using namespace dsr::test;

namespace {

// Every key with a value that is not its default.
constexpr char const* kAllKeys = R"([model]
layers = 2
hidden = 64
heads = 8
ffn = 100
vocab = 257
sequence = 32
dropout = 0.25
bias = false
tied = false
[mesh]
dp = 2
row = 3
col = 4
order = "row dp col"
[data]
train = "t.bin"
val = "v.bin"
format = "nanogpt"
split = 0.5
[train]
steps = 20
batch = 24
micro_batch = 3
lr = 0.01
min_lr = 0.001
warmup = 5
decay_steps = 15
weight_decay = 0.2
beta1 = 0.8
beta2 = 0.99
eps = 1e-6
clip = 0.5
zero = 1
regather = false
recompute = "block"
deterministic = true
eval_every = 7
eval_batches = 3
seed = 42
[run]
dir = "out"
device = "meta"
[nccl]
socket_ifname = "eth0"
buffsize = 1048576
debug = "warn"
algo = "ring"
proto = "simple"
min_ctas = 2
max_ctas = 8
[checkpoint]
resume = "required"
staging_bytes = 4096
limit_bytes_per_s = 1000000
threads = 3
verify = "used"
at_exit = false
lease_s = 2.5
fragments = "always"
mttf_s = 3600
[checkpoint.hot]
path = "/local"
every = 5
keep = 6
partner = true
[checkpoint.cold]
path = "models"
every = 10000
keep = 7
content = "all"
dtype = "f32"
level = 3
[checkpoint.warm]
path = "/fast/sets"
every = 50
every_s = 60.5
keep = 4
)";

std::string refused(std::string const& setting) {
  TrainSettings settings;
  KeyTable table;
  bind(table, settings);
  return message_of<InvalidArgument>([&] { apply_set(table, setting); });
}

}  // namespace

TEST_CASE("every key of a training file reaches its member") {
  TrainSettings s;
  KeyTable table;
  bind(table, s);
  configure(table, {.file_name = "all.toml", .text = kAllKeys});
  for (Key const& key : table.keys()) {
    INFO(key.name);
    CHECK_FALSE(key.origin.empty());
    CHECK_FALSE(key.options.help.empty());
  }
  CHECK(table.keys().size() == 68);
  CHECK((s.model.layers == 2 && s.model.hidden == 64 && s.model.heads == 8 && s.model.ffn == 100));
  CHECK((s.model.vocab == 257 && s.model.sequence == 32 && s.model.dropout == 0.25));
  CHECK_FALSE((s.model.bias || s.model.tied));
  CHECK((s.mesh.dp == 2 && s.mesh.row == 3 && s.mesh.col == 4));
  CHECK(s.mesh.order == std::vector<std::string>{"row", "dp", "col"});
  CHECK((s.data.train == "t.bin" && s.data.val == "v.bin"));
  CHECK((s.data.format == "nanogpt" && s.data.split == 0.5));
  CHECK((s.train.steps == 20 && s.train.batch == 24 && s.train.micro_batch == 3));
  CHECK((s.train.lr == 0.01 && s.train.min_lr == 0.001));
  CHECK((s.train.warmup == 5 && s.train.decay_steps == 15 && s.train.weight_decay == 0.2));
  CHECK((s.train.beta1 == 0.8 && s.train.beta2 == 0.99 && s.train.eps == 1e-6 &&
         s.train.clip == 0.5));
  CHECK((s.train.zero == 1 && !s.train.regather && s.train.eval_every == 7));
  CHECK(s.train.recompute == "block");
  CHECK(s.train.deterministic);
  CHECK((s.train.eval_batches == 3 && s.train.seed == 42));
  CHECK((s.run.dir == "out" && s.run.device == "meta"));
  CHECK((s.nccl.socket_ifname == "eth0" && s.nccl.buffsize == 1048576 && s.nccl.debug == "warn"));
  CHECK((s.nccl.algo == "ring" && s.nccl.proto == "simple"));
  CHECK((s.nccl.min_ctas == 2 && s.nccl.max_ctas == 8));
  CHECK((s.checkpoint.resume == "required" && !s.checkpoint.at_exit));
  CHECK((s.checkpoint.warm.path == "/fast/sets" && s.checkpoint.warm.every == 50));
  CHECK((s.checkpoint.warm.every_s == 60.5 && s.checkpoint.warm.keep == 4));
  CheckpointSettings const& c = s.checkpoint;
  CHECK((c.staging_bytes == 4096 && c.limit_bytes_per_s == 1'000'000 && c.threads == 3));
  CHECK((c.verify == "used" && c.lease_s == 2.5 && c.fragments == "always" && c.mttf_s == 3600));
  CHECK((c.hot.path == "/local" && c.hot.every == 5 && c.hot.keep == 6 && c.hot.partner));
  CHECK((c.cold.path == "models" && c.cold.every == 10'000 && c.cold.keep == 7));
  CHECK((c.cold.content == "all" && c.cold.dtype == "f32" && c.cold.level == 3));
}

TEST_CASE("ranges of training keys") {
  for (char const* setting : {"model.layers=0",
                              "model.hidden=-1",
                              "model.heads=0",
                              "model.ffn=-1",
                              "model.vocab=0",
                              "model.sequence=0",
                              "model.dropout=1",
                              "model.bias=1",
                              "mesh.dp=0",
                              "mesh.row=0",
                              "mesh.col=-2",
                              "mesh.order=dp clo",
                              "data.format=txt",
                              "data.split=1",
                              "train.steps=-1",
                              "train.batch=0",
                              "train.micro_batch=0",
                              "train.lr=-1",
                              "train.min_lr=-1",
                              "train.warmup=-1",
                              "train.decay_steps=-1",
                              "train.weight_decay=-1",
                              "train.beta1=1",
                              "train.beta2=1",
                              "train.eps=0",
                              "train.clip=-1",
                              "train.zero=2",
                              "train.regather=yes",
                              "train.recompute=all",
                              "train.eval_every=-1",
                              "train.eval_batches=0",
                              "train.seed=-1",
                              "checkpoint.resume=maybe",
                              "checkpoint.staging_bytes=-1",
                              "checkpoint.limit_bytes_per_s=-1",
                              "checkpoint.threads=0",
                              "checkpoint.verify=none",
                              "checkpoint.at_exit=2",
                              "checkpoint.lease_s=0",
                              "checkpoint.fragments=on",
                              "checkpoint.mttf_s=0",
                              "checkpoint.hot.every=0",
                              "checkpoint.hot.keep=1",
                              "checkpoint.hot.partner=next",
                              "checkpoint.warm.every=-1",
                              "checkpoint.warm.every_s=-1",
                              "checkpoint.warm.keep=1",
                              "checkpoint.cold.every=-1",
                              "checkpoint.cold.keep=-1",
                              "checkpoint.cold.content=weight",
                              "checkpoint.cold.dtype=f16",
                              "checkpoint.cold.level=0",
                              "checkpoint.cold.level=20"}) {
    INFO(setting);
    CHECK_FALSE(refused(setting).empty());
  }
  CHECK(contains(refused("run.device=cdua"), "cuda"));
  CHECK(contains(refused("train.recompute=selectve"), "nearest selective"));
  CHECK(contains(refused("checkpoint.cold.content=weight"), "nearest weights"));
  CHECK(contains(refused("checkpoint.lease=3"), "nearest checkpoint.lease_s"));
}

TEST_CASE("a program adds keys of its own") {
  TrainSettings settings;
  double temperature = 1;
  KeyTable table;
  bind(table, settings);
  table.add("sample.temperature", temperature, {.help = "of sampling", .above = 0});
  configure(table, {.settings = {"sample.temperature=0.5", "data.train=x"}});
  CHECK(temperature == 0.5);
  CHECK(contains(help_text(table), "temperature"));
  CHECK(contains(markdown(table), "| `temperature` | `1` | number > 0 |"));
}

TEST_CASE("the file to train on is required") {
  TrainSettings settings;
  KeyTable table;
  bind(table, settings);
  CHECK(
      contains(message_of<InvalidArgument>([&] { configure(table, {}); }), "data.train: not set"));
}
