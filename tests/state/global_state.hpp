// SPDX-License-Identifier: Apache-2.0
#pragma once
/// A state in memory as files would hold it: whole tensors and texts, put together from what all
/// ranks store, and dealt out again to any mesh. Copies element by element, so that it shares no
/// arithmetic with the code under test.
#include <algorithm>
#include <cstring>
#include <map>
#include <string>
#include <vector>

#include "dsr/comm/collectives.hpp"
#include "dsr/core/transfer.hpp"
#include "dsr/state/pieces.hpp"

namespace dsr::test {

struct GlobalTensor {
  Shape shape;
  DType dtype = DType::f32;
  std::string bytes;
  std::vector<int> written;  ///< how often each element was stored
};

struct GlobalState {
  std::map<std::string, GlobalTensor> tensors;
  std::map<std::string, std::string> texts;
};

/// Calls visit(index in the box's own row-major order, index in the global tensor's).
template <class Visit>
void for_each_element(Shape const& global, Box const& box, Visit visit) {
  for (Size inside = 0; inside < box.elements(); ++inside) {
    Size rest = inside, flat = 0, stride = 1;
    for (int dim = global.rank() - 1; dim >= 0; --dim) {
      flat += (box.begin[dim] + rest % box.count[dim]) * stride;
      rest /= box.count[dim];
      stride *= global[dim];
    }
    visit(static_cast<std::size_t>(inside), static_cast<std::size_t>(flat));
  }
}

/// Calls visit(index in the rank's local storage, padding counted, index in the global tensor).
template <class Visit>
void for_each_held(Shard const& shard, Box const& box, Visit visit) {
  Shape const local = shard.local_shape();
  for_each_element(shard.global(), box, [&](std::size_t inside, std::size_t flat) {
    auto rest = static_cast<Size>(inside);
    Size at = 0, stride = 1;
    for (int dim = local.rank() - 1; dim >= 0; --dim) {
      at += rest % box.count[dim] * stride;
      rest /= box.count[dim];
      stride *= local[dim];
    }
    visit(static_cast<std::size_t>(at), flat);
  });
}

/// Texts are of any bytes: numbers travel as they lie in memory.
inline std::string packed(State const& state, Mesh const& mesh) {
  std::string all;
  Stream stream{mesh.device()};
  for (StatePiece const& piece : stored_by(state, mesh)) {
    std::string bytes(static_cast<std::size_t>(piece.local.bytes()), '\0');
    transfer(piece.local, Tensor{bytes.data(), piece.box.count, piece.dtype, kCpu}, stream);
    stream.synchronize();
    all += bytes;
  }
  return all;
}

/// `texts[r]` is what rank r has packed. The boxes of all ranks come from this rank's numbers.
inline GlobalState assembled(State const& state, Mesh const& mesh,
                             std::vector<std::string> const& texts) {
  GlobalState whole;
  for (int rank = 0; rank < mesh.shape().ranks(); ++rank) {
    char const* from = texts[static_cast<std::size_t>(rank)].data();
    for (StatePiece const& piece : stored_by(state, mesh, rank)) {
      GlobalTensor& tensor = whole.tensors[piece.name];
      auto const item = static_cast<std::size_t>(size_of(piece.dtype));
      auto const elements = static_cast<std::size_t>(piece.global.elements());
      tensor.shape = piece.global;
      tensor.dtype = piece.dtype;
      tensor.bytes.resize(elements * item);
      tensor.written.resize(elements);
      for_each_element(piece.global, piece.box, [&](std::size_t inside, std::size_t flat) {
        std::memcpy(tensor.bytes.data() + flat * item, from + inside * item, item);
        ++tensor.written[flat];
      });
      from += piece.box.elements() * size_of(piece.dtype);
    }
  }
  for (TextEntry const& text : state.texts()) whole.texts[text.name] = text.save();
  return whole;
}

/// Collective over the mesh.
inline GlobalState saved(State const& state, Mesh const& mesh) {
  return assembled(state, mesh, gather_texts(packed(state, mesh), mesh.over(kWorld)));
}

/// Rank 0's, on all ranks; shapes and counts stay behind, as loading needs neither.
inline GlobalState broadcast(GlobalState const& mine, Communicator& group) {
  GlobalState whole;
  auto const send = [&](std::string text) { return broadcast_text(std::move(text), 0, group); };
  auto const send_all = [&](auto const& map, auto put) {
    auto at = map.begin();
    int const count = std::stoi(send(std::to_string(map.size())));
    for (int i = 0; i < count; ++i) {
      bool const is_here = at != map.end();
      std::string const name = send(is_here ? at->first : "");
      put(name, is_here ? &at->second : nullptr);
      if (is_here) ++at;
    }
  };
  send_all(mine.tensors, [&](std::string const& name, GlobalTensor const* tensor) {
    whole.tensors[name].bytes = send(tensor == nullptr ? "" : tensor->bytes);
  });
  send_all(mine.texts, [&](std::string const& name, std::string const* text) {
    whole.texts[name] = send(text == nullptr ? "" : *text);
  });
  return whole;
}

/// The same bits under the same names.
inline bool equal(GlobalState const& a, GlobalState const& b) {
  return a.texts == b.texts &&
         std::ranges::equal(a.tensors, b.tensors, [](auto const& one, auto const& other) {
           return one.first == other.first && one.second.bytes == other.second.bytes;
         });
}

/// Fills what this rank wants; throws std::out_of_range if a tensor or a text is missing.
inline void load(GlobalState const& whole, State const& state, Mesh const& mesh) {
  Stream stream{mesh.device()};
  for (StatePiece const& piece : wanted_by(state, mesh)) {
    GlobalTensor const& tensor = whole.tensors.at(piece.name);
    auto const item = static_cast<std::size_t>(size_of(piece.dtype));
    std::string bytes(static_cast<std::size_t>(piece.local.bytes()), '\0');
    for_each_element(piece.global, piece.box, [&](std::size_t inside, std::size_t flat) {
      std::memcpy(bytes.data() + inside * item, tensor.bytes.data() + flat * item, item);
    });
    transfer(Tensor{bytes.data(), piece.box.count, piece.dtype, kCpu}, piece.local, stream);
    stream.synchronize();
  }
  for (TextEntry const& text : state.texts()) text.load(whole.texts.at(text.name));
}

}  // namespace dsr::test
