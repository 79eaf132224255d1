// SPDX-License-Identifier: Apache-2.0
#include "libdsr/state/flat_layout.hpp"

#include <algorithm>

namespace dsr::detail {
namespace {

std::size_t find_or_add_flat(std::vector<FlatBuffer>& flats, ParameterTraits const& traits) {
  auto const found = std::find_if(flats.begin(), flats.end(), [&](FlatBuffer const& flat) {
    return flat.partial_over == traits.partial_over && flat.decay == traits.decay;
  });
  if (found != flats.end()) return static_cast<std::size_t>(found - flats.begin());
  FlatBuffer flat;
  flat.partial_over = traits.partial_over;
  flat.decay = traits.decay;
  flats.push_back(std::move(flat));
  return flats.size() - 1;
}

/// Appends buckets to one flat buffer: the last is open until it holds bucket_bytes.
class BucketFiller {
 public:
  BucketFiller(ParameterOptions const& options, int ranks)
      : aligned_(kAlignment_bytes / size_of(options.dtype)),
        share_(aligned_ * ranks),
        full_(ceil_div(options.bucket_bytes, size_of(options.dtype))) {}

  FlatRange add(FlatBuffer& flat, int index, Size elements) {
    if (!open_) {
      Size const begin = flat.buckets.empty() ? 0 : flat.buckets.back().range.end;
      flat.buckets.push_back({{begin, begin}, {}});
      open_ = true;
    }
    Bucket& bucket = flat.buckets.back();
    FlatRange const range{bucket.range.end, bucket.range.end + elements};
    bucket.range.end = bucket.range.begin + round_up(range.end - bucket.range.begin, aligned_);
    bucket.parameters.push_back(index);
    if (bucket.range.elements() >= full_) close(flat);
    return range;
  }

  void close(FlatBuffer& flat) {
    if (!open_) return;
    FlatRange& range = flat.buckets.back().range;
    range.end = range.begin + round_up(range.elements(), share_);
    open_ = false;
  }

 private:
  Size aligned_, share_, full_;
  bool open_ = false;
};

}  // namespace

FlatLayout lay_out(std::span<NamedParameter const> visited, MeshShape const& mesh,
                   ParameterOptions const& options) {
  FlatLayout layout;
  layout.places.resize(visited.size());
  std::vector<BucketFiller> fillers;
  for (std::size_t i = visited.size(); i-- > 0;) {
    Parameter& parameter = *visited[i].parameter;
    std::size_t const f = find_or_add_flat(layout.flats, parameter.traits());
    if (f == fillers.size())
      fillers.emplace_back(options, mesh.size(parameter.traits().partial_over));
    FlatBuffer& flat = layout.flats[f];
    FlatRange const range =
        fillers[f].add(flat, static_cast<int>(i), parameter.shard().local_shape().elements());
    layout.places[i] = {&parameter, static_cast<int>(f), static_cast<int>(flat.buckets.size()) - 1,
                        range};
  }
  for (std::size_t f = 0; f < fillers.size(); ++f) fillers[f].close(layout.flats[f]);
  return layout;
}

}  // namespace dsr::detail
