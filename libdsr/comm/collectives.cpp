// SPDX-License-Identifier: Apache-2.0
// The front end of all backends: checks operands, keeps the books, then enqueues.
#include "dsr/comm/collectives.hpp"

#include <algorithm>
#include <cstring>

#include "dsr/core/error.hpp"
#include "libdsr/comm/communicator_state.hpp"

namespace dsr {

namespace {

using detail::CollectiveCall;

bool moves(Communicator const& group, Stream const& stream) {
  return group.state().moves_data() && stream.device().kind != Device::Kind::meta;
}

/// One operation while its operands are checked.
struct Request {
  Collective operation;
  Communicator& group;
  Stream& stream;

  std::string subject(std::string_view operand) const {
    return std::string(name_of(operation)) + " over " + group.name() + ", " + std::string(operand);
  }

  void require_operand(std::string_view operand, Tensor const& x) const {
    if (!x.contiguous()) {
      throw InvalidArgument(
          problem(subject(operand), "strided " + to_string(x.shape()), "contiguous"));
    }
    if (!moves(group, stream)) return;
    if (x.device() != group.device()) {
      throw InvalidArgument(
          problem(subject(operand), "on " + to_string(x.device()), to_string(group.device())));
    }
    if (!x.defined() && x.elements() > 0) {
      throw InvalidArgument(problem(subject(operand), "an undefined tensor", "one with memory"));
    }
  }

  void require_stream() const {
    if (moves(group, stream) && stream.device() != group.device()) {
      throw InvalidArgument(problem(subject("stream"), "on " + to_string(stream.device()),
                                    to_string(group.device())));
    }
  }

  /// big.elements() must be small.elements()·size.
  void require_multiple(std::string_view big_name, Tensor const& big, std::string_view small_name,
                        Tensor const& small) const {
    Size const wanted = small.elements() * group.size();
    if (big.elements() != wanted) {
      throw InvalidArgument(
          problem(subject(big_name),
                  to_string(big.shape()) + " with " + std::to_string(big.elements()) + " elements",
                  std::string(small_name) + " elements·size = " + std::to_string(small.elements()) +
                      "·" + std::to_string(group.size()) + " = " + std::to_string(wanted)));
    }
  }

  void require_same_dtype(Tensor const& x, Tensor const& out) const {
    if (x.dtype() != out.dtype()) {
      throw InvalidArgument(problem(subject("out"), std::string(name_of(out.dtype())),
                                    "x's " + std::string(name_of(x.dtype()))));
    }
  }

  /// `small` lies outside `big`, or is exactly this rank's part of it.
  void require_place(std::string_view small_name, Tensor const& small, Tensor const& big) const {
    if (!moves(group, stream)) return;
    auto const* const inner = static_cast<std::byte const*>(small.raw());
    auto const* const outer = static_cast<std::byte const*>(big.raw());
    bool const apart = std::less_equal<>{}(inner + small.bytes(), outer) ||
                       std::less_equal<>{}(outer + big.bytes(), inner);
    if (!apart && inner != outer + group.rank() * small.bytes()) {
      throw InvalidArgument(problem(subject(small_name), "overlaps the other operand",
                                    "memory of its own or exactly this rank's part of the other"));
    }
  }

  void require_number(Tensor const& x) const {
    // NCCL adds up all types; what meta counts may be meant for it.
    if (!moves(group, stream) || group.device().kind == Device::Kind::cuda) return;
    switch (x.dtype()) {
      case DType::f32:
      case DType::f64:
      case DType::i32:
      case DType::i64:
        return;
      case DType::u8:
      case DType::bf16:
        break;
    }
    throw InvalidArgument(
        problem(subject("x"), std::string(name_of(x.dtype())), "f32, f64, i32 or i64"));
  }

