// SPDX-License-Identifier: Apache-2.0
// The one source file that includes cudnn-frontend: it takes longer to compile than all the others
// here.
#include "libdsr/ops/cuda/attention_plan.hpp"

#include <cudnn_frontend.h>

#include <cmath>
#include <source_location>
#include <string>
#include <unordered_map>
#include <utility>

#include "dsr/core/cuda.hpp"
#include "dsr/core/error.hpp"
#include "libdsr/core/cuda/check.hpp"

namespace dsr::detail {

namespace fe = cudnn_frontend;

namespace {

using TensorPointer = std::shared_ptr<fe::graph::Tensor_attributes>;

enum Uid : std::int64_t { kQuery = 1, kKey, kValue, kOut, kSums, kDout, kDquery, kDkey, kDvalue };

void check(cudnnStatus_t status, std::source_location place = std::source_location::current()) {
  if (status == CUDNN_STATUS_SUCCESS) return;
  std::string_view file = place.file_name();
  file.remove_prefix(file.rfind('/') + 1);
  throw CudaError(problem("cuDNN", std::string{cudnnGetErrorString(status)} + ", at " +
                                       std::string{file} + ":" + std::to_string(place.line())));
}

std::string describe(AttentionLayout const& x) {
  return std::to_string(x.batch) + " sequences of " + std::to_string(x.sequence) + " tokens, " +
         std::to_string(x.heads) + " query heads, " + std::to_string(x.key_heads) +
         " key heads, head size " + std::to_string(x.size);
}

void require(fe::error_t error, AttentionLayout const& layout) {
  if (error.is_good()) return;
  throw InvalidArgument(problem("attention",
                                describe(layout) + ": cuDNN refuses: " + error.get_message(),
                                "what cuDNN " + std::to_string(cudnnGetVersion()) + " takes"));
}

std::vector<std::int64_t> dims(AttentionLayout const& x, Size heads, Size size) {
  return {x.batch, heads, x.sequence, size};
}

std::vector<std::int64_t> strides(AttentionStrides const& x) {
  return {x.batch, x.head, x.token, 1};
}

fe::graph::Tensor_attributes rows(Uid uid, AttentionLayout const& x, Size heads,
                                  AttentionStrides const& stride) {
  return fe::graph::Tensor_attributes()
      .set_uid(uid)
      .set_dim(dims(x, heads, x.size))
      .set_stride(strides(stride));
}

fe::graph::Tensor_attributes sums(AttentionLayout const& x) {
  AttentionStrides const packed{x.heads * x.sequence, x.sequence, 1};
  return fe::graph::Tensor_attributes()
      .set_uid(kSums)
      .set_dim(dims(x, x.heads, 1))
      .set_stride(strides(packed))
      .set_data_type(fe::DataType_t::FLOAT);
}

/// Declares an output like a description of it.
void give(TensorPointer const& output, fe::graph::Tensor_attributes const& as) {
  output->set_output(true).set_uid(as.get_uid()).set_dim(as.get_dim()).set_stride(as.get_stride());
}

float scale(AttentionLayout const& x) {
  return static_cast<float>(1 / std::sqrt(static_cast<double>(x.size)));
}

void add_forward(fe::graph::Graph& graph, AttentionLayout const& x) {
  auto const options = fe::graph::SDPA_attributes()
                           .set_name("attention")
                           .set_generate_stats(true)
                           .set_diagonal_alignment(fe::DiagonalAlignment_t::TOP_LEFT)
                           .set_diagonal_band_right_bound(0)
                           .set_attn_scale(scale(x));
  auto const [out, sum] = graph.sdpa(graph.tensor(rows(kQuery, x, x.heads, x.query)),
                                     graph.tensor(rows(kKey, x, x.key_heads, x.key)),
                                     graph.tensor(rows(kValue, x, x.key_heads, x.key)), options);
  give(out, rows(kOut, x, x.heads, x.out));
  give(sum, sums(x));
  sum->set_data_type(fe::DataType_t::FLOAT);
}

void add_backward(fe::graph::Graph& graph, AttentionLayout const& x, Determinism deterministic) {
  auto const options = fe::graph::SDPA_backward_attributes()
                           .set_name("attention_backward")
                           .set_diagonal_alignment(fe::DiagonalAlignment_t::TOP_LEFT)
                           .set_diagonal_band_right_bound(0)
                           .set_attn_scale(scale(x))
                           .set_deterministic_algorithm(deterministic == Determinism::on);
  auto const [dquery, dkey, dvalue] = graph.sdpa_backward(
      graph.tensor(rows(kQuery, x, x.heads, x.query)),
      graph.tensor(rows(kKey, x, x.key_heads, x.key)),
      graph.tensor(rows(kValue, x, x.key_heads, x.key)),
      graph.tensor(rows(kOut, x, x.heads, x.out)), graph.tensor(rows(kDout, x, x.heads, x.out)),
      graph.tensor(sums(x)), options);
  give(dquery, rows(kDquery, x, x.heads, x.query));
  give(dkey, rows(kDkey, x, x.key_heads, x.key));
  give(dvalue, rows(kDvalue, x, x.key_heads, x.key));
}

cudnnHandle_t native(Cudnn const& cudnn) { return static_cast<cudnnHandle_t>(cudnn.handle()); }

}  // namespace

Cudnn::Cudnn(Device device) {
  CurrentDevice const current{device.index};
  cudnnHandle_t made = nullptr;
  check(cudnnCreate(&made));
  handle_ = made;
  int major = 0;
  detail::check(cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, device.index));
  largest_head_ = major == 9 ? 256 : 128;
}

Cudnn::~Cudnn() { cudnnDestroy(static_cast<cudnnHandle_t>(handle_)); }

void Cudnn::use(Stream& stream) { check(cudnnSetStream(native(*this), dsr::native(stream))); }

struct AttentionPlan::Graph {
  fe::graph::Graph graph;
};

AttentionPlan::AttentionPlan(AttentionLayout const& layout, Pass pass, Determinism deterministic,
                             Cudnn& cudnn)
    : graph_(std::make_unique<Graph>()), pass_(pass) {
  fe::graph::Graph& graph = graph_->graph;
  graph.set_io_data_type(fe::DataType_t::BFLOAT16)
      .set_intermediate_data_type(fe::DataType_t::FLOAT)
      .set_compute_data_type(fe::DataType_t::FLOAT);
  if (pass == Pass::forward)
    add_forward(graph, layout);
  else
    add_backward(graph, layout, deterministic);
  require(graph.build(native(cudnn), {fe::HeurMode_t::A}), layout);
  std::int64_t bytes = 0;
  require(graph.get_workspace_size(bytes), layout);
  workspace_bytes_ = bytes;
}

AttentionPlan::~AttentionPlan() = default;
AttentionPlan::AttentionPlan(AttentionPlan&&) noexcept = default;

void AttentionPlan::run(AttentionAddresses const& at, void* workspace, Cudnn& cudnn) const {
  std::unordered_map<std::int64_t, void*> addresses{
      {kQuery, at.query}, {kKey, at.key}, {kValue, at.value}, {kOut, at.out}, {kSums, at.sums}};
  if (pass_ == Pass::backward) {
    addresses.insert(
        {{kDout, at.dout}, {kDquery, at.dquery}, {kDkey, at.dkey}, {kDvalue, at.dvalue}});
  }
  fe::error_t error = graph_->graph.execute(native(cudnn), addresses, workspace);
  if (error.is_bad()) throw CudaError(problem("attention", "cuDNN: " + error.get_message()));
}

}  // namespace dsr::detail
