// SPDX-License-Identifier: Apache-2.0
#pragma once
/// Range: names what a program does at the moment, for profilers that read NVTX (Nsight Systems).
///
///     std::string path;                          // of what runs: here "blocks/3"
///     dsr::Range part{path, "attention"};        // "blocks/3/attention" …
///     attention.forward(pass, x, y);
///     part.next("ffn");                          // … now "blocks/3/ffn", and "blocks/3" at the end
///
/// A range is of the host thread that enqueues work; profilers show below it the GPU work that was
/// enqueued in it. A build without CUDA keeps the path and tells nobody. Work that is replayed from
/// a CUDA graph has the range of the replay.
#include <string>
#include <string_view>

namespace dsr {

/// Neither copies nor moves: ranges of a thread end in reverse order. The path must outlive it.
class Range {
 public:
  Range(std::string& path, std::string_view name);
  ~Range();
  Range(Range const&) = delete;
  Range& operator=(Range const&) = delete;
  /// Ends this range and begins one of another name beside it.
  void next(std::string_view name);

 private:
  void begin(std::string_view name);
  void end();
  std::string* path_;
  std::size_t outer_;  // length of the path around this range
};

}  // namespace dsr
