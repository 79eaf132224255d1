// SPDX-License-Identifier: Apache-2.0
#pragma once
/// What gpu_train trains on, and a copy of it for the PyTorch twin.
///
///     dsr::Tokens tokens = bigram_tokens(1'000'000, 50304);
///     dump(parameters, loader, steps, {"folder", job});      // twin.py --load folder
#include <dsr/dsr.hpp>
#include <string>

#include "benchmarks/gpu_train/job.hpp"

namespace benchmark {

/// All equally likely: nothing can be learnt, and no two rows of a table are read alike.
dsr::Tokens uniform_tokens(dsr::Size count, dsr::Size vocabulary);

/// Frequencies that fall as 1/rank, as words' do; half of the tokens are one of two successors of
/// the token before. A model learns first the frequencies, then the successors.
dsr::Tokens bigram_tokens(dsr::Size count, dsr::Size vocabulary);

struct DumpOptions {
  std::string folder;
  Job job;
  dsr::Size steps = 0;
  double lr = 0;
  dsr::Size lr_warm_up = 0;
};

/// Writes the present weights and the batches of the loader's next steps; moves its cursor.
///
///     index.json    model, sizes, lr; name, shape and offset (in elements) of each weight
///     weights.bin   f32, little endian, row-major, whole tensors
///     tokens.bin, targets.bin   i32 [steps, batch, sequence]
///
/// One rank: throws InvalidArgument on more. Throws IoError if a file cannot be written.
void dump(dsr::Parameters const& parameters, dsr::Loader& loader, DumpOptions const& options);

}  // namespace benchmark
