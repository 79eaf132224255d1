// SPDX-License-Identifier: Apache-2.0
/// Memory by parts: against the Buffers that a real training run makes, and what is advised where
/// there is too little.
#include "dsr/plan/memory.hpp"

#include <algorithm>
#include <optional>
#include <string>
#include <vector>

#include "dsr/core/error.hpp"
#include "dsr/ops/algorithms.hpp"
#include "dsr/train/trainer.hpp"
#include "support/catch.hpp"
#include "support/device.hpp"
#include "support/meshes.hpp"
#include "support/ranks.hpp"
#include "support/text_of.hpp"

namespace dsr {
namespace {

constexpr Size kMiB = Size{1} << 20;
constexpr Size kCounters = Size{64} << 10;  // of kernels' blocks, not worth a part of their own

/// On CUDA heads of 16, which cuDNN takes.
GptConfig small() {
  if (test::on_cuda())
    return {.layers = 3, .hidden = 192, .heads = 12, .vocabulary = 100, .sequence = 16};
  return {.layers = 3, .hidden = 48, .heads = 12, .vocabulary = 100, .sequence = 16};
}

Size bytes_of(DryRun const& run, std::string_view what) {
  Size bytes = 0;
  for (MemoryPart const& part : memory_parts(run)) {
    if (part.what == what) bytes += part.bytes;
  }
  return bytes;
}

/// Bytes that the Buffers of one rank's training hold on its device: made before the first step,
/// and in it (on CUDA the batch and the libraries' workspaces).
struct Held {
  Size parameters = 0, optimizer = 0, trainer = 0, step = 0;
};

Held held(MeshShape const& shape, DryRunOptions const& options) {
  Held held;
  Device const device = test::runtime().device();
  Size before = 0;
  auto const grown = [&] {
    Size const now = allocated_bytes(device), growth = now - before;
    before = now;
    return growth;
  };
  Mesh const mesh{test::runtime(), shape};
  before = allocated_bytes(device);
  Gpt model{small(), mesh};
  Parameters parameters{model, mesh, {.dtype = test::dtype()}};
  held.parameters = grown();
  AdamW optimizer{parameters, {.zero = options.zero}};
  held.optimizer = grown();
  std::vector<std::int32_t> list(200, 5);
  Loader loader{memory_tokens(std::move(list), small().vocabulary),
                mesh,
                {.batch = options.micro_batch * shape.dp,
                 .micro_batch = options.micro_batch,
                 .sequence = small().sequence}};
  Trainer trainer{test::runtime(), mesh,   model,
                  optimizer,       loader, {.pass = options.pass, .check_every = 0}};
  held.trainer = grown();
  static_cast<void>(trainer.step());
  held.step = grown();
  return held;
}

TEST_CASE("the parts are the bytes that a training run allocates") {
  for (MeshShape const& shape : test::promised_meshes(test::runtime().size())) {
    for (Recompute recompute : {Recompute::none, Recompute::selective, Recompute::block}) {
      for (ZeroStage zero : {ZeroStage::zero, ZeroStage::one}) {
        INFO(to_string(shape) << ", recompute " << static_cast<int>(recompute) << ", zero "
                              << static_cast<int>(zero));
        DryRunOptions const options{.micro_batch = 2,
                                    .zero = zero,
                                    .pass = {.dtype = test::dtype(), .recompute = recompute},
                                    .device = test::device().kind};
        DryRun const run = dry_run(small(), shape, options);
        Held const found = held(shape, options);
        CHECK(found.parameters == bytes_of(run, "weights and gradients"));
        // A few numbers of the norm lie beside the state; copies of them on the host count here.
        Size const beside = found.optimizer - bytes_of(run, "optimizer state");
        CHECK((beside >= 0 && beside <= kAlignment_bytes));
        Size const arenas = bytes_of(run, "saved for backward") + bytes_of(run, "scratch");
        Size const batch = bytes_of(run, "batch and sums"), others = found.trainer - arenas;
        CHECK((others > 0 && others <= batch + kAlignment_bytes));
        // What stays after a step on the CPU is the staging of collectives, if anything.
        if (!test::on_cuda()) continue;
        CHECK(found.step >= kMatmulWorkspace_bytes);
        CHECK(found.parameters + found.optimizer + found.trainer + found.step <=
              needed_bytes(run) - bytes_of(run, "libraries") - bytes_of(run, "NCCL") + kCounters);
      }
    }
  }
}

TEST_CASE("less is saved the more is computed again, and the report names the mode") {
  if (test::on_cuda()) return;  // no device is asked
  DryRunOptions options{.micro_batch = 2};
  Size before = dry_run(small(), {}, options).arenas.saved_bytes;
  for (Recompute recompute : {Recompute::selective, Recompute::block}) {
    options.pass.recompute = recompute;
    DryRun const run = dry_run(small(), {}, options);
    CHECK(run.arenas.saved_bytes < before);
    before = run.arenas.saved_bytes;
    CHECK(test::contains(
        report(run), recompute == Recompute::block ? "recompute block" : "recompute selective"));
  }
  // By hand, in units of T·H elements. selective leaves 1 (the embedding) and, of each layer, its
  // pair (2), qkv, context and h (3 + 1 + 4); the last norm and the head's gradient have 2. Shared
  // are a norm's output (1) and an activation (4). Statistics are 2 numbers a token for each norm,
  // the logarithms of attention's sums 1 for each head.
  GptConfig const c = small();
  Size const tokens = 2 * c.sequence, unit = tokens * c.hidden * 4, numbers = tokens * 4;
  options.pass.recompute = Recompute::selective;
  CHECK(dry_run(c, {}, options).arenas.saved_bytes ==
        unit * (1 + c.layers * 10 + 2 + 5) + numbers * ((2 * c.layers + 1) * 2 + c.layers * 12));
  // block leaves the pairs; one block's 2 + 1 + 1 + 3 + 1 + 4 + 4 stand on top of them, when the
  // last one runs again beside the last norm, its statistics and the head's gradient.
  options.pass.recompute = Recompute::block;
  CHECK(dry_run(c, {}, options).arenas.saved_bytes ==
        unit * (1 + c.layers * 2 + 2 + 16) + numbers * (2 + 2 * 2 + 12));
}

TEST_CASE("on CUDA the libraries' memory is estimated, by name") {
  DryRunOptions options{
      .micro_batch = 8, .pass = {.dtype = DType::bf16}, .device = Device::Kind::cuda};
  DryRun const one = dry_run(gpt2_124m(), {}, options);
  CHECK(bytes_of(one, "workspace of products") == kMatmulWorkspace_bytes);
  CHECK(bytes_of(one, "NCCL") == 0);
  CHECK(device_bytes(one) == needed_bytes(one) + kCudaContext_bytes);
  CHECK(needed_bytes(one) > one.total_bytes() + kMatmulWorkspace_bytes);
  // f32 masters and two moments beside bf16 values and f32 gradients.
  CHECK(one.optimizer_bytes == 2 * one.parameter_bytes);
  DryRun const two = dry_run(gpt2_124m(), {.dp = 2}, options);
  CHECK(bytes_of(two, "NCCL") > 100 * kMiB);
  options.nccl_buffer_bytes = 64 * 1024;
  CHECK(bytes_of(dry_run(gpt2_124m(), {.dp = 2}, options), "NCCL") < bytes_of(two, "NCCL"));
  for (char const* part : {"workspace of products", "libraries", "context", "used on the device"})
    CHECK(test::contains(report(one), part));
  options.micro_batch = 64;
  CHECK(bytes_of(one, "workspace of attention") == 0);  // the products' is large enough
  CHECK(bytes_of(dry_run(gpt2_124m(), {}, options), "workspace of attention") > 100 * kMiB);
}

/// What a report advises, after "nearest".
std::string advised(std::string const& text) {
  std::size_t const at = text.find("; nearest ");
  return at == std::string::npos ? "" : text.substr(at);
}

TEST_CASE("too little memory: what was needed by what, and what would fit") {
  if (test::on_cuda()) return;  // no device is asked
  DryRunOptions const options{.micro_batch = 8, .accumulation = 1};
  DryRun const run = dry_run(small(), {.dp = 2}, options);
  Size const needed = needed_bytes(run);
  CHECK(fit_report(run, needed).empty());
  CHECK_NOTHROW(require_memory(run, needed));
  std::string const text = test::text_of<OutOfMemory>([&] { require_memory(run, needed - 1); });
  CHECK(text.starts_with("dsr: memory: "));
  for (char const* part : {"weights and gradients", "optimizer state", "saved for backward",
                           "scratch", "allowed up to ", "which is free"})
    CHECK(test::contains(text, part));
  CHECK(text.find('\n') == text.npos);
  CHECK(test::contains(advised(text), "train.micro_batch=4 ("));
  CHECK(test::contains(advised(text), "train.recompute=selective ("));
  CHECK(test::contains(advised(text), "mesh.dp=1 mesh.row=2 mesh.col=1 on 2 ranks ("));
}

TEST_CASE("what is advised fits, and the step before it does not") {
  if (test::on_cuda()) return;  // no device is asked
  DryRunOptions options{.micro_batch = 8};
  DryRun const run = dry_run(small(), {}, options);
  options.micro_batch = 2;
  options.accumulation = 4;
  Size const free_bytes = needed_bytes(dry_run(small(), {}, options));
  std::string const text = fit_report(run, free_bytes);
  CHECK(test::contains(advised(text), "train.micro_batch=2 ("));
  CHECK_FALSE(test::contains(advised(text), "micro_batch=4"));
}

TEST_CASE("the optimizer's state can be shared out, and the last resort is all of it together") {
  if (test::on_cuda()) return;  // no device is asked
  DryRunOptions options{.micro_batch = 8};
  DryRun const run = dry_run(small(), {.dp = 4}, options);
  options.zero = ZeroStage::one;
  Size const shared = needed_bytes(dry_run(small(), {.dp = 4}, options));
  CHECK(test::contains(advised(fit_report(run, shared)), "train.zero=1 ("));
  CHECK_FALSE(test::contains(advised(fit_report(run, shared - 1)), "train.zero=1 ("));
  DryRunOptions const least{
      .micro_batch = 1, .accumulation = 16, .pass = {.recompute = Recompute::block}};
  Size const together = needed_bytes(dry_run(small(), {.dp = 2, .row = 2}, least));
  std::string const all = advised(fit_report(run, together));
  INFO(all);
  CHECK(test::contains(all, "train.micro_batch=1 train.recompute=block mesh.dp=2 mesh.row=2"));
}

TEST_CASE("where one change is not enough two are tried, and where nothing helps that is said") {
  if (test::on_cuda()) return;  // no device is asked
  DryRunOptions least{.micro_batch = 1, .accumulation = 8, .pass = {.recompute = Recompute::block}};
  DryRun const run = dry_run(small(), {}, {.micro_batch = 8});
  Size const free_bytes = needed_bytes(dry_run(small(), {}, least));
  CHECK(test::contains(advised(fit_report(run, free_bytes)),
                       "train.micro_batch=1 train.recompute=block ("));
  CHECK(test::contains(advised(fit_report(run, 1000)), "a smaller model"));
  // Already there: only a mesh is left.
  std::string const last = advised(fit_report(dry_run(small(), {}, least), free_bytes - 1));
  CHECK_FALSE(test::contains(last, "train."));
  CHECK(test::contains(last, "mesh.dp=1 mesh.row=2 mesh.col=1 on 2 ranks"));
}

TEST_CASE("a mesh that the model does not fit is not advised") {
  GptConfig const odd{.layers = 2, .hidden = 27, .heads = 3, .vocabulary = 50, .sequence = 16};
  DryRun const run = dry_run(odd, {}, {.micro_batch = 4});
  CHECK_FALSE(test::contains(fit_report(run, needed_bytes(run) - 1), "mesh."));
}

}  // namespace
}  // namespace dsr
