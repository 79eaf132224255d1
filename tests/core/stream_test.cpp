// SPDX-License-Identifier: Apache-2.0
#include "dsr/core/stream.hpp"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "dsr/core/error.hpp"
#include "dsr/core/graph.hpp"
#include "support/catch.hpp"

using namespace dsr;

namespace {

Stream make_worker() { return Stream{kCpu, StreamKind::communication}; }

/// Holds a stream's work back until it is opened.
class Gate {
 public:
  void open() { open_ = true; }
  void pass() const {
    while (!open_) std::this_thread::sleep_for(std::chrono::microseconds{50});
  }

 private:
  std::atomic<bool> open_{false};
};

}  // namespace

TEST_CASE("inline streams run work at once on the calling thread") {
  for (StreamKind kind : {StreamKind::compute, StreamKind::inline_communication}) {
    Stream stream{kCpu, kind};
    std::thread::id ran_on;
    stream.run([&] { ran_on = std::this_thread::get_id(); });
    CHECK(ran_on == std::this_thread::get_id());
    CHECK(stream.record().done());
    CHECK(stream.kind() == kind);
    CHECK(stream.device() == kCpu);
    CHECK_THROWS_AS(stream.run([] { throw std::runtime_error{"now"}; }), std::runtime_error);
  }
}

TEST_CASE("a default event has happened") {
  CHECK(Event{}.done());
  CHECK_NOTHROW(Event{}.synchronize());
  Stream compute{kCpu};
  CHECK_NOTHROW(compute.wait(Event{}));
}

TEST_CASE("a worker runs work in order on one other thread") {
  Stream worker = make_worker();
  std::vector<int> order;
  std::vector<std::thread::id> threads;
  for (int i = 0; i < 1000; ++i) {
    worker.run([&, i] {
      order.push_back(i);
      threads.push_back(std::this_thread::get_id());
    });
  }
  worker.synchronize();
  REQUIRE(order.size() == 1000);
  CHECK(std::is_sorted(order.begin(), order.end()));
  CHECK(threads.front() != std::this_thread::get_id());
  CHECK(
      std::all_of(threads.begin(), threads.end(), [&](auto id) { return id == threads.front(); }));
}

TEST_CASE("a worker runs beside its caller, and an event marks the place in its queue") {
  Stream worker = make_worker();
  Gate first, second;
  worker.run([&] { first.pass(); });
  Event const middle = worker.record();
  worker.run([&] { second.pass(); });
  Event const last = worker.record();
  CHECK_FALSE(middle.done());
  first.open();
  middle.synchronize();
  CHECK(middle.done());
  CHECK_FALSE(last.done());
  second.open();
  last.synchronize();
  CHECK(last.done());
  CHECK(worker.record().done());
}

TEST_CASE("an inline stream blocks on a worker's event and sees what was written before it") {
  Stream compute{kCpu}, worker = make_worker();
  for (int i = 0; i < 200; ++i) {
    int value = 0;
    worker.run([&] { value = i + 1; });
    compute.wait(worker.record());
    REQUIRE(value == i + 1);
  }
}

TEST_CASE("a worker waits for another worker without blocking the caller") {
  Stream first = make_worker(), second = make_worker();
  Gate gate;
  int value = 0;
  first.run([&] {
    gate.pass();
    value = 1;
  });
  second.wait(first.record());
  int seen = -1;
  second.run([&] { seen = value; });
  Event const end = second.record();
  CHECK_FALSE(end.done());
  gate.open();
  end.synchronize();
  CHECK(seen == 1);
}

TEST_CASE("a failed worker rethrows to whoever waits and runs nothing more") {
  Stream compute{kCpu}, worker = make_worker();
  Gate gate;
  Event const before = worker.record();
  worker.run([&] {
    gate.pass();
    throw CommError{"peer lost"};
  });
  Event const after = worker.record();
  bool ran = false;
  worker.run([&] { ran = true; });
  gate.open();
  CHECK_THROWS_AS(compute.wait(after), CommError);
  CHECK_THROWS_AS(after.synchronize(), CommError);
  CHECK_THROWS_WITH(worker.synchronize(), "peer lost");
  CHECK_THROWS_AS(worker.record().synchronize(), CommError);
  CHECK_NOTHROW(before.synchronize());
  CHECK_FALSE(ran);
}

