// SPDX-License-Identifier: Apache-2.0
#include "libdsr/checkpoint/set_loader.hpp"

#include <algorithm>
#include <utility>

#include "dsr/checkpoint/rank_file.hpp"
#include "dsr/core/error.hpp"
#include "dsr/core/transfer.hpp"

namespace dsr::detail {
namespace {

std::span<std::byte> bytes_of(Tensor const& tensor) {
  return {static_cast<std::byte*>(tensor.raw()), static_cast<std::size_t>(tensor.bytes())};
}

}  // namespace

SetLoader::SetLoader(FileSystem& files, std::string directory, Manifest const& manifest,
                     StatePlan const& plan, State const& state, Mesh const& mesh,
                     std::span<std::byte> memory, BlockShare share)
    : files_(files),
      directory_(std::move(directory)),
      manifest_(manifest),
      plan_(plan),
      state_(state),
      stream_(mesh.device()),
      pieces_(plan.pieces()),
      sources_(plan.sources()) {
  plan_memory(memory);
  reader_.emplace(files_, directory_, manifest_, parts_, std::move(share));
}

void SetLoader::plan_memory(std::span<std::byte> memory) {
  Size needed = 0;
  for (StatePiece const& piece : pieces_) needed += round_up(piece.local.bytes(), kAlignment_bytes);
  bool const on_host = std::ranges::all_of(
      pieces_, [](StatePiece const& piece) { return piece.local.device() == kCpu; });
  in_place_ = on_host && needed > kHeld_bytes;
  if (!in_place_ && needed > std::ssize(memory)) {
    if (needed > kHeld_bytes) return;
    own_ = Buffer::pinned(needed);
    memory = {static_cast<std::byte*>(own_.data()), static_cast<std::size_t>(needed)};
  }
  Size at = 0;
  for (std::size_t i = 0; i < pieces_.size(); ++i) {
    Size const bytes = pieces_[i].local.bytes();
    parts_.push_back({sources_[i], pieces_[i].box,
                      in_place_ ? bytes_of(pieces_[i].local)
                                : memory.subspan(static_cast<std::size_t>(at),
                                                 static_cast<std::size_t>(bytes))});
    at += round_up(bytes, kAlignment_bytes);
  }
}

void SetLoader::fill_in() {
  reader_->read_rest();
  if (parts_.size() < pieces_.size())
    read_again();
  else if (!in_place_)
    transfer_held();
  for (StatePiece const& piece : plan_.zeros()) zero(piece.local, stream_);
  stream_.synchronize();
  if (plan_.fresh()) return;
  for (TextEntry const& entry : state_.texts()) entry.load(manifest_.state.at(entry.name));
}

void SetLoader::transfer_held() {
  for (std::size_t i = 0; i < pieces_.size(); ++i) {
    StatePiece const& piece = pieces_[i];
    transfer(Tensor{parts_[i].bytes.data(), piece.local.shape(), piece.dtype, kCpu}, piece.local,
             stream_);
  }
  stream_.synchronize();
}

/// One piece after the other, through memory for the largest.
void SetLoader::read_again() {
  Size most = 0;
  for (StatePiece const& piece : pieces_) most = std::max(most, piece.local.bytes());
  own_ = Buffer::pinned(most);
  for (std::size_t i = 0; i < pieces_.size(); ++i) {
    StatePiece const& piece = pieces_[i];
    Tensor const host{own_.data(), piece.local.shape(), piece.dtype, kCpu};
    read_part(files_, directory_, manifest_, *sources_[i], piece.box, bytes_of(host));
    transfer(host, piece.local, stream_);
    stream_.synchronize();
  }
}

}  // namespace dsr::detail
