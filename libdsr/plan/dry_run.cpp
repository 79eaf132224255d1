// SPDX-License-Identifier: Apache-2.0
#include "dsr/plan/dry_run.hpp"

namespace dsr {

namespace {

std::vector<std::pair<AxisSet, Traffic>> used_groups(Mesh const& mesh) {
  std::vector<std::pair<AxisSet, Traffic>> used;
  for (AxisSet axes : all_products()) {
    Traffic const traffic = mesh.over(axes).traffic();
    if (traffic.total().calls > 0) used.emplace_back(axes, traffic);
  }
  return used;
}

}  // namespace

DryRun dry_run(GptConfig const& config, MeshShape const& shape, DryRunOptions const& options) {
  DryRun run{.config = config, .mesh = shape, .options = options};
  shape.validate();
  Mesh const mesh{shape};
  Gpt model{config, mesh, options.make_ffn};
  Parameters parameters{model, mesh, {.dtype = options.pass.dtype}};
  AdamW optimizer{parameters, {.zero = options.zero}};
  run.global_parameters = parameters.global_elements();
  run.parameter_bytes = parameters.local_bytes();
  run.optimizer_bytes = optimizer.state_bytes();

  Measured measured = measure(model, mesh, options.micro_batch, config.sequence, options.pass);
  run.arenas = measured.arenas;
  run.work = measured.work;
  run.micro_batch = std::move(measured.traffic);

  Stream compute{kMeta}, exchange{kMeta, StreamKind::communication};
  GradientReducer reducer{parameters, compute, exchange, options.zero};
  reducer.finish();
  optimizer.step(1, 0, compute, exchange);
  run.update = used_groups(mesh);
  return run;
}

Size sent(DryRun const& run, AxisSet axes) {
  for (auto const& [group, traffic] : run.micro_batch) {
    if (group == axes) return traffic.total().sent;
  }
  return 0;
}

}  // namespace dsr