TEST_CASE("a failure travels through a worker that waits for it") {
  Stream first = make_worker(), second = make_worker();
  Gate gate;
  first.run([&] {
    gate.pass();
    throw CommError{"peer lost"};
  });
  second.wait(first.record());
  bool ran = false;
  second.run([&] { ran = true; });
  gate.open();
  CHECK_THROWS_AS(second.synchronize(), CommError);
  CHECK_FALSE(ran);
}

TEST_CASE("a stream that ends runs what is queued and swallows its failure") {
  std::atomic<int> ran{0};
  Event left;
  {
    Stream worker = make_worker();
    for (int i = 0; i < 100; ++i) worker.run([&] { ++ran; });
    worker.run([] { throw std::runtime_error{"nobody waits"}; });
    left = worker.record();
  }
  CHECK(ran == 100);
  CHECK(left.done());
  CHECK_THROWS_AS(left.synchronize(), std::runtime_error);
}

TEST_CASE("a stream moves with its queue") {
  std::atomic<int> ran{0};
  Stream worker = make_worker();
  worker.run([&] { ++ran; });
  Stream moved{std::move(worker)};
  moved.run([&] { ++ran; });
  moved = make_worker();  // ends the first queue
  CHECK(ran == 2);
  CHECK_NOTHROW(moved.synchronize());
}

TEST_CASE("seconds are counted where the caller was blocked") {
  Stream compute{kCpu}, worker = make_worker();
  auto const nap = std::chrono::milliseconds{20};
  worker.run([&] { std::this_thread::sleep_for(nap); });
  compute.wait(worker.record());
  CHECK(compute.waited_s() > 0.01);
  CHECK(worker.waited_s() == 0);
  worker.run([&] { std::this_thread::sleep_for(nap); });
  worker.synchronize();
  CHECK(worker.waited_s() > 0.01);
  compute.reset_counts();
  CHECK(compute.waited_s() == 0);
}

TEST_CASE("work asked for is counted on every device") {
  for (Device device : {kCpu, kMeta}) {
    Stream stream{device};
    stream.count({.flops = 10, .bytes = 4, .calls = 1});
    stream.count({.flops = 5, .bytes = 1, .calls = 2});
    CHECK(stream.counted().flops == 15);
    CHECK(stream.counted().bytes == 5);
    CHECK(stream.counted().calls == 3);
    stream.reset_counts();
    CHECK(stream.counted().calls == 0);
  }
}

TEST_CASE("a meta stream drops work and waits for nothing") {
  Stream worker = make_worker();
  Gate gate;
  worker.run([&] { gate.pass(); });
  for (StreamKind kind : {StreamKind::compute, StreamKind::communication}) {
    Stream meta{kMeta, kind};
    meta.run([] { throw std::runtime_error{"must not run"}; });
    meta.wait(worker.record());
    meta.synchronize();
    CHECK(meta.record().done());
    CHECK(meta.waited_s() == 0);
  }
  gate.open();
}

TEST_CASE("a stream on a device that is not there is refused") {
  if (device_count(Device::Kind::cuda) > 0) return;
  CHECK_THROWS_AS(Stream(Device{Device::Kind::cuda, 0}), CudaError);
}

TEST_CASE("a graph takes streams on CUDA alone, and runs nothing elsewhere") {
  for (Device const device : {kCpu, kMeta}) {
    Stream stream{device};
    Graph graph;
    bool ran = false;
    CHECK_THROWS_AS(graph.capture(stream, [&] { ran = true; }), InvalidArgument);
    CHECK_THROWS_AS(graph.replay(stream), InvalidArgument);
    CHECK_FALSE(ran);
    CHECK_FALSE(graph.captured());
  }
}
