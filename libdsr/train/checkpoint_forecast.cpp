// SPDX-License-Identifier: Apache-2.0
#include "libdsr/train/checkpoint_forecast.hpp"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <string>

#include "dsr/checkpoint/sets.hpp"
#include "dsr/comm/collectives.hpp"
#include "dsr/core/buffer.hpp"
#include "dsr/core/error.hpp"
#include "dsr/core/transfer.hpp"
#include "dsr/observe/format.hpp"
#include "dsr/state/pieces.hpp"

namespace dsr::detail {
namespace {

Size bytes_of(std::vector<StatePiece> const& pieces) {
  Size bytes = 0;
  for (StatePiece const& piece : pieces) bytes += piece.box.elements() * size_of(piece.dtype);
  return bytes;
}

/// Bytes a second from the device into host memory. The first copy touches the pages.
double copy_rate(Device device, Stream& stream) {
  constexpr Size kSample_bytes = Size{16} << 20;
  Buffer const from{kSample_bytes, device};
  Buffer const to = Buffer::pinned(kSample_bytes);
  Tensor const x{from.data(), {kSample_bytes / 4}, DType::f32, device};
  Tensor const out{to.data(), {kSample_bytes / 4}, DType::f32, kCpu};
  zero(x, stream);
  double seconds = 0;
  for (int round = 0; round < 2; ++round) {
    stream.synchronize();
    auto const start = std::chrono::steady_clock::now();
    transfer(x, out, stream);
    stream.synchronize();
    seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  }
  return static_cast<double>(kSample_bytes) / std::max(seconds, 1e-9);
}

/// Sets of this size that a directory has room for, as this rank sees it; infinitely many where
/// nobody can say.
double room(FileSystem& files, std::string const& directory, Size set_bytes) {
  constexpr double kUnknown = 1e18;
  try {
    Size bytes = files.free_bytes(directory);
    for (FoundSet const& set : sets_of_tier(files, directory)) {
      if (!set.committed) continue;
      for (StoredFile const& file : set.manifest->files) bytes += file.bytes;
    }
    return static_cast<double>(bytes) / static_cast<double>(std::max(set_bytes, Size{1}));
  } catch (IoError const&) {
    return kUnknown;
  }
}

struct Forecast {
  Runtime& runtime;
  FileSystem& files;
  std::string line = {};

  /// The rank with the least room counts.
  void add(Tier tier, std::string const& directory, Size set_bytes, int keep) {
    double const sets =
        all_reduce_value(room(files, directory, set_bytes), Reduce::min, runtime.world());
    char text[64] = "over 1000";
    if (sets <= 1000) std::snprintf(text, sizeof text, "%.1f", sets);
    std::string const name{name_of(tier)};
    line += "; " + name + ": room for " + text + " sets";
    if (runtime.rank() != 0 || sets >= keep + 1) return;
    runtime.log().warn("checkpoint." + name + ".path: " + directory + " has room for " + text +
                       " sets of " + format_bytes(set_bytes) + ", keep = " + std::to_string(keep) +
                       " needs " + std::to_string(keep + 1));
  }
};

}  // namespace

void say_forecast(Runtime& runtime, FileSystem& files, State const& state, Mesh const& mesh,
                  Stream& stream, CheckpointOptions const& options) {
  Communicator& world = runtime.world();
  Size const mine = bytes_of(stored_by(state, mesh));
  auto const total =
      static_cast<Size>(all_reduce_value(static_cast<double>(mine), Reduce::sum, world));
  auto const most =
      static_cast<Size>(all_reduce_value(static_cast<double>(mine), Reduce::max, world));
  double const stall_s = all_reduce_value(
      static_cast<double>(mine) / copy_rate(mesh.device(), stream), Reduce::max, world);
  char stall[64];
  std::snprintf(stall, sizeof stall, "%.2g", stall_s * 1e3);
  Forecast forecast{runtime, files};
  forecast.line = "a set has " + format_bytes(total) +
                  ", a step that is saved stands still for about " + stall + " ms";
  if (!options.hot.directory.empty()) {
    Size const copies = options.hot.partner == Partner::next ? 2 : 1;
    forecast.add(Tier::hot, options.hot.directory + "/" + options.run_id,
                 most * runtime.node_size() * copies, options.hot.keep);
  }
  if (!options.warm.directory.empty())
    forecast.add(Tier::warm, options.warm.directory, total, options.warm.keep);
  if (runtime.rank() == 0) runtime.log().info(forecast.line);
}

}  // namespace dsr::detail
