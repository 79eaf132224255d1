// SPDX-License-Identifier: Apache-2.0
#pragma once
/// Sets of a checkpoint on disk: found, committed, verified, copied, pruned, rolled back.
///
///     for (FoundSet const& set : find_sets(system_files(), "run"))
///       if (set.committed) report(verify_set(system_files(), set.directory, *set.manifest));
///
/// A set is a directory <tier>/step_000001200.g002. It is committed once it has a manifest.json
/// that is sound; everything else in it may then be checked against that. Nothing communicates.
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "dsr/checkpoint/manifest.hpp"
#include "dsr/core/shape.hpp"
#include "dsr/io/file_system.hpp"

namespace dsr {

inline constexpr char const* kManifestName = "manifest.json";

/// Which step a set holds, and which start of the run wrote it.
struct SetName {
  Size step = 0;
  int generation = 0;
  auto operator<=>(SetName const&) const = default;
};

/// "step_000001200.g002". Throws InvalidArgument for a step over 9 digits or a generation over 3.
std::string to_string(SetName name);

/// The inverse; nullopt for anything that to_string does not give.
std::optional<SetName> parse_set_name(std::string_view directory_name);

struct FoundSet {
  std::string tier;       ///< "warm", "cold" or the name of the directory that the set is in
  std::string directory;  ///< path of the set
  SetName name = {};
  bool committed = false;                 ///< there is a sound manifest
  std::optional<Manifest> manifest = {};  ///< of a committed set
  std::string reason = {};  ///< why a manifest that is there cannot be used; empty: there is none
};

/// The sets below a run, a tier or in a set's own directory, in order of (step, generation); empty
/// if there are none. Sets that were set aside (abandoned.*, corrupt.*, trash.*, old.*) are not
/// among them. A manifest that cannot be read or believed is a reason, not an error.
/// Throws IoError if `path` cannot be listed.
std::vector<FoundSet> find_sets(FileSystem& files, std::string const& path);

/// The same of the sets that lie directly in a directory: what a run may go on from.
std::vector<FoundSet> sets_of_tier(FileSystem& files, std::string const& tier);

/// The manifest of a set's directory. Throws IoError if it cannot be read and CorruptData if its
/// text is wrong or of another step or generation than the directory's name says.
Manifest read_manifest(FileSystem& files, std::string const& directory);

/// What is wrong with a set: block −1 stands for the whole file.
struct Fault {
  std::string file;
  Size block = -1;
  std::string tensor;  ///< names of those that have bytes in the block, at most three
  std::string reason;  ///< "missing", "has 512 bytes instead of 4096", "wrong hash", …
};

/// "rank_00002.h5 block 7 (bytes 29360128-33554431): optimizer/m/…" or "rank_00003.h5 missing".
std::string to_string(Fault const& fault, Manifest const& manifest);

/// Which blocks of a set one of several readers looks at: every `readers`-th, counted over all
/// files, from `reader` on.
struct BlockShare {
  int reader = 0, readers = 1;
  /// Of a file's number and a block's; empty: all. Files without such a block are not looked at.
  std::function<bool(std::size_t, Size)> wanted = {};
};

/// Reads every block of every file of a committed set, or a share of them, and compares hashes;
/// empty: sound. What cannot be read is a fault; sizes of files are looked at by every reader.
std::vector<Fault> verify_set(FileSystem& files, std::string const& directory,
                              Manifest const& manifest, BlockShare share = {});

/// Makes a set committed: manifest.tmp, sync, rename to manifest.json, sync of the directory. When
/// it returns the set outlives a loss of power, provided that its files were synced. Throws
/// IoError; the set is then not to be relied on, and a sync that failed is not tried again.
void commit_manifest(FileSystem& files, std::string const& directory, Manifest const& manifest);
/// The same with a text that to_text has given, for nodes that commit what another has made.
void commit_manifest_text(FileSystem& files, std::string const& directory, std::string_view text);

/// Writes a small file durably under a name that must be free: create, write, sync, close. The
/// directory is not synced. Throws IoError.
void write_durably(FileSystem& files, std::string const& path, std::string_view content);

/// Copies a committed set into a tier by the same protocol: files, their hashes compared while they
/// are read and again from the copy, manifest. Returns the new directory. Throws IoError (also if
/// the set is there already) and CorruptData naming file and block; the copy is then uncommitted.
std::string copy_set(FileSystem& files, std::string const& directory, Manifest const& manifest,
                     std::string const& tier);

/// Writes checkpoint.h5 of a committed set again, and the manifest if it lists the view and its
/// bytes have changed. Throws IoError.
void rewrite_view(FileSystem& files, std::string const& directory, Manifest const& manifest);

/// One above every generation that names below a run or tier mention, sets that are set aside
/// (abandoned.*, corrupt.*, trash.*, old.*) included; 1 if there are none. Throws IoError.
int next_generation(FileSystem& files, std::string const& path);

/// The sets of a tier that prune would remove, oldest first: committed ones with at least `keep`
/// newer committed sets, and uncommitted ones that are older than two committed sets.
/// Throws InvalidArgument if keep < 2.
std::vector<FoundSet> prunable(FileSystem& files, std::string const& tier, int keep);

/// Renames the prunable sets to trash.<name>, then unlinks those and any trash left by a crash.
/// Never touches a set with fewer than two newer committed ones. Throws InvalidArgument and
/// IoError.
void prune(FileSystem& files, std::string const& tier, int keep);

/// Removes a set that was never acknowledged, as prune removes: renamed first. Throws IoError.
void discard(FileSystem& files, std::string const& directory);

/// Renames the sets below a run whose step is later to abandoned.<name>; returns them. Throws
/// InvalidArgument if the run has no committed set of this step.
std::vector<FoundSet> rollback(FileSystem& files, std::string const& run, Size step);

}  // namespace dsr
