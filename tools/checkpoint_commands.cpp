// SPDX-License-Identifier: Apache-2.0
#include "checkpoint_commands.hpp"

#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <dsr/checkpoint/container.hpp>
#include <dsr/checkpoint/gpt2.hpp>
#include <dsr/checkpoint/run_lock.hpp>
#include <dsr/checkpoint/sets.hpp>
#include <dsr/core/error.hpp>
#include <dsr/observe/format.hpp>
#include <filesystem>
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>
#include <set>

namespace tool {
namespace {

using dsr::FoundSet;
using dsr::problem;
using dsr::Size;
/// Keys in the order in which they are written down.
using Json = nlohmann::ordered_json;

constexpr int kCorrupt = 65;

/// What the commands share.
struct Context {
  Arguments const& arguments;
  dsr::FileSystem& files;
  std::ostream& out;

  bool json() const { return arguments.output == Output::json; }
  void print(Json const& object) const { out << object.dump() << '\n'; }
  void print(std::string const& line) const { out << line << '\n'; }
};

std::string last_part(std::string const& path) { return path.substr(path.rfind('/') + 1); }

std::string label(FoundSet const& set) { return set.tier + "/" + last_part(set.directory); }

/// For a person who waits; a script's log is not filled with it.
void progress(std::string const& text) {
  if (::isatty(STDERR_FILENO) == 1) std::cerr << "dsr-checkpoint: " << text << '\n';
}

/// "4m12s".
std::string age_of(FoundSet const& set) {
  if (!set.committed) return "-";
  double const now =
      std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
  std::string text = dsr::format_duration(std::max(0.0, now - set.manifest->saved_unix));
  std::erase(text, ' ');
  return text;
}

std::string count(std::size_t number, char const* what) {
  return std::to_string(number) + " " + what + (number == 1 ? "" : "s");
}

struct Contents {
  std::size_t files = 0;
  Size bytes = 0;
};

/// What the manifest says; without one, what is there.
Contents contents_of(FoundSet const& set, dsr::FileSystem& files) {
  Contents contents;
  if (set.committed) {
    contents.files = set.manifest->files.size();
    for (dsr::StoredFile const& file : set.manifest->files) contents.bytes += file.bytes;
    return contents;
  }
  for (dsr::DirectoryEntry const& entry : files.list(set.directory)) {
    if (entry.kind != dsr::EntryKind::file) continue;
    ++contents.files;
    try {
      contents.bytes += files.open(set.directory + "/" + entry.name)->size();
    } catch (dsr::IoError const&) {  // renamed or removed meanwhile by the run that writes it
      continue;
    }
  }
  return contents;
}

char const* state_of(FoundSet const& set) {
  if (set.committed) return "committed";
  return set.reason.empty() ? "uncommitted" : "corrupt";
}

/// The set that a path means: itself, or the newest committed one below.
FoundSet one_set(Context const& context, std::string const& path) {
  std::vector<FoundSet> const sets = dsr::find_sets(context.files, path);
  for (std::size_t i = sets.size(); i-- > 0;) {
    if (sets[i].committed) return sets[i];
  }
  bool const corrupt = sets.size() == 1 && !sets.front().reason.empty();
  throw dsr::CorruptData(corrupt ? sets.front().reason : problem(path, "no committed set"));
}

/// Keeps runs out of the folder of a run, a tier or a set for as long as it lives; where no lock is
/// there no run is, and none is made. Throws LockError if a run is at work there.
class RunsKeptOut {
 public:
  RunsKeptOut(Context const& context, std::string const& path) {
    dsr::RunLockOptions const options{.lease_s = kLease_s, .say = progress};
    std::filesystem::path folder = std::filesystem::absolute(path).lexically_normal();
    if (!folder.has_filename()) folder = folder.parent_path();
    // A set is at most in a tier in a run.
    for (int level = 0; level < 3; ++level, folder = folder.parent_path()) {
      if (context.arguments.effect == Effect::dry) return;
      if (!is_locked(context.files, folder.string())) continue;
      locks_.push_back(std::make_unique<dsr::RunLock>(context.files, folder.string(), options));
    }
  }

 private:
  static bool is_locked(dsr::FileSystem& files, std::string const& folder) {
    try {
      return dsr::lock_holder(files, folder).has_value();
    } catch (dsr::IoError const&) {  // no run can be in what cannot be read; the command says so
      return false;
    }
  }

