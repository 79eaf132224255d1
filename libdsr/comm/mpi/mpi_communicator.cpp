// SPDX-License-Identifier: Apache-2.0
#include "libdsr/comm/mpi/mpi_communicator.hpp"

#include <chrono>
#include <cstring>
#include <utility>

#include "dsr/core/error.hpp"
#include "libdsr/comm/mpi/check.hpp"
#include "libdsr/comm/mpi/combine.hpp"

namespace dsr::detail {

namespace {

int rank_in(MPI_Comm comm) {
  int rank = 0;
  check_mpi(MPI_Comm_rank(comm, &rank));
  return rank;
}

int size_of_group(MPI_Comm comm) {
  int size = 0;
  check_mpi(MPI_Comm_size(comm, &size));
  return size;
}

void copy(std::byte* to, std::byte const* from, Size bytes) {
  if (to != from && bytes > 0) std::memcpy(to, from, static_cast<std::size_t>(bytes));
}

}  // namespace

MpiCommunicator::MpiCommunicator(std::shared_ptr<Session> session, MPI_Comm comm, std::string name,
                                 Device device)
    : CommunicatorState(std::move(name), rank_in(comm), size_of_group(comm), device),
      session_(std::move(session)),
      comm_(comm),
      exchanges_{std::make_unique<Exchange>(comm), std::make_unique<Exchange>(comm)},
      sources_(static_cast<std::size_t>(size())) {}

void MpiCommunicator::enqueue(CollectiveCall const& call, Stream& stream) {
  if (size() == 1 && call.x == call.out) return;
  Thread const thread =
      stream.kind() == StreamKind::communication ? Thread::worker : Thread::caller;
  stream.run([self = shared_from_this(), this, call, thread] { execute(call, thread); });
}

void MpiCommunicator::run_on_host(CollectiveCall const& call) { execute(call, Thread::caller); }

std::shared_ptr<CommunicatorState> MpiCommunicator::split(int colour, int key, std::string name) {
  MPI_Comm part = MPI_COMM_NULL;
  check_mpi(MPI_Comm_split(comm_, colour, key, &part));
  return std::make_shared<MpiCommunicator>(session_, session_->own(part), std::move(name),
                                           device());
}

void MpiCommunicator::execute(CollectiveCall const& call, Thread thread) {
  std::lock_guard const lock(running_);
  auto const begin = std::chrono::steady_clock::now();
  auto const context = [&] {
    return describe(name(), call.record) + " on rank " + std::to_string(rank()) + " of " +
           std::to_string(size());
  };
  if (!death_.empty()) throw CommError(problem(context(), "the group is dead since " + death_));
  try {
    move(call);
  } catch (CommError const& error) {
    death_ = context();
    for (auto& exchange : exchanges_) exchange->abandon();
    throw CommError(problem(death_, error.what()));
  }
  add_seconds(std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count(),
              thread);
}

void MpiCommunicator::move(CollectiveCall const& call) {
  Parts const parts{call.elements, call.elements * size()};
  Exchange& exchange = *exchanges_[0];
  auto const p2p = Exchange::Kind::point_to_point;
  switch (call.operation) {
    case Collective::all_gather:
      return gather(parts, call.x, call.out, size_of(call.dtype));
    case Collective::reduce_scatter:
      return reduce_scatter(call, parts, call.out);
    case Collective::all_reduce:
      return all_reduce(call);
    case Collective::broadcast:
      return broadcast(call);
    case Collective::all_to_all:
      return all_to_all(call);
    case Collective::barrier:
      return barrier();
    case Collective::send:
      exchange.send(call.x, call.bytes(), call.peer, p2p);
      return exchange.complete(session_->timeout_s());
    case Collective::receive:
      exchange.receive(call.out, call.bytes(), call.peer, p2p);
      return exchange.complete(session_->timeout_s());
  }
}

void MpiCommunicator::gather(Parts parts, std::byte const* own, std::byte* out,
                             Size element_bytes) {
  Exchange& exchange = *exchanges_[0];
  for (int k = 1; k < size(); ++k) {
    int const from = other(size() - k);
    exchange.receive(out + parts.begin(from) * element_bytes, parts.count(from) * element_bytes,
                     from);
  }
  for (int k = 1; k < size(); ++k) {
    exchange.send(own, parts.count(rank()) * element_bytes, other(k));
  }
  copy(out + parts.begin(rank()) * element_bytes, own, parts.count(rank()) * element_bytes);
  exchange.complete(session_->timeout_s());
}

void MpiCommunicator::reserve_staging(Size bytes) {
  if (staging_.bytes() < bytes) staging_ = Buffer(bytes, kCpu);
}

std::byte* MpiCommunicator::staged(Size piece_number, int from, Size piece_bytes) {
  Size const half = (piece_number % 2) * (size() - 1);
  Size const place = from < rank() ? from : from - 1;
  return static_cast<std::byte*>(staging_.data()) + (half + place) * piece_bytes;
}

void MpiCommunicator::post_piece(CollectiveCall const& call, Parts parts, Size number, Size piece) {
  Exchange& exchange = *exchanges_[static_cast<std::size_t>(number % 2)];
  Size const element_bytes = size_of(call.dtype);
  Size const first = number * piece;
  auto const length = [&](int owner) {
    return std::max<Size>(0, std::min(piece, parts.count(owner) - first)) * element_bytes;
  };
  for (int k = 1; k < size(); ++k) {
    int const from = other(size() - k);
    exchange.receive(staged(number, from, piece * element_bytes), length(rank()), from);
  }
  for (int k = 1; k < size(); ++k) {
    int const to = other(k);
    exchange.send(call.x + (parts.begin(to) + first) * element_bytes, length(to), to);
  }
}

void MpiCommunicator::reduce_scatter(CollectiveCall const& call, Parts parts, std::byte* out) {
  Size const element_bytes = size_of(call.dtype);
  std::byte const* const own = call.x + parts.begin(rank()) * element_bytes;
  if (size() == 1) return copy(out, own, call.bytes());
  // A page from each rank at least, however many there are.
  Size const share = kStaging_bytes / (2 * (size() - 1)) / 64 * 64;
  Size const piece =
      std::min(std::max<Size>(share, 4096) / element_bytes, round_up(parts.unit, 64));
  reserve_staging(2 * (size() - 1) * piece * element_bytes);
  Size const pieces = ceil_div(parts.unit, piece);
  post_piece(call, parts, 0, piece);
  for (Size number = 0; number < pieces; ++number) {
    if (number + 1 < pieces) post_piece(call, parts, number + 1, piece);
    exchanges_[static_cast<std::size_t>(number % 2)]->complete(session_->timeout_s());
    Size const first = number * piece;
    Size const count = std::min(piece, parts.count(rank()) - first);
    if (count <= 0) continue;
    for (int from = 0; from < size(); ++from) {
      sources_[static_cast<std::size_t>(from)] = from == rank()
                                                     ? own + first * element_bytes
                                                     : staged(number, from, piece * element_bytes);
    }
    combine(sources_, out + first * element_bytes, count, call.dtype, call.reduce);
  }
}

void MpiCommunicator::all_reduce(CollectiveCall const& call) {
  if (size() == 1) return;
  if (call.bytes() < kOneRound_bytes) return all_reduce_in_one_round(call);
  Parts const parts{ceil_div(call.elements, size()), call.elements};
  std::byte* const own = call.out + parts.begin(rank()) * size_of(call.dtype);
  reduce_scatter(call, parts, own);
  gather(parts, own, call.out, size_of(call.dtype));
}

void MpiCommunicator::all_reduce_in_one_round(CollectiveCall const& call) {
  Size const bytes = call.bytes();
  reserve_staging((size() - 1) * bytes);
  Exchange& exchange = *exchanges_[0];
  for (int k = 1; k < size(); ++k) {
    int const from = other(size() - k);
    exchange.receive(staged(0, from, bytes), bytes, from);
  }
  for (int k = 1; k < size(); ++k) exchange.send(call.x, bytes, other(k));
  exchange.complete(session_->timeout_s());
  for (int from = 0; from < size(); ++from) {
    sources_[static_cast<std::size_t>(from)] = from == rank() ? call.x : staged(0, from, bytes);
  }
  combine(sources_, call.out, call.elements, call.dtype, call.reduce);
}

void MpiCommunicator::all_to_all(CollectiveCall const& call) {
  Exchange& exchange = *exchanges_[0];
  Size const part = call.bytes() / size();
  for (int k = 1; k < size(); ++k) {
    int const from = other(size() - k);
    exchange.receive(call.out + from * part, part, from);
  }
  for (int k = 1; k < size(); ++k) exchange.send(call.x + other(k) * part, part, other(k));
  copy(call.out + rank() * part, call.x + rank() * part, part);
  exchange.complete(session_->timeout_s());
}

void MpiCommunicator::broadcast(CollectiveCall const& call) {
  // A binomial tree: counted from the root, rank r hears from r without its highest bit.
  Exchange& exchange = *exchanges_[0];
  int const place = (rank() - call.peer + size()) % size();
  int bit = 1;
  while (bit <= place) bit *= 2;
  if (place > 0) {
    exchange.receive(call.out, call.bytes(), (place - bit / 2 + call.peer) % size());
    exchange.complete(session_->timeout_s());
  }
  for (; place + bit < size(); bit *= 2) {
    exchange.send(call.x, call.bytes(), (place + bit + call.peer) % size());
  }
  exchange.complete(session_->timeout_s());
}

void MpiCommunicator::barrier() {
  // Dissemination: after round k a rank has heard, directly or not, of the 2^k − 1 ranks before it.
  Exchange& exchange = *exchanges_[0];
  for (int distance = 1; distance < size(); distance *= 2) {
    exchange.receive_signal((rank() - distance + size()) % size());
    exchange.send_signal((rank() + distance) % size());
    exchange.complete(session_->timeout_s());
  }
}

}  // namespace dsr::detail
