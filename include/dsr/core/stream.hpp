// SPDX-License-Identifier: Apache-2.0
#pragma once
/// Stream: an ordered queue of work on a device; Event: a point in it that others can wait for.
///
///     Stream compute{kCpu};                                // runs at once, on the calling thread
///     Stream exchange{kCpu, StreamKind::communication};    // one worker thread, asleep when idle
///     Event ready = compute.record();
///     exchange.wait(ready);  exchange.run([&] { send(); });  compute.wait(exchange.record());
///
/// On `meta` work is dropped and counted. An exception that work throws on a worker is rethrown by
/// the next call that waits for it (wait on an inline stream, synchronize), and the stream runs
/// nothing more. On CUDA a Stream is a queue on the device; <dsr/cuda.hpp> has the raw handles.
#include <cstdint>
#include <functional>
#include <memory>

#include "dsr/core/device.hpp"

namespace dsr {

namespace detail {
class EventState;
class StreamState;
struct StreamAccess;
}  // namespace detail

/// compute: what ops run on. communication: what collectives run on, beside compute.
/// inline_communication: for MPI without MPI_THREAD_MULTIPLE; runs at once on the calling thread.
/// On CUDA both kinds of communication are queues of the highest priority.
enum class StreamKind : std::uint8_t { compute, communication, inline_communication };

/// What a stream was asked to do, by operation; exact on every device.
struct Work {
  std::int64_t flops = 0;  ///< multiply and add count as two
  std::int64_t bytes = 0;  ///< read plus written, each operand once
  std::int64_t calls = 0;
};

/// A copyable handle. A default-made Event has happened already.
class Event {
 public:
  Event() = default;
  /// True once the work before it has run.
  bool done() const;
  /// Blocks the calling thread; rethrows what the stream's work threw.
  void synchronize() const;

 private:
  friend class Stream;
  explicit Event(std::shared_ptr<detail::EventState> state) : state_(std::move(state)) {}
  std::shared_ptr<detail::EventState> state_;
};

/// Moves, does not copy: it owns the queue (and on the CPU the worker thread). One host thread
/// issues work.
class Stream {
 public:
  explicit Stream(Device device, StreamKind kind = StreamKind::compute);
  ~Stream();  ///< runs what is queued, then stops the worker; never throws
  Stream(Stream&&) noexcept;
  Stream& operator=(Stream&&) noexcept;

  Device device() const;
  StreamKind kind() const;

  /// Appends host work; dropped on meta. What it captures must live until it has run. On CUDA it
  /// runs on a thread of the driver's, must not call CUDA, and if it throws, later host work is
  /// skipped while kernels go on; throws InvalidArgument while the stream is captured in a graph.
  void run(std::function<void()> work);
  /// An Event after all work issued so far.
  Event record();
  /// Work issued after this waits for the event; the caller waits only if the stream runs inline,
  /// or if a CUDA stream waits for an event of the CPU.
  void wait(Event const& event);
  /// Blocks until all work has run; rethrows what it threw.
  void synchronize();

  /// Adds to the counts of work asked of this stream.
  void count(Work const& work);
  Work counted() const;
  void reset_counts();
  /// Seconds lost to waiting since reset_counts(). On the CPU: of the calling thread, in wait() and
  /// synchronize(). On CUDA: of a compute queue, standing still on the device at events of
  /// communication streams; measured from the first call on, once the wait is over.
  double waited_s() const;

 private:
  friend struct detail::StreamAccess;
  explicit Stream(std::unique_ptr<detail::StreamState> state);
  std::unique_ptr<detail::StreamState> state_;
};

}  // namespace dsr