  static constexpr double kLease_s = 1;  // a run's own is longer, and counts
  std::vector<std::unique_ptr<dsr::RunLock>> locks_;
};

int list(Context const& context) {
  for (FoundSet const& set : dsr::find_sets(context.files, context.arguments.paths[0])) {
    Contents const contents = contents_of(set, context.files);
    if (context.json()) {
      context.print(Json{{"tier", set.tier},
                         {"set", last_part(set.directory)},
                         {"step", set.name.step},
                         {"generation", set.name.generation},
                         {"saved_unix", set.committed ? Json(set.manifest->saved_unix) : Json()},
                         {"bytes", contents.bytes},
                         {"files", contents.files},
                         {"state", state_of(set)}});
      continue;
    }
    context.print(set.tier + "  " + last_part(set.directory) + "  step " +
                  std::to_string(set.name.step) + "  age " + age_of(set) + "  " +
                  dsr::format_bytes(contents.bytes) + "  " + count(contents.files, "file") + "  " +
                  state_of(set));
  }
  return 0;
}

/// Bytes in the files: fewer than the elements have where they are compressed.
Size stored_bytes(dsr::StoredTensor const& tensor) {
  Size bytes = 0;
  for (dsr::Slice const& slice : tensor.slices) bytes += slice.bytes;
  return bytes;
}

int show(Context const& context) {
  FoundSet const set = one_set(context, context.arguments.paths[0]);
  for (dsr::StoredTensor const& tensor : set.manifest->tensors) {
    Size const bytes = tensor.shape.elements() * dsr::size_of(tensor.dtype);
    if (context.json()) {
      context.print(Json{{"name", tensor.name},
                         {"dtype", dsr::name_of(tensor.dtype)},
                         {"shape", std::vector<Size>(tensor.shape.begin(), tensor.shape.end())},
                         {"bytes", bytes},
                         {"slices", tensor.slices.size()},
                         {"codec", dsr::name_of(tensor.codec)},
                         {"stored_bytes", stored_bytes(tensor)}});
      continue;
    }
    std::string line = tensor.name + "  " + std::string{dsr::name_of(tensor.dtype)} + "  " +
                       to_string(tensor.shape) + "  " + dsr::format_bytes(bytes) + "  " +
                       count(tensor.slices.size(), "slice");
    if (tensor.codec != dsr::Codec::none)
      line += "  " + dsr::format_bytes(stored_bytes(tensor)) + " by " +
              std::string{dsr::name_of(tensor.codec)};
    context.print(line);
  }
  return 0;
}

void print_fault(Context const& context, FoundSet const& set, dsr::Fault const& fault) {
  if (context.json()) {
    auto const text_or_null = [](std::string const& text) {
      return text.empty() ? Json() : Json(text);
    };
    context.print(Json{{"set", label(set)},
                       {"ok", false},
                       {"file", fault.file},
                       {"block", fault.block < 0 ? Json() : Json(fault.block)},
                       {"tensor", text_or_null(fault.tensor)},
                       {"reason", fault.reason}});
    return;
  }
  context.print("BAD  " + label(set) + "  " +
                (set.committed ? to_string(fault, *set.manifest) : fault.reason));
}

/// True if the set is sound.
bool verify_one(Context const& context, FoundSet const& set) {
  if (!set.committed) {
    print_fault(context, set, {dsr::kManifestName, -1, "", set.reason});
    return false;
  }
  Contents const contents = contents_of(set, context.files);
  progress("reading " + label(set) + ", " + dsr::format_bytes(contents.bytes));
  auto const faults = dsr::verify_set(context.files, set.directory, *set.manifest);
  for (dsr::Fault const& fault : faults) print_fault(context, set, fault);
  if (!faults.empty()) return false;
  if (context.json()) {
    context.print(Json{{"set", label(set)},
                       {"ok", true},
                       {"file", nullptr},
                       {"block", nullptr},
                       {"tensor", nullptr},
                       {"reason", nullptr}});
  } else {
    context.print("ok   " + label(set) + "  " + count(contents.files, "file") + "  " +
                  dsr::format_bytes(contents.bytes));
  }
  return true;
}

int verify(Context const& context) {
  std::string const& path = context.arguments.paths[0];
  std::size_t checked = 0, sound = 0;
  for (FoundSet const& set : dsr::find_sets(context.files, path)) {
    if (!set.committed && set.reason.empty()) continue;  // nothing to compare with
    ++checked;
    sound += verify_one(context, set) ? 1 : 0;
  }
  if (checked == 0) throw dsr::CorruptData(problem(path, "no committed set"));
  return sound == checked ? 0 : kCorrupt;
}

/// For what is about to be given on: a wrong byte must not travel. Throws CorruptData.
void require_sound(Context const& context, FoundSet const& set) {
  progress("reading " + label(set));
  auto const faults = dsr::verify_set(context.files, set.directory, *set.manifest);
  if (!faults.empty())
    throw dsr::CorruptData(problem(set.directory, to_string(faults.front(), *set.manifest)));
}

void print_set(Context const& context, char const* verb, std::string const& set) {
  if (context.json())
    context.print(Json{{"set", set}, {"done", verb}});
  else
    context.print(std::string{verb} + "  " + set);
}

int copy(Context const& context) {
  FoundSet const set = one_set(context, context.arguments.paths[0]);
  print_set(context, "copied",
            dsr::copy_set(context.files, set.directory, *set.manifest, context.arguments.paths[1]));
  return 0;
}

/// The tiers below a path; of a run without the cold one, whose sets are meant to stay.
std::set<std::string> tiers_to_prune(Context const& context) {
  std::string path = context.arguments.paths[0];
  while (path.size() > 1 && path.back() == '/') path.pop_back();
  std::set<std::string> tiers;
  for (FoundSet const& set : dsr::find_sets(context.files, path)) {
    if (set.directory == path)
      throw dsr::UsageError(problem("prune", path + ", a set", "a run or a tier"));
    std::string const tier = dsr::parent_directory(set.directory);
    if (tier == path || set.tier != "cold") tiers.insert(tier);
  }
  return tiers;
}

int prune(Context const& context) {
  RunsKeptOut const kept_out{context, context.arguments.paths[0]};
  Arguments const& arguments = context.arguments;
  for (std::string const& tier : tiers_to_prune(context)) {
    std::vector<FoundSet> const sets = dsr::prunable(context.files, tier, arguments.keep);
    if (arguments.effect == Effect::real) dsr::prune(context.files, tier, arguments.keep);
    for (FoundSet const& set : sets)
      print_set(context, arguments.effect == Effect::real ? "removed" : "would remove", label(set));
  }
  return 0;
}

int rollback(Context const& context) {
  RunsKeptOut const kept_out{context, context.arguments.paths[0]};
  std::string const& run = context.arguments.paths[0];
  Size const step = context.arguments.step;
  std::vector<FoundSet> const sets = dsr::find_sets(context.files, run);
  bool const there = std::ranges::any_of(
      sets, [&](FoundSet const& set) { return set.committed && set.name.step == step; });
  if (!there)
    throw dsr::CorruptData(problem(run, "no committed set of step " + std::to_string(step)));
  for (FoundSet const& set : dsr::rollback(context.files, run, step))
    print_set(context, "abandoned", label(set));
  return 0;
}

int view(Context const& context) {
  RunsKeptOut const kept_out{context, context.arguments.paths[0]};
  FoundSet const set = one_set(context, context.arguments.paths[0]);
  dsr::rewrite_view(context.files, set.directory, *set.manifest);
  print_set(context, "wrote", set.directory + "/" + dsr::kViewName);
  return 0;
}

int export_set(Context const& context) {
  Arguments const& arguments = context.arguments;
  FoundSet const set = one_set(context, arguments.paths[0]);
  require_sound(context, set);
  dsr::export_gpt2(context.files, set.directory, *set.manifest, arguments.paths[1],
                   {.dtype = arguments.dtype, .shard_bytes = arguments.shard_bytes});
  print_set(context, "exported", arguments.paths[1]);
  return 0;
}

int import_set(Context const& context) {
  dsr::Imported const imported =
      dsr::import_gpt2(context.files, context.arguments.paths[0], context.arguments.paths[1]);
  print_set(context, "imported", imported.directory);
  dsr::Gpt2Sizes const& sizes = imported.sizes;
  // What a run needs to go on from here.
  std::cerr << "[model]\nlayers = " << sizes.layers << "\nhidden = " << sizes.hidden
            << "\nheads = " << sizes.heads << "\nffn = " << sizes.inner
            << "\nvocab = " << sizes.vocabulary << "\nsequence = " << sizes.positions
            << "\ntied = " << (sizes.head == dsr::Gpt2Sizes::Head::tied ? "true" : "false") << '\n';
  return 0;
}

}  // namespace

int run(Arguments const& arguments, dsr::FileSystem& files, std::ostream& out) {
  Context const context{arguments, files, out};
  if (arguments.command == "list") return list(context);
  if (arguments.command == "show") return show(context);
  if (arguments.command == "verify") return verify(context);
  if (arguments.command == "copy") return copy(context);
  if (arguments.command == "prune") return prune(context);
  if (arguments.command == "rollback") return rollback(context);
  if (arguments.command == "view") return view(context);
  if (arguments.command == "export") return export_set(context);
  return import_set(context);
}

}  // namespace tool
