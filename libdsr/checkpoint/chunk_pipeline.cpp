// SPDX-License-Identifier: Apache-2.0
#include "libdsr/checkpoint/chunk_pipeline.hpp"

#include <algorithm>
#include <cstring>
#include <thread>

#include "dsr/core/bf16.hpp"

namespace dsr::detail {
namespace {

/// In its place: each element moves forward.
void round_to_bf16(std::vector<std::byte>& memory) {
  std::size_t const elements = memory.size() / sizeof(float);
  std::byte* const bytes = memory.data();
  for (std::size_t i = 0; i < elements; ++i) {
    float value;
    std::memcpy(&value, bytes + i * sizeof(float), sizeof(float));
    Bf16 const rounded{value};
    std::memcpy(bytes + i * sizeof(Bf16), &rounded, sizeof(Bf16));
  }
  memory.resize(elements * sizeof(Bf16));
}

}  // namespace

void ChunkPipeline::run(std::vector<PieceChunk>& chunks, Size offset) {
  offset_ = offset;
  std::vector<std::thread> others;
  for (int i = 1; i < threads_ && i < std::ssize(chunks); ++i)
    others.emplace_back([&] { work(chunks); });
  work(chunks);
  for (std::thread& other : others) other.join();
  if (error_) std::rethrow_exception(error_);
}

void ChunkPipeline::work(std::vector<PieceChunk>& chunks) {
  try {
    Encoder encoder{level_};
    std::vector<std::byte> memory;
    for (std::size_t index = 0; take_next(chunks, index, memory);) {
      PieceChunk& chunk = chunks[index];
      std::span<std::byte const> encoded;
      if (chunk.use == ChunkUse::stored) {
        if (chunk.from != chunk.to) round_to_bf16(memory);
        encoded = encoder.encode(memory, size_of(chunk.to));
      }
      if (!write(chunk, index, encoded)) return;
    }
  } catch (...) {
    fail();
  }
}

/// False if there is nothing left.
bool ChunkPipeline::take_next(std::vector<PieceChunk> const& chunks, std::size_t& index,
                              std::vector<std::byte>& memory) {
  std::lock_guard const lock{take_mutex_};
  if (next_ == chunks.size()) return false;
  index = next_++;
  take(chunks[index], memory);
  return true;
}

void ChunkPipeline::take(PieceChunk const& chunk, std::vector<std::byte>& memory) {
  Size const size = size_of(chunk.from), elements = chunk.box.elements();
  memory.resize(static_cast<std::size_t>(elements * size));
  for (Size done = 0; done < elements * size;) {
    Size const at = chunk.first * size + done;
    std::span<std::byte const> const part = source_.take(chunk.piece, at, elements * size - done);
    if (chunk.use == ChunkUse::stored) std::memcpy(memory.data() + done, part.data(), part.size());
    source_.give_back(chunk.piece, at, std::ssize(part));
    done += std::ssize(part);
  }
}

bool ChunkPipeline::write(PieceChunk& chunk, std::size_t index,
                          std::span<std::byte const> encoded) {
  std::unique_lock lock{write_mutex_};
  changed_.wait(lock, [&] { return turn_ == index || error_; });
  if (error_) return false;
  chunk.offset = offset_;
  chunk.bytes = std::ssize(encoded);
  if (!encoded.empty()) file_.write(offset_, encoded);
  offset_ += std::ssize(encoded);
  ++turn_;
  changed_.notify_all();
  return true;
}

void ChunkPipeline::fail() {
  {
    std::lock_guard const lock{write_mutex_};
    if (!error_) error_ = std::current_exception();
  }
  changed_.notify_all();
  source_.abandon();
}

}  // namespace dsr::detail
