// SPDX-License-Identifier: Apache-2.0
#include "libdsr/checkpoint/verified_reader.hpp"

#include <algorithm>
#include <cstring>
#include <utility>

#include "dsr/checkpoint/rank_file.hpp"
#include "dsr/core/error.hpp"
#include "libdsr/checkpoint/box_runs.hpp"
#include "libdsr/checkpoint/fault_names.hpp"
#include "libdsr/checkpoint/hashed_writes.hpp"

namespace dsr::detail {
namespace {

/// Runs from this length on are read into their place, shorter ones are copied there.
constexpr Size kLong_bytes = Size{64} << 10;
/// Parts whose runs are shorter on the average would make a list longer than it is worth.
constexpr Size kShort_bytes = 1024;

}  // namespace

VerifiedReader::VerifiedReader(FileSystem& files, std::string directory, Manifest const& manifest,
                               std::vector<WantedPart> const& wanted, BlockShare share)
    : files_(files),
      directory_(std::move(directory)),
      manifest_(manifest),
      share_(std::move(share)),
      runs_(manifest.files.size()) {
  Size blocks = 0;
  for (StoredFile const& file : manifest.files) {
    first_block_.push_back(blocks);
    blocks += std::ssize(file.blocks);
  }
  for (WantedPart const& part : wanted) plan(part);
  sort_runs();
}

void VerifiedReader::plan(WantedPart const& part) {
  Size const size = size_of(part.tensor->dtype);
  if (std::ssize(part.bytes) != part.box.elements() * size) {
    throw InvalidArgument(
        problem("checkpoint: " + part.tensor->name,
                std::to_string(part.bytes.size()) + " bytes for " + to_string(part.box),
                std::to_string(part.box.elements() * size)));
  }
  Size found = 0, pieces = 0;
  for (Slice const& slice : part.tensor->slices) {
    auto const common = intersect(slice.box, part.box);
    if (!common || common->empty()) continue;
    found += common->elements();
    pieces += run_count(*common, slice.box, part.box);
  }
  if (found != part.box.elements()) {
    throw CorruptData(problem(directory_ + "/manifest.json: " + part.tensor->name,
                              std::to_string(found) + " of the elements of " + to_string(part.box),
                              std::to_string(part.box.elements())));
  }
  bool const encoded = part.tensor->codec != Codec::none;
  if (encoded || (pieces > 1 && found * size < pieces * kShort_bytes)) {
    later_.push_back(part);
    return;
  }
  for (Slice const& slice : part.tensor->slices) {
    auto const common = intersect(slice.box, part.box);
    if (!common || common->empty()) continue;
    for_runs(*common, slice.box, part.box, [&](Size from, Size to, Size elements) {
      runs_.at(static_cast<std::size_t>(slice.file))
          .push_back({slice.offset + from * size, elements * size, part.bytes.data() + to * size});
    });
  }
}

void VerifiedReader::sort_runs() {
  for (std::size_t i = 0; i < runs_.size(); ++i) {
    std::ranges::sort(runs_[i], {}, &Run::offset);
    auto const twice = std::ranges::adjacent_find(
        runs_[i], [](Run const& a, Run const& b) { return a.end() > b.offset; });
    if (twice == runs_[i].end()) continue;
    throw InvalidArgument(problem("checkpoint: bytes of " + manifest_.files[i].name,
                                  "wanted twice at " + std::to_string(twice->offset), "once"));
  }
}

std::vector<Fault> VerifiedReader::verify() {
  std::vector<Fault> faults;
  for (std::size_t i = 0; i < manifest_.files.size(); ++i) verify_file(i, faults);
  return faults;
}

bool VerifiedReader::wanted(std::size_t file) const {
  if (!share_.wanted) return true;
  Size const blocks = std::ssize(manifest_.files[file].blocks);
  for (Size block = 0; block < blocks; ++block) {
    if (wanted(file, block)) return true;
  }
  return false;
}

void VerifiedReader::verify_file(std::size_t index, std::vector<Fault>& faults) {
  if (!wanted(index)) return;
  StoredFile const& stored = manifest_.files[index];
  std::string const path = directory_ + "/" + stored.name;
  auto const whole = [&](std::string reason) {
    faults.push_back(
        {stored.name, -1, tensors_in(manifest_, index, 0, stored.bytes), std::move(reason)});
  };
  try {
    if (!files_.exists(path)) return whole("missing");
    std::unique_ptr<File> const file = files_.open(path);
    Size const bytes = file->size();
    if (bytes != stored.bytes) {
      return whole("has " + std::to_string(bytes) + " bytes instead of " +
                   std::to_string(stored.bytes));
    }
    for (Size block = 0; block < std::ssize(stored.blocks); ++block) {
      if (!shared(index, block)) continue;
      Size const begin = block * kHashBlock_bytes, end = block_end(stored, block);
      std::string const reason = block_fault(*file, index, begin, end);
      if (!reason.empty())
        faults.push_back({stored.name, block, tensors_in(manifest_, index, begin, end), reason});
    }
  } catch (IoError const& error) {
    whole(error.what());
  }
}

/// What is wrong with a block; empty: nothing, and what is wanted of it is in its place.
std::string VerifiedReader::block_fault(File& file, std::size_t index, Size begin, Size end) {
  hasher_.finish();  // of a block that could not be read
  try {
    for (Size at = begin; at < end;) {
      Size const bytes = read_some(file, runs_[index], at, end);
      if (bytes == 0) return "cut off";
      at += bytes;
    }
  } catch (IoError const& error) {
    return error.what();
  }
  auto const block = static_cast<std::size_t>(begin / kHashBlock_bytes);
  return hasher_.finish().front() == manifest_.files[index].blocks[block] ? "" : "wrong hash";
}

/// Reads and hashes bytes from `at` on; how many, 0 if the file ends.
Size VerifiedReader::read_some(File& file, std::vector<Run> const& runs, Size at, Size end) {
  auto const long_in = [&](Run const& run) {
    return std::min(run.end(), end) - std::max(run.offset, at) >= kLong_bytes;
  };
  auto const first = std::ranges::upper_bound(runs, at, {}, &Run::end);
  Size stop = std::min(end, at + kPortion_bytes);
  if (first != runs.end() && first->offset <= at && long_in(*first)) {
    stop = std::min(stop, first->end());
    std::span const to{first->to + (at - first->offset), static_cast<std::size_t>(stop - at)};
    if (file.read_at(at, to) != stop - at) return 0;
    hasher_.add(to);
    return stop - at;
  }
  for (auto run = first; run != runs.end() && run->offset < stop; ++run) {
    if (long_in(*run)) stop = run->offset;
  }
  scratch_.resize(static_cast<std::size_t>(kPortion_bytes));
  std::span const bytes = std::span{scratch_}.first(static_cast<std::size_t>(stop - at));
  if (file.read_at(at, bytes) != stop - at) return 0;
  hasher_.add(bytes);
  for (auto run = first; run != runs.end() && run->offset < stop; ++run) {
    Size const from = std::max(at, run->offset), until = std::min(stop, run->end());
    std::memcpy(run->to + (from - run->offset), bytes.data() + (from - at),
                static_cast<std::size_t>(until - from));
  }
  return stop - at;
}

void VerifiedReader::read_rest() {
  for (std::size_t i = 0; (share_.readers > 1 || share_.wanted) && i < runs_.size(); ++i) {
    std::unique_ptr<File> file;
    for (Run const& run : runs_[i]) {
      for (Size at = run.offset; at < run.end();) {
        Size const block = at / kHashBlock_bytes;
        Size const end = std::min(run.end(), (block + 1) * kHashBlock_bytes);
        if (!shared(i, block)) {
          if (!file) file = files_.open(directory_ + "/" + manifest_.files[i].name);
          read_range(*file, i, run, at, end);
        }
        at = end;
      }
    }
  }
  for (WantedPart const& part : later_)
    read_part(files_, directory_, manifest_, *part.tensor, part.box, part.bytes);
}

void VerifiedReader::read_range(File& file, std::size_t index, Run const& run, Size begin,
                                Size end) {
  std::span const to{run.to + (begin - run.offset), static_cast<std::size_t>(end - begin)};
  if (file.read_at(begin, to) == end - begin) return;
  throw CorruptData(problem(directory_ + "/" + manifest_.files[index].name,
                            "it ends before byte " + std::to_string(end),
                            "what the manifest says"));
}

}  // namespace dsr::detail
