// SPDX-License-Identifier: Apache-2.0
/// Trains a GPT from a file of settings, data parallel × two-dimensional model parallel.
///
///     mpirun -np 4 --bind-to none build/release/examples/train_gpt --config examples/tiny.toml
///         --set mesh.dp=2 --set mesh.row=2 --sample 200
///
/// --help lists every key; --dry-run shows what a step needs and moves, for any mesh, without
/// mpirun.
#include <dsr/dsr.hpp>
#include <iostream>

int main(int argc, char** argv) {
  dsr::Runtime runtime{argc, argv};
  bool const first = runtime.rank() == 0;
  dsr::CommandLine const line = dsr::parse_command_line(argc, argv);
  dsr::TrainSettings settings;
  dsr::KeyTable table;
  dsr::bind(table, settings);  // add keys of your own to the table
  if (line.help || line.version) {
    if (first && line.help)
      std::cout << dsr::usage_text("train_gpt") << '\n' << dsr::help_text(table);
    if (first && line.version) std::cout << "dsr " << dsr::version() << '\n';
    return 0;
  }
  dsr::read_settings(table, line, runtime);
  dsr::validate(settings, line.dry_run ? dsr::mesh_shape(settings).ranks() : runtime.size());
  if (first) {
    for (std::string const& text : dsr::slow_sizes(settings)) runtime.log().warn(text);
  }
  if (line.dry_run) {
    if (first) {
      std::cout << dsr::report(dsr::dry_run(dsr::gpt_config(settings), dsr::mesh_shape(settings),
                                            dsr::dry_run_options(settings)));
    }
    return 0;
  }

  dsr::apply(dsr::nccl_options(settings));
  runtime.use(dsr::parse_device(settings.run.device));
  dsr::require_memory(settings, runtime);
  dsr::Mesh const mesh{runtime, dsr::mesh_shape(settings)};
  dsr::TrainingData const data = dsr::open_data(settings, runtime);

  dsr::Gpt model{dsr::gpt_config(settings), mesh};
  dsr::Parameters parameters{model, mesh, dsr::parameter_options(settings)};
  dsr::AdamW optimizer{parameters, dsr::adamw_options(settings)};
  dsr::Loader loader{data.train, mesh, dsr::loader_options(settings)};
  dsr::Trainer trainer{runtime, mesh, model, optimizer, loader, dsr::trainer_options(settings)};
  if (first) {
    std::cout << "mesh " << dsr::to_string(mesh.shape()) << ", " << parameters.global_elements()
              << " parameters, " << data.train->size() << " training tokens\n";
  }

  dsr::TrainingCheckpoints checkpoints{runtime, mesh, trainer, settings};
  checkpoints.begin(line);
  auto const metrics = dsr::open_metrics(settings, runtime, checkpoints.generation());
  checkpoints.write_to(metrics.get());
  dsr::report_to(trainer, runtime, settings.train.steps, metrics.get(), &checkpoints);
  std::optional<dsr::Loader> validation;
  if (data.validation && settings.train.eval_every > 0) {
    validation.emplace(data.validation, mesh, dsr::evaluation_options(settings));
    trainer.evaluate_every(settings.train.eval_every, *validation, settings.train.eval_batches,
                           dsr::evaluation_report(runtime, settings.train.steps, metrics.get()));
  }
  trainer.between_steps([&] { checkpoints.after_step(); });
  trainer.run_to(settings.train.steps);
  checkpoints.finish();
  if (first) {
    std::cout << "memory of buffers on " << dsr::to_string(mesh.device()) << ": "
              << dsr::format_bytes(dsr::most_allocated_bytes(mesh.device())) << " at most\n";
  }

  if (line.sample > 0 && checkpoints.exit_code() == 0) {
    auto const tokens = dsr::sample(
        model, trainer.pass(), dsr::encode_bytes("\n"),
        {.tokens = line.sample, .seed = static_cast<std::uint64_t>(settings.train.seed)});
    if (first) std::cout << "sample:\n" << dsr::decode_bytes(tokens) << '\n';
  }
  return checkpoints.exit_code();  // 75 after SIGTERM or SIGUSR1: the same command goes on
}
