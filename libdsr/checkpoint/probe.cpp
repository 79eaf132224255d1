// SPDX-License-Identifier: Apache-2.0
#include "dsr/checkpoint/probe.hpp"

#include "dsr/checkpoint/sets.hpp"
#include "dsr/comm/agree.hpp"
#include "dsr/comm/collectives.hpp"
#include "dsr/core/error.hpp"
#include "libdsr/checkpoint/lock_record.hpp"
#include "libdsr/checkpoint/nodes.hpp"

namespace dsr {
namespace {

/// Several ranks may make it at once.
void write_probe(FileSystem& files, std::string const& directory, std::string const& name) {
  make_directories(files, directory);
  write_durably(files, directory + "/" + name, name);
}

bool sees(FileSystem& files, std::string const& path, std::string const& content) {
  try {
    return read_text(files, path, static_cast<Size>(content.size())) == content;
  } catch (IoError const&) {
    return false;
  }
}

/// A probe that stays harms nobody, and the disk may have gone read-only meanwhile.
void remove_probe(FileSystem& files, std::string const& path) {
  try {
    files.remove_file(path);
  } catch (IoError const&) {
    return;
  }
}

struct Probe {
  Runtime& runtime;
  FileSystem& files;
  detail::Nodes nodes;
  std::string nonce;  // the same on all ranks, new for each start

  int node() const { return nodes.of(runtime.rank()); }
  bool leads() const { return nodes.leads(runtime.rank()); }
  std::string name(int of) const { return "probe." + nonce + "." + std::to_string(of); }

  /// What the lowest rank complains of, on all ranks; waits for all.
  void require(std::string const& complaint) const {
    agree(runtime.world(), [&] {
      if (!complaint.empty()) throw InvalidArgument(complaint);
    });
  }

  void require_shared(char const* key, std::string const& directory) const {
    std::string const path = directory + "/" + name(0);
    agree(runtime.world(), [&] {
      if (runtime.rank() == 0) write_probe(files, directory, name(0));
    });
    std::string complaint;
    if (leads() && !sees(files, path, name(0))) {
      complaint =
          problem(key, directory + ", where " + runtime.host() + " does not see what rank 0 writes",
                  "one directory that all nodes see", "checkpoint.hot.path for others");
    }
    wait_for_all(runtime.world());
    if (runtime.rank() == 0) remove_probe(files, path);
    require(complaint);
  }

  void require_own(char const* key, std::string const& directory) const {
    agree(runtime.world(), [&] {
      if (leads()) write_probe(files, directory, name(node()));
    });
    std::string complaint;
    for (int other = 0; leads() && other < nodes.count(); ++other) {
      if (other == node() || !sees(files, directory + "/" + name(other), name(other))) continue;
      complaint =
          problem(key, directory + ", where " + runtime.host() + " sees what another node writes",
                  "a disk or memory of each node's own", "checkpoint.warm.path for others");
    }
    wait_for_all(runtime.world());
    if (leads()) remove_probe(files, directory + "/" + name(node()));
    require(complaint);
  }
};

}  // namespace

void probe_tiers(Runtime& runtime, FileSystem& files, CheckpointOptions const& options) {
  std::string const nonce = runtime.rank() == 0 ? detail::new_nonce() : std::string{};
  Probe const probe{runtime, files, detail::Nodes{runtime, options.node},
                    broadcast_text(nonce, 0, runtime.world())};
  if (!options.warm.directory.empty())
    probe.require_shared("checkpoint.warm.path", options.warm.directory);
  if (!options.cold.directory.empty())
    probe.require_shared("checkpoint.cold.path", options.cold.directory);
  if (!options.hot.directory.empty())
    probe.require_own("checkpoint.hot.path", options.hot.directory);
}

}  // namespace dsr