  void require_rank(std::string_view what, int rank) const {
    if (rank < 0 || rank >= group.size()) {
      throw InvalidArgument(
          problem(subject(what), std::to_string(rank), "0 … " + std::to_string(group.size() - 1)));
    }
  }

  void require_peer(std::string_view what, int rank) const {
    require_rank(what, rank);
    if (rank == group.rank()) {
      throw InvalidArgument(
          problem(subject(what), std::to_string(rank) + ", which is this rank", "another rank"));
    }
  }

  void submit(CollectiveCall call) const {
    call.operation = operation;
    call.record = group.state().note(operation, call.elements, call.dtype);
    if (moves(group, stream) && call.elements > 0) group.state().enqueue(call, stream);
  }
};

std::byte* bytes_of(Tensor const& x) { return static_cast<std::byte*>(x.raw()); }

CollectiveCall in_place(Tensor const& x) {
  return {.dtype = x.dtype(), .x = bytes_of(x), .out = bytes_of(x), .elements = x.elements()};
}

/// Runs a control operation on host bytes of this call's own.
void control(Communicator& group, CollectiveCall call) {
  call.record = group.state().note_control(call.operation, call.bytes());
  if (call.elements > 0 || call.operation == Collective::barrier) group.state().run_on_host(call);
}

void control_pair(Communicator& group, Collective operation, int peer, CollectiveCall call) {
  if (peer < 0 || peer >= group.size() || peer == group.rank()) {
    throw InvalidArgument(problem(std::string(name_of(operation)) + " of bytes over " + group.name() +
                                      ", peer", std::to_string(peer), "another rank of it"));
  }
  call.operation = operation;
  call.peer = peer;
  control(group, call);
}

}  // namespace

void all_gather(Tensor x, Tensor out, Communicator& group, Stream& stream) {
  Request const request{Collective::all_gather, group, stream};
  request.require_stream();
  request.require_operand("x", x);
  request.require_operand("out", out);
  request.require_same_dtype(x, out);
  request.require_multiple("out", out, "x", x);
  request.require_place("x", x, out);
  request.submit(
      {.dtype = x.dtype(), .x = bytes_of(x), .out = bytes_of(out), .elements = x.elements()});
}

void reduce_scatter(Tensor x, Tensor out, Communicator& group, Stream& stream) {
  Request const request{Collective::reduce_scatter, group, stream};
  request.require_stream();
  request.require_operand("x", x);
  request.require_operand("out", out);
  request.require_same_dtype(x, out);
  request.require_number(x);
  request.require_multiple("x", x, "out", out);
  request.require_place("out", out, x);
  request.submit(
      {.dtype = x.dtype(), .x = bytes_of(x), .out = bytes_of(out), .elements = out.elements()});
}

void all_reduce(Tensor x, Reduce operation, Communicator& group, Stream& stream) {
  Request const request{Collective::all_reduce, group, stream};
  request.require_stream();
  request.require_operand("x", x);
  request.require_number(x);
  CollectiveCall call = in_place(x);
  call.reduce = operation;
  request.submit(call);
}

void broadcast(Tensor x, int root, Communicator& group, Stream& stream) {
  Request const request{Collective::broadcast, group, stream};
  request.require_stream();
  request.require_operand("x", x);
  request.require_rank("root", root);
  CollectiveCall call = in_place(x);
  call.peer = root;
  request.submit(call);
}

void all_to_all(Tensor x, Tensor out, Communicator& group, Stream& stream) {
  Request const request{Collective::all_to_all, group, stream};
  request.require_stream();
  request.require_operand("x", x);
  request.require_operand("out", out);
  request.require_same_dtype(x, out);
  if (x.elements() != out.elements() || x.elements() % group.size() != 0) {
    throw InvalidArgument(
        problem(request.subject("x → out"), to_string(x.shape()) + " → " + to_string(out.shape()),
                "equal counts of elements, a multiple of " + std::to_string(group.size())));
  }
  if (moves(group, stream) && std::less<>{}(bytes_of(x), bytes_of(out) + out.bytes()) &&
      std::less<>{}(bytes_of(out), bytes_of(x) + x.bytes())) {
    throw InvalidArgument(problem(request.subject("out"), "overlaps x", "memory of its own"));
  }
  request.submit(
      {.dtype = x.dtype(), .x = bytes_of(x), .out = bytes_of(out), .elements = x.elements()});
}

void send(Tensor x, int to, Communicator& group, Stream& stream) {
  Request const request{Collective::send, group, stream};
  request.require_stream();
  request.require_operand("x", x);
  request.require_peer("receiver", to);
  CollectiveCall call = in_place(x);
  call.peer = to;
  request.submit(call);
}

void receive(Tensor x, int from, Communicator& group, Stream& stream) {
  Request const request{Collective::receive, group, stream};
  request.require_stream();
  request.require_operand("x", x);
  request.require_peer("sender", from);
  CollectiveCall call = in_place(x);
  call.peer = from;
  request.submit(call);
}

void wait_for_all(Communicator& group) { control(group, {.operation = Collective::barrier}); }

double all_reduce_value(double value, Reduce operation, Communicator& group) {
  auto* const bytes = reinterpret_cast<std::byte*>(&value);
  control(group, {.operation = Collective::all_reduce,
                  .reduce = operation,
                  .dtype = DType::f64,
                  .x = bytes,
                  .out = bytes,
                  .elements = 1});
  return value;
}

std::string broadcast_text(std::string text, int root, Communicator& group) {
  if (root < 0 || root >= group.size()) {
    throw InvalidArgument(problem("broadcast_text over " + group.name() + ", root",
                                  std::to_string(root), "0 … " + std::to_string(group.size() - 1)));
  }
  if (!group.state().moves_data()) return text;
  auto const from_root = [&](void* data, Size bytes) {
    auto* const place = static_cast<std::byte*>(data);
    control(group, {.operation = Collective::broadcast,
                    .peer = root,
                    .x = place,
                    .out = place,
                    .elements = bytes});
  };
  auto length = static_cast<std::int64_t>(text.size());
  from_root(&length, sizeof length);
  text.resize(static_cast<std::size_t>(length));
  from_root(text.data(), length);
  return text;
}

std::vector<std::string> gather_texts(std::string const& text, Communicator& group) {
  auto const ranks = static_cast<std::size_t>(group.size());
  if (!group.state().moves_data()) return std::vector<std::string>(ranks, text);
  auto const gather = [&](void const* own, void* all, Size bytes) {
    control(group, {.operation = Collective::all_gather,
                    .x = static_cast<std::byte const*>(own),
                    .out = static_cast<std::byte*>(all),
                    .elements = bytes});
  };
  auto const length = static_cast<std::int64_t>(text.size());
  std::vector<std::int64_t> lengths(ranks);
  gather(&length, lengths.data(), sizeof length);
  // All blocks of one gather are equal, so texts travel padded to the longest.
  auto const longest = static_cast<std::size_t>(*std::max_element(lengths.begin(), lengths.end()));
  std::string padded = text;
  padded.resize(longest);
  std::string all(longest * ranks, '\0');
  gather(padded.data(), all.data(), static_cast<Size>(longest));
  std::vector<std::string> texts(ranks);
  for (std::size_t i = 0; i < ranks; ++i)
    texts[i] = all.substr(i * longest, static_cast<std::size_t>(lengths[i]));
  return texts;
}

void send_bytes(std::span<std::byte const> bytes, int to, Communicator& group) {
  control_pair(group, Collective::send, to, {.x = bytes.data(), .elements = std::ssize(bytes)});
}

void receive_bytes(std::span<std::byte> bytes, int from, Communicator& group) {
  control_pair(group, Collective::receive, from,
               {.out = bytes.data(), .elements = std::ssize(bytes)});
}

}  // namespace dsr
