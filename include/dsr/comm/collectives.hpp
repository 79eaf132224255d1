// SPDX-License-Identifier: Apache-2.0
#pragma once
/// Collectives: free functions on contiguous tensors. All ranks of the group call the same one in
/// the same order.
///
///     all_gather(x, out, mesh[Axis::row], stream);  // x [n, …] → out [n·size, …], in rank order
///
/// Stream      enqueued on `stream`; tensors must live until it has run
/// Numerics    sums are taken in rank order, so all ranks get the same bits, every time
/// Throws      InvalidArgument before any communication if shapes, dtypes or devices do not fit;
///             CommError, when the stream is next waited for (at once on an inline one), if a peer
///             is lost or silent; the group is dead then, and says so whenever it is used
#include <cstddef>
#include <span>
#include <string>
#include <vector>

#include "dsr/comm/communicator.hpp"
#include "dsr/core/stream.hpp"
#include "dsr/core/tensor.hpp"

namespace dsr {

enum class Reduce : std::uint8_t { sum, max, min };

/// out [size·e] = the ranks' x [e] in rank order. x may be this rank's own part of out.
void all_gather(Tensor x, Tensor out, Communicator& group, Stream& stream);

/// out [e] = this rank's part of the sum of the ranks' x [size·e]. out may be this rank's own part
/// of x.
void reduce_scatter(Tensor x, Tensor out, Communicator& group, Stream& stream);

/// x = the reduction of the ranks' x, in place.
void all_reduce(Tensor x, Reduce operation, Communicator& group, Stream& stream);

/// x of `root` to all.
void broadcast(Tensor x, int root, Communicator& group, Stream& stream);

/// out [size, e]: part i is what rank i had as its part `rank` of x [size, e]. Out of place.
void all_to_all(Tensor x, Tensor out, Communicator& group, Stream& stream);

void send(Tensor x, int to, Communicator& group, Stream& stream);
void receive(Tensor x, int from, Communicator& group, Stream& stream);

/// Blocks the caller until all ranks of the group are here.
void wait_for_all(Communicator& group);

/// Host values and text, blocking; for control, not for data: they enter last() but not traffic().
/// No operation of the group may be pending on a stream.
double all_reduce_value(double value, Reduce operation, Communicator& group);
/// The text of `root`, on all ranks.
std::string broadcast_text(std::string text, int root, Communicator& group);
/// The texts of all ranks in rank order, on all ranks.
std::vector<std::string> gather_texts(std::string const& text, Communicator& group);
/// Bytes in host memory from one rank to another; both know how many. Throws InvalidArgument if there
/// is no such rank or it is this one.
void send_bytes(std::span<std::byte const> bytes, int to, Communicator& group);
void receive_bytes(std::span<std::byte> bytes, int from, Communicator& group);

}  // namespace dsr
