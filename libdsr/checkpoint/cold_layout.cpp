// SPDX-License-Identifier: Apache-2.0
#include "libdsr/checkpoint/cold_layout.hpp"

#include <algorithm>
#include <array>
#include <cstddef>

#include "dsr/core/error.hpp"
#include "libdsr/checkpoint/hdf5_layout.hpp"

namespace dsr::detail {
namespace {

constexpr H5Z_filter_t kZstandard = 32015;  // registered with The HDF Group
constexpr char const* kFilterName = "Zstandard compression";

/// Chunks are compressed before HDF5 sees them.
size_t refuse(unsigned, size_t, unsigned const*, size_t, size_t*, void**) { return 0; }

/// HDF5 puts a filter into a dataset only if it knows it, and looks for one that it does not know
/// among plugins, whose code it would load. It is told of one that does nothing, for as long as
/// files are laid out; one that the program has itself is left alone.
class KnownFilter {
 public:
  KnownFilter() {
    require_hdf5(H5PLget_loading_state(&plugins_), "plugins");
    require_hdf5(H5PLset_loading_state(0), "plugins");
    if (H5Zfilter_avail(kZstandard) > 0) return;
    H5Z_class2_t const filter{H5Z_CLASS_T_VERS, kZstandard, 1,       1,
                              kFilterName,      nullptr,    nullptr, refuse};
    ours_ = H5Zregister(&filter) >= 0;
    if (ours_) return;
    H5PLset_loading_state(plugins_);
    throw_hdf5("filter");
  }
  ~KnownFilter() {
    if (ours_) H5Zunregister(kZstandard);
    H5PLset_loading_state(plugins_);
  }
  KnownFilter(KnownFilter const&) = delete;
  KnownFilter& operator=(KnownFilter const&) = delete;

 private:
  unsigned plugins_ = 0;
  bool ours_ = false;
};

void add_chunk(Hdf5Layout& layout, ColdChunk const& chunk, unsigned level,
               std::vector<std::byte>& memory) {
  layout.make_groups(chunk.path);
  Hdf5Id const creation{H5Pcreate(H5P_DATASET_CREATE), H5Pclose, "dataset creation"};
  Shape const shape = chunk_shape(chunk.shape);
  std::array<hsize_t, Shape::kMaxRank> sizes{};
  std::copy(shape.begin(), shape.end(), sizes.begin());
  require_hdf5(H5Pset_chunk(creation, shape.rank(), sizes.data()), "chunks");
  require_hdf5(H5Pset_fill_time(creation, H5D_FILL_TIME_NEVER), "no fill value");
  require_hdf5(H5Pset_obj_track_times(creation, false), "dataset without times");
  require_hdf5(H5Pset_shuffle(creation), "filter shuffle");
  require_hdf5(H5Pset_filter(creation, kZstandard, H5Z_FLAG_OPTIONAL, 1, &level), "filter zstd");
  Hdf5Id const type{make_type(chunk.dtype), H5Tclose, "type"};
  Hdf5Id const space{make_space(shape), H5Sclose, to_string(shape)};
  Hdf5Id const made{H5Dcreate2(layout.file(), chunk.path.c_str(), type, space, H5P_DEFAULT,
                               creation, H5P_DEFAULT),
                    H5Dclose, "dataset " + chunk.path};
  auto const bytes = static_cast<std::size_t>(chunk.bytes);
  if (memory.size() < bytes) memory.resize(bytes);
  std::array<hsize_t, Shape::kMaxRank> const origin{};
  Size const end = layout.payload_next() + chunk.bytes;
  require_hdf5(H5Dwrite_chunk(made, H5P_DEFAULT, 0, origin.data(), bytes, memory.data()),
               "chunk of " + chunk.path);
  if (layout.payload_next() != end)
    throw Error(problem("HDF5", "the place of " + chunk.path, "behind the one before"));
}

}  // namespace

Shape chunk_shape(Shape const& shape) { return shape.rank() == 0 ? Shape{1} : shape; }

ColdLayout lay_out_chunks(std::vector<ColdChunk> const& chunks, int level) {
  Size payload = 0;
  for (ColdChunk const& chunk : chunks) payload += chunk.bytes;
  Hdf5Session const session;
  KnownFilter const filter;
  Hdf5Layout layout{H5F_LIBVER_V18};
  if (layout.reserve_payload(payload) != kPayloadBegin_bytes)
    throw Error(problem("HDF5", "more metadata of an empty file than expected", "4096 bytes"));
  std::vector<std::byte> memory;  // what HDF5 believes to write
  for (ColdChunk const& chunk : chunks)
    add_chunk(layout, chunk, static_cast<unsigned>(level), memory);
  layout.close();
  ColdLayout made{.metadata = {}, .bytes = layout.bytes()};
  made.metadata = layout.take_pieces();
  return made;
}

}  // namespace dsr::detail
