// SPDX-License-Identifier: Apache-2.0
// How a Trainer's ranks come to one choice of algorithms.
#include "dsr/comm/agree.hpp"
#include "dsr/comm/collectives.hpp"
#include "dsr/core/error.hpp"
#include "dsr/io/files.hpp"
#include "dsr/train/trainer.hpp"

namespace dsr {

/// Rank 0 reads what it kept, or times products as the first step meets them; the others wait for
/// it in the step's collectives and take the libraries' first proposals until then.
void Trainer::start_algorithms() {
  bool const cuda = mesh_->device().kind == Device::Kind::cuda;
  bool const timed = options_.algorithms.choice == AlgorithmChoice::timed;
  algorithms_are_shared_ = !cuda || !timed;
  if (!cuda) return;
  AlgorithmOptions mine = options_.algorithms;
  if (runtime_->rank() != 0) mine.choice = AlgorithmChoice::heuristic;
  choose_algorithms(mine, compute_);
  if (!timed || runtime_->rank() != 0 || !file_exists(options_.algorithms_file)) return;
  try {
    load_algorithms(read_text(options_.algorithms_file), compute_);
  } catch (Error const& error) {
    // Another GPU, another library, or a torn file: nothing is lost but the time to choose anew.
    runtime_->log().warn(std::string(error.what()) + "; in " + options_.algorithms_file);
  }
}

/// After the first step: the same products take the same algorithms on all ranks.
void Trainer::share_algorithms() {
  algorithms_are_shared_ = true;
  std::string const mine = runtime_->rank() == 0 ? save_algorithms(compute_) : std::string{};
  if (runtime_->size() > 1) {
    std::string const chosen = broadcast_text(mine, 0, runtime_->world());
    agree(runtime_->world(), [&] { follow_algorithms(chosen, compute_); });
    AlgorithmOptions rest = options_.algorithms;
    rest.choice = AlgorithmChoice::heuristic;
    choose_algorithms(rest, compute_);
  }
  if (runtime_->rank() != 0 || options_.algorithms_file.empty()) return;
  try {
    FileWriter{options_.algorithms_file, FileStart::empty}.line(
        std::string_view{mine}.substr(0, mine.find_last_not_of('\n') + 1));
  } catch (Error const& error) {
    runtime_->log().warn(std::string(error.what()) + "; the choice of algorithms is not kept");
  }
}

}  // namespace dsr
